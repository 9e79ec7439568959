"""Where forecasts begin: a place in a series, what was known before it, what came after it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnncli.forecast.panel import Panel


def numbered(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For so many origins of each series: the series of each origin, and its number among those, from 0, `[n]`."""
    series = np.repeat(np.arange(len(counts)), counts)
    return series, np.arange(counts.sum()) - (np.cumsum(counts) - counts)[series]


@dataclass(frozen=True)
class Origins:
    """Origins in a panel: forecast i begins at `ends[i]` and knows the values of its series before that place.

    Attributes:
        panel: the series.
        series: which series each origin belongs to, int `[n]`.
        ends: places of the first steps ahead in the panel's values, int `[n]`.
        limits: places from which on the truth does not count, int `[n]`: the end of the series, or of a part of it.
    """

    panel: Panel
    series: np.ndarray
    ends: np.ndarray
    limits: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def begins(self) -> np.ndarray:
        """Places of the first values of each origin's series, `[n]`."""
        return self.panel.starts[self.series]

    @property
    def lengths(self) -> np.ndarray:
        """How many values each origin knows, `[n]`."""
        return self.ends - self.begins

    def past(self, steps: int) -> np.ndarray:
        """The last values before each origin, float64 `[n, steps]`; NaN before the series begins."""
        places = self.ends[:, None] + np.arange(-steps, 0)
        known = places >= self.begins[:, None]
        return np.where(known, self.panel.values[np.maximum(places, 0)], np.nan)

    def future(self, horizon: int, *, observed: bool = False) -> np.ndarray:
        """The values from each origin on, float64 `[n, horizon]`; NaN from its limit on.

        Where they are to be `observed`, values that were filled in are NaN, too.
        """
        places = self.ends[:, None] + np.arange(horizon)
        inside = places < self.limits[:, None]
        places = np.minimum(places, len(self.panel.values) - 1)
        if observed:
            inside &= ~self.panel.filled[places]
        return np.where(inside, self.panel.values[places], np.nan)

    def past_covariates(self, steps: int) -> np.ndarray:
        """The past covariates of the last steps before each origin, `[n, steps, P]`; 0 before the series begins."""
        assert self.panel.covariates is not None
        places = self.ends[:, None] + np.arange(-steps, 0)
        told = self.panel.covariates.past[np.maximum(places, 0)]
        return np.where((places >= self.begins[:, None])[..., None], told, 0.0)

    def known(self, before: int, ahead: int) -> np.ndarray:
        """The future covariates of steps before and after each origin, `[n, before + ahead, F]`.

        They are 0 before the series begins, and NaN where nothing is said of a step ahead.
        """
        covariates = self.panel.covariates
        assert covariates is not None
        first, last = covariates.starts[self.series][:, None], covariates.starts[self.series + 1][:, None]
        places = first + self.lengths[:, None] + np.arange(-before, ahead)
        told = covariates.known[np.clip(places, 0, len(covariates.known) - 1)]
        told = np.where((places >= first)[..., None], told, 0.0)
        return np.where((places < last)[..., None], told, np.nan)

    def on(self, panel: Panel) -> "Origins":
        """The same places in a panel of other values."""
        return replace(self, panel=panel)

    def behind(self, panel: Panel, joined: Panel) -> "Origins":
        """The same places, where this panel follows another in a joined one."""
        places = {name: getattr(self, name) + len(panel.values) for name in ("ends", "limits")}
        return Origins(joined, self.series + len(panel), **places)

    def select(self, index: np.ndarray) -> "Origins":
        """Some of the origins."""
        return replace(self, series=self.series[index], ends=self.ends[index], limits=self.limits[index])

    def whole(self, steps: int) -> bool:
        """Whether every origin knows at least so many values."""
        return bool((self.lengths >= steps).all())

    @classmethod
    def of_ends(cls, panel: Panel) -> "Origins":
        """One origin a series: after its last value."""
        ends = panel.starts[1:]
        return cls(panel, np.arange(len(panel)), ends, ends)

    @classmethod
    def joined(cls, parts: Sequence["Origins"]) -> "Origins":
        """The origins of several parts of one panel, one after the other."""
        series, ends, limits = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("series", "ends", "limits")
        )
        return cls(parts[0].panel, series, ends, limits)
