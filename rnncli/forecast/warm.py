"""Beginning with a saved model: which settings it decides, and how its parameters fit another horizon."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from rnncli.forecast.covariates import Encoding
from rnncli.forecast.saved import load_network
from rnncli.forecast.settings import ForecastNetwork, ForecastSettings
from rnncli.settings import Chosen, settings_of
from rnncli.training.loop import Params
from rnncli.training.warm import kept

# What decides the shapes of the network, and what its parameters mean; the horizon is adapted to.
_KEPT = (*settings_of(ForecastNetwork), "window", "normalize", "transform")


@dataclass(frozen=True)
class WarmParameters:
    """The parameters of a saved model, for a network of the same architecture.

    Its outputs may be more or fewer: the first steps ahead are those of the saved model, and further ones begin as
    copies of its last.
    """

    saved: Any  # the network
    encoding: Encoding  # of its covariates

    def __call__(self, model: Any) -> Params:
        """The parameters to begin with."""
        old, new = nnx.state(self.saved, nnx.Param), nnx.state(model, nnx.Param)
        flat_old, flat_new = dict(nnx.to_flat_state(old)), dict(nnx.to_flat_state(new))
        merged = {
            path: leaf.replace(_widened(flat_old[path][...], leaf[...].shape, self.saved.settings, model.settings))
            for path, leaf in flat_new.items()
        }
        return nnx.from_flat_state(merged)


def _widened(array: Array, shape: tuple[int, ...], old: ForecastSettings, new: ForecastSettings) -> Array:
    """An array whose last axis has steps ahead, for another number of them."""
    if array.shape == shape:
        return array
    steps = array.reshape(*array.shape[:-1], old.horizon, -1)
    steps = steps[..., jnp.minimum(jnp.arange(new.horizon), old.horizon - 1), :]
    return steps.reshape(shape)


def warm_start(folder: Path, chosen: Chosen[ForecastSettings]) -> tuple[Chosen[ForecastSettings], WarmParameters]:
    """What was chosen, with the architecture of the model in a folder, and that model's parameters.

    Raises CheckpointError: there is no such model. Raises ParameterError: another architecture was chosen.
    """
    settings, network, encoding = load_network(folder)
    quantiles = "pinball" in (settings.loss, chosen.get("loss", settings.loss))
    names = (*_KEPT, "loss") if quantiles else _KEPT  # quantiles are outputs of their own
    horizon = chosen.get("horizon", settings.horizon)
    chosen = chosen.replaced(**kept(chosen, settings, names, folder), horizon=horizon)
    return chosen, WarmParameters(network, encoding)
