"""The season of a series: what the calendar offers, or the peak of the autocorrelation."""

import numpy as np

from rnncli.forecast.series import Series


def choose_season(series: Series, held_out: float = 0.2) -> int:
    """The season: of those that the calendar offers the one that repeats best, else the peak of the autocorrelation.

    The values before the last fraction `held_out` decide; they must hold it at least twice. 1 means there is none.
    """
    values = series.values[: max(3, int(len(series.values) * (1 - held_out)))]
    offered = series.clock.seasons if series.clock else ()
    fitting = [season for season in offered if 2 * season <= len(values)]
    if offered:
        return min(fitting, key=lambda season: np.abs(values[season:] - values[:-season]).mean(), default=1)
    return _autocorrelated_season(values)


def _autocorrelated_season(values: np.ndarray, least: float = 0.3) -> int:
    """The highest local maximum of the autocorrelation of the detrended values, if it is above `least`."""
    size = len(values)
    if size < 8:  # too few values to correlate
        return 1
    time = np.arange(size)
    residual = values - np.polyval(np.polyfit(time, values, 1), time)
    spectrum = np.fft.rfft(residual, 2 * size)
    correlation = np.fft.irfft(spectrum * np.conj(spectrum))[: size // 3]
    correlation = correlation / (correlation[0] or 1.0)
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]) & (inner > least)) + 1
    return int(peaks[np.argmax(correlation[peaks])]) if len(peaks) else 1
