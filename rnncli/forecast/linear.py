"""Linear maps from a window to its continuation, in closed form: y = x·W + b, both told from the window's own level.

They are fitted by moments (sums of products of inputs and outputs), which add up: a fit to more windows costs the new
windows only, and memory does not grow with their number.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rnncli.forecast.normalize import Scaling, Units, logarithms, window_statistics
from rnncli.forecast.origins import Origins
from rnncli.forecast.settings import Normalize

# Strengths of the ridge penalty that validation chooses from, as fractions of the inputs' variance.
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_MOST_COVARIATES = 512  # values of past covariates that a map reads
_CHUNK = 4096  # windows at a time: bounds the memory


class Variant(NamedTuple):
    """How a linear map is told its window."""

    normalize: Normalize
    log: bool = False  # whether of logarithms
    past: bool = False  # whether past covariates, too

    def units(self, scaling: Scaling) -> Units:
        """What it tells values in."""
        return scaling.of(self.normalize, self.log)


class Linear(NamedTuple):
    """A linear map from normalised windows to their normalised continuations.

    Values before a series begins count nothing; `least` of a window have to be there. Of P past covariates, the last
    `lags` values are inputs, too.
    """

    kernel: np.ndarray  # [window + lags·P, outputs]
    bias: np.ndarray  # [outputs]
    variant: Variant
    units: Units
    least: int
    lags: int = 0

    def __call__(self, origins: Origins) -> np.ndarray:
        """Forecasts `[n, outputs]`; NaN where an origin knows too little, or a value has no logarithm."""
        found = [self.of_inputs(self.inputs(some)) for some in _chunks(origins)]
        return np.concatenate([np.zeros((0, len(self.bias))), *found])

    def inputs(self, origins: Origins) -> "Inputs":
        """What is read at some origins: the same for every kernel."""
        beside = _beside(origins, self.lags)
        windows = _read(origins.past(len(self.kernel) - beside.shape[1]), self.variant)
        x, level, scale = _normalised(windows, self.variant, self.units.of(origins.series), self.least)
        return Inputs(np.concatenate([x, beside], 1), level, scale, windows)

    def of_inputs(self, inputs: "Inputs") -> np.ndarray:
        """Forecasts from what was read."""
        forecasts = (inputs.x @ self.kernel + self.bias) * inputs.scale + inputs.level
        return np.exp(_bounded(forecasts, inputs.windows)) if self.variant.log else forecasts


class Inputs(NamedTuple):
    """What linear maps of one variant read."""

    x: np.ndarray  # [n, inputs]
    level: np.ndarray  # [n, 1], and …
    scale: np.ndarray  # … [n, 1]: what was taken away from the windows
    windows: np.ndarray  # [n, window]


class Tried(NamedTuple):
    """A map that was tried on validation data."""

    penalty: float
    linear: Linear
    error: float  # mean absolute error, in the unit of each series


class Moments:
    """Sums over windows that a least-squares fit needs."""

    def __init__(
        self, window: int, outputs: int, season: int, variant: Variant, units: Units, least: int, covariates: int = 0
    ):
        """`units` are those of the panel's series; windows count of which `least` values are known.

        `covariates` is how many past ones there are.
        """
        self.variant, self.units, self.outputs, self.least = variant, units, outputs, least
        self.window, self.lags = window, 0
        if variant.past:
            self.lags = max(1, min(window, 2 * max(season, outputs), _MOST_COVARIATES // covariates))
        self.count, self._shift = 0, None  # subtracted from all values, so that products do not lose their digits
        inputs = window + self.lags * covariates
        self._x, self._y = np.zeros(inputs), np.zeros(outputs)
        self._xx, self._xy = np.zeros((inputs, inputs)), np.zeros((inputs, outputs))
        self._prior = _prior(window, outputs, season, variant)

    def add(self, origins: Origins) -> "Moments":
        """Learn from the windows of which enough is known, and whose continuations are known."""
        for some in _chunks(origins):
            windows, future = (
                _read(each, self.variant) for each in (some.past(self.window), some.future(self.outputs))
            )
            x, level, scale = _normalised(windows, self.variant, self.units.of(some.series), self.least)
            y = (future - level) / scale
            if self._shift is None:
                if np.isnan(x).all():
                    continue  # nothing is known of these
                self._shift = float(np.nanmean(x))
            x, y = x - self._shift, y - self._shift
            y = y - x @ self._prior
            x = np.concatenate([x, _beside(some, self.lags)], 1)
            known = ~(np.isnan(x).any(1) | np.isnan(y).any(1))
            x, y = x[known], y[known]
            self.count += len(x)
            self._x, self._y = self._x + x.sum(0), self._y + y.sum(0)
            self._xx, self._xy = self._xx + x.T @ x, self._xy + x.T @ y
        return self

    def solved(self, penalties: Sequence[float]) -> Iterator[Linear]:
        """The maps that minimise |x·W + b − y|² + n·penalty·Σ v·(W − P)², with a free b, for each penalty.

        v is the variance of each input, and P what the map is drawn to: nothing, but the seasonal naive forecast where
        windows keep their level. Penalty 0 is exact least squares.
        """
        x, y = self._x / self.count, self._y / self.count
        gram = self._xx - self.count * np.outer(x, x)
        moment = self._xy - self.count * np.outer(x, y)
        variance = np.maximum(np.diag(gram) / self.count, 0.0)
        weight = np.diag(self.count * (variance + 1e-3 * (variance.mean() or 1.0)))
        for penalty in penalties:
            if penalty:
                kernel = np.linalg.solve(gram + penalty * weight, moment)
            else:
                kernel = np.linalg.lstsq(gram, moment, rcond=None)[0]
            whole = kernel.copy()
            whole[: self.window] += self._prior
            shift = (self._shift or 0.0) * (1 - whole[: self.window].sum(0))
            yield Linear(whole, y - x @ kernel + shift, self.variant, self.units, self.least, self.lags)


def fit_linear(moments: Moments, validation: Origins, scale: np.ndarray) -> Tried:
    """The map of what the moments have seen: the ridge penalty is the one that does best on a validation part.

    Where the data is used as it is (`normalize="none"`: the lecture's linear model), exact least squares.
    """
    if moments.variant.normalize == "none":
        return Tried(0.0, next(moments.solved((0.0,))), float("nan"))
    return best_of(moments, validation, scale)


def best_of(moments: Moments, validation: Origins, scale: np.ndarray) -> Tried:
    """The penalty whose map has the least mean absolute error on a validation part.

    Errors are told in the `scale` of each series, `[series]`, so that all count alike. Where there is nothing to
    compare with, it is the strongest.
    """
    units = np.where(scale > 0, scale, 1.0)
    models = list(moments.solved(PENALTIES))
    sums, counts = np.zeros((2, len(models)))
    for some in _chunks(validation):
        truth, inputs = some.future(moments.outputs, observed=True), models[0].inputs(some)
        for place, model in enumerate(models):
            told = np.abs(model.of_inputs(inputs) - truth) / units[some.series][:, None]
            sums[place] += np.nansum(told)
            counts[place] += np.count_nonzero(~np.isnan(told))
    if not (counts > 0).any() or not np.isfinite(sums).any():
        return Tried(PENALTIES[-1], models[-1], np.inf)
    errors = sums / np.maximum(counts, 1)
    best = int(np.argmin(errors))
    return Tried(PENALTIES[best], models[best], float(errors[best]))


def _chunks(origins: Origins) -> Iterator[Origins]:
    """Some of the origins at a time, which bounds the memory."""
    for first in range(0, len(origins), _CHUNK):
        yield origins.select(np.arange(first, min(first + _CHUNK, len(origins))))


def _prior(window: int, outputs: int, season: int, variant: Variant) -> np.ndarray:
    """The kernel that a map is drawn to, `[window, outputs]`."""
    prior = np.zeros((window, outputs))
    if variant.normalize == "global" and 1 < season <= window:
        ahead = np.arange(outputs)
        prior[window - season + ahead % season, ahead] = 1.0
    return prior


def _beside(origins: Origins, lags: int) -> np.ndarray:
    """The last values of the past covariates, `[n, lags·P]`."""
    return origins.past_covariates(lags).reshape(len(origins), -1) if lags else np.zeros((len(origins), 0))


def _read(values: np.ndarray, variant: Variant) -> np.ndarray:
    """Values as a variant has them: their logarithms, NaN where there is none, or as they are."""
    return logarithms(values) if variant.log else values


def _normalised(
    windows: np.ndarray, variant: Variant, units: tuple[np.ndarray, np.ndarray], least: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows without level and scale, and these, `[n, 1]`; NaN where fewer than `least` values are known.

    Values that are not known are 0, the level.
    """
    mean, std = units
    standard = (windows - mean) / std
    known: np.ndarray = ~np.isnan(standard)
    if known.all():
        level, scale = window_statistics(standard, variant.normalize, np)
        return (standard - level) / scale, level * std + mean, scale * std
    enough = known[:, -least:].all(1, keepdims=True)
    known = known | ~enough  # rows of which nothing comes out need no warning
    level, scale = window_statistics(np.nan_to_num(standard), variant.normalize, np, known)
    x = np.where(known, (np.nan_to_num(standard) - level) / scale, 0.0)
    return np.where(enough, x, np.nan), level * std + mean, scale * std


def _bounded(logs: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Logarithms that go beyond their window by no more than it spans: a trend must not explode."""
    known = ~np.isnan(windows)
    low = np.where(known, windows, np.inf).min(1, keepdims=True)
    high = np.where(known, windows, -np.inf).max(1, keepdims=True)
    return np.clip(logs, 2 * low - high, 2 * high - low)
