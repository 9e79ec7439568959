"""Exponential smoothing: Theta, damped trends and Holt-Winters, for many series and many origins in one pass.

All three are one recurrence (Hyndman et al. 2008, the error-correction form of ETS(A,Ad,A)) over the values y:

    e_t = y_t - (l_{t-1} + phi·b_{t-1} + s_{t-m})
    l_t = l_{t-1} + phi·b_{t-1} + alpha·e_t
    b_t = phi·b_{t-1} + alpha·beta·e_t
    s_t = s_{t-m} + gamma·(1 - alpha)·e_t

It runs for a grid of parameters at once, and notes its state wherever a forecast begins; the parameters with the least
sum of squares e² until then forecast from there. A thousand origins of a series cost one pass.

What the parameters start from (seasonal indices, the trend line) is taken from the values before the first of a group
of origins; a new group begins once there is a twentieth more data.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rnncli.forecast.origins import Origins
from rnncli.forecast.season import lagged_products

_MORE_DATA = 1.05  # the factor of data from which on the start of a recurrence is taken anew
_STATES = 100_000  # groups in one pass, times the seasonal indices of each: bounds the memory


class Grid(NamedTuple):
    """Parameters that are tried, `[G]` each."""

    alpha: np.ndarray
    beta: np.ndarray
    phi: np.ndarray  # 0: no trend
    gamma: np.ndarray

    @classmethod
    def of(cls, alphas: list[float], trends: list[tuple[float, float]], gammas: list[float]) -> "Grid":
        """Every combination; a trend is (beta, phi)."""
        rows = [(alpha, beta, phi, gamma) for alpha in alphas for beta, phi in trends for gamma in gammas]
        return cls(*np.array(rows).T)


_NO_TREND = (0.0, 0.0)
_LEVELS = [round(0.02 + 0.04 * step, 2) for step in range(25)]
_THETA = Grid.of(_LEVELS, [_NO_TREND], [0.0])
_DAMPED = Grid.of(
    [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99],
    [_NO_TREND, *((beta, phi) for beta in (0.02, 0.05, 0.1, 0.2, 0.4) for phi in (0.8, 0.9, 0.95, 0.98))],
    [0.0],
)
_HOLT_WINTERS = Grid.of(
    [0.05, 0.15, 0.3, 0.5, 0.8], [_NO_TREND, (0.05, 0.9), (0.2, 0.9), (0.05, 0.98)], [0.0, 0.1, 0.25, 0.5]
)


def theta(origins: Origins, horizon: int, season: int, *, log: bool = False) -> np.ndarray:
    """The Theta method (Assimakopoulos and Nikolopoulos 2000), `[n, horizon]`.

    The mean of the trend line and of simple exponential smoothing of the values with twice their distance to it, of
    seasonally adjusted values. `log`: of the logarithms, where all values of a series are positive.
    """
    return _forecasts(origins, horizon, season, log, _theta)


def damped(origins: Origins, horizon: int, season: int, *, log: bool = False) -> np.ndarray:
    """Exponential smoothing with a damped trend (Gardner and McKenzie 1985) of seasonally adjusted values."""
    return _forecasts(origins, horizon, season, log, _damped)


def holt_winters(origins: Origins, horizon: int, season: int, *, log: bool = False) -> np.ndarray:
    """Holt-Winters: level, damped trend and season are smoothed together (Winters 1960)."""
    return _forecasts(origins, horizon, season, log, _holt_winters)


@dataclass(frozen=True)
class _Group:
    """Series from their beginnings on, one a row, and where in them forecasts begin."""

    values: np.ndarray  # [R, T]; NaN after the end of a row
    known: np.ndarray  # [R], how many values the first origin of each row knows
    rows: np.ndarray  # of each origin, [n], in order of `times`
    times: np.ndarray  # how many values of its row each origin knows, [n]

    def before(self) -> np.ndarray:
        """What the first origin of each row knows, `[R, T]`; NaN elsewhere."""
        return np.where(np.arange(self.values.shape[1]) < self.known[:, None], self.values, np.nan)


Method = Callable[[_Group, int, int], np.ndarray]


def _forecasts(origins: Origins, horizon: int, season: int, log: bool, method: Method) -> np.ndarray:
    """Forecasts of a method, the origins being grouped."""
    memory = max(600, 6 * season)
    order = np.lexsort((origins.ends, origins.series))
    lengths, series = origins.lengths[order], origins.series[order]
    first = np.zeros(len(order), np.int64)  # of each origin's group, in `order`
    for index in range(1, len(order)):
        start = first[index - 1]
        same = series[index] == series[start] and lengths[index] <= _MORE_DATA * lengths[start]
        first[index] = start if same else index
    heads, rows = np.unique(first, return_inverse=True)
    result = np.empty((len(order), horizon))
    count = max(1, _STATES // max(season, 24))
    for row in range(0, len(heads), count):
        inside = (rows >= row) & (rows < row + count)
        part, members = order[inside], rows[inside] - row
        known = lengths[heads[row : row + count]]
        cut = np.maximum(known - memory, 0)  # what is older is forgotten
        begins = origins.begins[part] + cut[members]
        result[part] = _of_group(origins, part, begins, members, known - cut, horizon, season, log, method)
    return result


def _of_group(
    origins: Origins,
    part: np.ndarray,
    begins: np.ndarray,
    members: np.ndarray,
    known: np.ndarray,
    horizon: int,
    season: int,
    log: bool,
    method: Method,
) -> np.ndarray:
    times = origins.ends[part] - begins
    ends, starts = np.zeros(len(known), np.int64), np.zeros(len(known), np.int64)
    np.maximum.at(ends, members, times)
    starts[members] = begins
    time = np.arange(ends.max())
    places = np.minimum(starts[:, None] + time, len(origins.panel.values) - 1)
    values = np.where(time < ends[:, None], origins.panel.values[places], np.nan)
    order = np.argsort(times, kind="stable")
    group = _Group(values, known, members[order], times[order])
    if not log:
        forecasts = method(group, horizon, season)
    else:
        positive = np.nanmin(values, 1) > 0
        logs = np.log(np.where(positive[:, None], values, 1.0))
        logs = np.where(np.isnan(values), np.nan, logs)
        forecasts = _from_logs(method(replace(group, values=logs), horizon, season), logs, group.rows)
        if not positive.all():
            forecasts = np.where(positive[group.rows][:, None], forecasts, method(group, horizon, season))
    result = np.empty_like(forecasts)
    result[order] = forecasts
    return result


def _from_logs(forecasts: np.ndarray, logs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Back from logarithms, which may go beyond the past by as much as that spans: a trend must not explode."""
    low, high = np.nanmin(logs, 1)[rows][:, None], np.nanmax(logs, 1)[rows][:, None]
    return np.exp(np.clip(forecasts, 2 * low - high, 2 * high - low))


