"""Stamps that count periods without a calendar: quarters, weeks, months of numbered years; and what a clock is."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

from rnncli.errors import DataError

DAY = 86400 * 10**6  # microseconds, the unit of all times here
_QUARTER = re.compile(r"(\d{4})([- ]?)Q([1-4])")
_WEEK = re.compile(r"(\d{4})(-?)W(\d{2})")  # of ISO 8601
_SHORT_YEAR = re.compile(r"(\d{1,3})-(\d{2})")  # the third year's second month: 3-02


class Clock(NamedTuple):
    """How the time of a series runs."""

    step: str  # from one position to the next, in words: "month", "7 days"
    seasons: tuple[int, ...]  # lengths of the natural seasons, in steps; none where the calendar tells none
    stamp: Callable[[int], str]  # the stamp of a position
    note: str = ""  # what a reader of several meanings has decided
    moments: Callable[[np.ndarray], np.ndarray] | None = None  # the local times of positions, datetime64; None: unknown

    def shifted(self, first: int) -> "Clock":
        """The same, its positions counted from the position `first`."""
        stamp, moments = self.stamp, self.moments
        later = None if moments is None else lambda places: moments(places + first)
        return self._replace(stamp=lambda place: stamp(first + place), moments=later)


def repeated_hours(clock: Clock, places: np.ndarray) -> np.ndarray:
    """Of places in order, which come again as the local hour does that ends daylight saving, bool `[n]`.

    That is on a Sunday of autumn, in the first hours of the day, once in half a year.
    """
    again = np.zeros(len(places), bool)
    twice = np.flatnonzero(np.diff(places) == 0) + 1
    if clock.moments is None or not len(twice):
        return again
    times = clock.moments(places[twice]).astype("datetime64[m]")
    days = times.astype("datetime64[D]")
    minutes, months = (times - days).astype(int), days.astype("datetime64[M]").astype(int) % 12 + 1
    sunday = (days.astype(int) + 4) % 7 == 0
    fits = sunday & np.isin(months, [3, 4, 9, 10, 11]) & (minutes < 4 * 60)
    hours = np.unique(times.astype("datetime64[h]"))
    if fits.all() and (np.diff(hours).astype(int) > 24 * 150).all():
        again[twice] = True
    return again


class Irregular(DataError):
    """The stamps are times, but do not lie on a regular grid."""


def read_quarters(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    """Quarters, as in 1956Q1."""
    matches = [_QUARTER.fullmatch(stamp) for stamp in stamps]
    if not all(matches):
        return None
    whole = np.array([int(match[1]) * 4 + int(match[3]) - 1 for match in matches if match])
    start, between = int(whole.min()), matches[0][2] if matches[0] else ""
    width = common_step(whole, stamps)

    def stamp(position: int) -> str:
        year, quarter = divmod(start + position * width, 4)
        return f"{year}{between}Q{quarter + 1}"

    word = {1: "quarter", 4: "year"}.get(width, f"{width} quarters")
    seasons = (4 // width,) if width < 3 else ()
    return (whole - start) // width, Clock(word, seasons, stamp, moments=months_from(3 * start, 3 * width))


def read_weeks(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    """Weeks, as in 2024-W05."""
    matches = [_WEEK.fullmatch(stamp) for stamp in stamps]
    if not all(matches):
        return None
    try:
        days = np.array([date.fromisocalendar(int(m[1]), int(m[3]), 1).toordinal() for m in matches if m])
    except ValueError as error:
        raise DataError(f"a time stamp is no week of its year: {error}") from error
    whole, between = (days - days.min()) // 7, matches[0][2] if matches[0] else ""
    width, start = common_step(whole, stamps), int(days.min())

    def stamp(position: int) -> str:
        year, week, _ = date.fromordinal(start + 7 * width * position).isocalendar()
        return f"{year}{between}W{week:02d}"

    def moments(places: np.ndarray) -> np.ndarray:
        return np.datetime64(date.fromordinal(start)) + 7 * width * places

    word = "week" if width == 1 else f"{width} weeks"
    return whole // width, Clock(word, (52,) if width == 1 else (), stamp, moments=moments)


def months_from(start: int, width: int) -> Callable[[np.ndarray], np.ndarray]:
    """The first days of months, `width` apart, from `start` on, which is counted from the year 0."""
    return lambda places: (start - 1970 * 12 + width * places).astype("datetime64[M]").astype("datetime64[D]")


def read_short_years(stamps: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    """Months of numbered years."""
    matches = [_SHORT_YEAR.fullmatch(stamp) for stamp in stamps]
    if not all(match and 1 <= int(match[2]) <= 12 for match in matches):
        return None
    whole = np.array([int(match[1]) * 12 + int(match[2]) - 1 for match in matches if match])
    start, width = int(whole.min()), common_step(whole, stamps)

    def stamp(position: int) -> str:
        year, month = divmod(start + position * width, 12)
        return f"{year}-{month + 1:02d}"

    word = "month" if width == 1 else f"{width} months"
    return (whole - start) // width, Clock(word, (12 // width,) if 12 % width == 0 and width < 12 else (), stamp)


def common_step(times: np.ndarray, stamps: Sequence[str], *, weekends: bool = False) -> int:
    """The commonest distance between neighbours in time, of which all others must be multiples."""
    order = np.argsort(times, kind="stable").tolist()
    gaps = np.diff(times[order])
    forward = gaps[gaps > 0]
    if not len(forward):
        return 1
    width = Counter(forward.tolist()).most_common(1)[0][0]
    if weekends and width > DAY and width % DAY == 0 and DAY in forward:
        width = DAY
    odd = np.flatnonzero(gaps % width).tolist()
    if odd:
        before, after = stamps[order[odd[0]]], stamps[order[odd[0] + 1]]
        usual = int(np.flatnonzero(gaps == width)[0])
        raise Irregular(
            f"time steps are irregular: {after!r} follows {before!r}, but most are as far apart as "
            f"{stamps[order[usual]]!r} and {stamps[order[usual + 1]]!r}; resample the series first, or choose "
            "another `time_column`"
        )
    return width
