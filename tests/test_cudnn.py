"""The choice between the loop and cuDNN's LSTM, whose call is replaced: there is no such GPU here."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.experimental import rnn

from rnncli.nn import cudnn, unroll
from rnncli.nn.cells import GRUCell, LSTMCell
from rnncli.nn.layers import RecurrentStack

called: list[tuple[int, ...]] = []


def reference(x: Any, h: Any, c: Any, weights: Any, lengths: Any, features: int, units: int) -> Any:
    """What cuDNN computes, from the weights as it takes them."""
    called.append(x.shape)
    parts = rnn.unpack_lstm_weights(weights, features, units, 1, False)
    return rnn.lstm_ref(x, h, c, *parts, lengths, features, units, 1, 0.0, False)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    called.clear()
    cudnn._measured.cache_clear()
    monkeypatch.setattr(cudnn, "on_nvidia", lambda: True)
    monkeypatch.setattr(cudnn, "_lstm", reference)


def outcome(cell: Any, x: Any, **how: Any) -> Any:
    graph, params = nnx.split(cell)

    def total(params: Any, x: Any) -> Any:
        hidden, carry = unroll(nnx.merge(graph, params), x, **how)
        return jnp.sin(hidden).sum() + carry[1].sum(), hidden

    return jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(params, x)


@pytest.mark.parametrize("reverse", [False, True])
def test_both_forms_are_equal(reverse: bool, gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = LSTMCell(3, 5, rngs=nnx.Rngs(0))
    cell.bias[...] = jax.random.normal(jax.random.key(1), cell.bias.shape)
    x = jax.random.normal(jax.random.key(2), (7, 4, 3))
    carry = tuple(jax.random.normal(jax.random.key(seed), (4, 5)) for seed in (3, 4))
    found = {}
    for faster in (False, True):
        monkeypatch.setattr(cudnn, "_measure", lambda *_, faster=faster: faster)
        cudnn._measured.cache_clear()
        found[faster] = outcome(cell, x, carry=carry, reverse=reverse)
    assert called == [(4, 7, 3)]
    for ours, theirs in zip(jax.tree.leaves(found[True]), jax.tree.leaves(found[False]), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)


@pytest.mark.parametrize(("times", "chosen"), [((1.0, 2.0), True), ((2.0, 1.0), False)])
def test_the_faster_one_is_measured_once_within_a_trace(
    times: tuple[float, float], chosen: bool, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([tick for each in times for _ in range(5) for tick in (0.0, each)])
    monkeypatch.setattr(cudnn.time, "perf_counter", lambda: next(clock))
    cell, x = LSTMCell(3, 5, rngs=nnx.Rngs(0)), jnp.ones((7, 4, 3))
    for _ in range(2):
        outcome(cell, x)
    assert next(clock, None) is None, "both were measured, and once"
    assert called.count((4, 7, 3)) == (3 if chosen else 1)  # the measurement, and two programs


def test_what_cudnn_has_not_is_the_loops(gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudnn, "_measure", lambda *_: True)
    x = jnp.ones((7, 4, 3))
    plain = LSTMCell(3, 5, rngs=nnx.Rngs(0))
    unroll(LSTMCell(3, 5, layer_norm=True, rngs=nnx.Rngs(0)), x)
    unroll(LSTMCell(3, 5, operands="bfloat16", rngs=nnx.Rngs(0)), x)
    unroll(GRUCell(3, 5, rngs=nnx.Rngs(0)), x)
    unroll(plain, plain.project(x))
    unroll(plain, x, lengths=jnp.array([1, 2, 3, 4]))
    unroll(plain, x, state_dropout=jnp.ones((7, 4, 5)))
    unroll(plain, x, kernel_dropout=jnp.ones((5, 20)))
    with cudnn.without_cudnn():
        unroll(plain, x)
    assert not called
    RecurrentStack("lstm", 3, 5, layers=2, bidirectional=True, rngs=nnx.Rngs(0))(x)
    assert len(called) == 4


def test_without_a_gpu_nothing_is_measured() -> None:
    assert not cudnn.on_nvidia()