def _theta(group: _Group, horizon: int, season: int) -> np.ndarray:
    adjusted, indices = _adjusted(group, season)
    slope, intercept = _lines(replace(group, values=adjusted).before())
    line = intercept[:, None] + slope[:, None] * np.arange(adjusted.shape[1])
    doubled = 2 * adjusted - line
    level = _smooth(replace(group, values=doubled), _THETA, horizon, doubled[:, 0], np.zeros(len(slope)))
    ahead = group.times[:, None] + np.arange(horizon)
    trend = intercept[group.rows][:, None] + slope[group.rows][:, None] * ahead
    return (level + trend) / 2 + _ahead(indices, group, horizon)


def _damped(group: _Group, horizon: int, season: int) -> np.ndarray:
    adjusted, indices = _adjusted(group, season)
    last = np.minimum(group.known, 5) - 1
    trend = (adjusted[np.arange(len(last)), last] - adjusted[:, 0]) / np.maximum(last, 1)
    forecasts = _smooth(replace(group, values=adjusted), _DAMPED, horizon, adjusted[:, 0], trend)
    return forecasts + _ahead(indices, group, horizon)


def _holt_winters(group: _Group, horizon: int, season: int) -> np.ndarray:
    indices = _seasonal_indices(group.before(), season)
    first, second = group.values[:, :season], group.values[:, season : 2 * season]
    two = (group.known >= 2 * season) & (season > 1)
    mean = np.where(np.arange(first.shape[1]) < group.known[:, None], first, np.nan)
    level, trend = np.nanmean(mean, 1), np.zeros(len(first))
    if two.any():
        trend[two] = (second[two].mean(1) - first[two].mean(1)) / season
    # the level before the first step, from the one in the middle of the first season
    return _smooth(group, _HOLT_WINTERS, horizon, level - trend * (season - 1) / 2, trend, indices)


