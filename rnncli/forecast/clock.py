"""The time column of a series: what its stamps mean, how they step, and which come next.

`read_clock` maps a column of stamps to whole positions on a regular grid, and gives the `Clock` that writes the
stamp of any position in the notation of the input.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import numpy as np
import pandas as pd
from dateutil import parser

from rnncli.errors import DataError
from rnncli.forecast.periods import (
    DAY,
    Clock,
    Irregular,
    common_step,
    months_from,
    read_quarters,
    read_short_years,
    read_weeks,
)
from rnncli.forecast.stamps import Writer, in_offsets, plainly, writer_of
from rnncli.notation import is_number

# Notations in the order they are tried; the first that fits all stamps is the one, for reading and for writing.
_FORMATS = (
    "%Y-%m-%d", "%Y-%m", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%fZ",
    "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M%z", "%Y-%m-%dT%H:%M%z",
    "%Y-%m-%d %H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S.%f%z", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m",
    "%d-%m-%Y", "%d-%m-%Y %H:%M", "%d-%m-%Y %H:%M:%S", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%Y", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%b %Y",
    "%b-%Y", "%B %Y", "%Y %b", "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%b %d %Y", "%B %d, %Y",
)  # fmt: skip
_EPOCH = {10: 10**6, 13: 10**3}  # seconds and milliseconds since 1970 by their number of digits, in microseconds
_COMPACT = {8: "%Y%m%d", 6: "%Y%m"}  # whole numbers that are dates, by their number of digits
_DEFAULTS = datetime(2000, 1, 1), datetime(2001, 2, 2)
_DAYS_OF_MONTH = pd.offsets.MonthEnd(0), pd.offsets.BMonthEnd(0), pd.offsets.BMonthBegin(0)
_SECOND = 10**6  # microseconds, the unit of all times here
_MINUTE, _HOUR = 60 * _SECOND, 3600 * _SECOND
_UNITS = ((DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute"))


def read_clock(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    """Positions of the stamps `[n]`, in the order given, and their clock; None if they are no times at all.

    Understood: dates and date-times in the usual notations, months, quarters (`1956Q1`), weeks (`2024-W05`), months of
    numbered years (`1-01`), seconds and milliseconds since 1970, whole numbers, and years with decimals (`1956.0833`).
    Raises DataError where most stamps are times but one is not, or the steps between
    them have no common measure.
    """
    try:
        for reader in (_read_compact, _read_epoch, _read_numbers, read_quarters, read_weeks, read_short_years):
            reading = reader(stamps)
            if reading is not None:
                return reading
        return _read_dates(stamps)
    except (OverflowError, pd.errors.OutOfBoundsDatetime) as error:
        raise DataError(f"a time stamp is too far away to compute with: {error}") from error


def _no_time(stamps: Sequence[str], row: int) -> DataError:
    """The error of a stamp unlike the one before it (unlike the last one, if it is the first)."""
    return DataError(f"row {row + 1}: {stamps[row]!r} is no time like {stamps[row - 1]!r}; mend or remove the row")


def _read_compact(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    """Dates written as one number: 20240131, 202401."""
    notation = _COMPACT.get(len(stamps[0]))
    if notation is None or not all(stamp.isdecimal() and "1500" < stamp < "2500" for stamp in stamps):
        return None
    times = pd.to_datetime(pd.Series(stamps), format=notation, errors="coerce")
    return None if times.isna().any() else _read_calendar(pd.DatetimeIndex(times), plainly(notation))


def _read_numbers(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    numbers = np.array([float(stamp) if is_number(stamp) else np.nan for stamp in stamps])
    bad = np.flatnonzero(~np.isfinite(numbers))
    if 2 * len(bad) >= len(numbers):
        return None
    if len(bad):
        raise _no_time(stamps, int(bad[0]))
    if np.abs(numbers).max() > 1e15:
        return None
    if (numbers == np.round(numbers)).all():
        whole = numbers.astype(np.int64)
        width, start = common_step(whole, stamps), int(whole.min())
        word = f"{width} units" if width > 1 else "unit"
        return (whole - start) // width, Clock(word, (), lambda position: str(start + width * position))
    if not ((numbers > 1000) & (numbers < 3000)).all():
        return None
    for periods in (1, 2, 4, 12, 24, 52):
        # stamps may have been rounded to a few decimals: a twentieth of a step is near enough
        scaled = (numbers - numbers[0]) * periods
        if np.abs(scaled - np.round(scaled)).max() < 0.05:
            return _years(stamps, numbers, periods)
    return None


def _years(stamps: Sequence[str], numbers: np.ndarray, periods: int) -> tuple[np.ndarray, Clock]:
    """Years with decimals, `periods` to the year."""
    first = float(numbers.min())
    whole = np.round((numbers - first) * periods).astype(np.int64)
    width = common_step(whole, stamps)
    digits = max(len(stamp.replace(".", "").strip("-0")) for stamp in stamps)
    on_grid = abs(first * periods - round(first * periods)) < 0.05
    start = round(first * periods) / periods if on_grid else first  # undo the rounding of the first stamp
    year = periods / width
    words = {1: "year", 2: "half-year", 4: "quarter", 12: "month", 24: "half-month", 52: "week"}
    word = words.get(round(year), f"{width / periods:g} years")
    seasons = (round(year),) if year > 1 and year == round(year) else ()
    return whole // width, Clock(word, seasons, lambda position: f"{start + position * width / periods:.{digits}g}")


def _read_epoch(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    """Seconds or milliseconds since 1970, of this century."""
    unit = _EPOCH.get(len(stamps[0]))
    if unit is None or not all(stamp.isdecimal() and len(stamp) == len(stamps[0]) for stamp in stamps):
        return None
    numbers = np.array(stamps, dtype=np.int64)
    times = pd.to_datetime(pd.Series(numbers * unit), unit="us")
    if times.min().year < 2001:
        return None
    positions, clock = _read_calendar(pd.DatetimeIndex(times), plainly("%Y-%m-%d %H:%M:%S"))

    def stamp(position: int) -> str:
        # the epoch begins in 1970 in UTC, which is how the calendar was read
        moment = pd.Timestamp(clock.stamp(position))
        return str(moment.value // 1000 // unit)

    return positions, clock._replace(stamp=stamp, note=f"{stamps[0]!r} was read as {clock.stamp(0)} UTC")


def _read_dates(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    fitting: list[str] = []
    most, row = 0, 0  # how many stamps the nearest notation fits, and the first that it does not
    for notation in _FORMATS:
        ends = pd.to_datetime(pd.Series([stamps[0], stamps[-1]]), format=notation, errors="coerce", utc=True)
        if ends.isna().all():
            continue
        times = pd.to_datetime(pd.Series(stamps), format=notation, errors="coerce", utc=True)
        bad = np.flatnonzero(times.isna())
        if not len(bad):
            fitting.append(notation)
        else:
            most, row = max((most, row), (len(stamps) - len(bad), int(bad[0])))
    if fitting:
        return _likeliest(stamps, fitting)
    if most * 2 > len(stamps):
        raise _no_time(stamps, row)
    return _read_loosely(stamps)


def _read_loosely(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    """Dates in any words that dateutil understands, where each names its day, month and year; written as ISO dates."""
    times = []
    for stamp in stamps:
        try:
            # what a stamp does not name is that of the default: two of them tell
            one, other = (parser.parse(stamp, default=default) for default in _DEFAULTS)
        except (ValueError, OverflowError):
            return None
        if one != other or not any(map(str.isalpha, stamp)):
            return None
        times.append(one)
    if len({time.utcoffset() for time in times}) > 1:
        return None
    whole_days = all(time.time() == _DEFAULTS[0].time() for time in times)
    notation = "%Y-%m-%d" if whole_days else "%Y-%m-%d %H:%M:%S"
    positions, clock = _read_calendar(pd.DatetimeIndex(times), plainly(notation))
    return positions, clock._replace(note=f"{stamps[0]!r} was read as {clock.stamp(int(positions[0]))}")


def _likeliest(stamps: Sequence[str], notations: Sequence[str]) -> tuple[np.ndarray, Clock]:
    """Of the notations that fit all stamps (02/01/2015!) the one that leaves out the fewest steps."""
    readings: list[tuple[np.ndarray, Clock]] = []
    irregular: Irregular | None = None
    for notation in notations:
        times = pd.to_datetime(pd.Series(stamps), format=notation, utc=True)
        index = pd.DatetimeIndex(times.dt.tz_localize(None))
        if notation.endswith("%z"):
            index, write = in_offsets(stamps, notation, index)
        else:
            write = writer_of(notation, stamps, index)
        try:
            readings.append(_read_calendar(index, write))
        except Irregular as error:
            irregular = error
    if not readings:
        assert irregular is not None
        raise irregular
    best = min(range(len(readings)), key=lambda index: int(readings[index][0].max()))
    positions, clock = readings[best]
    if len(notations) > 1:
        clock = clock._replace(note=f"{stamps[0]!r} was read as {notations[best]}, which leaves the fewest gaps")
    return positions, clock


def _read_calendar(times: pd.DatetimeIndex, write: Writer) -> tuple[np.ndarray, Clock]:
    stamps = [write(time) for time in times]
    microseconds = np.asarray(times.as_unit("us").asi8)
    days = np.asarray(times.day)
    if len(set((microseconds % DAY).tolist())) == 1:
        if len(set(days)) == 1:
            return _read_months(times, stamps, write)
        firsts = times.normalize() - pd.to_timedelta(days - 1, unit="D")
        apart = len(firsts.unique()) == len(times.unique()) > 2  # one in each month
        for day in _DAYS_OF_MONTH:
            if (apart or day == _DAYS_OF_MONTH[0]) and bool((firsts + day == times.normalize()).all()):
                return _read_months(times, stamps, write, day)
    weekdays = bool((np.asarray(times.day_of_week) < 5).all())
    width = common_step(microseconds, stamps, weekends=weekdays)
    start = int(microseconds.min())
    if width == DAY and weekdays and len(times) > 5:
        return _read_business_days(times, write)

    def stamp(position: int) -> str:
        return write(_moment(start + position * width, times))

    def moments(places: np.ndarray) -> np.ndarray:
        index = pd.DatetimeIndex((start + places * width).astype("datetime64[us]"))
        local = index.tz_localize("UTC").tz_convert(times.tz).tz_localize(None) if times.tz else index
        return local.to_numpy()

    return (microseconds - start) // width, Clock(_in_words(width), _seasons(width), stamp, moments=moments)


def _moment(microseconds: int, times: pd.DatetimeIndex) -> pd.Timestamp:
    """A time in the zone of `times`."""
    try:
        moment = pd.Timestamp(microseconds, unit="us", tz="UTC" if times.tz else None)
        return cast(pd.Timestamp, moment.tz_convert(times.tz) if times.tz else moment)
    except (OverflowError, ValueError) as error:
        raise DataError(f"the forecast runs out of the calendar: {error}; shorten `horizon`") from error


def _read_business_days(times: pd.DatetimeIndex, write: Writer) -> tuple[np.ndarray, Clock]:
    dates = np.array(times.strftime("%Y-%m-%d"), dtype="datetime64[D]")
    first = dates.min()
    time_of_day = times[0] - times[0].normalize()

    def stamp(position: int) -> str:
        day = pd.Timestamp(np.busday_offset(first, position), tz=times.tz)
        return write(cast(pd.Timestamp, day + time_of_day))

    def moments(places: np.ndarray) -> np.ndarray:
        return np.busday_offset(first, places)

    return np.busday_count(first, dates), Clock("business day", (5, 260), stamp, moments=moments)


def _read_months(
    times: pd.DatetimeIndex, stamps: Sequence[str], write: Writer, day: Any = None
) -> tuple[np.ndarray, Clock]:
    """Months and what has whole ones: on the same day of each, or on its `day`, the offset of pandas from the first."""
    months = np.asarray(times.year * 12 + times.month - 1, np.int64)
    width = common_step(months, stamps)
    first = _moment(int(times.as_unit("us").asi8.min()), times)

    def stamp(position: int) -> str:
        time = first + pd.DateOffset(months=width * position)
        return write(time if day is None else time.replace(day=1) + day)

    word = {1: "month", 3: "quarter", 12: "year"}.get(width, f"{width} months")
    seasons = (12 // width,) if 12 % width == 0 and width < 12 else ()
    moments = months_from(int(months.min()), width)
    return (months - months.min()) // width, Clock(word, seasons, stamp, moments=moments)


def _in_words(width: int) -> str:
    for unit, word in _UNITS:
        if width % unit == 0:
            return word if width == unit else f"{width // unit} {word}s"
    return f"{width / _SECOND:g} seconds"


def _seasons(width: int) -> tuple[int, ...]:
    """How many steps an hour, a day, a week and a year have, where that is a whole number of at least two."""
    if width == 7 * DAY:
        return (52,)
    if width % DAY == 0:
        return (7, 365) if width == DAY else ()
    return tuple(span // width for span in (_HOUR, DAY, 7 * DAY) if span % width == 0 and span > width)
