"""An LSTM layer by cuDNN, on NVIDIA GPUs where that is faster than the loop.

cuDNN's LSTM is one call for all steps, `jax.experimental.rnn`. It computes in float32, and has neither layer
normalisation nor dropout within a layer; everything else is the loop's. Whether it is faster depends on the GPU and the
sizes, so some gradients are computed both ways, once for each size in a process.

Several processes that share a batch have to run the same program, and a mapped program (`jax.vmap`) has no call of
cuDNN's: both keep to the loop.
"""

import functools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from rnncli.nn.cells import Carry, Cell, LSTMCell

_ROUNDS = 5
_allowed = [True]


@contextmanager
def without_cudnn() -> Iterator[None]:
    """What is traced within the block keeps to the loop."""
    before, _allowed[0] = _allowed[0], False
    try:
        yield
    finally:
        _allowed[0] = before


def is_faster(cell: Cell, x: Any, loop: Callable[..., tuple[Array, Carry]], *, plain: bool) -> bool:
    """Whether cuDNN should run `cell` over inputs `x` `[T, B, D]`; `plain` tells that nothing is dropped or masked.

    `loop(cell, x, carry)` is the other way.
    """
    can = plain and type(cell) is LSTMCell and not cell.layer_norm and cell.operands == "float32"
    if not (can and _allowed[0] and not isinstance(x, tuple) and on_nvidia()):
        return False
    steps, batch, features = x.shape
    return _measured(steps, batch, features, cell.units, loop)


def on_nvidia() -> bool:
    """Whether one process computes on an NVIDIA GPU."""
    chosen = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    device = chosen if hasattr(chosen, "device_kind") else jax.local_devices(backend=chosen)[0]
    return device.platform == "gpu" and jax.process_count() == 1 and "nvidia" in device.device_kind.lower()


def run_cudnn(cell: Cell, x: Array, carry: Carry, *, reverse: bool = False) -> tuple[Array, Carry]:
    """`recurrence.unroll` of a plain LSTM by one call of cuDNN."""
    batch_first = (x[::-1] if reverse else x).swapaxes(0, 1)
    batch, steps, features = batch_first.shape
    no_bias = jnp.zeros_like(cell.bias[...])  # ours is the sum of cuDNN's two
    kernels = cell.kernel[...].T.ravel(), cell.recurrent_kernel[...].T.ravel()
    weights = jnp.concatenate([*kernels, cell.bias[...], no_bias])
    h, c = (each[None] for each in carry)
    lengths = jnp.full(batch, steps, jnp.int32)
    hidden, h, c = _lstm(batch_first, h, c, weights, lengths, features, cell.units)
    hidden = hidden.swapaxes(0, 1)
    return hidden[::-1] if reverse else hidden, (h[0], c[0])


def _lstm(x: Array, h: Array, c: Array, weights: Array, lengths: Array, features: int, units: int) -> Any:
    from jax.experimental import rnn

    # no TensorFloat-32
    return rnn.lstm(x, h, c, weights, lengths, features, units, 1, 0.0, False, jax.lax.Precision.HIGHEST)


@functools.cache
def _measured(steps: int, batch: int, features: int, units: int, loop: Callable[..., Any]) -> bool:
    """Measure in a thread of its own, which knows nothing of the program that is being traced."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_measure, steps, batch, features, units, loop).result()


def _measure(steps: int, batch: int, features: int, units: int, loop: Callable[..., Any]) -> bool:
    cell = LSTMCell(features, units, rngs=nnx.Rngs(0))
    graph, params = nnx.split(cell)
    x, carry = jnp.ones((steps, batch, features)), cell.initial_carry(batch)

    def seconds(run: Callable[..., Any]) -> float:
        gradient = jax.jit(jax.grad(lambda params: run(nnx.merge(graph, params), x, carry)[0].sum()))
        jax.block_until_ready(gradient(params))  # compiles
        found = []
        for _ in range(_ROUNDS):
            begun = time.perf_counter()
            jax.block_until_ready(gradient(params))
            found.append(time.perf_counter() - begun)
        return min(found)

    with without_cudnn():
        return seconds(run_cudnn) < seconds(loop)
