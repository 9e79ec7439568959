"""Errors of forecasts. All arrays are float64 `[n, horizon]`: n forecasts of so many steps ahead."""

import numpy as np


def scores(truth: np.ndarray, forecast: np.ndarray, naive_scale: float) -> dict[str, float | list[float] | None]:
    """The metrics of one system on one part of the data.

    - mse, mae, rmse: in (squares of) the series' own unit;
    - smape: mean 200·|y−ŷ| / (|y|+|ŷ|), in per cent (M4; 0 where both are 0);
    - mape: mean 100·|y−ŷ| / |y|, in per cent; None where a true value is 0;
    - mase: mae over `naive_scale`, the mean in-sample error of the (seasonal) naive forecast (Hyndman & Koehler 2006);
    - mse_by_step, mae_by_step: one figure for each step ahead.
    """
    error = forecast - truth
    square, absolute = np.square(error), np.abs(error)
    size = np.abs(truth) + np.abs(forecast)
    mse, mae = float(square.mean()), float(absolute.mean())
    return {
        "mse": mse,
        "mae": mae,
        "rmse": mse**0.5,
        "smape": float((200 * absolute / np.where(size > 0, size, 1)).mean()),
        "mape": float((100 * absolute / np.abs(truth)).mean()) if (truth != 0).all() else None,
        "mase": mae / naive_scale if naive_scale > 0 else None,
        "mse_by_step": square.mean(0).tolist(),
        "mae_by_step": absolute.mean(0).tolist(),
    }
