"""Beginning with a saved model: which settings it decides, and how its parameters fit another vocabulary."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

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


def adapted(old: Any, new: Any, adapt: Callable[[str, Array], Array]) -> Params:
    """Parameters for the network `new` from those of `old`, leaf by leaf: `adapt(name, leaf of old)`."""
    leaves = dict(nnx.to_flat_state(nnx.state(old, nnx.Param)))
    return nnx.from_flat_state(
        {
            path: leaf.replace(adapt(".".join(map(str, path)), leaves[path][...]))
            for path, leaf in nnx.to_flat_state(nnx.state(new, nnx.Param))
        }
    )


def placed(array: Array, places: np.ndarray, axis: int) -> Array:
    """What stands at some places of an axis; the mean over the axis where a place is `NEW`."""
    taken = jnp.take(array, np.maximum(places, 0), axis)
    shape = [1] * array.ndim
    shape[axis] = -1
    return jnp.where((places == NEW).reshape(shape), array.mean(axis, keepdims=True), taken)
