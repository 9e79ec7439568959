"""Errors of forecasts. All arrays are float64 `[n, horizon]`: n forecasts of so many steps ahead.

- mse, mae, rmse: in (squares of) the series' own unit;
- smape: mean 200·|y−ŷ| / (|y|+|ŷ|), in per cent (M4; 0 where both are 0);
- mape: mean 100·|y−ŷ| / |y|, in per cent; None where a true value is 0;
- mase: mae over the mean in-sample error of the (seasonal) naive forecast (Hyndman & Koehler 2006); None where that
  is 0;
- mse_by_step, mae_by_step: one figure for each step ahead; None where none was observed.

All are means over the true values that are no NaN.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnncli.forecast.origins import Origins

METRICS = ("mse", "mae", "rmse", "smape", "mape", "mase")


@dataclass(frozen=True)
class Scores:
    """The metrics of one system for each of some series.

    NaN where one has no such figure, infinite where its forecasts are not known.
    """

    numbers: np.ndarray  # of the series, int `[k]`
    figures: dict[str, np.ndarray]  # by name, `[k]`, or by step `[k, horizon]`

    def of(self, place: int) -> dict[str, Any]:
        """Those of one series, by its place in `numbers`, as JSON types."""
        return {name: _plain(each[place]) for name, each in self.figures.items()}

    def mean(self) -> dict[str, Any]:
        """The means over the series; of a metric that some series lack, over those that have it."""
        known = {name: ~np.isnan(each) for name, each in self.figures.items()}
        return {
            name: _plain(_divided(np.where(known[name], each, 0.0).sum(0), known[name].sum(0)))
            for name, each in self.figures.items()
        }


class BySeries(Mapping[int, dict[str, dict[str, Any]]]):
    """The metrics of every system, by the number of a series. They are written out where they are asked for."""

    def __init__(self, systems: Mapping[str, Scores]):
        """`systems` have the same series."""
        self._systems = systems
        numbers = next((each.numbers for each in systems.values()), np.zeros(0, int))
        self._places = {int(number): place for place, number in enumerate(numbers)}

    def __getitem__(self, number: int) -> dict[str, dict[str, Any]]:
        place = self._places[number]
        return {name: each.of(place) for name, each in self._systems.items()}

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def scores(truth: np.ndarray, forecast: np.ndarray, naive_scale: float) -> dict[str, Any]:
    """The metrics of one system on one series; `naive_scale` is the error that mase is told in."""
    return _scores(truth, forecast, np.zeros(1, int), np.array([naive_scale]), np.zeros(1, int)).of(0)


def scores_by_series(origins: Origins, forecast: np.ndarray, scale: np.ndarray) -> Scores:
    """The metrics of one system for each series that has origins; `scale` is what mase is told in, `[series]`."""
    truth = origins.future(forecast.shape[1], observed=True)
    order = np.argsort(origins.series, kind="stable")
    numbers, firsts = np.unique(origins.series[order], return_index=True)
    return _scores(truth[order], forecast[order], firsts, scale[numbers], numbers)


def _scores(
    truth: np.ndarray, forecast: np.ndarray, firsts: np.ndarray, scale: np.ndarray, numbers: np.ndarray
) -> Scores:
    """The metrics of series whose rows begin at `firsts`."""
    if not len(firsts):
        return Scores(numbers, {})
    observed = ~np.isnan(truth)
    size, error = np.abs(truth), np.where(observed, forecast - truth, 0.0)
    error = np.where(np.isnan(error), np.inf, error)
    counts = np.add.reduceat(observed, firsts, axis=0, dtype=int)

    def by_step(errors: np.ndarray) -> np.ndarray:
        return _divided(np.add.reduceat(errors, firsts, axis=0), counts)

    def mean(errors: np.ndarray) -> np.ndarray:
        rows = np.where(observed, errors, 0.0).sum(1)
        return _divided(np.add.reduceat(rows, firsts), counts.sum(1))

    square, absolute = np.square(error), np.abs(error)
    mse, mae = mean(square), mean(absolute)
    both = size + np.abs(forecast)
    with np.errstate(invalid="ignore"):
        smape = mean(200 * absolute / np.where(both > 0, both, 1))
        relative = 100 * absolute / np.where(size == 0, np.nan, size)
    figures = {"mse": mse, "mae": mae, "rmse": np.sqrt(mse), "smape": smape, "mape": mean(relative)}
    figures["mase"] = np.divide(mae, scale, out=np.full(len(scale), np.nan), where=scale > 0)
    return Scores(numbers, figures | {"mse_by_step": by_step(square), "mae_by_step": by_step(absolute)})


def _divided(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means from sums; NaN where there is nothing."""
    return np.divide(sums, counts, out=np.full(np.shape(sums), np.nan), where=np.asarray(counts) > 0)


def _plain(figures: np.ndarray) -> Any:
    """A figure, or a list of some; None where there is none."""
    if np.ndim(figures):
        return [each if math.isfinite(each) else None for each in figures.tolist()]
    return float(figures) if np.isfinite(figures) else None
