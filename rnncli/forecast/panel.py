"""Many series end to end: what every forecast is made from. One series is a panel of one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from rnncli.forecast.covariates import Covariates
from rnncli.forecast.series import Series

Split = Literal["time", "series"]


@dataclass(frozen=True)
class Panel:
    """Series end to end: series i is `values[starts[i] : starts[i + 1]]`."""

    values: np.ndarray  # float64 [n]
    filled: np.ndarray  # bool [n], where a value was missing
    starts: np.ndarray  # int [series + 1]
    split: Split  # into training, validation and test: each series by time, or whole series
    members: tuple[Series, ...] = ()  # with their names and clocks; none for synthetic series
    covariates: Covariates | None = None  # what is known beside the values

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def positive(self) -> np.ndarray:
        """Which series have logarithms of all their values, bool `[series]`."""
        return np.minimum.reduceat(self.values, self.starts[:-1]) > 0

    @property
    def has_future(self) -> bool:
        """Whether the steps after the last ones can be named, and so are worth forecasting."""
        return bool(self.members)

    @classmethod
    def of(cls, members: Sequence[Series], covariates: Covariates | None = None) -> "Panel":
        """The series that were read; each is split by time."""
        sizes = [len(each.values) for each in members]
        values, filled = (np.concatenate([getattr(each, name) for each in members]) for name in ("values", "filled"))
        return cls(values, filled, np.cumsum([0, *sizes]), "time", tuple(members), covariates)

    def followed_by(self, other: "Panel") -> "Panel":
        """These series, and those of another panel with the same covariates."""
        covariates = self.covariates
        if covariates is not None and other.covariates is not None:
            covariates = covariates.followed_by(other.covariates)
        values, filled = (
            np.concatenate([getattr(each, name) for each in (self, other)]) for name in ("values", "filled")
        )
        starts = np.concatenate([self.starts, other.starts[1:] + len(self.values)])
        return Panel(values, filled, starts, self.split, (*self.members, *other.members), covariates)

    def continued(self, forecasts: np.ndarray) -> "Panel":
        """The series with forecasts `[series, steps]` behind their values; there are no past covariates."""
        steps = np.zeros(forecasts.shape[1], bool)
        members = [
            replace(
                member, values=np.concatenate([member.values, values]), filled=np.concatenate([member.filled, steps])
            )
            for member, values in zip(self.members, forecasts, strict=True)
        ]
        covariates = self.covariates
        if covariates is not None:
            covariates = replace(covariates, past=np.zeros((sum(len(each.values) for each in members), 0)))
        return Panel.of(members, covariates)

    @classmethod
    def of_array(cls, series: np.ndarray) -> "Panel":
        """Series of one length `[count, steps]`, to be split into whole series."""
        count, steps = series.shape
        return cls(
            series.astype(np.float64).ravel(), np.zeros(series.size, bool), np.arange(count + 1) * steps, "series"
        )


def lecture_panel(steps: int) -> Panel:
    """The lecture's 10,000 series of `steps` values."""
    return Panel.of_array(lecture_series(10_000, steps))


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
