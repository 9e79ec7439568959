"""Intervals around a forecast, from its errors at rolling origins (split conformal prediction).

The error of step h is told in the unit s·v^p·g_h: s is the usual size of the errors of the series, v the level of its
last values, and g_h how errors grow with the steps ahead, which never falls. The power p of the level is 0, 1/2 or 1,
whichever makes the errors at all origins most alike: many series vary more where they are high. The sizes of all errors
so told are one population. The interval that holds a share q of the truth reaches as far to both sides as their
q-quantile (Vovk et al. 2005; here, errors at neighbouring origins are not independent, and coverage is not guaranteed
but measured).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from rnncli.forecast.origins import Origins

GRID = np.linspace(0.0, 1.0, 201)  # shares whose quantiles are kept
_LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # quantiles that the CRPS is taken over
_POWERS = (0.0, 0.5, 1.0)  # of the level
SHARE = 0.8  # of the truth, that intervals hold by default


@dataclass(frozen=True)
class Intervals:
    """How far off forecasts are.

    Attributes:
        sizes: of the errors of each series, in its unit and level, `[series]`.
        growth: of the errors with the steps ahead, `[horizon]`.
        quantiles: of the sizes of errors in these units, at 201 shares from 0 to 1.
        span: how many last values a level is the mean of.
        power: of the level.
        usual: size of the errors in the scale of a series, in the mean over all.
    """

    sizes: np.ndarray
    growth: np.ndarray
    quantiles: np.ndarray
    span: int = 1
    power: float = 0.0
    usual: float = 1.0

    @classmethod
    def of(cls, forecast: np.ndarray, origins: Origins, scale: np.ndarray, span: int) -> "Intervals":
        """From forecasts `[n, horizon]` at rolling origins; `scale` is that of each series, `[series]`."""
        errors = np.abs(forecast - origins.future(forecast.shape[1], observed=True))
        known = np.isfinite(errors)
        number = known.sum(1)
        filled = np.where(known, errors, 0.0)
        by_origin = filled.sum(1) / np.maximum(number, 1)
        levels = _levels(origins, span)
        power = min(_POWERS, key=lambda power: _unlikeness(by_origin / levels**power, origins.series, number > 0))
        units = levels**power
        count = len(scale)
        per_series = np.bincount(origins.series, minlength=count)
        total = np.bincount(origins.series, weights=filled.sum(1) / units, minlength=count)
        sizes = total / np.maximum(np.bincount(origins.series, weights=number, minlength=count), 1)
        # what was chosen at these origins does a little better there than it will: by so much on M3's and M4's series
        sizes = sizes * (1 + 0.5 / np.maximum(per_series, 1))
        usual = float(np.mean(sizes[scale > 0] / scale[scale > 0])) if (scale > 0).any() else 1.0
        told = filled / (np.where(sizes > 0, sizes, 1.0)[origins.series] * units)[:, None]
        by_step = told.sum(0) / np.maximum(known.sum(0), 1)
        growth = np.maximum.accumulate(np.where(known.sum(0) > 0, by_step, 0.0))
        growth = np.where(growth > 0, growth, 1.0)
        population = np.sort((told / growth)[known])
        if not len(population):
            return cls(sizes, growth, np.zeros(len(GRID)), span, power, usual)
        # the share of a population of n that lies below its k-th value is k / (n + 1): the last is for what is to come
        ranks = np.clip(np.ceil(GRID * (len(population) + 1)) - 1, 0, len(population) - 1)
        return cls(sizes, growth, population[ranks.astype(int)], span, power, usual)

    def missed(self, forecast: np.ndarray, origins: Origins) -> np.ndarray:
        """How many times larger errors at other origins were than expected, `[series]`: at least 1.

        The more horizons were seen, the more it counts: at one, its square root is taken.
        """
        errors = np.abs(forecast - origins.future(forecast.shape[1], observed=True))
        known, count = np.isfinite(errors), len(self.sizes)
        expected = (self._units(origins) * self.sizes[origins.series])[:, None] * self.growth
        sums = [
            np.bincount(origins.series, weights=np.where(known, each, 0.0).sum(1), minlength=count)
            for each in (errors, expected)
        ]
        ratio = np.divide(*sums, out=np.ones(count), where=sums[1] > 0)
        horizons = 1 + (np.maximum(np.bincount(origins.series, minlength=count), 1) - 1) / forecast.shape[1]
        return np.maximum(ratio, 1.0) ** (horizons / (horizons + 1))

    def widened(self, factors: np.ndarray) -> "Intervals":
        """The same, so many times as wide, `[series]`."""
        return replace(self, sizes=self.sizes * factors, usual=self.usual * float(factors.mean()))

    def _units(self, origins: Origins) -> np.ndarray:
        return _levels(origins, self.span) ** self.power

    def reach(
        self, share: float, origins: Origins, horizon: int | None = None, *, conformal: bool = True
    ) -> np.ndarray:
        """How far to each side an interval reaches that holds a share of the truth, `[n, horizon]`.

        Not `conformal`: as far as it would of a normal distribution with errors of that size.
        """
        if conformal:
            factor = float(np.interp(share, GRID, self.quantiles))
        else:  # the mean size of a normal deviate is √(2/π) of its deviation
            factor = NormalDist().inv_cdf((1 + min(share, 0.999999)) / 2) * (np.pi / 2) ** 0.5
        units = self._units(origins) * self.sizes[origins.series]
        return factor * units[:, None] * self.growth_over(horizon or len(self.growth))

    def growth_over(self, horizon: int) -> np.ndarray:
        """How errors grow over so many steps, as a random walk goes on beyond those that were seen."""
        block, step = np.divmod(np.arange(horizon), len(self.growth))
        return np.sqrt(self.growth[step] ** 2 + block * self.growth[-1] ** 2)

    def quantile(self, level: float, forecast: np.ndarray, origins: Origins, *, conformal: bool = True) -> np.ndarray:
        """The quantile of what is to come, around forecasts `[n, horizon]`; they never cross."""
        reach = self.reach(abs(2 * level - 1), origins, forecast.shape[1], conformal=conformal)
        return forecast + np.sign(level - 0.5) * reach

    def scores(self, forecast: np.ndarray, origins: Origins) -> dict[str, float]:
        """The share of true values that the default interval holds, and the CRPS (twice the mean pinball loss)."""
        truth = origins.future(forecast.shape[1], observed=True)
        known = np.isfinite(truth)
        inside = np.abs(truth - forecast) <= self.reach(SHARE, origins)
        losses = []
        for level in _LEVELS:
            distance = truth - self.quantile(level, forecast, origins)
            losses.append(np.where(known, np.maximum(level * distance, (level - 1) * distance), 0.0).sum())
        return {"coverage": float(inside[known].mean()), "crps": float(2 * np.mean(losses) / known.sum())}

    def of_series(self, numbers: Sequence[int | None], scale: np.ndarray) -> "Intervals":
        """Those of some series by number; of one that was not there, the usual size in its own `scale`."""
        sizes = [self.usual * own if n is None else self.sizes[n] for n, own in zip(numbers, scale, strict=True)]
        return replace(self, sizes=np.array(sizes))

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        tables = {name: getattr(self, name).tolist() for name in ("sizes", "growth", "quantiles")}
        return {**tables, "span": self.span, "power": self.power, "usual": self.usual}

    @classmethod
    def from_dict(cls, tables: Mapping[str, Any]) -> "Intervals":
        """From what `as_dict` gives. Raises KeyError, TypeError, ValueError: it is something else."""
        sizes, growth, quantiles = (np.array(tables[name], float) for name in ("sizes", "growth", "quantiles"))
        return cls(sizes, growth, quantiles, int(tables["span"]), float(tables["power"]), float(tables["usual"]))


def _levels(origins: Origins, span: int) -> np.ndarray:
    """The mean of the last values of each origin, in the mean of its series, `[n]`; 1 where some are not positive."""
    past = origins.past(span)
    positive = np.logical_not((past <= 0).any(1))  # what is not known is not negative
    means = np.nanmean(np.where(positive[:, None], past, 1.0), axis=1)
    starts = origins.panel.starts
    whole = np.add.reduceat(origins.panel.values, starts[:-1]) / np.diff(starts)
    return np.where(positive & (whole[origins.series] > 0), means / np.abs(whole[origins.series]), 1.0)


def _unlikeness(sizes: np.ndarray, series: np.ndarray, known: np.ndarray) -> float:
    """How much the sizes of errors at the origins of a series differ, in the mean over the series."""
    series, sizes = series[known], sizes[known]
    count = np.maximum(np.bincount(series), 1)
    mean = np.bincount(series, weights=sizes) / count
    square = np.bincount(series, weights=sizes * sizes) / count
    varying = mean > 0
    return float(np.mean(np.sqrt(np.maximum(square - mean**2, 0.0))[varying] / mean[varying])) if varying.any() else 0.0
