"""ETS and ARIMA, chosen automatically by statsforecast (Hyndman and Khandakar 2008), as systems.

A model is chosen and fitted once for the origins of a series that are asked for together, on what the first of them
knows; at the later ones, it goes on with the same parameters.
"""

import warnings
from functools import partial
from typing import Any

import numpy as np

from rnncli.errors import DataError
from rnncli.forecast.origins import Origins

_MOST_SEASON = 24  # longer ones take minutes: they are left to the other systems
_LEAST = 8  # values, of fewer nothing can be chosen


def classical_systems(names: tuple[str, ...], horizon: int, season: int) -> dict[str, list[Any]]:
    """The systems of that name, "ets" or "arima"."""
    return {name: [partial(_forecasts, name, horizon=horizon, season=season)] for name in names}


def _forecasts(name: str, origins: Origins, horizon: int, season: int) -> np.ndarray:
    """Forecasts `[n, horizon]`; NaN where nothing can be fitted.

    Raises DataError: statsforecast is not installed.
    """
    try:
        from statsforecast import models  # pyright: ignore[reportMissingImports] - an extra
    except ImportError as error:
        raise DataError(f"`baselines` {name} comes from statsforecast; install rnncli[classical]") from error
    make = {"ets": models.AutoETS, "arima": models.AutoARIMA}[name]
    forecasts = np.full((len(origins), horizon), np.nan)
    for number in np.unique(origins.series):
        rows = np.flatnonzero(origins.series == number)
        rows = rows[np.argsort(origins.ends[rows], kind="stable")]
        begin, values = int(origins.panel.starts[number]), origins.panel.values
        first = values[begin : int(origins.ends[rows[0]])]
        if len(first) < _LEAST:
            continue
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                model = make(season_length=season if 2 * season < len(first) and season <= _MOST_SEASON else 1).fit(
                    first
                )
                for row in rows:
                    past = values[begin : int(origins.ends[row])]
                    forecasts[row] = model.forward(y=past, h=horizon)["mean"]
            except (ValueError, ZeroDivisionError, IndexError, np.linalg.LinAlgError):
                continue  # a series that no such model fits
    return forecasts
