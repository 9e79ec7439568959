"""Errors of forecasts. All arrays are float64 `[n, horizon]`: n forecasts of so many steps ahead."""

import numpy as np


def scores(
    truth: np.ndarray, forecast: np.ndarray, naive_scale: float, observed: np.ndarray | None = None
) -> dict[str, float | list[float | None] | None]:
    """The metrics of one system on one part of the data; over the values that were `observed`, if not all.

    - mse, mae, rmse: in (squares of) the series' own unit;
    - smape: mean 200·|y−ŷ| / (|y|+|ŷ|), in per cent (M4; 0 where both are 0);
    - mape: mean 100·|y−ŷ| / |y|, in per cent; None where a true value is 0;
    - mase: mae over `naive_scale`, the mean in-sample error of the (seasonal) naive forecast (Hyndman & Koehler 2006);
    - mse_by_step, mae_by_step: one figure for each step ahead; None where none was observed.
    """
    observed = np.ones(truth.shape, bool) if observed is None else observed
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


def _by_step(errors: np.ndarray, observed: np.ndarray) -> list[float | None]:
    columns = zip(errors.T, observed.T, strict=True)
    return [float(column[seen].mean()) if seen.any() else None for column, seen in columns]
