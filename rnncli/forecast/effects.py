"""Regression on future covariates: what they add to a series, so that every system forecasts the rest.

As in regression with ARIMA errors, a series is y_t = β·f_t + r_t, with the covariates f known ahead. β is found by
least squares of the changes over a season (of one step, where there is none), which have no level and no season left:

    Δy_t = β·Δf_t + e_t,        Δy_t = y_t − y_{t−season}

e_t depends on e_{t−1}, which the quasi-differences Δy_t − ρ·Δy_{t−1} undo (Cochrane and Orcutt 1949). The systems
forecast r, and β·f of the steps ahead is added. Of series that are all positive, the same may be of logarithms, so
that an effect is a share of the level: whichever explains more is taken.

Each series has its own β, drawn to that of all of them, which is drawn to 0. How strongly is chosen by leaving out
each of five blocks of time in turn; where nothing explains anything, there is no effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from rnncli.forecast.covariates import Covariates
from rnncli.forecast.origins import Origins, numbered
from rnncli.forecast.panel import Panel

_BLOCKS = 5  # of time, one of which is left out
_TO_ZERO = (1e-4, 1e-3, 1e-2, 0.1, 1.0)  # of the β of all series: shares of the covariates' own variance
_TO_ALL = (1e-3, 1e-2, 0.1, 1.0, 10.0, np.inf)  # of the β of each
_MOST_SERIES = 2000  # of more, all have the same β
_MOST_SPREAD = 8.0  # of what a first fit leaves, in its median size
_LEAST_GAIN = 0.01  # of the variance, that effects have to explain in blocks which they have not seen


@dataclass(frozen=True)
class Effects:
    """What covariates add.

    Attributes:
        beta: `[series, F]`, in the unit of each series, or in logarithms.
        log: whether of logarithms.
        centre: of the covariates, at which they add nothing, `[F]`.
        shared: β in the mean over the series, in units of `scale`, for those that were not there, `[F]`.
        limit: of what they add to a logarithm.
    """

    beta: np.ndarray
    log: bool
    centre: np.ndarray
    shared: np.ndarray
    limit: float = np.inf

    def arrays(self) -> dict[str, Any]:
        """What a checkpoint holds of it as arrays."""
        return {"effects": {"beta": self.beta, "centre": self.centre, "shared": self.shared}}

    def as_dict(self) -> dict[str, Any]:
        """The rest, as JSON types."""
        return {"log": self.log, "limit": self.limit if np.isfinite(self.limit) else None}

    @classmethod
    def from_dict(cls, table: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Effects":
        """From what `as_dict` and `arrays` give. Raises KeyError, TypeError, ValueError: it is something else."""
        limit = np.inf if table["limit"] is None else float(table["limit"])
        return cls(arrays["beta"], bool(table["log"]), arrays["centre"], arrays["shared"], limit)

    def removed(self, panel: Panel) -> Panel:
        """The series without what the covariates add."""
        covariates = panel.covariates
        assert covariates is not None
        series, number = numbered(np.diff(panel.starts))
        added = self._added(covariates.known[covariates.starts[series] + number], series)
        values = panel.values * np.exp(-added) if self.log else panel.values - added
        return replace(panel, values=values)

    def restored(self, forecasts: np.ndarray, origins: Origins) -> np.ndarray:
        """Forecasts `[n, horizon]` of the rest with what the covariates add."""
        known = origins.known(0, forecasts.shape[1])
        # a covariate beyond all that was seen must not explode
        added = np.clip(self._added(known, origins.series[:, None]), -self.limit, self.limit)
        added = np.nan_to_num(added)  # of steps beyond those that were asked for, nothing is known
        return forecasts * np.exp(added) if self.log else forecasts + added

    def of_series(self, numbers: Sequence[int | None], scale: np.ndarray) -> "Effects":
        """Those of some series by number; of one that was not there, the mean in its own `scale`."""
        units = np.ones_like(scale) if self.log else scale
        beta = [self.shared * own if n is None else self.beta[n] for n, own in zip(numbers, units, strict=True)]
        return replace(self, beta=np.array(beta).reshape(len(numbers), -1))

    def _added(self, known: np.ndarray, series: np.ndarray) -> np.ndarray:
        return ((known - self.centre) * self.beta[series]).sum(-1)


def effects_of(
    panel: Panel, ends: np.ndarray, season: int, scale: np.ndarray, *, positive: bool = False
) -> Effects | None:
    """The effects of a panel's future covariates, from the values of each series before the places `ends`.

    None where there are no such covariates, or they explain nothing. `scale` is the usual size of a change. What they
    leave has to be `positive` where its logarithms are forecast: then they are shares.
    """
    covariates = panel.covariates
    if covariates is None or not covariates.known.shape[1]:
        return None
    units = np.where(scale > 0, scale, 1.0)
    found = [_fitted(panel.values, units, panel, covariates, ends, season)]
    if panel.positive.all():
        found.append(_fitted(np.log(panel.values), np.ones_like(units), panel, covariates, ends, season))
    log = len(found) > 1 and (positive or found[1].explained > found[0].explained + _LEAST_GAIN)
    fitted = found[log]
    if fitted.explained < _LEAST_GAIN + 0.5 * covariates.known.shape[1] / max(fitted.changes, 1):
        return None
    beta = fitted.beta if log else fitted.beta * units[:, None]
    series, rows = _before(panel, covariates, ends)
    effects = Effects(beta, log, covariates.known[rows].mean(0), fitted.shared)
    if not log:
        return effects
    return replace(effects, limit=2 * float(np.abs(effects._added(covariates.known[rows], series)).max()))


class _Fitted(NamedTuple):
    beta: np.ndarray  # [series, F], in units
    shared: np.ndarray  # [F]
    explained: float  # share of the variance in blocks that were left out
    changes: int  # that it was fitted to


class _Moments(NamedTuple):
    """Sums over the changes of each series and block, `[series, blocks, …]`."""

    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray


def _before(panel: Panel, covariates: Covariates, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the values before some places in the panel: their series, and their places in the covariates."""
    series, number = numbered(np.maximum(ends - panel.starts[:-1], 0))
    return series, covariates.starts[series] + number


