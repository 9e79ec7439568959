"""The scan against the Python loop, and the custom derivative against JAX's own."""

import re
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from rnncli.nn.cells import Carry, Cell
from rnncli.nn.dropout import DropoutKey, dropout_mask
from rnncli.nn.recurrence import unroll
from rnncli.nn.settings import cell_class

STEPS, BATCH, FEATURES, UNITS = 5, 4, 3, 6
LENGTHS = jnp.array([5, 3, 4, 1])
ALL_CELLS = pytest.mark.parametrize("name", ["simple", "lstm", "gru"])


@cache
def made(name: str, layer_norm: bool) -> tuple[nnx.GraphDef, nnx.State]:
    return nnx.split(cell_class(name)(FEATURES, UNITS, layer_norm=layer_norm, rngs=nnx.Rngs(0)))


def make(name: str, *, layer_norm: bool = False) -> Cell:
    return nnx.merge(*made(name, layer_norm))


def inputs(steps: int = STEPS, batch: int = BATCH) -> jax.Array:
    return jax.random.normal(jax.random.key(1), (steps, batch, FEATURES))


@partial(jax.jit, static_argnames="reverse")
def compiled(cell: Cell, x: jax.Array, lengths: jax.Array | None = None, *, reverse: bool) -> tuple[jax.Array, Carry]:
    """`unroll` as one program."""
    return unroll(cell, x, lengths=lengths, reverse=reverse)


def random_carry(cell: Cell) -> Carry:
    keys = jax.random.split(jax.random.key(2), cell.carries)
    return tuple(jax.random.normal(key, (BATCH, UNITS)) for key in keys)


def loop(cell: Cell, x: jax.Array, carry: Carry, lengths: jax.Array, drop: jax.Array, reverse: bool):
    """`unroll` as a Python loop over single steps."""
    outputs: list[jax.Array] = []
    order = range(len(x))
    for t in reversed(order) if reverse else order:
        recurrent = tuple((carry[0] * drop[t]) @ kernel for kernel in cell.recurrent_kernels())
        new = cell.step(cell.vectors(), carry, cell.pre_activations(cell.project(x[t]), recurrent))
        valid = (t < lengths)[:, None]
        carry = tuple(jnp.where(valid, n, old) for n, old in zip(new, carry, strict=True))
        outputs.append(carry[0])
    return jnp.stack(outputs[::-1] if reverse else outputs), carry


@ALL_CELLS
@pytest.mark.parametrize(
    ("layer_norm", "reverse", "steps"), [(False, False, STEPS), (True, True, STEPS), (True, False, 1)]
)
def test_scan_and_its_gradients_equal_the_python_loop(name: str, layer_norm: bool, reverse: bool, steps: int) -> None:
    cell = make(name, layer_norm=layer_norm)
    graph, params = nnx.split(cell)
    drop = dropout_mask(DropoutKey.of_batch(jax.random.key(5), BATCH), 0.3, (steps, BATCH, UNITS))
    weights = jax.random.normal(jax.random.key(9), (steps, BATCH, UNITS))

    def objective(run, params, x, carry):
        hidden, final = run(nnx.merge(graph, params), x, carry)
        return (hidden * weights).sum() + sum(jnp.square(part).sum() for part in final), hidden

    def plain(cell, x, carry):
        return loop(cell, x, carry, LENGTHS, drop, reverse)

    def scanned(cell, x, carry):
        return unroll(cell, x, carry, lengths=LENGTHS, reverse=reverse, state_dropout=drop)

    given_arrays = (params, inputs(steps), random_carry(cell))
    results = [
        jax.jit(jax.value_and_grad(partial(objective, run), argnums=(0, 1, 2), has_aux=True))(*given_arrays)
        for run in (plain, scanned)
    ]
    for wanted, got in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-5, rtol=1e-4)


