"""Errors of forecasts. All arrays are float64 `[n, horizon]`: n forecasts of so many steps ahead."""

from typing import Any

import numpy as np

from rnncli.forecast.origins import Origins

METRICS = ("mse", "mae", "rmse", "smape", "mape", "mase")


def scores(truth: np.ndarray, forecast: np.ndarray, naive_scale: float) -> dict[str, Any]:
    """The metrics of one system on one part of the data; over the true values that are no NaN.

    - mse, mae, rmse: in (squares of) the series' own unit;
    - smape: mean 200·|y−ŷ| / (|y|+|ŷ|), in per cent (M4; 0 where both are 0);
    - mape: mean 100·|y−ŷ| / |y|, in per cent; None where a true value is 0;
    - mase: mae over `naive_scale`, the mean in-sample error of the (seasonal) naive forecast (Hyndman & Koehler 2006);
    - mse_by_step, mae_by_step: one figure for each step ahead; None where none was observed.
    """
    observed = ~np.isnan(truth)
    error = forecast - truth
    square, absolute = np.square(error), np.abs(error)
    size = np.abs(truth) + np.abs(forecast)
    mse, mae = float(square[observed].mean()), float(absolute[observed].mean())
    relative = 100 * absolute[observed] / np.where(truth[observed] == 0, np.nan, np.abs(truth[observed]))
    return {
        "mse": mse,
        "mae": mae,
        "rmse": mse**0.5,
        "smape": float((200 * absolute / np.where(size > 0, size, 1))[observed].mean()),
        "mape": None if np.isnan(relative).any() else float(relative.mean()),
        "mase": mae / naive_scale if naive_scale > 0 else None,
        "mse_by_step": _by_step(square, observed),
        "mae_by_step": _by_step(absolute, observed),
    }


def scores_by_series(origins: Origins, forecast: np.ndarray, scale: np.ndarray) -> dict[int, dict[str, Any]]:
    """The metrics of one system for each series that has origins, by its number."""
    truth = origins.future(forecast.shape[1], observed=True)
    order = np.argsort(origins.series, kind="stable")
    numbers, firsts = np.unique(origins.series[order], return_index=True)
    groups = np.split(order, firsts[1:])
    return {
        int(number): scores(truth[rows], forecast[rows], float(scale[number]))
        for number, rows in zip(numbers, groups, strict=True)
    }


def mean_scores(each: list[dict[str, Any]]) -> dict[str, Any]:
    """The means over series; of a metric that some series lack, over those that have it."""
    if len(each) == 1:
        return each[0]
    means: dict[str, Any] = {}
    for name in METRICS:
        known = [one[name] for one in each if one[name] is not None]
        means[name] = float(np.mean(known)) if known else None
    for name in ("mse_by_step", "mae_by_step"):
        columns = zip(*(one[name] for one in each), strict=True)
        found = [[value for value in column if value is not None] for column in columns]
        means[name] = [float(np.mean(known)) if known else None for known in found]
    return means


def _by_step(errors: np.ndarray, observed: np.ndarray) -> list[float | None]:
    columns = zip(errors.T, observed.T, strict=True)
    return [float(column[seen].mean()) if seen.any() else None for column, seen in columns]
