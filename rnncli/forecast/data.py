"""From a panel to windows of past and future.

The unit of all training is a slice: `window` values and the `horizon` values after them. Every strategy's targets
can be cut from it.
"""

from dataclasses import dataclass

import numpy as np

from rnncli.errors import DataError
from rnncli.forecast.defaults import part_sizes
from rnncli.forecast.panel import Panel
from rnncli.forecast.settings import ForecastSettings, Normalize

PARTS: tuple[str, ...] = ("train", "validation", "test")
_SHARES = (0.7, 0.9)  # of whole series: where validation and test begin


@dataclass(frozen=True)
class Dataset:
    """A panel, and where the slices of each part begin in its values."""

    panel: Panel
    starts: dict[str, np.ndarray]  # part → int [slices]
    begins: dict[str, np.ndarray]  # part → where the series of each slice begins
    window: int
    horizon: int
    mean: float  # of the training values
    std: float
    naive_scale: float  # mean |x_t − x_{t−season}| over the training values

    @property
    def values(self) -> np.ndarray:
        """All values end to end, float64 `[n]`."""
        return self.panel.values

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
        return ~self.panel.filled[self.starts[part][:, None] + np.arange(self.window, self.window + self.horizon)]


def dataset(panel: Panel, settings: ForecastSettings) -> Dataset:
    """The slices of a panel that the settings ask for.

    Raises DataError: a series is too short; the message says what would fit.
    """
    if panel.split == "series":
        return _split_by_series(panel, settings)
    assert len(panel) == 1, "one series, until the command line reads more"
    return _split_by_time(panel, settings)


def _split_by_series(panel: Panel, settings: ForecastSettings) -> Dataset:
    """Seven tenths of the series train, two validate, one tests; a slice is the beginning of a series."""
    cuts = [int(share * len(panel)) for share in _SHARES]
    begins = dict(zip(PARTS, np.split(panel.starts[:-1], cuts), strict=True))
    train = panel.values[: panel.starts[cuts[0]]]
    lengths = np.diff(panel.starts)
    scale = float(np.abs(np.diff(train.reshape(-1, lengths[0]), axis=1)).mean())
    mean, std = float(train.mean()), float(train.std())
    return Dataset(panel, begins, begins, settings.window, settings.horizon, mean, std, scale)


def _split_by_time(panel: Panel, settings: ForecastSettings) -> Dataset:
    """Slices with stride 1, in order of time: a part's targets lie wholly within it, its windows may reach back."""
    (series,) = panel.members
    size, window, horizon = len(series.values), settings.window, settings.horizon
    test, validation = part_sizes(size, horizon, settings.test_fraction, settings.validation_fraction)
    needed = window + horizon + validation + test
    if size < needed:
        largest = size - horizon - validation - test
        remedy = (
            f"use `window` {largest} or smaller"
            if largest >= 1
            else f"use `horizon` {max(1, (size - 1) // 3)} or smaller"
            if horizon > 1
            else "give more rows, or lower `test_fraction` and `validation_fraction`"
        )
        raise DataError(
            f"{size} rows are too few: `window` {window} and `horizon` {horizon}, with {validation} rows for "
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
    lag = min(settings.season, len(train) - 1)
    return Dataset(
        panel,
        starts,
        {part: np.zeros_like(start) for part, start in starts.items()},
        window,
        horizon,
        float(train.mean()),
        spread,
        float(np.abs(train[lag:] - train[:-lag]).mean()),
    )