def _fitted(
    values: np.ndarray, units: np.ndarray, panel: Panel, covariates: Covariates, ends: np.ndarray, season: int
) -> _Fitted:
    width = covariates.known.shape[1]
    nothing = _Fitted(np.zeros((len(panel), width)), np.zeros(width), 0.0, 0)
    series, changes, regressors, block = _changes(
        values / np.repeat(units, np.diff(panel.starts)), panel, covariates, ends, season
    )
    if len(changes) < 4 * _BLOCKS or not np.abs(regressors).max() > 0:
        return nothing
    first = _chosen(_moments(series, changes, regressors, block, len(panel)), len(panel), len(changes))
    explained = (regressors * first.beta[series]).sum(1)
    rest = changes - explained
    spread = _MOST_SPREAD * np.median(np.abs(rest))
    if spread > 0:  # a few wild changes must not decide
        rest = np.clip(rest, -spread, spread)
        changes = explained + rest
    follows = np.flatnonzero(series[1:] == series[:-1]) + 1
    rho = float(
        np.clip((rest[follows] * rest[follows - 1]).sum() / max((rest[follows - 1] ** 2).sum(), 1e-300), 0, 0.95)
    )
    changes, regressors = (each[follows] - rho * each[follows - 1] for each in (changes, regressors))
    return _chosen(_moments(series[follows], changes, regressors, block[follows], len(panel)), len(panel), len(changes))


def _changes(
    values: np.ndarray, panel: Panel, covariates: Covariates, ends: np.ndarray, season: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each change over a season: its series, its size, that of the covariates, and its block of time."""
    lag = np.where(ends - panel.starts[:-1] > 3 * season, season, 1)
    counts = np.maximum(ends - panel.starts[:-1] - lag, 0)
    series, number = numbered(counts)
    places, back = panel.starts[series] + lag[series] + number, lag[series]
    measured = ~(panel.filled[places] | panel.filled[places - back])
    series, number, places, back = (each[measured] for each in (series, number, places, back))
    beside = places - panel.starts[series] + covariates.starts[series]
    changes = values[places] - values[places - back]
    regressors = covariates.known[beside] - covariates.known[beside - back]
    block = number * _BLOCKS // np.maximum(counts[series], 1)
    return series, changes, regressors, block


def _moments(
    series: np.ndarray, changes: np.ndarray, regressors: np.ndarray, block: np.ndarray, count: int
) -> _Moments:
    rows = count if count <= _MOST_SERIES else 1
    cell = (series if rows > 1 else 0) * _BLOCKS + block
    width = regressors.shape[1]

    def sums(each: np.ndarray) -> np.ndarray:
        return np.bincount(cell, weights=each, minlength=rows * _BLOCKS).reshape(rows, _BLOCKS)

    xx = np.empty((rows, _BLOCKS, width, width))
    for one, other in product(range(width), repeat=2):
        if one <= other:
            xx[..., one, other] = xx[..., other, one] = sums(regressors[:, one] * regressors[:, other])
    xy = np.stack([sums(regressors[:, one] * changes) for one in range(width)], -1)
    return _Moments(xx, xy, sums(changes**2))


def _chosen(moments: _Moments, count: int, changes: int) -> _Fitted:
    """β of so many series from so many changes, shrunk as explains most of the blocks which were left out."""
    rows = len(moments.xx)
    grid = list(product(_TO_ZERO, _TO_ALL if rows > 1 else (np.inf,)))
    lost = np.zeros(len(grid))
    for block in range(_BLOCKS):
        kept = _Moments(*(each.sum(1) - each[:, block] for each in moments))
        for index, strengths in enumerate(grid):
            beta, _ = _solved(kept, *strengths)
            lost[index] += (
                np.einsum("si,sij,sj->", beta, moments.xx[:, block], beta) - 2 * (beta * moments.xy[:, block]).sum()
            )
    best = int(np.argmin(lost))
    beta, shared = _solved(_Moments(*(each.sum(1) for each in moments)), *grid[best])
    beta = np.broadcast_to(beta, (count, beta.shape[1]))
    explained = float(-lost[best] / max(moments.yy.sum(), 1e-300))
    return _Fitted(beta, shared, explained, int(changes))


def _solved(moments: _Moments, to_zero: float, to_all: float) -> tuple[np.ndarray, np.ndarray]:
    """β of each series `[series, F]`, and of all of them `[F]`."""
    total = moments.xx.sum(0)
    own = np.diag(total) + 1e-9 * max(np.trace(total), 1e-300)
    shared = np.linalg.solve(total + np.diag(to_zero * own), moments.xy.sum(0))
    if not np.isfinite(to_all):
        return np.tile(shared, (len(moments.xx), 1)), shared
    weight = np.diag(to_all * own / len(moments.xx))
    beta = np.linalg.solve(moments.xx + weight, (moments.xy + weight @ shared)[..., None])[..., 0]
    return beta, shared
