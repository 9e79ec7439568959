"""Which systems forecast how well, and what the combination takes of each.

What is scored never knew what it is scored on. Of each series,

1. systems fitted to the training part forecast from rolling origins in the validation part, which gives the weights
   with which the test part is scored;
2. systems fitted to the training and the validation part forecast the test part;
3. systems fitted to all of it forecast what follows, with weights from rolling origins in both held-out parts.

The effects of future covariates, a few numbers that all systems share, are those that the training and the validation
part show, in 1 and 2; so the validation scores with covariates are a little too good.

A network is not fitted anew here: it knows the training part, and its best epoch is that of the validation part. The
one that forecasts what follows is trained on all of the series (`task.py`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from rnncli.errors import DataError
from rnncli.forecast.combination import (
    Combination,
    baseline_systems,
    forecast_each,
    rolling_origins,
    systems_of,
)
from rnncli.forecast.data import Dataset
from rnncli.forecast.intervals import Intervals
from rnncli.forecast.linear import Linear, Moments, Tried, Variant, best_of, fit_linear
from rnncli.forecast.metrics import BySeries, scores_by_series
from rnncli.forecast.network import NetworkForecaster
from rnncli.forecast.origins import Origins
from rnncli.forecast.settings import ForecastSettings, Normalize
from rnncli.forecast.weights import Weights, weigh

_LEAST_WINDOWS = 30  # to fit a linear map to
KINDS: tuple[Normalize, ...] = ("last", "shift", "mean", "global")
_WITH_PAST: tuple[Normalize, ...] = (
    "shift",
    "mean",
    "global",
)  # normalisations that are tried with past covariates, too

Scores = dict[str, dict[str, Any]]  # system → metric → figure


class Assessment(NamedTuple):
    """How well the systems do, and what forecasts from now on."""

    scores: dict[str, Scores]  # by part; of many series, means over them
    by_series: BySeries  # of each series by its number, on the test part
    combination: Combination | None  # None for series that have no future
    recent: np.ndarray  # what the model forecast of the test part, [n, horizon]


class LinearMaps:
    """The linear system: a closed-form map in each normalisation, of values and of logarithms."""

    def __init__(self, data: Dataset, settings: ForecastSettings, kinds: Sequence[Normalize] = KINDS):
        """Fit to the training part; there are none where that has too few windows.

        The data is what the effects of covariates leave (`Dataset.rest`).
        """
        self._data = data
        past = 0 if data.panel.covariates is None else data.panel.covariates.sizes.past
        wanted = 2 if settings.system == "linear" else _LEAST_WINDOWS
        least = settings.least_of(len(data.panel))
        self.moments: list[Moments] = []
        logs = (False, True) if data.panel.positive.any() else (False,)
        variants = [Variant(kind, log) for log in logs for kind in kinds]
        if past and kinds is KINDS:
            variants += [Variant(kind, log, past=True) for log in logs for kind in _WITH_PAST]
        for variant in variants:
            units = variant.units(data.scaling)
            moments = Moments(settings.window, settings.horizon, settings.season, variant, units, least, past)
            if moments.add(data.parts["train"]).count >= wanted:
                self.moments.append(moments)

    def tried(self, validation: Origins) -> list[Tried]:
        """Each map with the penalty that does best on a validation part."""
        validation = validation.on(self._data.panel)
        return [best_of(moments, validation, self._data.scale) for moments in self.moments]

    def solved(self, penalties: Sequence[float]) -> list[Linear]:
        """The maps as they are by now."""
        return [next(each.solved((penalty,))) for each, penalty in zip(self.moments, penalties, strict=True)]

    def learn(self, part: str, before: str) -> None:
        """Fit to the slices that end in a part, too; the part `before` it was learnt already."""
        origins = self._data.added(before, part)
        for moments in self.moments:
            moments.add(origins)


def assess(data: Dataset, settings: ForecastSettings, network: NetworkForecaster | None) -> Assessment:
    """Score all systems, and combine them, on series that are split by time."""
    horizon, season, effects = settings.horizon, settings.season, data.effects
    maps = LinearMaps(data.rest, settings)
    rolling = rolling_origins(data.panel, data.bounds["train"], data.bounds["test"], horizon, season)
    systems = systems_of(horizon, season, (), network, settings.classical)
    others = forecast_each(systems, rolling, effects)
    _check_there(settings, [*others, *(["linear"] if maps.moments else [])])

    def tried(until: str) -> tuple[Weights, Intervals, list[float]]:
        """From the rolling origins before the end of a part, with the linear maps of the training part."""
        limits = data.bounds[until][rolling.series]
        inside = np.flatnonzero(rolling.ends < limits)
        origins = replace(rolling.select(inside), limits=limits[inside])
        linear = maps.tried(origins)
        forecasts = dict(others)
        if len(inside) < len(rolling):
            forecasts = {name: [each[inside] for each in variants] for name, variants in others.items()}
        if linear:
            forecasts |= forecast_each({"linear": [each.linear for each in linear]}, origins, effects)
        weights = weigh(forecasts, origins, data.scale, horizon)
        model = weights.chosen(settings.system, forecasts, origins.series)["model"]
        return (
            weights,
            Intervals.of(model, origins, data.scale, max(season, horizon)),
            [each.penalty for each in linear],
        )

    def combination(weights: Weights, intervals: Intervals, penalties: Sequence[float]) -> Combination:
        linear = maps.solved(penalties)
        how = settings.system, horizon, season
        return Combination(*how, linear, network, weights, intervals, effects, settings.classical)

    scores: dict[str, Scores] = {"test": {}, "validation": {}}
    by_series, recent = BySeries({}), np.zeros((0, horizon))
    final = tried("test")
    chosen = tried("validation") if len(data.parts["test"]) else final
    # where there is no place for whole horizons, cut ones are scored
    validation = data.parts["validation"] if len(data.parts["validation"]) else rolling
    scores["validation"] = scores_of(data, validation, combination(*chosen))[0]
    maps.learn("validation", "train")
    if len(data.parts["test"]):
        tested = combination(*chosen)
        scores["test"], by_series, recent = scores_of(data, data.parts["test"], tested)
        weights, intervals, penalties = final
        # what the test part shows to be too narrow was chosen at too few origins
        final = weights, intervals.widened(tested.intervals.missed(recent, data.parts["test"])), penalties
    maps.learn("test", "validation")
    if effects is not None:  # they are known better by now, and leave other values to learn from
        whole = data.with_effects_until("test")
        again = LinearMaps(whole.rest, settings)
        same = [each.variant for each in again.moments] == [each.variant for each in maps.moments]
        if same and (settings.transform != "log" or whole.rest.panel.positive.all()):
            again.learn("test", "train")
            maps, effects = again, whole.effects
    return Assessment(scores, by_series, combination(*final), recent)


def _check_there(settings: ForecastSettings, names: Sequence[str]) -> None:
    """Raise DataError where the system that is to be printed cannot be had of this series."""
    if settings.system in ("auto", *names):
        return
    why = f"a season, and there is none (`season` {settings.season})"
    if settings.system == "linear":
        why = f"at least two whole windows of {settings.window} steps to learn from; lower `window` or `horizon`"
    raise DataError(f"`system` {settings.system} needs {why}; there are: auto, {', '.join(sorted(names))}")


def assess_series(data: Dataset, settings: ForecastSettings, network: NetworkForecaster) -> Assessment:
    """Score a network beside the baselines on series that are split as wholes, as the lecture's are."""
    linear = fit_on(data, settings)
    systems = {"model": [network], **baseline_systems(settings.horizon, settings.season), "linear": [linear]}
    forecasts = {part: forecast_each(systems, data.parts[part]) for part in ("test", "validation")}
    scores: dict[str, Scores] = {}
    for part, named in forecasts.items():
        origins = data.parts[part]
        one = replace(origins, series=np.zeros_like(origins.series))  # all series are one population
        scores[part] = {name: scores_by_series(one, each[0], data.scale).mean() for name, each in named.items()}
    return Assessment(scores, BySeries({}), None, forecasts["test"]["model"][0])


def fit_on(
    data: Dataset, settings: ForecastSettings, outputs: int | None = None, more: Origins | None = None
) -> Linear:
    """The linear map in the network's own normalisation, of the training part; see `fit_linear`.

    With `more` slices it is fitted to these, too, with the penalty that validation chose.
    """
    variant = Variant(settings.normalize, settings.transform == "log")
    sizes = settings.window, outputs or settings.horizon, settings.season
    moments = Moments(*sizes, variant, variant.units(data.scaling), settings.least_of(len(data.panel)))
    fitted = fit_linear(moments.add(data.parts["train"]), data.parts["validation"], data.scale)
    return fitted.linear if more is None else next(moments.add(more).solved((fitted.penalty,)))


def scores_of(data: Dataset, origins: Origins, combination: Combination) -> tuple[Scores, BySeries, np.ndarray]:
    """The metrics of every system at some origins, those of each series, and the model's forecasts."""
    forecasts = combination.forecast(origins)
    each = {name: scores_by_series(origins, forecast, data.scale) for name, forecast in forecasts.items()}
    scores = {name: found.mean() for name, found in each.items()}
    scores["model"] |= combination.intervals.scores(forecasts["model"], origins)
    return scores, BySeries(each), forecasts["model"]
