"""Forecasts that learn nothing: what everything else has to beat. Each gives `[n, horizon]` for n origins."""

import numpy as np

from rnncli.forecast.origins import Origins


def naive(origins: Origins, horizon: int) -> np.ndarray:
    """The last value, repeated."""
    return np.repeat(origins.panel.values[origins.ends - 1][:, None], horizon, axis=1)


def seasonal_naive(origins: Origins, horizon: int, season: int) -> np.ndarray:
    """The value of one season ago, of the last season that was seen."""
    ahead = np.arange(horizon) % season - season
    # a season longer than the past of the first windows: repeat from what there is
    return origins.panel.values[np.maximum(origins.ends[:, None] + ahead, origins.begins[:, None])]


def drift(origins: Origins, horizon: int) -> np.ndarray:
    """The line through the first value of the series and the last one seen, continued."""
    values, last, begins = origins.panel.values, origins.ends - 1, origins.begins
    slope = (values[last] - values[begins]) / np.maximum(last - begins, 1)
    return values[last][:, None] + slope[:, None] * np.arange(1, horizon + 1)
