"""Forecasts that need no training by gradient: what a network has to beat.

Each takes a dataset and a part of it and gives forecasts `[n, horizon]` from the same slices as the network's.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rnncli.forecast.data import Dataset
from rnncli.forecast.normalize import window_statistics
from rnncli.forecast.settings import Normalize


def naive(data: Dataset, part: str) -> np.ndarray:
    """The last value, repeated."""
    return np.repeat(data.windows(part)[:, -1:], data.horizon, axis=1)


def seasonal_naive(data: Dataset, part: str, season: int) -> np.ndarray:
    """The value of one season ago, of the last season that was seen."""
    ends = data.starts[part] + data.window
    ahead = np.arange(data.horizon) % season - season
    # a season longer than the past of the first windows: repeat from what there is
    return data.values[np.maximum(ends[:, None] + ahead, data.begins[part][:, None])]


def drift(data: Dataset, part: str) -> np.ndarray:
    """The line through the first value of the series and the last one seen, continued."""
    last = data.starts[part] + data.window - 1
    begin = data.begins[part]
    slope = (data.values[last] - data.values[begin]) / np.maximum(last - begin, 1)
    return data.values[last][:, None] + slope[:, None] * np.arange(1, data.horizon + 1)


def forecasts(data: Dataset, part: str, season: int, linear: "Linear") -> dict[str, np.ndarray]:
    """The forecasts of every baseline for a part, by name."""
    named = {"naive": naive(data, part)}
    if season > 1:
        named["seasonal_naive"] = seasonal_naive(data, part, season)
    return named | {"drift": drift(data, part), "linear": linear(data.windows(part), data)}


class Linear(NamedTuple):
    """A linear map from a normalised window to its normalised continuation: y = (x·W + b)."""

    kernel: np.ndarray  # [window, outputs]
    bias: np.ndarray  # [outputs]
    normalize: Normalize
    penalty: float
    error: float  # mean absolute error on the validation part, in the series' unit

    def __call__(self, windows: np.ndarray, data: Dataset) -> np.ndarray:
        """Forecasts `[n, outputs]` from windows `[n, window]` in the series' unit."""
        x, level, scale = _normalised(windows, self.normalize, data)
        return (x @ self.kernel + self.bias) * scale + level


# Strengths of the ridge penalty that validation chooses from, as fractions of the inputs' variance.
_PENALTIES = (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)


def fit_linear(data: Dataset, normalize: Normalize, outputs: int) -> Linear:
    """Least squares in closed form, to the first `outputs` steps ahead.

    Exact where the data is used as it is (`normalize="none"`: the lecture's linear model); else with the ridge
    penalty that does best on the validation part.
    """
    x, level, scale = _normalised(data.windows("train"), normalize, data)
    y = (data.truth("train")[:, :outputs] - level) / scale
    windows, truth = data.windows("validation"), data.truth("validation")[:, :outputs]
    penalties = (0.0,) if normalize == "none" else _PENALTIES
    models = [Linear(kernel, bias, normalize, penalty, 0.0) for penalty, kernel, bias in _ridge(x, y, penalties)]
    errors = [float(np.abs(model(windows, data) - truth).mean()) for model in models]
    best = int(np.argmin(errors))
    return models[best]._replace(error=errors[best])


def _normalised(windows: np.ndarray, normalize: Normalize, data: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows as the network sees them, and the level and scale `[n, 1]` that were taken from them."""
    mean, std = data.units(normalize)
    standard = (windows - mean) / std
    level, scale = window_statistics(standard, normalize, np)
    return (standard - level) / scale, level * std + mean, scale * std


def _ridge(x: np.ndarray, y: np.ndarray, penalties: Sequence[float]) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Minimise |x·W + b − y|² + n·penalty·Σ v·W², with the free intercept b and v the variance of each input.

    Yields (penalty, W, b) for each penalty; penalty 0 is exact least squares.
    """
    x_mean, y_mean = x.mean(0), y.mean(0)
    centred, target = x - x_mean, y - y_mean
    gram, moment = centred.T @ centred, centred.T @ target
    variance = np.diag(gram) / len(x)
    weight = np.diag(len(x) * (variance + 1e-3 * (variance.mean() or 1.0)))
    for penalty in penalties:
        if penalty == 0:
            kernel = np.linalg.lstsq(centred, target, rcond=None)[0]
        else:
            kernel = np.linalg.solve(gram + penalty * weight, moment)
        yield penalty, kernel, y_mean - x_mean @ kernel
