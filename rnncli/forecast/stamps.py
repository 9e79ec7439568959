"""How times are written: in the notation of the stamps that were read."""

import re
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import pandas as pd

Writer = Callable[[pd.Timestamp], str]

_OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
_FRACTION = re.compile(r"\.(\d+)")
_ZERO = re.compile(r"(?<![\d:])0(?=\d)")  # before a day, a month or an hour
_SOME = 200  # stamps tell how all are written


def in_offsets(stamps: Sequence[str], notation: str, times: pd.DatetimeIndex) -> tuple[pd.DatetimeIndex, Writer]:
    """Times in UTC with the last offset of the stamps, and how they are written.

    Offsets may change over the year: hours run on in UTC, but days, weeks and months by the clock on the wall.
    """
    latest = stamps[int(np.argmax(times.asi8))]
    tails = {tail: match[0] if (match := _OFFSET.search(tail)) else "" for tail in {stamp[-6:] for stamp in stamps}}
    if len(set(tails.values())) > 1:
        offsets = [tails[stamp[-6:]] for stamp in stamps]
        bare = [stamp.removesuffix(offset) for stamp, offset in zip(stamps, offsets, strict=True)]
        day = notation.removesuffix("%z")
        wall = pd.DatetimeIndex(pd.to_datetime(pd.Series(bare), format=day, errors="coerce"))
        several = len(set(zip(wall, offsets, strict=True))) > len(set(wall))  # places, each with an offset of its own
        if not several and len(set(wall - wall.normalize())) == 1:
            write, last = writer_of(day, bare, wall), tails[latest[-6:]]
            others = {time: offset for time, offset in zip(wall, offsets, strict=True) if offset != last}
            return wall, lambda time: write(time) + others.get(time, last)
    index = times.tz_localize("UTC").tz_convert(pd.to_datetime(latest, format=notation).tzinfo)
    return index, writer_of(notation, stamps, index)


def plainly(notation: str) -> Writer:
    """Times in a notation of `strftime`."""
    return lambda time: time.strftime(notation)


def writer_of(notation: str, stamps: Sequence[str], times: pd.DatetimeIndex) -> Writer:
    """How times are written as the stamps are: with or without zeros before digits, with so many digits of a second."""
    before, fraction, after = notation.partition("%f")
    digits = max(len(found[1]) for stamp in stamps if (found := _FRACTION.search(stamp))) if fraction else 0

    def plain(time: pd.Timestamp) -> str:
        if not fraction:
            return time.strftime(notation)
        written = f"{time.microsecond:06}"
        return time.strftime(before) + written[:digits] + written[digits:].rstrip("0") + time.strftime(after)

    def with_colon(time: pd.Timestamp) -> str:
        return re.sub(r"(\d\d)$", r":\1", plain(time))

    def in_utc(time: pd.Timestamp) -> str:
        return re.sub(r"\+0000$", "Z", plain(time))

    def short_day(time: pd.Timestamp) -> str:
        date, *rest = plain(time).split(" ", 1)
        return " ".join([_ZERO.sub("", date), *rest])

    def short(time: pd.Timestamp) -> str:
        return _ZERO.sub("", plain(time))

    some = range(0, len(stamps), max(1, len(stamps) // _SOME))
    ways = [plain, with_colon, in_utc] if "%z" in notation else [plain] if fraction else [plain, short, short_day]
    return max(ways, key=lambda way: sum(way(cast(pd.Timestamp, times[place])) == stamps[place] for place in some))
