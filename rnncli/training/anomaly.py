"""Where a loss that is no number came from: the step, and the module whose result was the first that is none."""

import traceback
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rnncli.nn.dropout import DropoutKey
from rnncli.training.layout import Layout, copied, gathered
from rnncli.training.step import Dispatch, Loss, Steps, TrainState, leaf_name, sequences


def find_anomaly(
    model: nnx.Module, loss_of: Loss, program: Steps, state: TrainState, data: Any, given: Dispatch, key: Any
) -> str:
    """What went wrong in a dispatch, which began with the moving state, in words.

    The steps are taken again, one by one. The one whose loss is no number is then computed operation by operation.
    """
    state = gathered(state)
    for number in range(given.steps):
        rest = jax.tree.map(lambda each, number=number: np.roll(np.asarray(each), -number, 0), given.batches)
        before = copied(state)
        begins = given.begins and number == 0
        if begins:
            before = before._replace(carry=jax.tree.map(jnp.zeros_like, before.carry))
        state = program.on(Layout())(state, data, Dispatch(rest, 1, begins), key)
        if not bool(jnp.isfinite(state.epoch_loss)):
            batch = jax.tree.map(lambda each: each[0], rest)
            rows = jnp.arange(sequences(rest))
            drop = DropoutKey(jax.random.fold_in(key, before.step), rows)
            return f"at step {int(before.step) + 1}, {_named(model, loss_of, before, data, batch, drop)}"
    return "which did not happen again"


def _named(model: nnx.Module, loss_of: Loss, state: TrainState, data: Any, batch: Any, key: DropoutKey) -> str:
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.params):
        if not bool(jnp.isfinite(leaf).all()):
            return f"as the parameter {leaf_name(path)} was none before it"
    graph, _, rest = nnx.split(model, nnx.Param, ...)
    at_step = nnx.merge(graph, state.params, rest)
    try:
        with jax.disable_jit(), jax.debug_nans(True), jax.debug_infs(True):
            loss_of(at_step, state.carry, data, batch, key)
    except FloatingPointError as error:
        names = {id(module): path for path, module in nnx.iter_graph(at_step) if isinstance(module, nnx.Module)}
        for module in _modules(error):
            if names.get(id(module)):
                return f"first in {'.'.join(map(str, names[id(module)]))} ({type(module).__name__})"
    return "in the loss itself"


def _modules(error: BaseException) -> Iterator[Any]:
    """The modules whose methods were running, the innermost first."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        owner = frame.f_locals.get("self")
        if isinstance(owner, nnx.Module):
            yield owner
