"""Functions of a model, compiled once for each architecture, whatever the parameters.

`jax.jit` knows a program by the function that it compiled. A function that is made anew for each model, around that
model's graph, is traced and compiled anew as well, though another model of the same architecture was there before: the
next seed, the next origin of a backtest, the next call in a notebook. Here, the graph is a part of the name instead.
"""

import os
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
from flax import nnx

_REMEMBERED = 24  # programs, of a dozen MB each; of those that nobody used for the longest time, memory is let go


def quickly(level: int) -> dict[str, Any] | None:
    """`compiler_options` for a program that runs for too short a time to repay all that LLVM can do to it.

    Of XLA's levels of optimisation, 1 has given the same bits as the highest; 0 may round otherwise.
    """
    if jax.default_backend() != "cpu" or "optimization_level" in os.environ.get("XLA_FLAGS", ""):
        return None
    return {"xla_backend_optimization_level": level, "xla_cpu_use_fusion_emitters": level > 0}


def compiled(function: Callable[..., Any], model: nnx.Module) -> Callable[..., Any]:
    """`run(params, …)`: what `function(model, …)` returns with these parameters, compiled; see `nnx.state`.

    It is shared by all models whose modules, shapes aside, are equal. The function is one of a module, a class, or an
    object that says by `==` whether another computes the same; as it is remembered, it holds no data.
    """
    graph, _, rest = nnx.split(model, nnx.Param, ...)
    return partial(_program(function, graph), rest)


@lru_cache(_REMEMBERED)
def _program(function: Callable[..., Any], graph: nnx.GraphDef[Any]) -> Callable[..., Any]:
    @jax.jit
    def run(rest: Any, params: Any, *arguments: Any, **named: Any) -> Any:
        return function(nnx.merge(graph, params, rest), *arguments, **named)

    return run