def _smooth(
    group: _Group,
    grid: Grid,
    horizon: int,
    level: np.ndarray,
    trend: np.ndarray,
    indices: np.ndarray | None = None,
) -> np.ndarray:
    """The recurrence, from a level and a trend `[R]` and seasonal indices `[R, m]`; forecasts `[n, horizon]`."""
    alpha, beta, phi, gamma = grid
    size, count = len(level), len(alpha)
    b = trend[:, None] * (phi > 0)
    l = level[:, None] - (phi * b if indices is None else 0.0)  # noqa: E741 - the recurrence's own name
    seasonal = None if indices is None else np.repeat(indices[:, None, :], count, axis=1)
    squares = np.zeros((size, count))
    result = np.empty((len(group.times), horizon))
    steps = np.cumsum(phi[:, None] ** np.arange(1, horizon + 1), axis=1)  # [G, horizon]
    bounds = np.searchsorted(group.times, np.arange(group.values.shape[1] + 2))
    for time in range(group.values.shape[1]):
        base = l + phi * b
        phase = 0 if seasonal is None else time % seasonal.shape[2]
        error = group.values[:, time : time + 1] - base
        if seasonal is not None:
            error = error - seasonal[:, :, phase]
        squares += error * error
        l = base + alpha * error  # noqa: E741
        b = phi * b + alpha * beta * error
        if seasonal is not None:
            seasonal[:, :, phase] += gamma * (1 - alpha) * error
        here = slice(bounds[time + 1], bounds[time + 2])
        rows = group.rows[here]
        if len(rows):
            best = squares[rows].argmin(1)
            result[here] = l[rows, best][:, None] + b[rows, best][:, None] * steps[best]
            if seasonal is not None:
                phases = (time + 1 + np.arange(horizon)) % seasonal.shape[2]
                result[here] += seasonal[rows, best][:, phases]
    return result


def _lines(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and intercept `[R]` of the least-squares lines through rows with NaN."""
    known = ~np.isnan(values)
    count = known.sum(1)
    time = np.arange(values.shape[1])
    middle, mean = (known * time).sum(1) / count, np.nansum(values, 1) / count
    apart = np.where(known, time - middle[:, None], 0.0)
    slope = (apart * np.where(known, values, 0.0)).sum(1) / np.maximum((apart * apart).sum(1), 1e-300)
    return slope, mean - slope * middle


def _adjusted(group: _Group, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Values without their season, where one is significant, and its indices `[R, m]`."""
    before = group.before()
    indices = _seasonal_indices(before, season) * _is_seasonal(before, season)[:, None]
    return group.values - indices[:, np.arange(group.values.shape[1]) % indices.shape[1]], indices


def _ahead(indices: np.ndarray, group: _Group, horizon: int) -> np.ndarray:
    """The seasonal indices of the steps ahead, `[n, horizon]`."""
    phases = (group.times[:, None] + np.arange(horizon)) % indices.shape[1]
    return indices[group.rows[:, None], phases]


def _seasonal_indices(values: np.ndarray, season: int) -> np.ndarray:
    """Indices `[R, m]` by the classical decomposition: mean distances to a centred moving average; 0 without any."""
    rows, size = values.shape
    weights = np.ones(season) / season if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5] / season
    if season < 2 or size < len(weights):
        return np.zeros((rows, max(1, season)))
    half = len(weights) // 2
    distance = values[:, half : size - half] - sliding_window_view(values, len(weights), axis=1) @ weights
    phases = (half + np.arange(distance.shape[1])) % season
    known = ~np.isnan(distance)
    sums, counts = np.zeros((rows, season)), np.zeros((rows, season))
    for phase in range(season):
        here = phases == phase
        sums[:, phase] = np.where(known[:, here], distance[:, here], 0.0).sum(1)
        counts[:, phase] = known[:, here].sum(1)
    indices = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return indices - indices.mean(1, keepdims=True)


def _is_seasonal(values: np.ndarray, season: int) -> np.ndarray:
    """Whether the autocorrelation at the season is significant at 90 % (the test of the M4 competition), `[R]`."""
    known = ~np.isnan(values)
    count = known.sum(1)
    if season < 2 or season >= values.shape[1]:
        return np.zeros(len(values), bool)
    centred = np.where(known, values - np.nanmean(values, 1, keepdims=True), 0.0)
    correlation = lagged_products(centred, season)
    correlation = correlation / np.maximum(correlation[:, :1], 1e-300)
    limit = 1.645 * np.sqrt((1 + 2 * np.square(correlation[:, 1:season]).sum(1)) / np.maximum(count, 1))
    return (np.abs(correlation[:, season]) > limit) & (count >= 2 * season + 2)
