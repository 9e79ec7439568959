"""Removing level and scale, so that a network sees shapes and a trend can be continued: a series', a window's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from rnncli.forecast.settings import Normalize

# In units of the training data's standard deviation: a flat window must not be blown up to noise.
_LEAST_SCALE = 0.01


class Units(NamedTuple):
    """What the values of each series are told in: z = (x − mean) / std."""

    mean: np.ndarray  # float64 [series]
    std: np.ndarray  # float64 [series]

    def of(self, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of some series, `[n, 1]` each."""
        return self.mean[series][:, None], self.std[series][:, None]


@dataclass(frozen=True)
class Scaling:
    """The units of the series, of their values and of their logarithms."""

    plain: Units
    log: Units | None = None  # None where logarithms are not used

    def of(self, normalize: Normalize, log: bool) -> Units:
        """What a normalisation tells values in; (0, 1) where they are used as they are."""
        if normalize == "none":
            return Units(np.zeros_like(self.plain.mean), np.ones_like(self.plain.std))
        if not log:
            return self.plain
        assert self.log is not None, "the values have logarithms"
        return self.log

    def followed_by(self, other: "Scaling") -> "Scaling":
        """The units of these series, and those of others."""
        plain = Units(*(np.concatenate(both) for both in zip(self.plain, other.plain, strict=True)))
        if self.log is None or other.log is None:
            return Scaling(plain)
        return Scaling(plain, Units(*(np.concatenate(both) for both in zip(self.log, other.log, strict=True))))

    def select(self, series: Sequence[int]) -> "Scaling":
        """The units of some of the series."""
        rows = np.asarray(series, int)
        kinds = (
            None if units is None else Units(units.mean[rows], units.std[rows]) for units in (self.plain, self.log)
        )
        return Scaling(*kinds)  # pyright: ignore[reportArgumentType] - the first is not None

    def of_series(self, numbers: Sequence[int | None], own: "Scaling") -> "Scaling":
        """The units of some series by number; where that is None, those of the same place in `own`."""
        rows = np.array([0 if number is None else number for number in numbers])
        new = np.array([number is None for number in numbers])

        def chosen(known: Units, others: Units) -> Units:
            return Units(*(np.where(new, other, one[rows]) for one, other in zip(known, others, strict=True)))

        assert own.log is not None
        return Scaling(chosen(self.plain, own.plain), chosen(self.log or self.plain, own.log))

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        kinds = {"plain": self.plain} | ({} if self.log is None else {"log": self.log})
        return {kind: {"mean": units.mean.tolist(), "std": units.std.tolist()} for kind, units in kinds.items()}

    @classmethod
    def from_dict(cls, kinds: Mapping[str, Mapping[str, list[float]]]) -> "Scaling":
        """From what `as_dict` gives. Raises KeyError, TypeError, ValueError: it is something else."""
        return cls(
            **{kind: Units(np.array(of["mean"], float), np.array(of["std"], float)) for kind, of in kinds.items()}
        )


def logarithms(values: np.ndarray) -> np.ndarray:
    """The logarithms of values; NaN where there is none."""
    return np.log(values, out=np.full_like(values, np.nan), where=values > 0)


def window_statistics(windows: Any, normalize: Normalize, xp: ModuleType = jnp, known: Any = None) -> tuple[Any, Any]:
    """Level and scale `[n, 1]` of windows `[n, window]` that are already in units of the training data.

    - none, global: 0 and 1; nothing is removed from a window of its own;
    - shift: the last value, and 1: the size of movements stays;
    - last: the last value, and the mean absolute distance to it;
    - mean: the mean, and the standard deviation;
    - median: the median, and the median absolute deviation: outliers leave both alone.

    `xp` is the array module of `windows`, NumPy or JAX. Where only some values are `known`, bool `[n, window]`, the
    last ones of each row, the others do not count.
    """
    last, zero = windows[:, -1:], windows[:, -1:] * 0

    def mean(values: Any) -> Any:
        if known is None:
            return values.mean(1, keepdims=True)
        return xp.where(known, values, 0).sum(1, keepdims=True) / known.sum(1, keepdims=True)

    def median(values: Any) -> Any:
        if known is None:
            return xp.median(values, axis=1, keepdims=True)
        return xp.nanmedian(xp.where(known, values, xp.nan), axis=1, keepdims=True)

    match normalize:
        case "none" | "global":
            return zero, zero + 1
        case "shift":
            return last, zero + 1
        case "last":
            level, scale = last, mean(xp.abs(windows - last))
        case "mean":
            level = mean(windows)
            scale = windows.std(1, keepdims=True) if known is None else xp.sqrt(mean(xp.square(windows - level)))
        case "median":
            level = median(windows)
            # 1.4826: of a normal distribution, the standard deviation over the median absolute deviation
            scale = 1.4826 * median(xp.abs(windows - level))
    return level, xp.maximum(scale, _LEAST_SCALE)
