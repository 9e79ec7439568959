"""First weights, drawn by one compiled program; a model with other weights."""

from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

import jax
from flax import nnx

from rnncli.nn.compiled import quickly
from rnncli.nn.settings import REGISTERED

Model = TypeVar("Model", bound=nnx.Module)


def initialised(make: Callable[..., Model], seed: int, *arguments: Hashable) -> Model:
    """What `make(*arguments, rngs=nnx.Rngs(seed))` returns, but for rounding, in a fraction of the time.

    There, each operation would be a program by itself. This one is remembered for other seeds.
    """
    graph, draw = _drawing(make, arguments, tuple(REGISTERED.items()))  # a name may have another class by now
    return nnx.merge(graph, draw(jax.random.key(seed)))


@lru_cache(16)
def _drawing(
    make: Callable[..., nnx.Module], arguments: tuple[Hashable, ...], cells: tuple[Hashable, ...]
) -> tuple[Any, Callable[..., Any]]:
    """The graph of what is made, and its arrays, compiled, as a function of a key."""

    def draw(key: jax.Array) -> nnx.State:
        return nnx.state(make(*arguments, rngs=nnx.Rngs(key)))

    graph = nnx.graphdef(nnx.eval_shape(lambda: make(*arguments, rngs=nnx.Rngs(0))))
    return graph, jax.jit(draw, compiler_options=quickly(1))


def seedless(settings: Any) -> Any:
    """The settings of a network, which are the same for each seed: so are the programs that are compiled for it."""
    return replace(settings, seed=0)


def with_parameters(model: Model, params: Any) -> Model:
    """A model of the same architecture with other parameters, a pytree as `nnx.state(model, nnx.Param)` gives it."""
    graph, _, rest = nnx.split(model, nnx.Param, ...)
    return nnx.merge(graph, params, rest)
