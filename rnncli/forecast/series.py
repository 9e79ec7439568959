"""One regular series out of a table: its columns found, its time read, its gaps filled."""

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rnncli.errors import DataError
from rnncli.forecast.clock import read_clock
from rnncli.forecast.periods import Clock, Irregular
from rnncli.forecast.settings import Fill
from rnncli.tables import is_number, plain_numbers

_TIME_NAMES = {
    "date", "datetime", "time", "timestamp", "ds", "month", "year", "quarter", "week", "day", "period", "hour",
}  # fmt: skip
_ROW_NAMES = {"rownames", "rowname", "row", "index", "id", "step", "t", "n", "no", "nr", "unnamed: 0", ""}
_MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-", "."}
_LARGEST = 1e100  # squares must stay finite in float64


@dataclass(frozen=True)
class Series:
    """A regular series without gaps."""

    name: str  # of the target column
    values: np.ndarray  # float64 [n]
    filled: np.ndarray  # bool [n], where a value was missing
    time_name: str | None  # of the time column
    clock: Clock | None
    digits: int  # significant digits of the values as written
    notes: tuple[str, ...]  # what was done to the data, for the user to read
    id: str = ""  # of the series among several
    id_name: str = ""  # of the column that has it

    def stamp(self, position: int) -> str:
        """The stamp at `position`, counted from the first value: the row number where there is no time column."""
        return str(position + 1) if self.clock is None else self.clock.stamp(position)


class Forecast(NamedTuple):
    """What follows a series."""

    times: list[str]  # stamps in the notation of the data; row numbers where it has no time
    values: np.ndarray  # float64 [horizon]
    series: Series  # what it follows
    quantiles: Callable[..., np.ndarray]  # from a level between 0 and 1 to the quantile of each value, [horizon]

    @classmethod
    def of(cls, values: np.ndarray, series: Series, quantiles: Callable[..., np.ndarray]) -> "Forecast":
        """Values of the steps after the last one of a series, and their quantiles."""
        size = len(series.values)
        return cls([series.stamp(size + ahead) for ahead in range(len(values))], values, series, quantiles)

    def until(self, horizon: int | None) -> "Forecast":
        """The first steps only."""
        if horizon is None or horizon >= len(self.values):
            return self

        def quantiles(level: float, **more: Any) -> np.ndarray:
            return self.quantiles(level, **more)[:horizon]

        return Forecast(self.times[:horizon], self.values[:horizon], self.series, quantiles)

    def rows(self) -> list[tuple[str, float]]:
        """Stamp and value of each step ahead."""
        return [(time, float(value)) for time, value in zip(self.times, self.values, strict=True)]


def read_series(
    table: pd.DataFrame, *, target: str | None = None, time_column: str | None = None, fill: Fill = "linear"
) -> Series:
    """Find the time and the target column, put the values in order on a regular grid, fill what is missing.

    Raises DataError where there is no such column; no or several candidates for the target; a cell that is no number;
    a time stamp twice, or irregular ones; a gap under `fill="none"`; a constant or empty series.
    """
    check_column(table, target)
    check_column(table, time_column)
    time = find_time(table, time_column, target)
    time_name, clock = (time[0], time[2]) if time else (None, None)
    target = target or find_target(table, time_name)
    if target == time_name:
        raise DataError(f"column {target!r} cannot be both the time and the target")
    notes: list[str] = []
    values, digits = numbers(table[target].tolist(), target, notes)
    if time is not None:
        values = _on_grid(table, time, values, notes, fill)
        notes += [time[2].note] if time[2].note else []
    else:
        _note_unread_times(table, target, notes)
    values = without_end(values, target, notes)
    missing = np.isnan(values)
    filled = fill_gaps(values, fill, clock, target, notes)
    if len(filled) < 2:
        raise DataError(f"column {target!r} has only one row; a series needs a past to learn from")
    if filled.max() == filled.min():
        raise DataError(f"column {target!r} is constant: every value is {filled[0]:g}, and so is the best forecast")
    least = 1 / _LARGEST
    if filled.max() - filled.min() < least:
        raise DataError(f"column {target!r} varies by less than {least:g}, too little to compute with; multiply it")
    return Series(target, filled, missing, time_name, clock, digits, tuple(notes))


