"""First weights, drawn by one compiled program; a model with other weights."""

from collections.abc import Callable
from typing import Any, TypeVar

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


def with_parameters(model: Model, params: Any) -> Model:
    """A model of the same architecture with other parameters, a pytree as `nnx.state(model, nnx.Param)` gives it."""
    graph, _, rest = nnx.split(model, nnx.Param, ...)
    return nnx.merge(graph, params, rest)
