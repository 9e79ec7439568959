"""The time column of a series: what its stamps mean, how they step, and which come next.

`read_clock` maps a column of stamps to whole positions on a regular grid, and gives the `Clock` that writes the
stamp of any position in the notation of the input.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from rnncli.errors import DataError

# Notations in the order they are tried; the first that fits all stamps is the one, for reading and for writing.
_FORMATS = (
    "%Y-%m-%d", "%Y-%m", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%fZ",
    "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%z", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m",
    "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%Y",
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%b %Y", "%b-%Y", "%B %Y", "%Y %b", "%d %b %Y", "%d-%b-%Y",
    "%b %d, %Y", "%b %d %Y", "%B %d, %Y",
)  # fmt: skip
_QUARTER = re.compile(r"(\d{4})([- ]?)Q([1-4])")
_SECOND = 10**9  # nanoseconds, the unit of all times here
_MINUTE, _HOUR, _DAY = 60 * _SECOND, 3600 * _SECOND, 86400 * _SECOND
_UNITS = ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute"))


class Clock(NamedTuple):
    """How the time of a series runs."""

    step: str  # from one position to the next, in words: "month", "7 days"
    seasons: tuple[int, ...]  # lengths of the natural seasons, in steps; none where the calendar tells none
    stamp: Callable[[int], str]  # the stamp of a position


class Irregular(DataError):
    """The stamps are times, but do not lie on a regular grid."""


def read_clock(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    """Positions of the stamps `[n]`, in the order given, and their clock; None if they are no times at all.

    Understood: dates and date-times in the usual notations, months, quarters (`1956Q1`), whole numbers, and years
    with decimals (`1956.0833`).

    Raises:
        DataError: most stamps are times but one is not, or the steps between them have no common measure.
    """
    return _read_numbers(stamps) or _read_quarters(stamps) or _read_dates(stamps)


def _read_numbers(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    try:
        numbers = np.array([float(stamp) for stamp in stamps])
    except ValueError:
        return None
    if not np.isfinite(numbers).all() or np.abs(numbers).max() > 1e15:
        return None
    if (numbers == np.round(numbers)).all():
        whole = numbers.astype(np.int64)
        width, start = _common_step(whole, stamps), int(whole.min())
        word = f"{width} units" if width > 1 else "unit"
        return (whole - start) // width, Clock(word, (), lambda position: str(start + width * position))
    if not ((numbers > 1000) & (numbers < 3000)).all():
        return None
    digits = max(len(stamp.replace(".", "").strip("-0")) for stamp in stamps)
    for periods, word in ((2, "half-year"), (4, "quarter"), (12, "month"), (24, "half-month"), (52, "week")):
        # stamps may have been rounded to a few decimals: a twentieth of a step is near enough
        if np.abs(numbers * periods - np.round(numbers * periods)).max() < 0.05:
            return _years(np.round(numbers * periods).astype(np.int64), periods, word, digits)
    return None


def _years(whole: np.ndarray, periods: int, word: str, digits: int) -> tuple[np.ndarray, Clock]:
    """Years with decimals, `periods` to the year."""
    start = int(whole.min())
    return whole - start, Clock(word, (periods,), lambda position: f"{(start + position) / periods:.{digits}g}")


def _read_quarters(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    matches = [_QUARTER.fullmatch(stamp) for stamp in stamps]
    if not all(matches):
        return None
    whole = np.array([int(match[1]) * 4 + int(match[3]) - 1 for match in matches if match])
    start, between = int(whole.min()), matches[0][2] if matches[0] else ""

    def stamp(position: int) -> str:
        year, quarter = divmod(start + position, 4)
        return f"{year}{between}Q{quarter + 1}"

    return whole - start, Clock("quarter", (4,), stamp)


def _read_dates(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    nearest: tuple[int, int] = (0, 0)
    for notation in _FORMATS:
        ends = pd.to_datetime(pd.Series([stamps[0], stamps[-1]]), format=notation, errors="coerce")
        if ends.isna().all():
            continue
        times = pd.DatetimeIndex(pd.to_datetime(pd.Series(stamps), format=notation, errors="coerce"))
        bad = np.flatnonzero(times.isna())
        if not len(bad):
            return _read_calendar(times, notation)
        nearest = max(nearest, (len(stamps) - len(bad), int(bad[0])))
    fitting, row = nearest
    if fitting * 2 > len(stamps):
        like = stamps[row - 1] if row else stamps[-1]
        raise DataError(f"row {row + 1}: {stamps[row]!r} is no time like {like!r}; mend or remove the row")
    return None


def _read_calendar(times: pd.DatetimeIndex, notation: str) -> tuple[np.ndarray, Clock]:
    stamps = list(times.strftime(notation))
    nanoseconds = np.asarray(times.as_unit("ns").asi8)
    days = np.asarray(times.day)
    ends = bool(times.is_month_end.all())
    if (ends or len(set(days)) == 1) and len(set((nanoseconds % _DAY).tolist())) == 1:
        return _read_months(times, stamps, notation, month_ends=ends and len(set(days)) > 1)
    weekdays = bool((np.asarray(times.day_of_week) < 5).all())
    width = _common_step(nanoseconds, stamps, weekends=weekdays)
    start = int(nanoseconds.min())
    if width == _DAY and weekdays and len(times) > 5:
        return _read_business_days(times, notation)

    def stamp(position: int) -> str:
        return pd.Timestamp(start + position * width, tz=times.tz).strftime(notation)

    return (nanoseconds - start) // width, Clock(_in_words(width), _seasons(width), stamp)


def _read_business_days(times: pd.DatetimeIndex, notation: str) -> tuple[np.ndarray, Clock]:
    dates = np.array(times.strftime("%Y-%m-%d"), dtype="datetime64[D]")
    first = dates.min()

    def stamp(position: int) -> str:
        return pd.Timestamp(np.busday_offset(first, position)).strftime(notation)

    return np.busday_count(first, dates), Clock("business day", (5, 260), stamp)


def _read_months(
    times: pd.DatetimeIndex, stamps: Sequence[str], notation: str, *, month_ends: bool
) -> tuple[np.ndarray, Clock]:
    months = np.asarray(times.year * 12 + times.month - 1, np.int64)
    width = _common_step(months, stamps)
    first = pd.Timestamp(int(times.as_unit("ns").asi8.min()), tz=times.tz)

    def stamp(position: int) -> str:
        time = first + pd.DateOffset(months=width * position)
        return (time + pd.offsets.MonthEnd(0) if month_ends else time).strftime(notation)

    word = {1: "month", 3: "quarter", 12: "year"}.get(width, f"{width} months")
    seasons = (12 // width,) if 12 % width == 0 and width < 12 else ()
    return (months - months.min()) // width, Clock(word, seasons, stamp)


def _common_step(times: np.ndarray, stamps: Sequence[str], *, weekends: bool = False) -> int:
    """The commonest distance between neighbours in time, of which all others must be multiples."""
    order = np.argsort(times, kind="stable").tolist()
    gaps = np.diff(times[order])
    forward = gaps[gaps > 0]
    if not len(forward):
        return 1
    width = Counter(forward.tolist()).most_common(1)[0][0]
    if weekends and width > _DAY and width % _DAY == 0 and _DAY in forward:
        width = _DAY
    odd = np.flatnonzero(gaps % width).tolist()
    if odd:
        before, after = stamps[order[odd[0]]], stamps[order[odd[0] + 1]]
        usual = int(np.flatnonzero(gaps == width)[0])
        raise Irregular(
            f"time steps are irregular: {after!r} follows {before!r}, but most are as far apart as "
            f"{stamps[order[usual]]!r} and {stamps[order[usual + 1]]!r}; resample the series first, or leave "
            "the time column out"
        )
    return width


def _in_words(width: int) -> str:
    for unit, word in _UNITS:
        if width % unit == 0:
            return word if width == unit else f"{width // unit} {word}s"
    return f"{width / _SECOND:g} seconds"


def _seasons(width: int) -> tuple[int, ...]:
    """How many steps an hour, a day, a week and a year have, where that is a whole number of at least two."""
    if width == 7 * _DAY:
        return (52,)
    if width % _DAY == 0:
        return (7, 365) if width == _DAY else ()
    return tuple(span // width for span in (_HOUR, _DAY, 7 * _DAY) if span % width == 0 and span > width)
