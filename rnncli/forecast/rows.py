"""Forecasts as rows: for tables, and as JSON types."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnncli.forecast.series import Forecast, Series
from rnncli.forecast.verb_settings import Quantiles
from rnncli.output import csv_text, significant


def forecast_csv(forecasts: list[Forecast], quantiles: Quantiles) -> str:
    """A table with a row for each series and step; all targets of a series stand together."""
    first, several = forecasts[0].series, several_targets([each.series for each in forecasts])
    header = (*keys_of(first, several=several), first.time_name or "step", "forecast", *quantiles.levels)
    rows = []
    for each in _by_series(forecasts):
        id = key_of(each.series, several=several)
        rows += [(*id, *row) for row in texts_of(each, quantiles)]
    return csv_text(header, *rows)


def objects(forecasts: Sequence[Forecast], quantiles: Quantiles) -> Iterator[dict[str, Any]]:
    """The rows of all forecasts as JSON types."""
    several = several_targets([each.series for each in forecasts])
    for each in _by_series(forecasts):
        yield from objects_of(each, quantiles, several=several)


def _by_series(forecasts: Sequence[Forecast]) -> list[Forecast]:
    """In the order of the series, in which they can be shared out and put together again."""
    places: dict[str, int] = {}
    return sorted(forecasts, key=lambda each: places.setdefault(each.series.id, len(places)))


def several_targets(members: Sequence[Series]) -> bool:
    """Whether there is more than one target."""
    return len({each.name for each in members}) > 1


def objects_of(forecast: Forecast, quantiles: Quantiles, *, several: bool) -> list[dict[str, Any]]:
    """The rows of a forecast as JSON types, with the names and the digits of the table."""
    series = forecast.series
    names = (*keys_of(series, several=several), series.time_name or "step")
    key = key_of(series, several=several)
    figures = ("forecast", *quantiles.levels)
    return [
        dict(zip((*names, *figures), (*key, time, *map(float, values)), strict=True))
        for time, *values in texts_of(forecast, quantiles)
    ]


def texts_of(forecast: Forecast, quantiles: Quantiles) -> Iterator[list[str]]:
    """Stamp, value and quantiles of each step ahead, as a table has them."""
    columns = [forecast.values, *quantile_columns(forecast, quantiles).values()]
    for time, *values in zip(forecast.times, *columns, strict=True):
        yield [time, *(significant(float(value), forecast.series.digits) for value in values)]


def quantile_columns(forecast: Forecast, quantiles: Quantiles) -> dict[str, np.ndarray]:
    """The quantiles that were asked for, by column."""
    return {n: forecast.quantiles(level, conformal=quantiles.conformal) for n, level in quantiles.levels.items()}


def keys_of(series: Series, *, several: bool) -> tuple[str, ...]:
    """The names of the columns that tell series apart."""
    return ((series.id_name,) if series.id else ()) + (("target",) if several else ())


def key_of(series: Series, *, several: bool) -> tuple[str, ...]:
    """What stands there."""
    return ((series.id,) if series.id else ()) + ((series.name,) if several else ())
