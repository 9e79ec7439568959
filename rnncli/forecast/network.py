"""A network as a system: from origins to forecasts in the series' units."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import Array

from rnncli.forecast.model import Beside, Forecaster
from rnncli.forecast.normalize import Scaling, Units, logarithms
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
        return (((logarithms(values) if self.log else values) - mean) / std).astype(np.float32)

    def up(self, scaled: np.ndarray, series: np.ndarray) -> np.ndarray:
        """Back to the series' unit, float64."""
        mean, std = self.units.of(series)
        values = np.asarray(scaled, np.float64) * std + mean
        return np.exp(values) if self.log else values


@dataclass(frozen=True)
class NetworkForecaster:
    """Forecasts of a network, `[n, horizon]`; NaN where an origin knows too little."""

    run: Callable[..., Array]  # from parameters, windows [n, window] and what of them is known to forecasts, compiled
    state: Any  # the parameters
    settings: ForecastSettings
    scaler: Scaler
    least: int  # how many of a window's values have to be known

    @classmethod
    def of(cls, model: Forecaster, scaling: Scaling, least: int | None = None) -> "NetworkForecaster":
        """A network with its parameters, for series whose units are these; it needs `least` values, or a window."""
        graph, state = nnx.split(model)

        @jax.jit
        def run(state: Any, windows: Array, known: Array | None, beside: Beside | None) -> Array:
            return nnx.merge(graph, state)(windows, known, beside)

        settings = model.settings
        return cls(run, state, settings, Scaler.of(settings, scaling), least or settings.window)

    def with_parameters(self, model: Forecaster) -> "NetworkForecaster":
        """The same with the parameters of another network of the same architecture."""
        return replace(self, state=nnx.state(model))

    def on(self, scaling: Scaling) -> "NetworkForecaster":
        """The same for other series, whose units are these."""
        return replace(self, scaler=Scaler.of(self.settings, scaling))

    def __call__(self, origins: Origins) -> np.ndarray:
        """Forecasts at some origins."""
        settings = self.settings
        windows = self.scaler.down(origins.past(settings.window), origins.series)
        known: Any = ~np.isnan(windows)
        masked = self.least < settings.window and not known.all()
        beside = _beside(origins, settings)
        rows = [np.empty((0, settings.horizon), np.float32)]
        size = _FEW if len(windows) <= _MANY else _MANY
        for first in range(0, len(windows), size):
            places = np.minimum(np.arange(first, first + size), len(windows) - 1)  # the last batch is filled up
            own = None if beside is None else Beside(*(np.nan_to_num(each[places]) for each in beside))
            batch = np.nan_to_num(windows[places]), known[places] if masked else None, own
            rows.append(np.asarray(self.run(self.state, *batch))[: len(windows) - first])
        enough = known[:, -self.least :].all(1)
        return np.where(enough[:, None], self.scaler.up(np.concatenate(rows), origins.series), np.nan)


def _beside(origins: Origins, settings: ForecastSettings) -> Any:
    """The covariates at some origins, a `Beside` of float32; None where there are none."""
    covariates = origins.panel.covariates
    if covariates is None:
        return None
    known = origins.known(settings.window, settings.horizon)
    steps = np.concatenate([origins.past_covariates(settings.window), known[:, : settings.window]], 2)
    parts = steps, known[:, settings.window :], covariates.static[origins.series]
    return Beside(*(each.astype(np.float32) for each in parts))  # pyright: ignore[reportArgumentType]
