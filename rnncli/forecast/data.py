"""From a series, or the lecture's generator, to windows of past and future.

The unit of all training is a slice: `window` values and the `horizon` values after them. Every strategy's targets
can be cut from it.
"""

from dataclasses import dataclass

import numpy as np

from rnncli.errors import DataError
from rnncli.forecast.config import ForecastConfig, Normalize, part_sizes
from rnncli.forecast.series import Series

PARTS: tuple[str, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Dataset:
    """All values end to end, and where the slices of each part begin."""

    values: np.ndarray  # float64 [n]
    starts: dict[str, np.ndarray]  # part → int [slices]
    begins: dict[str, np.ndarray]  # part → where the series of each slice begins in `values`
    window: int
    horizon: int
    mean: float  # of the training values
    std: float
    naive_scale: float  # mean |x_t − x_{t−season}| over the training values
    series: Series | None  # None: synthetic

    def slices(self, part: str) -> np.ndarray:
        """`[n, window + horizon]`."""
        return self.values[self.starts[part][:, None] + np.arange(self.window + self.horizon)]

    def windows(self, part: str) -> np.ndarray:
        """What a forecast may see, `[n, window]`."""
        return self.slices(part)[:, : self.window]

    def truth(self, part: str) -> np.ndarray:
        """What was to be forecast, `[n, horizon]`."""
        return self.slices(part)[:, self.window :]

    def units(self, normalize: Normalize) -> tuple[float, float]:
        """Mean and standard deviation that values are told in: (0, 1) where the data is used as it is."""
        return (0.0, 1.0) if normalize == "none" else (self.mean, self.std)

    def observed(self, part: str) -> np.ndarray:
        """Where the truth was measured and not filled in, bool `[n, horizon]`."""
        if self.series is None:
            return np.ones((len(self.starts[part]), self.horizon), bool)
        return ~self.series.filled[self.starts[part][:, None] + np.arange(self.window, self.window + self.horizon)]


def lecture_series(count: int, steps: int, seed: int = 42) -> np.ndarray:
    """The lecture's synthetic series (Géron 2019, chapter 15): two sines of random frequency and phase, and noise.

    x = 0.5·sin((t−o₁)(10·f₁+10)) + 0.2·sin((t−o₂)(20·f₂+20)) + 0.1·(u−0.5), with f, o, u ~ U(0, 1) and t from 0 to 1.

    NumPy's legacy generator draws them in the notebook's order, so that the very same series come out.

    Returns:
        float32 `[count, steps]`.
    """
    draw = np.random.RandomState(seed)
    freq1, freq2, offset1, offset2 = draw.rand(4, count, 1)
    time = np.linspace(0, 1, steps)
    series = 0.5 * np.sin((time - offset1) * (freq1 * 10 + 10))
    series += 0.2 * np.sin((time - offset2) * (freq2 * 20 + 20))
    series += 0.1 * (draw.rand(count, steps) - 0.5)
    return series.astype(np.float32)


def lecture_dataset(window: int, horizon: int, *, steps: int | None = None) -> Dataset:
    """10,000 series of `steps` values (window + horizon if None), split 7,000 / 2,000 / 1,000 as in the lecture.

    A slice is the beginning of a series.
    """
    steps = window + horizon if steps is None else steps
    series = lecture_series(10_000, steps).astype(np.float64)
    begins = dict(zip(PARTS, np.split(np.arange(10_000) * steps, [7_000, 9_000]), strict=True))
    scale = float(np.abs(np.diff(series[:7_000], axis=1)).mean())
    train = series[:7_000]
    return Dataset(
        series.ravel(), begins, begins, window, horizon, float(train.mean()), float(train.std()), scale, None
    )


def series_dataset(series: Series, config: ForecastConfig) -> Dataset:
    """Slices with stride 1, in order of time: a part's targets lie wholly within it, its windows may reach back.

    Raises:
        DataError: the series is too short; the message says what would fit.
    """
    size, window, horizon = len(series.values), config.window, config.horizon
    test, validation = part_sizes(size, horizon, config.test_fraction, config.validation_fraction)
    needed = window + horizon + validation + test
    if size < needed:
        largest = size - horizon - validation - test
        remedy = (
            f"use --window {largest} or smaller"
            if largest >= 1
            else f"use --horizon {max(1, (size - 1) // 3)} or smaller"
            if horizon > 1
            else "give more rows, or lower --test-fraction and --validation-fraction"
        )
        raise DataError(
            f"{size} rows are too few: --window {window} and --horizon {horizon}, with {validation} rows for "
            f"validation and {test} for the test, need {needed}; {remedy}"
        )
    bounds = {"train": (window, size - test - validation), "validation": (size - test - validation, size - test)}
    bounds["test"] = (size - test, size)
    starts = {}
    for part, (first, last) in bounds.items():
        start = np.arange(first, last - horizon + 1) - window
        # where a window ends in filled values, they know what came after them; where nothing was measured after it,
        # there is nothing to learn or to score
        ahead = series.filled[start[:, None] + np.arange(window, window + horizon)]
        starts[part] = start[~series.filled[start + window - 1] & ~ahead.all(1)]
        if not len(starts[part]):
            raise DataError(f"column {series.name!r} has too many missing values in the {part} part; give more rows")
    train = series.values[: size - test - validation]
    spread = float(train.std()) or float(series.values.std())
    lag = min(config.season, len(train) - 1)
    return Dataset(
        series.values,
        starts,
        {part: np.zeros_like(start) for part, start in starts.items()},
        window,
        horizon,
        float(train.mean()),
        spread,
        float(np.abs(train[lag:] - train[:-lag]).mean()),
        series,
    )


def choose_season(series: Series, held_out: float = 0.2) -> int:
    """The season: of those that the calendar offers the one that repeats best, else the peak of the autocorrelation.

    It is looked for before the last fraction `held_out`, where it has to show at least twice; 1 means there is none.
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
    if size < 8:
        return 1
    time = np.arange(size)
    residual = values - np.polyval(np.polyfit(time, values, 1), time)
    spectrum = np.fft.rfft(residual, 2 * size)
    correlation = np.fft.irfft(spectrum * np.conj(spectrum))[: size // 3]
    correlation = correlation / (correlation[0] or 1.0)
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]) & (inner > least)) + 1
    return int(peaks[np.argmax(correlation[peaks])]) if len(peaks) else 1
