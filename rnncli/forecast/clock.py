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
_DAY = pd.Timedelta(days=1)
_UNITS = ((_DAY, "day"), (pd.Timedelta(hours=1), "hour"), (pd.Timedelta(minutes=1), "minute"))


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
        width, start = int(_common_step(whole, stamps)), int(whole.min())
        word = f"{width} units" if width > 1 else "unit"
        return (whole - start) // width, Clock(word, (), lambda position: str(start + width * position))
    if not ((numbers > 1000) & (numbers < 3000)).all():
        return None
    digits = max(len(stamp.replace(".", "").strip("-0")) for stamp in stamps)
    for periods, word in ((2, "half-year"), (4, "quarter"), (12, "month"), (24, "half-month"), (52, "week")):
        # stamps may have been rounded to a few decimals: a twentieth of a step is near enough
        scaled = numbers * periods
        if np.abs(scaled - np.round(scaled)).max() < 0.05:
            whole = np.round(scaled).astype(np.int64)
            start = int(whole.min())
            return whole - start, Clock(word, (periods,), lambda position: f"{(start + position) / periods:.{digits}g}")
    return None


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
        if pd.isna(pd.to_datetime(stamps[0], format=notation, errors="coerce")):
            if pd.isna(pd.to_datetime(stamps[-1], format=notation, errors="coerce")):
                continue
        times = pd.DatetimeIndex(pd.to_datetime(pd.Series(stamps), format=notation, errors="coerce"))
        bad = np.flatnonzero(times.isna())
        if not len(bad):
            return _read_calendar(times, notation)
        nearest = max(nearest, (len(stamps) - len(bad), int(bad[0])))
    fitting, row = nearest
    if fitting * 2 > len(stamps):
        raise DataError(f"row {row + 1}: {stamps[row]!r} is no time like {stamps[row - 1]!r}; mend or remove the row")
    return None


def _read_calendar(times: pd.DatetimeIndex, notation: str) -> tuple[np.ndarray, Clock]:
    ends = times.is_month_end
    same_day = bool((times.day == times.day[0]).all()) or bool(ends.all())
    if same_day and bool((times - times.normalize() == times[0] - times[0].normalize()).all()):
        return _read_months(times, notation, bool(ends.all()) and times.day.max() > times.day.min())
    stamps = [time.strftime(notation) for time in times]
    nanoseconds = times.as_unit("ns").asi8
    width = int(_common_step(nanoseconds, stamps, weekends=bool((times.day_of_week < 5).all())))
    start = times.min()
    if width == _DAY.value and bool((times.day_of_week < 5).all()) and len(times) > 5:
        first = np.datetime64(start.strftime("%Y-%m-%d"), "D")
        positions = np.busday_count(first, times.strftime("%Y-%m-%d").to_numpy().astype("datetime64[D]"))

        def weekday(position: int) -> str:
            return pd.Timestamp(np.busday_offset(first, position)).strftime(notation)

        return positions, Clock("business day", (5, 260), weekday)
    step = pd.Timedelta(width, unit="ns")
    positions = (nanoseconds - nanoseconds.min()) // width
    return positions, Clock(_in_words(step), _seasons(step), lambda position: (start + position * step).strftime(notation))


def _read_months(times: pd.DatetimeIndex, notation: str, month_ends: bool) -> tuple[np.ndarray, Clock]:
    months = np.asarray(times.year * 12 + times.month - 1, np.int64)
    stamps = [time.strftime(notation) for time in times]
    width = int(_common_step(months, stamps))
    start = times.min()

    def stamp(position: int) -> str:
        time = start + pd.DateOffset(months=width * position)
        return (time + pd.offsets.MonthEnd(0) if month_ends else time).strftime(notation)

    word = {1: "month", 3: "quarter", 12: "year"}.get(width, f"{width} months")
    seasons = (12 // width,) if 12 % width == 0 and width < 12 else ()
    return (months - months.min()) // width, Clock(word, seasons, stamp)


def _common_step(times: np.ndarray, stamps: Sequence[str], *, weekends: bool = False) -> np.integer | int:
    """The commonest distance between neighbours in time, of which all others must be multiples."""
    order = np.argsort(times, kind="stable")
    gaps = np.diff(times[order])
    gaps_without_repeats = gaps[gaps > 0]
    if not len(gaps_without_repeats):
        return 1
    width = Counter(gaps_without_repeats.tolist()).most_common(1)[0][0]
    if weekends and width > _DAY.value and width % _DAY.value == 0 and _DAY.value in gaps_without_repeats:
        width = _DAY.value
    odd = np.flatnonzero(gaps % width)
    if len(odd):
        before, after = stamps[order[odd[0]]], stamps[order[odd[0] + 1]]
        usual = int(np.flatnonzero(gaps == width)[0])
        raise Irregular(
            f"time steps are irregular: {after!r} follows {before!r}, but most are as far apart as "
            f"{stamps[order[usual]]!r} and {stamps[order[usual + 1]]!r}; resample the series first, or leave "
            "the time column out"
        )
    return width


def _in_words(step: pd.Timedelta) -> str:
    for unit, word in _UNITS:
        if step % unit == pd.Timedelta(0):
            count = step // unit
            return word if count == 1 else f"{count} {word}s"
    return f"{step.total_seconds():g} seconds"


def _seasons(step: pd.Timedelta) -> tuple[int, ...]:
    """How many steps an hour, a day, a week and a year have, where that is a whole number of at least two."""
    if step == 7 * _DAY:
        return (52,)
    if step % _DAY == pd.Timedelta(0):
        return (7, 365) if step == _DAY else ()
    spans = (pd.Timedelta(hours=1), _DAY, 7 * _DAY)
    return tuple(span // step for span in spans if span % step == pd.Timedelta(0) and span // step > 1)
