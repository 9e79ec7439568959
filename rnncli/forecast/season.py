"""The season of series: what the calendar offers, or a peak of the autocorrelation."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rnncli.forecast.series import Series

_SAMPLE = 100  # of many series
# A peak has to have this correlation, and to rise by so much above the lowest one before it: a slow decay has bumps.
_LEAST, _RISE = 0.3, 0.2
_LEAST_OF_MANY, _RISE_OF_MANY = 0.1, 0.05  # of the mean over many series, which has hardly any noise
# What series mostly have: quarters, weekdays, months, hours, weeks of the year. One of these needs less evidence, and
# is taken in vain at little cost: whether the season is significant is tested again where it is used.
_USUAL = (4, 7, 12, 24, 52)
_DEVIATIONS = 1.3  # of the correlation of noise
_SHORT = 150  # values of a series that may need it


def choose_season(members: Sequence[Series], held_out: float = 0.2) -> int:
    """The season that one series has, or many have in common, in steps; 1 means there is none.

    Of the seasons that the calendar offers, it is the one that repeats best in most series; where the calendar offers
    none, it is a peak of the mean autocorrelation. The values before the last fraction `held_out` decide; they must
    hold it at least twice.
    """
    sample = members[:: max(1, len(members) // _SAMPLE)]
    seen = [each.values[: max(3, int(len(each.values) * (1 - held_out)))] for each in sample]
    clock = members[0].clock
    if clock is not None and clock.seasons:
        lengths = [len(each.values) for each in sample]
        found = (_repeating(values, clock.seasons, size) for values, size in zip(seen, lengths, strict=True))
        return Counter(found).most_common(1)[0][0]
    longest = sorted(len(values) for values in seen)[len(seen) // 2] // 3
    correlations = [_autocorrelation(values, longest) for values in seen if len(values) >= max(8, 2 * longest)]
    if not correlations:
        return 1
    correlation = np.mean(correlations, axis=0)
    if len(members) > 1:
        return _peak(correlation, _LEAST_OF_MANY, _RISE_OF_MANY)
    found = _peak(correlation, _LEAST, _RISE)
    return found if found > 1 or len(seen[0]) > _SHORT else _usual(seen[0])


def _repeating(values: np.ndarray, offered: Sequence[int], size: int) -> int:
    """The season whose naive forecast has the least error, of those that fit twice into a series of this size."""
    fitting = [season for season in offered if 2 * season <= size and season < len(values)]
    return min(fitting, key=lambda season: np.abs(values[season:] - values[:-season]).mean(), default=1)


def lagged_products(values: np.ndarray, longest: int) -> np.ndarray:
    """The sums of x_t·x_{t+k} along the last axis, for lags k from 0 to `longest`."""
    spectrum = np.fft.rfft(values, 2 * values.shape[-1])
    return np.fft.irfft(spectrum * np.conj(spectrum))[..., : longest + 1]


def _autocorrelation(values: np.ndarray, longest: int) -> np.ndarray:
    """The autocorrelation of the detrended values at lags 0 to `longest`, each by as many pairs as there are."""
    size, lags = len(values), np.arange(longest + 1)
    time = np.arange(size)
    residual = values - np.polyval(np.polyfit(time, values, 1), time)
    correlation = lagged_products(residual, longest) / (size - lags)
    return correlation / (correlation[0] or 1.0)


def _usual(values: np.ndarray) -> int:
    """The usual season with the highest correlation of the differences, if that is more than noise has; else 1.

    Differences have neither trend nor slow cycles, in which a short series hides its season.
    """
    steps = np.diff(values)
    if len(steps) < 8 or steps.min() == steps.max():
        return 1
    correlation = lagged_products(steps - steps.mean(), len(steps) - 1)
    correlation = correlation / correlation[0]
    found: dict[int, float] = {}
    for lag in _USUAL:
        if 2 * lag < len(values) and correlation[lag] >= correlation[lag - 1 : lag + 2].max():
            noise = np.sqrt((1 + 2 * np.square(correlation[1:lag]).sum()) / len(values))
            if correlation[lag] > _DEVIATIONS * noise and correlation[lag] > 1.5 * max(found.values(), default=0.0):
                found[lag] = float(correlation[lag])
    return max(found, key=found.__getitem__, default=1)


def _peak(correlation: np.ndarray, least: float, rise: float) -> int:
    """The lag of the highest peak; of peaks nearly as high, or at halves and thirds of its lag, the first."""
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]) & (inner > least)) + 1
    peaks = peaks[correlation[peaks] - np.minimum.accumulate(correlation)[peaks] > rise]
    if not len(peaks):
        return 1
    highest = correlation[peaks].max()
    best = int(peaks[correlation[peaks] >= highest - 0.03][0])
    parted = True
    while parted:  # a season repeats at its multiples, by chance more clearly
        parted = False
        for part in (best / 3, best / 2):
            near = peaks[np.abs(peaks - part) <= max(1, 0.04 * part)]
            if len(near) and near[0] < best and correlation[near].max() > 0.6 * highest:
                best, parted = int(near[np.argmax(correlation[near])]), True
                break
    return best
