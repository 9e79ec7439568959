"""Removing a window's own level and scale, so that a network sees shapes and a trend can be continued."""

from types import ModuleType
from typing import Any

import jax.numpy as jnp

from rnncli.forecast.settings import Normalize

# In units of the training data's standard deviation: a flat window must not be blown up to noise.
_LEAST_SCALE = 0.01


def window_statistics(windows: Any, normalize: Normalize, xp: ModuleType = jnp) -> tuple[Any, Any]:
    """Level and scale `[n, 1]` of windows `[n, window]` that are already in units of the training data.

    - none, global: 0 and 1; nothing is removed from a window of its own;
    - shift: the last value, and 1: the size of movements stays;
    - last: the last value, and the mean absolute distance to it;
    - mean: the mean, and the standard deviation;
    - median: the median, and the median absolute deviation: outliers leave both alone.

    `xp` is the array module of `windows`, NumPy or JAX.
    """
    last, zero = windows[:, -1:], windows[:, :1] * 0
    match normalize:
        case "none" | "global":
            return zero, zero + 1
        case "shift":
            return last, zero + 1
        case "last":
            level, scale = last, xp.abs(windows - last).mean(1, keepdims=True)
        case "mean":
            level, scale = windows.mean(1, keepdims=True), windows.std(1, keepdims=True)
        case "median":
            level = xp.median(windows, axis=1, keepdims=True)
            # 1.4826: of a normal distribution, the standard deviation over the median absolute deviation
            scale = 1.4826 * xp.median(xp.abs(windows - level), axis=1, keepdims=True)
    return level, xp.maximum(scale, _LEAST_SCALE)
