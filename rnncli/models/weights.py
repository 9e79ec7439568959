"""How many weights each module of a model has, and what a step of time costs."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
from flax import nnx

from rnncli.library import load
from rnncli.training.step import leaf_name


class Weights(NamedTuple):
    """The weights of a network."""

    modules: Mapping[str, int]  # by the name of a module, and its number where there are several
    multiplied: int  # those of products, each of which is two operations a step; vectors are looked up

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.modules.values())


def weights_of(path: Path) -> Weights:
    """The weights of a saved model. Raises CheckpointError: there is none, or it is damaged."""
    modules: Counter[str] = Counter()
    multiplied = 0
    network = load(path).network
    tied = getattr(network, "tied_bias", None) is not None
    for place, leaf in jax.tree_util.tree_leaves_with_path(nnx.state(network, nnx.Param)):
        name = leaf_name(place)
        parts = name.split(".")
        until = next((index for index, part in enumerate(parts) if part.isdecimal()), 0)
        modules[".".join(parts[: until + 1])] += leaf.size
        if leaf.ndim > 1 and (tied or not name.startswith("embedding")):
            multiplied += leaf.size
    return Weights(modules, multiplied)
