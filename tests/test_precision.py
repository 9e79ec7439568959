"""Products in two precisions, and their gradients."""

from dataclasses import replace

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.charlm.batches import Text
from rnncli.charlm.corpus import Corpus
from rnncli.charlm.settings import CharlmSettings
from rnncli.charlm.task import CharlmTask
from rnncli.charlm.vocabulary import Vocabulary
from rnncli.nn.precision import Operands, joined_rows, matmul, products, transposed_product
from rnncli.training.loop import fit, initial_state

BOTH = pytest.mark.parametrize("operands", ["float32", "bfloat16"])


def normal(seed: int, *shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def rounded(x: jax.Array, operands: Operands) -> np.ndarray:
    return np.asarray(x.astype(operands), np.float64)


@BOTH
@hypothesis.settings(max_examples=5, deadline=None)
@given(steps=st.integers(1, 5), batch=st.integers(1, 5), features=st.integers(1, 4), units=st.integers(1, 4))
def test_a_kernels_gradient_sums_over_all_rows(
    operands: Operands, steps: int, batch: int, features: int, units: int
) -> None:
    a, b = normal(0, steps, batch, features), normal(1, steps, batch, units)
    wanted = np.einsum("tbk,tbn->kn", rounded(a, operands), rounded(b, operands))
    np.testing.assert_allclose(transposed_product(a, b, operands), wanted, rtol=1e-4, atol=1e-5)


@BOTH
def test_products_and_their_gradients_are_those_of_plain_products(operands: Operands) -> None:
    a, kernels = normal(0, 7, 3, 5), (normal(1, 5, 4), normal(2, 5, 6))
    weights = normal(3, 7, 3, 4), normal(4, 7, 3, 6)

    def ours(a: jax.Array, kernels: tuple[jax.Array, ...]) -> jax.Array:
        return sum(((y * w).sum() for y, w in zip(products(a, kernels, operands), weights, strict=True)), jnp.zeros(()))

    def plain(a: jax.Array, kernels: tuple[jax.Array, ...]) -> jax.Array:
        return sum((((a @ k) * w).sum() for k, w in zip(kernels, weights, strict=True)), jnp.zeros(()))

    found, wanted = (jax.value_and_grad(each, (0, 1))(a, kernels) for each in (ours, plain))
    near = 1e-5 if operands == "float32" else 0.05
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=near, atol=10 * near), found, wanted)


def test_bfloat16_rounds_the_operands_and_not_the_sum() -> None:
    a, b = jnp.full((1, 512), 1 + 2**-10), jnp.full((512, 1), 1 + 2**-6)
    assert float(matmul(a, b)[0, 0]) == pytest.approx(512 * (1 + 2**-10) * (1 + 2**-6), rel=1e-6)
    assert float(matmul(a, b, "bfloat16")[0, 0]) == 512 * (1 + 2**-6)  # which bfloat16 could not hold: 520 it could


def test_rows_are_joined_in_order() -> None:
    one, other = normal(0, 2, 3, 4), normal(1, 2, 3, 5)
    joined = joined_rows([one, other], "float32")
    np.testing.assert_array_equal(joined, np.concatenate([one, other], -1).reshape(6, 9))


@pytest.mark.slow
def test_a_whole_training_in_bfloat16_stays_beside_that_in_float32() -> None:
    words = ["the ", "quick ", "brown ", "fox ", "jumps ", "over ", "a ", "lazy ", "dog. "]
    spoken = "".join(np.random.default_rng(0).choice(words, 4000))
    tokens = np.frombuffer(spoken.encode(), np.uint8) % 32
    corpus = Corpus(Vocabulary("chars", tuple(range(32))), tokens, ("drawn",), 1)
    text, held_out = Text(tokens[:16_000], 32), Text(tokens[16_000:18_000], 32)
    settings = CharlmSettings(units=32, layers=1, window=20, batch_size=16, epochs=2, learning_rate=0.03, patience=0)
    losses = {}
    for operands in ("float32", "bfloat16"):
        task = CharlmTask(replace(settings, precision=operands), corpus, text, held_out)
        state = initial_state(task.model, task.optimizer, task.carry)
        reports = fit(task.model, task.optimizer, task.loss, task.evaluate, task.data, task.batches, task.plan, state)
        losses[operands] = [report.metrics["loss"] for report in reports if report.metrics]
    assert losses["float32"][-1] < 0.6, "it should have learnt: ln 9 over 4.7 characters a word is 0.47"
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], atol=0.01)
    assert losses["bfloat16"] != losses["float32"]
