"""A network as a system: from origins to forecasts in the series' units."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flax import nnx
from jax import Array

from rnncli.forecast.model import Beside
from rnncli.forecast.normalize import Scaling, Units, logarithms
from rnncli.forecast.origins import Origins
from rnncli.forecast.settings import ForecastSettings
from rnncli.forecast.strategies import LEVELS
from rnncli.nn.compiled import compiled

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
    spread: Callable[..., Array] | None = None  # the same to quantiles, of a network that has them

    @classmethod
    def of(cls, model: Any, scaling: Scaling, least: int | None = None) -> "NetworkForecaster":
        """A network with its parameters, for series whose units are these; it needs `least` values, or a window."""
        settings, run = model.settings, compiled(type(model).__call__, model)
        quantiles = compiled(type(model).quantiles, model) if settings.loss == "pinball" else None
        return cls(
            run,
            nnx.state(model, nnx.Param),
            settings,
            Scaler.of(settings, scaling),
            least or settings.window,
            quantiles,
        )

    def with_parameters(self, model: Any) -> "NetworkForecaster":
        """The same with the parameters of another network of the same architecture."""
        return replace(self, state=nnx.state(model, nnx.Param))

    def on(self, scaling: Scaling) -> "NetworkForecaster":
        """The same for other series, whose units are these."""
        return replace(self, scaler=Scaler.of(self.settings, scaling))

    def __call__(self, origins: Origins) -> np.ndarray:
        """Forecasts at some origins."""
        forecasts, enough = self._computed(self.run, origins)
        return np.where(enough[:, None], self.scaler.up(forecasts, origins.series), np.nan)

    def quantile(self, level: float, origins: Origins) -> np.ndarray:
        """A quantile of what is to come, `[n, horizon]`, between those that the network has."""
        assert self.spread is not None, "the network was trained for quantiles"
        found, enough = self._computed(self.spread, origins)
        below = np.clip(np.searchsorted(LEVELS, level) - 1, 0, len(LEVELS) - 2)
        share = np.clip((level - LEVELS[below]) / (LEVELS[below + 1] - LEVELS[below]), 0, 1)
        values = found[..., below] * (1 - share) + found[..., below + 1] * share
        return np.where(enough[:, None], self.scaler.up(values, origins.series), np.nan)

    def _computed(self, run: Callable[..., Array], origins: Origins) -> tuple[np.ndarray, np.ndarray]:
        """What a compiled function makes of the windows, and at which origins enough is known, bool `[n]`."""
        settings = self.settings
        more = () if run is self.run else (len(LEVELS),)
        found = np.empty((len(origins), settings.horizon, *more), np.float32)
        enough = np.empty(len(origins), bool)
        size = _FEW if len(origins) <= _MANY else _MANY
        batches = [np.arange(first, min(first + size, len(origins))) for first in range(0, len(origins), size)]

        def windows_of(some: Origins) -> np.ndarray:
            return self.scaler.down(some.past(settings.window), some.series)

        masked = self.least < settings.window and any(
            np.isnan(windows_of(origins.select(rows))).any() for rows in batches
        )
        for rows in batches:
            some = origins.select(np.minimum(np.arange(rows[0], rows[0] + size), rows[-1]))  # the last is filled up
            windows, beside = windows_of(some), _beside(some, settings)
            known = ~np.isnan(windows)
            own = None if beside is None else Beside(*map(np.nan_to_num, beside))
            batch = np.nan_to_num(windows), known if masked else None, own
            found[rows] = np.asarray(run(self.state, *batch))[: len(rows)]
            enough[rows] = known[: len(rows), -self.least :].all(1)
        return found, enough


def _beside(origins: Origins, settings: ForecastSettings) -> Any:
    """The covariates at some origins, a `Beside` of float32; None where there are none."""
    covariates = origins.panel.covariates
    if covariates is None:
        return None
    known = origins.known(settings.window, settings.horizon)
    steps = np.concatenate([origins.past_covariates(settings.window), known[:, : settings.window]], 2)
    parts = steps, known[:, settings.window :], covariates.static[origins.series]
    return Beside(*(each.astype(np.float32) for each in parts))  # pyright: ignore[reportArgumentType]
