"""Beginning with a saved model: which settings it decides, and how its parameters fit another vocabulary."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from rnncli.errors import ParameterError
from rnncli.settings import Chosen
from rnncli.training.loop import Params

NEW = -1  # the place, among the old symbols, of one that is new


def kept(chosen: Chosen[Any], saved: Any, names: Collection[str], folder: Path) -> dict[str, Any]:
    """What the settings of a saved model decide, by name. Raises ParameterError: something else was chosen."""
    for name in names:
        theirs = getattr(saved, name)
        if name in chosen and chosen[name] != theirs:
            raise ParameterError(
                f"`{name}` {chosen[name]}: the model in `from_model` '{folder}' has {theirs}, which cannot be changed; "
                f"leave `{name}` out"
            )
    return {name: getattr(saved, name) for name in names}


def adapted(network: Any, adapt: Callable[[str, Array], Array]) -> Params:
    """The parameters of a network, each leaf as `adapt(name, leaf)` makes it."""
    leaves = nnx.to_flat_state(nnx.state(network, nnx.Param))
    return nnx.from_flat_state(
        {path: leaf.replace(adapt(".".join(map(str, path)), leaf[...])) for path, leaf in leaves}
    )


def add_weights(digest: Any, network: Any) -> None:
    """Let a digest of hashlib know what a training begins with, as it goes on from the same beginning only."""
    for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)):
        digest.update(np.asarray(leaf).tobytes())


def placed(array: Array, places: np.ndarray, axis: int) -> Array:
    """What stands at some places of an axis; the mean over the axis where a place is `NEW`."""
    taken = jnp.take(array, np.maximum(places, 0), axis)
    shape = [1] * array.ndim
    shape[axis] = -1
    return jnp.where((places == NEW).reshape(shape), array.mean(axis, keepdims=True), taken)
