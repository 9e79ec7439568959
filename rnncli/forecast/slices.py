"""Slices of series, windows with what follows them, on the device: their indices become a loss or an error.

What says how is all in the classes' fields, and the data is an argument: so equal ones share a compiled program.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from rnncli.forecast.model import Beside
from rnncli.forecast.strategies import pinball
from rnncli.nn.dropout import DropoutKey

_MOST_EVALUATED = 4096  # slices at a time


@dataclass(frozen=True)
class Slices:
    """The slices of a part of the data, `ForecastTask.data`."""

    part: str
    window: int
    horizon: int

    def __call__(self, data: dict[str, Array], some: Any) -> tuple[Array, Array | None, Beside | None]:
        """Slices `[B, window + horizon]`, which values of their windows are known, if not all; covariates."""
        part, window = self.part, self.window
        reach = jnp.arange(window + self.horizon)
        places = data[part][some][:, None] + reach
        beside = None
        if "static" in data:
            ahead = data["known"][jnp.maximum(data[f"{part} known"][some][:, None] + reach, 0)]
            steps = jnp.concatenate([data["past"][jnp.maximum(places[:, :window], 0)], ahead[:, :window]], 2)
            beside = Beside(steps, ahead[:, window:], data["static"][data[f"{part} series"][some]])
        if f"{part} lengths" not in data:
            return data["values"][places], None, beside
        known = jnp.arange(window) >= window - data[f"{part} lengths"][some][:, None]
        return data["values"][jnp.maximum(places, 0)], known, beside


@dataclass(frozen=True)
class SliceLoss:
    """What training minimises; see `training.step.Loss`."""

    slices: Slices

    def __call__(
        self, model: Any, carry: Any, data: dict[str, Array], batch: Array, key: DropoutKey
    ) -> tuple[Array, Any]:
        """The loss of slices whose indices are `batch` `[B]`."""
        slices, known, beside = self.slices(data, batch)
        return model.loss(slices, key, known, beside), carry


@dataclass(frozen=True)
class SliceError:
    """What chooses the best epoch: the error of whole forecasts."""

    slices: Slices

    def __call__(self, model: Any, data: dict[str, Array]) -> dict[str, Array]:
        """The mean error of the part, of so many slices at a time that memory holds what is computed."""
        count = len(data[self.slices.part])
        if count <= _MOST_EVALUATED:
            return self._of(model, data, slice(None))
        parts = count // _MOST_EVALUATED
        # each part has slices from everywhere, so that devices that share them have some of each
        places = jnp.arange(parts * _MOST_EVALUATED).reshape(_MOST_EVALUATED, parts).T
        errors = lax.map(lambda some: self._of(model, data, some), places)
        rest = count - parts * _MOST_EVALUATED
        if not rest:
            return jax.tree.map(jnp.mean, errors)
        last = self._of(model, data, jnp.arange(count - rest, count))
        share = rest / count
        return jax.tree.map(lambda each, of_rest: (1 - share) * each.mean() + share * of_rest, errors, last)

    def _of(self, model: Any, data: dict[str, Array], some: Any) -> dict[str, Array]:
        slices, known, beside = self.slices(data, some)
        seen, truth = slices[:, : self.slices.window], slices[:, self.slices.window :]
        if model.settings.loss == "pinball":
            return {"loss": pinball(model.quantiles(seen, known, beside), truth)}
        return {"loss": model.error(model(seen, known, beside), truth)}
