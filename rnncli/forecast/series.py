"""One regular series out of a table: its columns found, its time read, its gaps filled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rnncli.errors import DataError
from rnncli.forecast.columns import (
    LARGEST,
    check_column,
    find_target,
    find_time,
    mostly_numbers,
    numbers,
)
from rnncli.forecast.periods import Clock, repeated_hours
from rnncli.forecast.source import Fill


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
    # cells of other columns [n + rows after the last value]; None where there is no row
    beside: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What tells the series from others in a message: its id, or its target."""
        return self.id or self.name

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
    table: pd.DataFrame,
    *,
    target: str | None = None,
    time_column: str | None = None,
    fill: Fill = "linear",
    beside: Sequence[str] = (),
) -> Series:
    """Find the time and the target column, put the values in order on a regular grid, fill what is missing.

    The cells of the columns `beside` are put there, too, as they are; those after the last value are kept.

    Raises DataError where there is no such column; no or several candidates for the target; a cell that is no number;
    a time stamp twice, or irregular ones; a gap under `fill="none"`; a constant or empty series.
    """
    for name in (target, time_column, *beside):
        check_column(table, name)
    rest = table.drop(columns=list(beside))
    time = find_time(rest, time_column, target)
    time_name, clock = (time[0], time[2]) if time else (None, None)
    target = target or find_target(rest, time_name)
    if target == time_name:
        raise DataError(f"column {target!r} cannot be both the time and the target")
    notes: list[str] = []
    values, digits = numbers(table[target].tolist(), target, notes)
    rows = np.arange(len(table))
    places = rows if time is None else time[1]
    if time is not None:
        rows = _in_order(rest, time, notes)
        places, values = places[rows], values[rows]
        rows, places, values = once(rows, places, values, time[2], notes)
    last = known_until(values)
    cells = {name: on_places(table[name].to_numpy(object)[rows], places) for name in beside}
    if time is not None:
        end = last if beside else len(values)
        values = _on_grid(time, places[:end], values[:end], notes, fill)
        notes += [time[2].note] if time[2].note else []
    values = without_end(values, target, notes)
    missing = np.isnan(values)
    filled = fill_gaps(values, fill, clock, target, notes)
    if len(filled) < 2:
        raise DataError(f"column {target!r} has only one row; a series needs a past to learn from")
    if filled.max() == filled.min():
        raise DataError(f"column {target!r} is constant: every value is {filled[0]:g}, and so is the best forecast")
    least = 1 / LARGEST
    if filled.max() - filled.min() < least:
        raise DataError(f"column {target!r} varies by less than {least:g}, too little to compute with; multiply it")
    return Series(target, filled, missing, time_name, clock, digits, tuple(notes), beside=cells)


def known_until(values: np.ndarray) -> int:
    """How many values there are without the missing ones at the end."""
    return int(np.flatnonzero(~np.isnan(values))[-1]) + 1


def on_places(cells: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Cells at their places, None at the others."""
    grid = np.full(int(places[-1]) + 1, None, object)
    grid[places] = cells
    return grid


def without_end(values: np.ndarray, name: str, notes: list[str]) -> np.ndarray:
    """The values without missing ones at the end: those are what is to be forecast."""
    size = known_until(values)
    if size < len(values):
        absent = _count(len(values) - size, "missing value")
        notes.append(f"column {name!r} ends in {absent}: the forecast begins there")
    return values[:size]


def _in_order(table: pd.DataFrame, time: tuple[str, np.ndarray, Clock], notes: list[str]) -> np.ndarray:
    """The rows in order of time. Raises DataError: a time is there twice."""
    name, positions, clock = time
    if (np.diff(positions) < 0).any():
        row = int(np.flatnonzero(np.diff(positions) < 0)[0])
        stamp = clock.stamp(int(positions[row + 1]))
        notes.append(f"rows were not in order of {name!r} (row {row + 2}, {stamp}, comes after a later one): sorted")
    order = np.argsort(positions, kind="stable")
    again = repeated_hours(clock, positions[order])
    twice = np.flatnonzero((np.diff(positions[order]) == 0) & ~again[1:])
    if len(twice):
        others = [column for column in table.columns if column != name]
        texts = [column for column in others if not mostly_numbers(table[column].tolist())]
        hint = (
            f"; several series in one table, by column {texts[0]!r}? name it with `id`"
            if texts
            else "; keep one row of each"
        )
        stamp = table[name].iloc[order[twice[0]]]
        raise DataError(f"column {name!r} has the time {stamp!r} twice ({len(twice)} such){hint}")
    return order


def once(
    rows: np.ndarray, places: np.ndarray, values: np.ndarray, clock: Clock, notes: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, places and values in order, in which the hour that ends daylight saving comes once, with its mean."""
    again = np.flatnonzero(repeated_hours(clock, places))
    if not len(again):
        return rows, places, values
    values = values.copy()
    first, second = values[again - 1], values[again]
    mean = (first + second) / 2
    values[again - 1] = np.where(np.isnan(first), second, np.where(np.isnan(second), first, mean))
    kept = np.ones(len(rows), bool)
    kept[again] = False
    stamp = clock.stamp(int(places[again[0]]))
    notes.append(f"{_count(len(again), 'time')} came twice, as daylight saving ended ({stamp}): their mean was taken")
    return rows[kept], places[kept], values[kept]


def _on_grid(
    time: tuple[str, np.ndarray, Clock], positions: np.ndarray, values: np.ndarray, notes: list[str], fill: Fill
) -> np.ndarray:
    """The values at the positions `[n]`, in order of time, with NaN at each step that the table leaves out."""
    name, _, clock = time
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
