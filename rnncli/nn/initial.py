"""First weights, drawn by one compiled program."""

from collections.abc import Callable
from typing import TypeVar

import jax
from flax import nnx

Model = TypeVar("Model", bound=nnx.Module)


def initialised(make: Callable[[nnx.Rngs], Model], seed: int) -> Model:
    """What `make(nnx.Rngs(seed))` returns, but for rounding, in a fraction of the time.

    There, each operation would be a program by itself.
    """
    graph, _ = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))

    @jax.jit
    def draw(key: jax.Array) -> nnx.State:
        return nnx.state(make(nnx.Rngs(key)))

    return nnx.merge(graph, draw(jax.random.key(seed)))
