"""What a mean of simple and learnt forecasts takes of each, by how well it did at rolling origins.

Systems are weighted by w ∝ e^−p, with e the mean absolute error at the rolling origins. The power is 4 where these
cover three horizons (a system with twice the error of the best has a sixteenth of its weight), and grows with the root
of what they cover, to 16 at most: the more was seen, the surer is a difference. The variants of a system (its values
or their logarithms, the normalisations of the linear map) are joined by the same rule first, so that a system with many
of them counts once. Of many series, each has few origins, and all together many: the power is three quarters of that,
and the weights are multiplied by w ∝ E^−8, with E the mean over all series of the errors in the scale of each.

The naive forecast and the drift take part only where there is no season: exponential smoothing has them as cases, and
without them the errors on M3's series were 1 to 2 % lower.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnncli.forecast.origins import Origins

_POWERS = (4.0, 16.0)  # the least, for three horizons or fewer, and the most
_POWER_OF_MANY, _POWER_OVER_ALL = 0.75, 8.0  # of many series: a factor of the power, and the power of the mean error
_CHUNK = 4096  # forecasts whose mean is computed at a time: bounds the memory
_ENOUGH = 16  # errors of a series; of fewer, the power is less, as a handful chooses by chance
_LEAST_ERROR = 1e-6  # of a series' own scale: a system without any error is not told from one with hardly any


@dataclass(frozen=True)
class Weights:
    """How much of each system, and of each variant of it, a combination takes; arrays have a row for each series."""

    systems: Mapping[str, np.ndarray]  # [series]; only those that take part
    variants: Mapping[str, np.ndarray]  # [series, variants]
    errors: Mapping[str, np.ndarray]  # mean absolute errors at the rolling origins, [series]

    def of_series(self, numbers: Sequence[int | None]) -> "Weights":
        """Those of some series; of one without a number, as it was not there, the mean over all."""

        def rows(weights: np.ndarray) -> np.ndarray:
            mean = weights.mean(0)
            return np.stack([mean if number is None else weights[number] for number in numbers])

        tables = (self.systems, self.variants, self.errors)
        return Weights(*({name: rows(each) for name, each in table.items()} for table in tables))

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "systems": {name: each.tolist() for name, each in self.systems.items()},
            "variants": {name: each.tolist() for name, each in self.variants.items()},
            "errors": {name: [None if np.isinf(e) else e for e in each] for name, each in self.errors.items()},
        }

    @classmethod
    def from_dict(cls, tables: Mapping[str, Mapping[str, Any]]) -> "Weights":
        """From what `as_dict` gives. Raises KeyError, TypeError, ValueError: it is something else."""
        systems, variants = (
            {n: np.array(e, float) for n, e in tables[kind].items()} for kind in ("systems", "variants")
        )
        errors = {
            name: np.array([np.inf if e is None else e for e in each], float) for name, each in tables["errors"].items()
        }
        return cls(systems, variants, errors)

    def means(self) -> dict[str, dict[str, float]]:
        """The weights, and the errors at the rolling origins, as means over the series."""
        tables = {"weights": self.systems, "errors": self.errors}
        return {kind: {name: float(each.mean()) for name, each in table.items()} for kind, table in tables.items()}

    def chosen(
        self, system: str, forecasts: Mapping[str, Sequence[np.ndarray]], series: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The forecasts of all systems from those of their variants, and first, as "model", what is printed."""
        named = self.joined(forecasts, series)
        return {"model": self.combined(named, series) if system == "auto" else named[system], **named}

    def joined(self, forecasts: Mapping[str, Sequence[np.ndarray]], series: np.ndarray) -> dict[str, np.ndarray]:
        """The forecast of each system from those of its variants, `[n, horizon]`; NaN where none has any."""
        return {name: _mean(each, self.variants[name][series].T) for name, each in forecasts.items()}

    def combined(self, forecasts: Mapping[str, np.ndarray], series: np.ndarray) -> np.ndarray:
        """The combination of the systems' forecasts, `[n, horizon]`; those that are NaN are left out."""
        weights = np.stack([weight[series] for weight in self.systems.values()])
        return _mean([forecasts[name] for name in self.systems], weights)