def _note_unread_times(table: pd.DataFrame, target: str, notes: list[str]) -> None:
    """Notes the first column that is named like a time, as it could not be read as one."""
    for column in table.columns:
        if str(column).lower() in _TIME_NAMES and column != target:
            example = f"its first value is {table[column].iloc[0]!r}"
            notes.append(f"column {column!r} could not be read as time ({example}): rows are counted")
            return


def without_end(values: np.ndarray, name: str, notes: list[str]) -> np.ndarray:
    """The values without missing ones at the end: those are what is to be forecast."""
    size = int(np.flatnonzero(~np.isnan(values))[-1]) + 1
    if size < len(values):
        absent = _count(len(values) - size, "missing value")
        notes.append(f"column {name!r} ends in {absent}: the forecast begins there")
    return values[:size]


def check_column(table: pd.DataFrame, name: str | None) -> None:
    """Raise DataError where a table has no column of that name."""
    if name is None or name in table.columns:
        return
    near = difflib.get_close_matches(name, table.columns, n=3, cutoff=0.4) or list(table.columns)
    raise DataError(f"no column {name!r}; did you mean {' or '.join(map(repr, near))}?")


def _is_row_number(name: object) -> bool:
    return str(name).lower() in _ROW_NAMES


def find_time(table: pd.DataFrame, name: str | None, target: str | None) -> tuple[str, np.ndarray, Clock] | None:
    """The time column, the positions of its stamps, its clock."""
    if name is not None:
        reading = read_clock(table[name].tolist())
        if reading is None:
            raise DataError(f"column {name!r} holds no times: its first value is {table[name].iloc[0]!r}")
        return (name, *reading)
    rest = [column for column in table.columns if column != target]
    named = [column for column in rest if str(column).lower() in _TIME_NAMES]
    named.sort(key=lambda column: table[column].duplicated().any())  # an "hour" beside a "date" is no time by itself
    texts = [column for column in rest if column not in named and not _mostly_numbers(table[column].tolist())]
    rows = [column for column in rest if column not in named and _is_row_number(column)]
    for column in [*named, *texts, *rows]:
        try:
            reading = read_clock(table[column].tolist())
        except Irregular:
            if column in rows:
                continue
            raise
        if reading is not None:
            return (column, *reading)
    return None


def find_target(table: pd.DataFrame, time_name: str | None) -> str:
    """The only column that can be the target."""
    others = [str(column) for column in table.columns if column != time_name]
    numeric = [name for name in others if _mostly_numbers(table[name].tolist())]
    # row numbers and unread times are not what one forecasts, unless there is nothing else
    likely = [name for name in numeric if not _is_row_number(name) and name.lower() not in _TIME_NAMES]
    candidates = likely or numeric
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise DataError(f"no column of numbers to forecast; the columns are {', '.join(map(repr, others))}")
    raise DataError(f"several columns could be forecast; choose one with `target`: {', '.join(map(repr, candidates))}")


def _mostly_numbers(column: Iterable[str]) -> bool:
    present = [cell for cell in plain_numbers(list(column))[0] if cell.lower() not in _MISSING]
    return not present or sum(map(is_number, present)) * 2 > len(present)


def numbers(column: Sequence[str], name: str, notes: list[str]) -> tuple[np.ndarray, int]:
    """The cells as float64, NaN where one is missing, and their most significant digits."""
    column, notation = plain_numbers(column)
    if notation:
        notes.append(f"column {name!r} was read as numbers like {notation}")
    values = np.full(len(column), np.nan)
    for row, cell in enumerate(column):
        if cell.lower() in _MISSING:
            continue
        where = f"column {name!r}, row {row + 1}"
        try:
            values[row] = float(cell.replace("_", "x"))  # Python would take 1_000 for a number
        except ValueError:
            raise DataError(f"{where}: {cell!r} is not a number") from None
        if math.isinf(values[row]):
            raise DataError(f"{where}: {cell!r} is infinite; leave the cell empty if it is missing")
        if abs(values[row]) > _LARGEST:
            raise DataError(f"{where}: {cell} is too large to compute with; divide the column")
    if np.isnan(values).all():
        raise DataError(f"column {name!r} has no values: all {len(values)} are missing")
    return values, _significant_digits(column)


