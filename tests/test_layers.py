"""Stacks, dropout masks and convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from rnncli.nn.dropout import DropoutKey, dropout_mask, kernel_mask
from rnncli.nn.initial import initialised
from rnncli.nn.layers import CausalConv, RecurrentStack, last_hidden


def test_a_stack_is_its_layers_one_above_the_other() -> None:
    from rnncli.nn.recurrence import unroll

    stack = RecurrentStack("gru", 2, 4, layers=3, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (5, 3, 2))
    hidden = x
    for cell in stack.forward:
        hidden, carry = unroll(cell, hidden)
    got, carries = stack(x)
    np.testing.assert_array_equal(got, hidden)
    np.testing.assert_array_equal(last_hidden(carries), carry[0])


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_weights_drawn_at_once_are_those_drawn_one_by_one(seed: int) -> None:
    def make(*, rngs: nnx.Rngs) -> RecurrentStack:
        return RecurrentStack("gru", 3, 8, layers=2, layer_norm=True, rngs=rngs)

    (wanted_graph, wanted), (graph, got) = nnx.split(make(rngs=nnx.Rngs(seed))), nnx.split(initialised(make, seed))
    assert graph == wanted_graph
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-6), got, wanted)


def test_a_stack_goes_on_from_its_carries() -> None:
    stack = RecurrentStack("lstm", 2, 4, layers=2, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (6, 3, 2))
    whole, _ = stack(x)
    _, carries = stack(x[:2])
    rest, _ = stack(x[2:], carries)
    np.testing.assert_allclose(rest, whole[2:], atol=1e-6)


def test_bidirectional_joins_both_readings() -> None:
    stack = RecurrentStack("simple", 2, 4, bidirectional=True, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (5, 3, 2))
    lengths = jnp.array([5, 2, 4])
    hidden, carries = stack(x, lengths=lengths)
    assert hidden.shape == (5, 3, 8)
    ends = last_hidden(carries, bidirectional=True)
    for row, length in enumerate([5, 2, 4]):
        np.testing.assert_array_equal(ends[row, :4], hidden[length - 1, row, :4])
        np.testing.assert_array_equal(ends[row, 4:], hidden[0, row, 4:])


def test_dropout_masks_are_the_same_for_a_batch_in_parts() -> None:
    key = jax.random.key(0)
    whole = dropout_mask(DropoutKey.of_batch(key, 4), 0.5, (7, 4, 9))
    part = DropoutKey(key, jnp.array([2, 3]))
    np.testing.assert_array_equal(dropout_mask(part, 0.5, (7, 2, 9)), whole[:, 2:])
    np.testing.assert_array_equal(dropout_mask(part, 0.5, (2, 9)).shape, (2, 9))
    np.testing.assert_array_equal(kernel_mask(part, 0.5, (3, 5)), kernel_mask(DropoutKey.of_batch(key, 4), 0.5, (3, 5)))
    assert not np.array_equal(whole[:, 0], whole[:, 1])


def test_each_mask_of_a_stack_is_drawn_by_itself() -> None:
    drawn: list[np.ndarray] = []

    def remember(key: DropoutKey, rate: float, shape: tuple[int, ...], **_: bool) -> jax.Array:
        keys = jax.vmap(lambda row: jax.random.fold_in(key.key, row))(key.rows)
        drawn.extend(np.asarray(jax.random.key_data(keys)))
        return jnp.ones(shape)

    def remember_kernel(key: DropoutKey, rate: float, shape: tuple[int, ...]) -> jax.Array:
        drawn.append(np.asarray(jax.random.key_data(key.key)))
        return jnp.ones(shape)

    rates = {"dropout": 0.5, "recurrent_dropout": 0.5, "kernel_dropout": 0.5}
    stack = RecurrentStack("gru", 2, 4, layers=2, bidirectional=True, **rates, rngs=nnx.Rngs(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rnncli.nn.layers.dropout_mask", remember)
        patch.setattr("rnncli.nn.layers.kernel_mask", remember_kernel)
        stack(jnp.ones((3, 8, 2)), key=DropoutKey.of_batch(jax.random.key(0), 8))
    assert len(drawn) == 2 * (8 + 2 * 8 + 2)
    assert len({tuple(key) for key in drawn}) == len(drawn)


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_mask_keeps_the_mean_and_repeats_only_when_variational(variational: bool) -> None:
    mask = np.asarray(
        dropout_mask(DropoutKey.of_batch(jax.random.key(0), 40), 0.25, (50, 40, 30), variational=variational)
    )
    np.testing.assert_allclose(np.unique(mask), [0, 1 / 0.75], rtol=1e-6)
    assert abs(mask.mean() - 1) < 0.05
    assert (mask == mask[:1]).all() == variational


@pytest.mark.parametrize("which", ["dropout", "recurrent_dropout"])
def test_dropout_needs_a_key_and_then_acts(which: str) -> None:
    stack = RecurrentStack("gru", 2, 8, layers=2, rngs=nnx.Rngs(0), **{which: 0.5})
    plain = RecurrentStack("gru", 2, 8, layers=2, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (5, 3, 2))
    np.testing.assert_array_equal(stack(x)[0], plain(x)[0])
    once, again, other = (stack(x, key=DropoutKey.of_batch(jax.random.key(seed), 3))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)
    assert not np.array_equal(once, plain(x)[0])


@given(kernel=st.integers(1, 4), dilation=st.integers(1, 4), place=st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_causal_convolution_sees_no_future_and_reaches_as_far_as_it_says(
    kernel: int, dilation: int, place: int
) -> None:
    conv = CausalConv(1, 2, kernel_size=kernel, dilation=dilation, rngs=nnx.Rngs(0))
    x = jnp.zeros((10, 1, 1))
    touched = np.abs(conv(x.at[place].set(1.0)) - conv(x)).sum((1, 2)) > 0
    reached = {place + dilation * tap for tap in range(kernel)} & set(range(10))
    assert set(np.flatnonzero(touched)) == reached
    assert conv.reach == dilation * (kernel - 1) + 1


def test_convolution_equals_jax() -> None:
    conv = CausalConv(3, 5, kernel_size=4, stride=2, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (12, 2, 3))
    wanted = jax.lax.conv_general_dilated(
        x.transpose(1, 0, 2), conv.kernel[...], (2,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
    )
    got = conv(x)
    np.testing.assert_allclose(got, wanted.transpose(1, 0, 2), atol=1e-5)
    assert conv.output_steps(12) == [3, 5, 7, 9, 11]
    assert conv.output_steps(11) == [4, 6, 8, 10], "the newest step is always among them"