def weigh(forecasts: Mapping[str, Sequence[np.ndarray]], origins: Origins, scale: np.ndarray, horizon: int) -> Weights:
    """Weights from forecasts at rolling origins; `scale` is the usual size of an error of each series, `[series]`."""
    truth = origins.future(horizon, observed=True)
    least = _LEAST_ERROR * np.where(scale > 0, scale, 1.0)
    many = len(scale) > 1
    power = _power(origins, horizon, len(scale)) * (_POWER_OF_MANY if many else 1.0)
    seen = np.bincount(origins.series, weights=np.isfinite(truth).sum(1), minlength=len(scale))
    power = power * np.minimum(1.0, seen / _ENOUGH)
    variants, errors = {}, {}
    for name, each in forecasts.items():
        own = np.stack([_errors(forecast, truth, origins.series, len(scale)) for forecast in each])
        if many and name == "linear":  # fitted to all series at once: few origins of each tell nothing of its variants
            own = np.repeat(_pooled(own, scale)[:, None], len(scale), axis=1) * scale
        variants[name] = _weights(own, least, power).T
        joined = _mean(each, variants[name][origins.series].T)
        errors[name] = _errors(joined, truth, origins.series, len(scale))
    taking_part = [name for name in errors if name not in _left_out(errors)]
    each = np.stack([errors[name] for name in taking_part])
    weights = _weights(each, least, power)
    if many:  # what a system does to all series is surer than what it does to one
        weights = weights * _pooled(each, scale)[:, None] ** -_POWER_OVER_ALL
        weights = weights / weights.sum(0)
    return Weights(dict(zip(taking_part, weights, strict=True)), variants, errors)


def _pooled(errors: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The mean error of each system `[K]` over the series, each in its own scale, in the least of them."""
    known = np.isfinite(errors) & (scale > 0)
    told = np.where(known, errors, 0.0) / np.where(scale > 0, scale, 1.0)
    means = told.sum(1) / np.maximum(known.sum(1), 1)
    means = np.where(known.any(1), means, means.max())
    return means / (means[means > 0].min() if (means > 0).any() else 1.0)


def _left_out(names: Mapping[str, object]) -> tuple[str, ...]:
    """The systems that a combination leaves out."""
    return ("naive", "drift") if "seasonal_naive" in names else ()


def _errors(forecast: np.ndarray, truth: np.ndarray, series: np.ndarray, count: int) -> np.ndarray:
    """The mean absolute error of each series, `[series]`; infinite where there is nothing to compare.

    Every step ahead counts alike: where horizons are cut, there are more errors of the first steps, which are smaller.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        absolute = np.abs(forecast - truth)
    known = np.isfinite(absolute)
    sums, counts = np.zeros((2, count, truth.shape[1]))
    np.add.at(sums, series, np.where(known, absolute, 0.0))
    np.add.at(counts, series, known)
    by_step = sums / np.maximum(counts, 1)
    steps = (counts > 0).sum(1)
    return np.divide(by_step.sum(1), steps, out=np.full(count, np.inf), where=steps > 0)


def _power(origins: Origins, horizon: int, count: int) -> np.ndarray:
    """How sharply errors are told apart, `[series]`, by how many horizons the origins of each series cover."""
    first, last = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    np.minimum.at(first, origins.series, origins.ends)
    np.maximum.at(last, origins.series, origins.limits)
    horizons = np.maximum(last - first, 0) / horizon
    least, most = _POWERS
    return np.clip(least * np.sqrt(horizons / 3), least, most)


def _weights(errors: np.ndarray, least: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Weights of the systems `[K, series]` from their errors; equal ones where nothing is known of any."""
    errors = np.maximum(errors, least)
    best = errors.min(0)
    relative = np.where(np.isfinite(best), errors / np.where(np.isfinite(best), best, 1.0), 1.0)
    weights = relative**-power
    return weights / weights.sum(0)


def _mean(forecasts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """The weighted mean of K forecasts `[n, horizon]` with weights `[K, n]`, over those that are finite."""
    mean = np.empty_like(forecasts[0])
    for first in range(0, len(mean), _CHUNK):
        rows = slice(first, first + _CHUNK)
        mean[rows] = _mean_of(np.stack([each[rows] for each in forecasts]), weights[:, rows])
    return mean


def _mean_of(forecasts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same of forecasts `[K, n, horizon]`."""
    known = np.asarray(np.isfinite(forecasts).all(2))
    weights = np.where(known, weights, 0.0)
    # where all weight lies on what is not there, what is there counts alike
    weights = np.where(weights.sum(0) > 0, weights, known)
    total = weights.sum(0)
    mean = (weights[:, :, None] * np.where(known[:, :, None], forecasts, 0.0)).sum(0)
    return np.where((total > 0)[:, None], mean / np.where(total > 0, total, 1.0)[:, None], np.nan)