@ALL_CELLS
@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_no_loop_copies_an_array_of_all_steps(name: str, everything: bool, fused: bool) -> None:
    steps = 37
    cell = make(name, layer_norm=everything)
    cell.operands = "bfloat16" if everything else "float32"
    options = {"xla_cpu_use_fusion_emitters": True}  # as in the commands; the optimisations come after these passes
    options |= {} if fused else {"xla_disable_hlo_passes": "cpu_multi_output_fusion"}
    graph, params = nnx.split(cell)
    more = {"lengths": LENGTHS, "reverse": True, "state_dropout": jnp.ones((steps, BATCH, UNITS))} if everything else {}

    def loss(params, x):
        return jnp.square(unroll(nnx.merge(graph, params), x, **more)[0]).sum()

    gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)), compiler_options=options)
    program = gradients.lower(params, inputs(steps)).compile().as_text()
    bodies = set(re.findall(r"body=(%[\w.\-]+)", program))
    assert len(bodies) == 2
    for body in bodies:
        text = program[program.index(f"\n{body} (") :].split("\n}")[0]
        assert "dynamic-update-slice" in text
        assert not re.findall(rf"= f32\[{steps},\S* copy\(.*", text)


@ALL_CELLS
def test_gradients_equal_finite_differences(name: str) -> None:
    cell = make(name)
    check_grads(lambda x: unroll(cell, x)[0].sum(), (inputs(3, 2),), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


@ALL_CELLS
def test_two_chunks_equal_one_pass(name: str) -> None:
    cell, x = make(name), inputs()
    whole, final = unroll(cell, x)
    first, carry = unroll(cell, x[:3])
    second, last = unroll(cell, x[3:], carry)
    # not to the bit: products of other shapes may be added up in another order
    np.testing.assert_allclose(jnp.concatenate([first, second]), whole, atol=1e-6)
    for part, wanted in zip(last, final, strict=True):
        np.testing.assert_allclose(part, wanted, atol=1e-6)


@ALL_CELLS
def test_reverse_equals_flipped(name: str) -> None:
    cell, x = make(name), inputs()
    flipped, _ = unroll(cell, x[::-1])
    reverse, _ = unroll(cell, x, reverse=True)
    np.testing.assert_array_equal(reverse, flipped[::-1])


@ALL_CELLS
@given(lengths=st.lists(st.integers(1, STEPS), min_size=BATCH, max_size=BATCH), reverse=st.booleans())
@settings(max_examples=15, deadline=None)
def test_padding_changes_nothing(name: str, lengths: list[int], reverse: bool) -> None:
    cell, x = make(name), np.asarray(inputs())
    hidden, final = compiled(cell, x, lengths=np.array(lengths), reverse=reverse)
    for row, length in enumerate(lengths):
        alone, carry = compiled(cell, x[:length, row : row + 1], reverse=reverse)
        np.testing.assert_allclose(hidden[:length, row], alone[:, 0], atol=1e-6)
        for part, wanted in zip(final, carry, strict=True):
            np.testing.assert_allclose(part[row], wanted[0], atol=1e-6)


@ALL_CELLS
def test_bfloat16_operands_stay_close_and_keep_float32_states(name: str) -> None:
    exact, rounded = make(name), make(name)
    rounded.operands = "bfloat16"
    hidden, _ = unroll(rounded, inputs())
    assert hidden.dtype == jnp.float32
    difference = np.abs(hidden - unroll(exact, inputs())[0]).max()
    assert 0 < difference < 0.03


def test_wrong_features_are_named() -> None:
    with pytest.raises(ValueError, match=r"x has 2 features .* but the cell takes 3"):
        unroll(make("gru"), jnp.zeros((4, 1, 2)))


@pytest.mark.parametrize(("name", "arrays"), [("simple", 2), ("gru", 5), ("lstm", 6)])
def test_what_the_forward_loop_saves_for_the_backward_one(name: str, arrays: int) -> None:
    """Carries and pre-activations: memory, and the time to write and read it, depend on it."""
    cell = make(name)
    graph, params = nnx.split(cell)

    def pullback(params, x):
        return jax.vjp(lambda params, x: unroll(nnx.merge(graph, params), x), params, x)[1]

    residuals = jax.eval_shape(pullback, params, inputs())
    of_steps = [leaf for leaf in jax.tree.leaves(residuals) if leaf.shape == (STEPS, BATCH, UNITS)]
    assert len(of_steps) == arrays
