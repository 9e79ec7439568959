"""Covariates that the time stamps tell: the place in the day, the week, the month and the year; holidays."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rnncli.errors import DataError, ParameterError
from rnncli.forecast.periods import Clock

_HOLIDAY = "holiday"


def names_for(clock: Clock | None, wanted: str, holidays: str | None) -> list[str]:
    """The names of the features that a clock can tell of those that are wanted, in the notation of `calendar`.

    `auto` takes what a season of one of these steps does not have already: the weekday and the place in the year of
    steps up to a day, the place in the year of weeks, the number of working days of months.

    Raises DataError: the stamps belong to no calendar, or a step is too long for a feature.
    """
    names = [] if wanted in ("none", "auto") else wanted.split(",")
    if wanted == "none" and not holidays:
        return []
    if clock is None or clock.moments is None:
        step = "rows are counted" if clock is None else f"a step is one {clock.step}"
        raise DataError(f"`calendar` and `holidays` need a column of dates, and there is none: {step}")
    moments = clock.moments(np.arange(8)).astype("datetime64[us]").astype(np.int64)
    days = np.diff(moments).min() / 86400e6  # of business days, some steps are longer
    most = {"hour": 0.5, "weekday": 1, "monthday": 1, "yearday": 31, "workdays": np.inf}
    if wanted == "auto":
        names = ["weekday", "yearday"] if days <= 1 else ["yearday"] if days <= 7 else []
        names = ["hour", *names] if days < 1 else ["workdays"] if days >= 28 else names
    for name in names:
        if days > most[name]:
            raise DataError(f"`calendar` {name} says nothing of steps of one {clock.step}; leave it out")
    if holidays and days > 1:
        raise DataError(f"`holidays` are days, and a step is one {clock.step}; leave them out")
    return [*names, *([_HOLIDAY] if holidays else [])]


def features(clock: Clock, steps: int, names: Sequence[str], holidays: str | None) -> np.ndarray:
    """The features of the first steps of a clock, float64 `[steps, features]`.

    - hour, yearday: sine and cosine of the share of the day, of the year, once and twice around;
    - weekday: one column for each day but Monday;
    - monthday: sine and cosine of the share of the month, and whether it is its last day;
    - workdays: how many days from Monday to Friday the period has, without its mean of 5 in 7;
    - holiday: whether the day is one.
    """
    assert clock.moments is not None
    times = pd.DatetimeIndex(clock.moments(np.arange(steps + 1)))
    moments, columns = times[:-1], []
    for name in names:
        match name:
            case "hour":
                columns += _around((moments.hour + moments.minute / 60) / 24)
            case "yearday":
                columns += _around((moments.day_of_year - 1) / 365.25)
            case "weekday":
                columns += [moments.day_of_week == day for day in range(1, 7)]
            case "monthday":
                columns += [*_around((moments.day - 1) / moments.days_in_month)[:2], moments.is_month_end]
            case "workdays":
                days = times.to_numpy().astype("datetime64[D]")
                length = np.diff(days).astype(int)
                columns.append(np.busday_count(days[:-1], days[1:]) - length * 5 / 7)
            case _:
                columns.append(_holidays(moments, holidays))
    return np.stack([np.asarray(column, np.float64) for column in columns], 1)


def count_of(names: Sequence[str]) -> int:
    """How many columns `features` has."""
    columns = {"hour": 4, "yearday": 4, "weekday": 6, "monthday": 3}
    return sum(columns.get(name, 1) for name in names)


def _around(share: pd.Index) -> list[np.ndarray]:
    angle = 2 * np.pi * np.asarray(share, np.float64)
    return [wave(times * angle) for times in (1, 2) for wave in (np.sin, np.cos)]


def _holidays(moments: pd.DatetimeIndex, where: str | None) -> np.ndarray:
    """Raises DataError: the package that knows holidays is missing. Raises ParameterError: it does not know these."""
    try:
        import holidays
    except ImportError as error:
        raise DataError("`holidays` come from a package that is not installed; install rnncli[holidays]") from error
    assert where is not None
    country, _, part = where.upper().partition("-")
    years = range(*(int(year) for year in np.asarray(moments.year)[[0, -1]] + [0, 1]))
    try:
        known = holidays.country_holidays(country, subdiv=part or None, years=years)
    except (NotImplementedError, KeyError) as error:
        raise ParameterError(
            f"`holidays` {where!r} are not known; give a country like DE, or a part like US-CA"
        ) from error
    days = pd.DatetimeIndex(sorted(known)).to_numpy().astype("datetime64[D]")
    return np.isin(moments.to_numpy().astype("datetime64[D]"), days)
