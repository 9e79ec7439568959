"""From a panel to the origins of training, validation and test.

The unit of all training is a slice: `window` values before an origin and the `horizon` values after it. Every
strategy's targets can be cut from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rnncli.errors import DataError
from rnncli.forecast.defaults import part_sizes
from rnncli.forecast.effects import Effects, effects_of
from rnncli.forecast.normalize import Scaling, Units
from rnncli.forecast.origins import Origins, numbered
from rnncli.forecast.panel import Panel
from rnncli.forecast.settings import ForecastSettings

PARTS: tuple[str, ...] = ("train", "validation", "test")
_SHARES = (0.7, 0.9)  # of whole series: where validation and test begin


@dataclass(frozen=True)
class Dataset:
    """A panel, and where the slices of each part begin.

    Attributes:
        panel: the series.
        parts: the origins of each part; their horizons lie wholly within it.
        bounds: by part, the places in the values where it ends, int `[series]`.
        window, horizon: steps before and after an origin.
        scale: mean |x_t − x_{t−season}| of each series before its test part, what MASE is told in, `[series]`.
        season: steps in a season.
        effects: what future covariates add, as far as it is seen before the test part (the validation part is not
            new to it); None: nothing.
    """

    panel: Panel
    parts: Mapping[str, Origins]
    bounds: Mapping[str, np.ndarray]
    window: int
    horizon: int
    scale: np.ndarray
    season: int = 1
    effects: Effects | None = None

    @cached_property
    def rest(self) -> "Dataset":
        """The same without the effects: what all systems but the baselines forecast."""
        if self.effects is None:
            return self
        panel = self.effects.removed(self.panel)
        parts = {name: origins.on(panel) for name, origins in self.parts.items()}
        return replace(self, panel=panel, parts=parts, effects=None)

    def with_effects_until(self, part: str) -> "Dataset":
        """The same with the effects that the values before the end of a part show, if these show any."""
        if self.effects is None:
            return self
        found = effects_of(self.panel, self.bounds[part], self.season, self.scale, positive=self.effects.log)
        return replace(self, effects=found or self.effects)

    def added(self, before: str, part: str) -> Origins:
        """The slices that end after one part and not after another: what a fit to the latter adds to the former's."""
        first = np.maximum(self.bounds[before] - self.horizon + 1, self.panel.starts[:-1] + 1)
        return slices(self.panel, first, self.bounds[part], self.horizon)

    def held_out(self) -> Origins:
        """The slices that end in the validation or the test part: what a last fit adds to the training part."""
        return self.added("train", "test")

    def windows(self, part: str) -> np.ndarray:
        """What a network may see, `[n, window]`."""
        return self.parts[part].past(self.window)

    def truth(self, part: str) -> np.ndarray:
        """What was to be forecast, `[n, horizon]`; NaN where it was not measured."""
        return self.parts[part].future(self.horizon, observed=True)

    @cached_property
    def scaling(self) -> Scaling:
        """What each series' values, and their logarithms, are told in: mean and deviation of the training part."""
        if self.panel.split == "time":
            return scaling_of(self.panel, self.bounds["train"])
        train, count = self.panel.values[: self.bounds["train"][-1]], len(self.panel)
        return Scaling(Units(np.full(count, train.mean()), np.full(count, train.std())))


def scaling_of(panel: Panel, ends: np.ndarray) -> Scaling:
    """Mean and deviation of each series before a place, or of all of it where less than two values are before it.

    Logarithms of many series have a common unit already, in which they are left: their relative changes.
    """
    ends = np.where(ends - panel.starts[:-1] >= 2, ends, panel.starts[1:])
    logs = np.log(np.where(np.repeat(panel.positive, np.diff(panel.starts)), panel.values, 1.0))
    plain, log = (units_of(values, panel.starts, ends) for values in (panel.values, logs))
    return Scaling(plain, log if len(panel) == 1 else log._replace(std=np.ones_like(log.std)))


