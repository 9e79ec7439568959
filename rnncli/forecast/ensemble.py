"""Several forecasters in one program, which differ in their first weights; their mean is the forecast.

The parameters of all are stacked along a first axis, and every operation is mapped over it (`jax.vmap`), so that a
step of all costs less than a step of each.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax

from rnncli.forecast.covariates import NO_COVARIATES, Sizes
from rnncli.forecast.model import Beside, Forecaster
from rnncli.forecast.settings import ForecastSettings
from rnncli.nn.cudnn import without_cudnn
from rnncli.nn.dropout import DropoutKey


class Ensemble(nnx.Module):
    """N forecasters with the interface of one; see `Forecaster`."""

    def __init__(self, settings: ForecastSettings, sizes: Sizes = NO_COVARIATES, *, rngs: nnx.Rngs):
        self.settings, self.sizes = settings, sizes

        def parameters(key: Array) -> Any:
            return nnx.state(Forecaster(settings, sizes, rngs=nnx.Rngs(key)))

        keys = jax.random.split(rngs.params(), settings.ensemble)
        self.stacked = nnx.eval_shape(lambda: Forecaster(settings, sizes, rngs=nnx.Rngs(0)))
        nnx.update(self.stacked, jax.vmap(parameters)(keys))

    @property
    def skip(self) -> Any:
        """The linear paths, if they have any."""
        return self.stacked.skip

    def start_from(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        """Let each start from the same linear forecast."""
        self.stacked.start_from(kernel, bias)

    def __call__(self, windows: Array, known: Array | None = None, beside: Beside | None = None) -> Array:
        """The mean forecast, `[B, horizon]`."""
        return self._each(lambda model, _: model(windows, known, beside)).mean(0)

    def quantiles(self, windows: Array, known: Array | None = None, beside: Beside | None = None) -> Array:
        """The mean quantiles, `[B, horizon, levels]`."""
        return self._each(lambda model, _: model.quantiles(windows, known, beside)).mean(0)

    def loss(
        self,
        slices: Array,
        key: DropoutKey | None = None,
        known: Array | None = None,
        beside: Beside | None = None,
    ) -> Array:
        """The mean of the losses, with the gradient of their sum: each learns as if it were alone."""

        def one(model: Forecaster, number: Array) -> Array:
            own = None if key is None else key._replace(key=jax.random.fold_in(key.key, number))
            return model.loss(slices, own, known, beside)

        losses = self._each(one)
        total = losses.sum()
        return total - lax.stop_gradient(total - losses.mean())

    def errors(self, forecast: Array, target: Array) -> Array:
        """The errors, of any shape, whose mean training minimises."""
        return self.stacked.errors(forecast, target)

    def _each(self, compute: Callable[[Forecaster, Array], Array]) -> Array:
        graph, state = nnx.split(self.stacked)
        numbers = jnp.arange(self.settings.ensemble)
        with without_cudnn():
            return jax.vmap(lambda one, number: compute(nnx.merge(graph, one), number))(state, numbers)


def make_forecaster(settings: ForecastSettings, sizes: Sizes, *, rngs: nnx.Rngs) -> Any:
    """The network that the settings ask for: one, or several."""
    return (Ensemble if settings.ensemble > 1 else Forecaster)(settings, sizes, rngs=rngs)


def empty_forecaster(settings: ForecastSettings, sizes: Sizes) -> Any:
    """The network with shapes in the place of arrays, to restore a saved one into: no weights are drawn for it."""
    return nnx.eval_shape(lambda: make_forecaster(settings, sizes, rngs=nnx.Rngs(0)))
