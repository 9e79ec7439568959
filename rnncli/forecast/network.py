"""A network as a system: from origins to forecasts in the series' units."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import Array

from rnncli.forecast.model import Forecaster
from rnncli.forecast.normalize import Scaling, Units
from rnncli.forecast.origins import Origins
from rnncli.forecast.settings import ForecastSettings

# Windows a dispatch: few shapes to compile, and bounded memory.
_FEW, _MANY = 64, 1024


@dataclass(frozen=True)
class Scaler:
    """From values to what a network sees, and back: their logarithms, if `log`, in units of each series."""

    units: Units
    log: bool = False

    @classmethod
    def of(cls, settings: ForecastSettings, scaling: Scaling) -> "Scaler":
        """The scaler that the settings ask for, of some series."""
        log = settings.transform == "log"
        return cls(scaling.of(settings.normalize, log), log)

    def down(self, values: np.ndarray, series: np.ndarray) -> np.ndarray:
        """Values `[n, steps]` of the series `[n]` as float32; computed in float64."""
        mean, std = self.units.of(series)
        if self.log:
            values = np.log(values, out=np.full_like(values, np.nan), where=values > 0)
        return ((values - mean) / std).astype(np.float32)

    def up(self, scaled: np.ndarray, series: np.ndarray) -> np.ndarray:
        """Back to the series' unit, float64."""
        mean, std = self.units.of(series)
        values = np.asarray(scaled, np.float64) * std + mean
        return np.exp(values) if self.log else values


@dataclass(frozen=True)
class NetworkForecaster:
    """Forecasts of a network, `[n, horizon]`; NaN where an origin knows less than a window."""

    run: Callable[[Any], Array]  # from windows [n, window] to forecasts [n, horizon], compiled
    settings: ForecastSettings
    scaler: Scaler

    @classmethod
    def of(cls, model: Forecaster, scaling: Scaling) -> "NetworkForecaster":
        """A network with its parameters, for series whose units are these."""
        graph, state = nnx.split(model)

        @jax.jit
        def run(state: Any, windows: Array) -> Array:
            return nnx.merge(graph, state)(windows)

        return cls(lambda windows: run(state, windows), model.settings, Scaler.of(model.settings, scaling))

    def on(self, scaling: Scaling) -> "NetworkForecaster":
        """The same for other series, whose units are these."""
        return replace(self, scaler=Scaler.of(self.settings, scaling))

    def __call__(self, origins: Origins) -> np.ndarray:
        """Forecasts at some origins."""
        windows = self.scaler.down(origins.past(self.settings.window), origins.series)
        rows = []
        size = _FEW if len(windows) <= _MANY else _MANY
        for first in range(0, len(windows), size):
            batch = windows[first : first + size]
            padded = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
            rows.append(np.asarray(self.run(padded))[: len(batch)])
        return self.scaler.up(np.concatenate(rows), origins.series)