def _significant_digits(column: Iterable[str]) -> int:
    """The most significant digits that a cell has, at least 4 and at most 15."""
    mantissas = (cell.lower().split("e")[0] for cell in column if is_number(cell))
    return max([4, *(min(15, len(each.replace(".", "").strip("+-").lstrip("0"))) for each in mantissas)])


def _on_grid(
    table: pd.DataFrame, time: tuple[str, np.ndarray, Clock], values: np.ndarray, notes: list[str], fill: Fill
) -> np.ndarray:
    """The values in order of time, with NaN at each step that the table leaves out."""
    name, positions, clock = time
    if (np.diff(positions) < 0).any():
        row = int(np.flatnonzero(np.diff(positions) < 0)[0])
        stamp = clock.stamp(int(positions[row + 1]))
        notes.append(f"rows were not in order of {name!r} (row {row + 2}, {stamp}, comes after a later one): sorted")
    order = np.argsort(positions, kind="stable")
    positions, values = positions[order], values[order]
    twice = np.flatnonzero(np.diff(positions) == 0)
    if len(twice):
        others = [column for column in table.columns if column != name]
        texts = [column for column in others if not _mostly_numbers(table[column].tolist())]
        hint = (
            f"; several series in one table, by column {texts[0]!r}? name it with `id`"
            if texts
            else "; keep one row of each"
        )
        stamp = table[name].iloc[order[twice[0]]]
        raise DataError(f"column {name!r} has the time {stamp!r} twice ({len(twice)} such){hint}")
    steps = int(positions[-1]) + 1
    if steps > 20 * len(values) + 1000:
        raise DataError(f"column {name!r} leaves out {steps - len(values)} of {steps} steps of one {clock.step}")
    grid = np.full(steps, np.nan)
    grid[positions] = values
    if steps > len(values):
        absent = np.setdiff1d(np.arange(steps), positions)
        places = _places(absent, clock)
        if fill == "none":
            count = _count(len(absent), "time step")
            raise DataError(f"{count} missing: {places}; choose a `fill`: linear, previous or zero")
        empty = positions[np.isnan(values)]
        if len(empty):
            notes.append(f"{_count(len(empty), 'missing value')} ({_places(empty, clock)}): filled, {fill}")
        kind = _count(len(absent), f"time step of one {clock.step}", f"time steps of one {clock.step}")
        notes.append(f"{kind} {'was' if len(absent) == 1 else 'were'} missing ({places}): filled, {fill}")
    return grid


def fill_gaps(values: np.ndarray, fill: Fill, clock: Clock | None, name: str, notes: list[str]) -> np.ndarray:
    """The values with something in the place of NaN, and a note on where."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    places = _places(np.flatnonzero(missing), clock)
    amount = _count(int(missing.sum()), "missing value")
    if fill == "none":
        raise DataError(f"column {name!r} has {amount} ({places}); choose a `fill`: linear, previous or zero")
    if clock is None or not any("missing" in note and "filled" in note for note in notes):
        notes.append(f"column {name!r} had {amount} ({places}): filled, {fill}")
    column = pd.Series(values)
    match fill:
        case "linear":
            column = column.interpolate("linear", limit_direction="both")
        case "previous":
            column = column.ffill().bfill()  # before the first value there is only the next
        case "zero":
            column = column.fillna(0.0)
    return column.to_numpy(np.float64)


def _count(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _places(positions: np.ndarray, clock: Clock | None, most: int = 3) -> str:
    first = positions[:most].tolist()
    named = [f"row {position + 1}" if clock is None else clock.stamp(position) for position in first]
    return ", ".join(named) + (", …" if len(positions) > most else "")