def units_of(values: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Units:
    """Mean and standard deviation of each series before a place; of the whole series where that is constant."""
    count = np.maximum(ends - starts[:-1], 1)
    mean = _sums(values, starts[:-1], ends) / count
    centred = values - np.repeat(mean, np.diff(starts))
    std = np.sqrt(_sums(centred * centred, starts[:-1], ends) / count)
    whole = np.sqrt(_sums(centred * centred, starts[:-1], starts[1:]) / np.diff(starts))
    return Units(mean, np.where(std > 0, std, np.where(whole > 0, whole, 1.0)))


def dataset(panel: Panel, settings: ForecastSettings) -> Dataset:
    """The slices of a panel that the settings ask for."""
    if panel.split == "series":
        return _split_by_series(panel, settings)
    return _split_by_time(panel, settings)


def _split_by_series(panel: Panel, settings: ForecastSettings) -> Dataset:
    """Seven tenths of the series train, two validate, one tests; a slice is the beginning of a series."""
    cuts = [int(share * len(panel)) for share in _SHARES]
    groups = dict(zip(PARTS, np.split(np.arange(len(panel)), cuts), strict=True))
    ends = panel.starts[:-1] + settings.window
    parts = {part: Origins(panel, rows, ends[rows], panel.starts[rows + 1]) for part, rows in groups.items()}
    bounds = {part: panel.starts[rows + 1] for part, rows in groups.items()}
    train = panel.values[: panel.starts[cuts[0]]].reshape(cuts[0], -1)
    scale = np.full(len(panel), np.abs(np.diff(train, axis=1)).mean())
    return Dataset(panel, parts, bounds, settings.window, settings.horizon, scale)


def _split_by_time(panel: Panel, settings: ForecastSettings) -> Dataset:
    """Slices with stride 1, in order of time: a part's targets lie wholly within it, its windows may reach back."""
    begins, last = panel.starts[:-1], panel.starts[1:]
    window, horizon = settings.window, settings.horizon
    sizes = [
        part_sizes(int(size), horizon, settings.season, *settings.fractions, many=len(panel) > 1)
        for size in np.diff(panel.starts)
    ]
    test, validation = np.array(sizes).T
    bounds = {"train": last - test - validation, "validation": last - test, "test": last}
    least = settings.least_of(len(panel))
    first = {"train": begins + least, "validation": bounds["train"], "test": bounds["validation"]}
    parts = {part: slices(panel, first[part], bounds[part], horizon) for part in PARTS}
    lag = np.minimum(settings.season, np.maximum(bounds["validation"] - begins - 1, 1))
    scale = naive_errors(panel, lag, bounds["validation"])
    effects = effects_of(panel, bounds["validation"], settings.season, scale)
    if settings.transform == "log" and effects is not None and not effects.removed(panel).positive.all():
        effects = effects_of(panel, bounds["validation"], settings.season, scale, positive=True)
    return Dataset(panel, parts, bounds, window, horizon, scale, settings.season, effects)


def slices(panel: Panel, first: np.ndarray, bounds: np.ndarray, horizon: int) -> Origins:
    """Every origin of a part whose horizon lies within it, and that can be forecast and scored."""
    counts = np.maximum(bounds - horizon + 1 - first, 0)
    series, number = numbered(counts)
    ends = first[series] + number
    # where a window ends in filled values, they know what came after them; where nothing was measured after it,
    # there is nothing to learn or to score
    if panel.filled.any():
        before = np.concatenate([[0], np.cumsum(panel.filled)])
        ahead = before[ends + horizon] - before[ends]
        kept = ~panel.filled[ends - 1] & (ahead < horizon)
        series, ends = series[kept], ends[kept]
    return Origins(panel, series, ends, bounds[series])


def check_trainable(data: Dataset, settings: ForecastSettings) -> None:
    """Raise DataError where there is no slice to train a network on, or to choose its best epoch by."""
    if all(len(data.parts[part]) for part in ("train", "validation")):
        return
    size, window, horizon = int(np.diff(data.panel.starts).max()), settings.window, settings.horizon
    needed = window + 4 * horizon
    if data.panel.filled.any() and size >= needed:
        raise DataError(f"column {data.panel.members[0].name!r} has too many missing values for a network")
    largest = size - 4 * horizon
    remedy = f"use `window` {largest} or smaller" if largest >= 1 else f"use `horizon` {max(1, (size - 1) // 4)}"
    raise DataError(
        f"{size} rows are too few for a network: `window` {window} and `horizon` {horizon}, with three horizons for "
        f"validation and test, need {needed}; {remedy}, or another `system`"
    )


def naive_errors(panel: Panel, lag: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The mean |x_t − x_{t−lag}| of each series before a place; 0 where there is none."""
    places = np.arange(len(panel.values))
    behind = places - np.repeat(lag, np.diff(panel.starts))
    inside = behind >= np.repeat(panel.starts[:-1], np.diff(panel.starts))
    steps = np.where(inside, np.abs(panel.values - panel.values[np.maximum(behind, 0)]), 0.0)
    count = np.maximum(ends - panel.starts[:-1] - lag, 1)
    return _sums(steps, panel.starts[:-1], ends) / count


def _sums(values: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The sums of `values[starts[i] : ends[i]]`, by pairs in float64."""
    cuts = np.stack([starts, ends], 1).ravel()
    inside = np.append(values, 0.0)  # a cut may lie at the end
    return np.where(ends > starts, np.add.reduceat(inside, cuts)[::2], 0.0)
