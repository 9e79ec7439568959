"""`forecast backtest`: what the forecasts would have been at many places in the past, and how far off."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from rnncli.errors import DataError
from rnncli.forecast.api import train_on
from rnncli.forecast.combination import Combination
from rnncli.forecast.metrics import scores_by_series
from rnncli.forecast.origins import Origins
from rnncli.forecast.panel import Panel
from rnncli.forecast.prepare import configure, described
from rnncli.forecast.reading import read
from rnncli.forecast.scoring import Scores
from rnncli.forecast.series import Series
from rnncli.forecast.settings import ForecastSettings
from rnncli.forecast.source import SeriesSource
from rnncli.forecast.verb_settings import Backtesting
from rnncli.settings import Chosen
from rnncli.training.events import Listener, Note, ignore
from rnncli.training.model import with_precision

_LEAST = 2  # values before the first origin


@dataclass(frozen=True)
class Backtest:
    """Forecasts from origins in the past, with what came then.

    Attributes:
        panel: the series.
        origins: where the forecasts began, in order of series and time.
        forecast: what was forecast, `[n, horizon]`.
        combination: the last one that was fitted.
        fits: all that were fitted, and where their forecasts stand.
        scores: of every system, means over the series.
        by_origin: the mean absolute error of the model at each origin, in order of time, `[origins]`.
        settings: of the last training.
        config: the whole configuration, as JSON types.
        seconds: that all took.
    """

    panel: Panel
    origins: Origins
    forecast: np.ndarray
    combination: Combination
    fits: "list[tuple[Combination, np.ndarray]]"  # with the rows of its forecasts
    scores: Scores
    by_origin: np.ndarray
    settings: ForecastSettings
    config: dict[str, Any]
    seconds: float

    def quantile(self, level: float, *, conformal: bool = True) -> np.ndarray:
        """The quantile of what was to come, `[n, horizon]`, as each fit knew it."""
        found = np.empty_like(self.forecast)
        for combination, rows in self.fits:
            own = self.forecast[rows], self.origins.select(rows)
            found[rows] = combination.quantile(level, *own, conformal=conformal)
        return found

    @property
    def actual(self) -> np.ndarray:
        """What came, `[n, horizon]`; NaN where it was not measured."""
        return self.origins.future(self.settings.horizon, observed=True)


def backtest(
    series: Any,
    source: SeriesSource,
    chosen: Chosen[ForecastSettings],
    plan: Backtesting,
    on_event: Listener = ignore,
) -> Backtest:
    """Forecast from `plan.origins` places in the past of one series or several.

    A model is fitted to what the first origin knows, and forecasts from all of them, each with all values before it;
    with `plan.refit` it is fitted anew after so many origins.

    Raises DataError: a series is too short for so many origins; the message says how many there can be.
    """
    begun = time.monotonic()

    members = read(series, source, lambda text: on_event(Note(text)))
    chosen = with_precision(chosen, 0)
    settings, data = configure(members, chosen, "default", lambda _: None, source, ahead=False)
    horizon, panel = settings.horizon, data.panel
    chosen = chosen.replaced(horizon=horizon)
    stride = plan.stride or horizon
    _check_lengths(members, horizon, stride, plan.origins)
    every = plan.origins if plan.refit == "never" else int(plan.refit)
    whole = _origins(panel, horizon, stride, plan.origins, range(plan.origins), on_event)
    if not np.isfinite(whole.future(horizon, observed=True)).any():
        raise DataError(f"of what the {plan.origins} `origins` forecast, nothing was measured; choose more of them")
    fits = []
    for first in range(0, plan.origins, every):
        some = range(first, min(first + every, plan.origins))
        origins = _origins(panel, horizon, stride, plan.origins, some, ignore)
        try:
            fits.append(_fit(members, origins, source, chosen, ignore if first else on_event))
        except DataError as error:
            known = int(origins.lengths.min())
            raise DataError(
                f"{error} (at the first of the origins, after {known} rows); use fewer `origins`"
            ) from error
    last, origins = fits[-1], Origins.joined([each.origins for each in fits])
    names = [name for name in last.forecasts if all(name in each.forecasts for each in fits)]
    named = {name: np.concatenate([each.forecasts[name] for each in fits]) for name in names}
    scores = {name: scores_by_series(origins, each, last.scale).mean() for name, each in named.items()}
    scores["model"] |= _interval_scores(fits)
    order = np.lexsort((origins.ends, origins.series))
    numbers = np.repeat(np.arange(len(fits)), [len(each.origins) for each in fits])
    errors = np.abs(named["model"] - origins.future(horizon, observed=True))
    known = np.isfinite(errors)
    errors = np.where(known, errors, 0.0).sum(1) / np.where(known.any(1), known.sum(1), np.nan)
    return Backtest(
        panel=panel,
        origins=origins.select(order),
        forecast=named["model"][order],
        combination=last.combination,
        fits=[(each.combination, np.flatnonzero(numbers[order] == number)) for number, each in enumerate(fits)],
        scores=scores,
        by_origin=errors[order].reshape(len(panel), plan.origins).mean(0),
        settings=last.settings,
        config=last.settings.as_dict() | described(panel, source) | plan.as_dict() | {"stride": stride},
        seconds=time.monotonic() - begun,
    )


class _Fit(NamedTuple):
    """A model that was fitted to what the first of some origins knows, and its forecasts from all of them."""

    origins: Origins
    forecasts: dict[str, np.ndarray]  # by system, [n, horizon]
    combination: Combination
    settings: ForecastSettings
    scale: np.ndarray  # of each series, [series]


def _fit(
    members: Sequence[Series],
    origins: Origins,
    source: SeriesSource,
    chosen: Chosen[ForecastSettings],
    on_event: Listener,
) -> _Fit:
    known = [_until(member, size) for member, size in zip(members, _lengths(origins), strict=True)]
    settings, data = configure(known, chosen, "default", lambda text: on_event(Note(text)), source)
    combination = train_on(settings, data, source, on_event=on_event).combination
    assert combination is not None, "a series has a future"
    return _Fit(origins, combination.forecast(origins), combination, settings, data.scale)


def _interval_scores(fits: Sequence[_Fit]) -> dict[str, float]:
    """Coverage and CRPS of the forecasts of several fits, each by its own intervals; means over what came."""
    scores = [fit.combination.intervals.scores(fit.forecasts["model"], fit.origins) for fit in fits]
    horizon = fits[0].forecasts["model"].shape[1]
    counts = [np.isfinite(fit.origins.future(horizon, observed=True)).sum() for fit in fits]
    shares = [(each, count) for each, count in zip(scores, counts, strict=True) if count]
    return {
        name: float(np.average([each[name] for each, _ in shares], weights=[c for _, c in shares]))
        for name in scores[0]
    }


def _check_lengths(members: Sequence[Series], horizon: int, stride: int, count: int) -> None:
    """Raise DataError where the first origin would know too little of a series."""
    for member in members:
        size = len(member.values)
        if size - horizon - stride * (count - 1) < _LEAST:
            most = (size - horizon - _LEAST) // stride + 1
            whose = f"series {member.id!r} has" if member.id else "the series has"
            remedy = f"use `origins` {most}" if most >= 1 else "use a smaller `horizon`"
            raise DataError(
                f"{whose} {size} rows: too few for {count} origins with a `stride` of {stride} and a `horizon` of "
                f"{horizon}; {remedy}, or a smaller `stride`"
            )


def _origins(panel: Panel, horizon: int, stride: int, count: int, numbers: range, on_event: Listener) -> Origins:
    """Some of the origins of every series, by their numbers in order of time.

    One in the midst of missing values begins where these do: what was filled in knows what came after it.
    """
    back = horizon + stride * (count - 1 - np.array(numbers))
    series = np.repeat(np.arange(len(panel)), len(numbers))
    last = panel.starts[1:][series]
    ends = last - np.tile(back, len(panel))
    if panel.filled.any():
        places = np.arange(len(panel.values))
        seen = np.maximum.accumulate(np.where(panel.filled, -1, places))[ends - 1] + 1  # behind the last measured value
        seen = np.where(seen > panel.starts[:-1][series], seen, ends)
        if moved := int((seen < ends).sum()):
            on_event(Note(f"{moved} of {len(ends)} origins: the values before were missing; they begin where these do"))
        ends = seen
    return Origins(panel, series, ends, last)


def _lengths(origins: Origins) -> Iterator[int]:
    """How many values of each series its first origin knows."""
    least = np.full(len(origins.panel), np.iinfo(np.int64).max)
    np.minimum.at(least, origins.series, origins.lengths)
    yield from least.tolist()


def _until(series: Series, size: int) -> Series:
    """The first values of a series."""
    return replace(series, values=series.values[:size], filled=series.filled[:size])
