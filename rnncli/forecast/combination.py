"""All systems together, and which of them, or which mean of them, is what is printed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from rnncli.forecast import baselines, smoothing
from rnncli.forecast.classical import classical_systems
from rnncli.forecast.effects import Effects
from rnncli.forecast.intervals import Intervals
from rnncli.forecast.linear import Linear
from rnncli.forecast.network import NetworkForecaster
from rnncli.forecast.normalize import Scaling
from rnncli.forecast.origins import Origins, numbered
from rnncli.forecast.panel import Panel
from rnncli.forecast.series import Forecast
from rnncli.forecast.weights import Weights

BASELINES = ("naive", "seasonal_naive", "drift")
_MOST_ORIGINS = 240  # of all series; of each, at least a tenth of that, …
_MOST_OF_MANY, _LEAST_ORIGINS = 240_000, 4  # … but where there are very many series, whose origins tell of each other

Forecaster = Callable[[Origins], np.ndarray]  # `[n, horizon]`, NaN where it knows too little
Systems = Mapping[str, Sequence[Forecaster]]  # by name, the variants of a system


def baseline_systems(horizon: int, season: int) -> dict[str, list[Forecaster]]:
    """The systems that learn nothing."""
    systems: dict[str, list[Forecaster]] = {"naive": [lambda origins: baselines.naive(origins, horizon)]}
    if season > 1:
        systems["seasonal_naive"] = [lambda origins: baselines.seasonal_naive(origins, horizon, season)]
    return systems | {"drift": [lambda origins: baselines.drift(origins, horizon)]}


def smoothing_systems(horizon: int, season: int) -> dict[str, list[Forecaster]]:
    """Exponential smoothing, of the values and of their logarithms."""

    def both(method: Callable[..., np.ndarray]) -> list[Forecaster]:
        return [lambda origins, log=log: method(origins, horizon, season, log=log) for log in (False, True)]

    systems = {"theta": both(smoothing.theta), "damped": both(smoothing.damped)}
    return systems | ({"holt_winters": both(smoothing.holt_winters)} if season > 1 else {})


def rolling_origins(panel: Panel, first: np.ndarray, last: np.ndarray, horizon: int, season: int) -> Origins:
    """Origins from `first` to before `last`, places `[series]`; of many series, a third of a horizon apart.

    Their distance has no divisor in common with the season, so that they fall on all of its phases. The truth counts
    until `last`: the horizons of the late ones are cut.
    """
    spans = last - first
    most = max(min(_MOST_ORIGINS // 10, _MOST_OF_MANY // len(panel)), _MOST_ORIGINS // len(panel), _LEAST_ORIGINS)
    stride = np.maximum(max(1, horizon // 3) if len(panel) > 1 else 1, -(-spans // most))
    while (shared := np.gcd(stride, season) > 1).any():
        stride = stride - shared
    counts = np.maximum(-(-spans // stride), 0)
    series, back = numbered(counts)
    ends = np.maximum(last[series] - stride[series] * (back + 1), first[series])
    if panel.filled.any():  # filled values before an origin know what came after it
        seen = ~panel.filled[ends - 1]
        kept = seen | ~np.isin(series, series[seen])
        series, ends = series[kept], ends[kept]
    return Origins(panel, series, ends, last[series])


@dataclass(frozen=True)
class Combination:
    """All systems, and which of them, or which mean of them, is the forecast.

    Attributes:
        system: "auto" for the weighted mean, or the name of one system.
        horizon, season: of the systems that need no training.
        linear: the closed-form maps; none where the data was too short.
        network: the network, where one was trained.
        weights: of the mean.
        intervals: how far off the forecast is.
        effects: what future covariates add; None where there are none.
        classical: names of the systems of statsforecast that take part.
    """

    system: str
    horizon: int
    season: int
    linear: Sequence[Linear]
    network: NetworkForecaster | None
    weights: Weights
    intervals: Intervals
    effects: Effects | None = None
    classical: tuple[str, ...] = ()

    @property
    def systems(self) -> Systems:
        """Every system, by name, in the order of the tables."""
        return systems_of(self.horizon, self.season, self.linear, self.network, self.classical)

    def arrays(self) -> dict[str, Any]:
        """What a checkpoint holds of it as arrays: the linear maps, and the effects of covariates."""
        maps = [{"kernel": each.kernel, "bias": each.bias} for each in self.linear]
        return ({"linear": maps} if maps else {}) | ({} if self.effects is None else self.effects.arrays())

    def as_dict(self) -> dict[str, Any]:
        """The rest of what a checkpoint holds of it, as JSON types."""
        tables = {"linear": [[*each.variant, each.lags] for each in self.linear], **self.weights.as_dict()}
        effects = None if self.effects is None else self.effects.as_dict()
        return {**tables, "intervals": self.intervals.as_dict(), "effects": effects}

    def on(self, scaling: Scaling) -> "Combination":
        """The same for other series, whose units are these."""
        linear = tuple(each._replace(units=each.variant.units(scaling)) for each in self.linear)
        network = None if self.network is None else self.network.on(scaling)
        return replace(self, linear=linear, network=network)

    def of_series(self, numbers: Sequence[int | None], scale: np.ndarray) -> "Combination":
        """The same for some of the series of the training, by number; None for one that was not there.

        `scale` is that of each, in which the errors of new ones are told.
        """
        weights, intervals = self.weights.of_series(numbers), self.intervals.of_series(numbers, scale)
        effects = None if self.effects is None else self.effects.of_series(numbers, scale)
        return replace(self, weights=weights, intervals=intervals, effects=effects)

    def ahead(self, panel: Panel, horizon: int | None = None) -> tuple[dict[str, np.ndarray], list[Forecast]]:
        """The forecasts of what follows each series: of all systems `[series, horizon]`, and those to print.

        Further ahead than it was fitted for, forecasts follow forecasts as if these had come.
        """
        origins = Origins.of_ends(panel)
        named = self.forecast(origins)
        steps = [named["model"]]
        while sum(each.shape[1] for each in steps) < (horizon or 0):
            known = panel.continued(np.concatenate(steps, 1))
            steps.append(self.forecast(Origins.of_ends(known))["model"])
        whole = np.concatenate(steps, 1)[:, :horizon]

        @cache
        def spread(level: float, conformal: bool) -> np.ndarray:
            return self.quantile(level, whole, origins, conformal=conformal)

        def quantiles(row: int, level: float, *, conformal: bool = True) -> np.ndarray:
            return spread(level, conformal)[row]

        rows = enumerate(zip(whole, panel.members, strict=True))
        return named, [Forecast.of(values, series, partial(quantiles, row)) for row, (values, series) in rows]

    def quantile(self, level: float, forecast: np.ndarray, origins: Origins, *, conformal: bool = True) -> np.ndarray:
        """The quantile of what is to come, `[n, horizon]`, around forecasts at some origins.

        From the errors at rolling origins; not `conformal`, from a network that is printed alone and has quantiles, or
        of a normal distribution.
        """
        network = self.network
        if conformal or self.system != "network" or network is None or network.spread is None:
            return self.intervals.quantile(level, forecast, origins, conformal=conformal)
        rest = origins if self.effects is None else origins.on(self.effects.removed(origins.panel))
        found = network.quantile(level, rest)
        found = found if self.effects is None else self.effects.restored(found, origins)
        steps, last = forecast.shape[1], self.horizon - 1
        if steps <= self.horizon:
            return found[:, :steps]
        # beyond the horizon, they go on as those of a random walk
        growth = self.intervals.growth_over(steps)[self.horizon :] / self.intervals.growth[last]
        further = forecast[:, self.horizon :] + (found[:, last:] - forecast[:, last : last + 1]) * growth
        return np.concatenate([found, further], 1)

    def forecast(self, origins: Origins) -> dict[str, np.ndarray]:
        """The forecasts `[n, horizon]` of every system, and as "model" what is printed, which comes first."""
        forecasts = forecast_each(self.systems, origins, self.effects)
        return self.weights.chosen(self.system, forecasts, origins.series)


def systems_of(
    horizon: int,
    season: int,
    linear: Sequence[Linear],
    network: NetworkForecaster | None,
    classical: tuple[str, ...] = (),
) -> dict[str, Sequence[Forecaster]]:
    """Every system, by name, in the order of the tables."""
    learnt: dict[str, Sequence[Forecaster]] = {} if network is None else {"network": [network]}
    learnt |= {"linear": linear} if len(linear) else {}
    learnt |= classical_systems(classical, horizon, season)
    return learnt | smoothing_systems(horizon, season) | baseline_systems(horizon, season)


def forecast_each(systems: Systems, origins: Origins, effects: Effects | None = None) -> dict[str, list[np.ndarray]]:
    """The forecasts of every variant; all but the baselines forecast what the effects of covariates leave."""
    rest = origins if effects is None else origins.on(effects.removed(origins.panel))

    def forecast(name: str, variant: Forecaster) -> np.ndarray:
        if effects is None or name in BASELINES:
            return variant(origins)
        return effects.restored(variant(rest), origins)

    with np.errstate(over="ignore", invalid="ignore"):
        return {name: [forecast(name, variant) for variant in variants] for name, variants in systems.items()}
