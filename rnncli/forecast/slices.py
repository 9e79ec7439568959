"""Slices of series, windows with what follows them, on the device: their indices become a loss or an error.

What says how is all in the classes' fields, and the data is an argument: so equal ones share a compiled program. Its
arrays have rows to spare, so that a few more values, as a later origin has them, need no other program.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rnncli.forecast.model import Beside
from rnncli.forecast.strategies import pinball
from rnncli.nn.dropout import DropoutKey

_MOST_EVALUATED = 4096  # slices at a time


def spared(array: np.ndarray, *, least: int = 256) -> Array:
    """An array on the device with rows to spare, copies of its last: up to the next eighth of a power of two.

    They are a multiple of `least`, as small arrays grow by more than an eighth.
    """
    step = max(least, 1 << max(len(array) - 1, 0).bit_length() >> 4)
    more = [(0, -len(array) % step), *[(0, 0)] * (array.ndim - 1)]
    return jax.device_put(np.pad(array, more, "edge" if len(array) else "constant"))


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
    """What chooses the best epoch: the error of whole forecasts of the first `data["evaluated"]` slices."""

    slices: Slices

    def __call__(self, model: Any, data: dict[str, Array]) -> dict[str, Array]:
        """The mean error, of so many slices at a time that memory holds what is computed."""
        count = len(data[self.slices.part])
        parts = 1 << (-(-count // _MOST_EVALUATED) - 1).bit_length()  # which divides what `spared` gives
        # each part has slices from everywhere, so that devices that share them have some of each
        places = jnp.arange(count).reshape(-1, parts).T
        if parts == 1:
            errors = self._of(model, data, slice(None))[None]
        else:
            errors = lax.map(lambda some: self._of(model, data, some), places)
        return {"loss": jnp.where(places < data["evaluated"], errors, 0).sum() / data["evaluated"]}

    def _of(self, model: Any, data: dict[str, Array], some: Any) -> Array:
        """The mean error of each slice, `[B]`."""
        slices, known, beside = self.slices(data, some)
        seen, truth = slices[:, : self.slices.window], slices[:, self.slices.window :]
        if model.settings.loss == "pinball":
            return pinball(model.quantiles(seen, known, beside), truth).mean((1, 2))
        return model.errors(model(seen, known, beside), truth).mean(1)
