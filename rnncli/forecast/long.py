"""Several series in one long table: a column tells them apart, and all have the same step."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from rnncli.errors import DataError
from rnncli.forecast.clock import read_clock
from rnncli.forecast.columns import check_column, find_target, find_time, numbers
from rnncli.forecast.periods import Clock
from rnncli.forecast.series import Series, fill_gaps, on_places, once, without_end
from rnncli.forecast.source import Fill

_MOST_STEPS = 20  # a value: more is no gap, but another step


class _Rows(NamedTuple):
    """The rows of one series."""

    name: str
    values: np.ndarray  # NaN where one is missing
    places: np.ndarray  # on the clock, in ascending order
    clock: Clock | None
    beside: dict[str, np.ndarray]  # cells of other columns


def read_many(
    table: pd.DataFrame,
    id: str,
    *,
    target: str | None = None,
    time_column: str | None = None,
    fill: Fill = "linear",
    beside: Sequence[str] = (),
) -> tuple[list[Series], list[str]]:
    """The series of a long table, in the order in which they first appear, and notes on what was done.

    Each has its own start, its own length and its own gaps. Several may be constant, but not all. The cells of the
    columns `beside` are kept as they are.

    Raises DataError, which names the series: it has one row, or none with a value, the same time twice, another step
    than the others, or a gap under `fill="none"`; and all that `read_series` raises.
    """
    for name in (id, target, time_column, *beside):
        check_column(table, name)
    rest = table.drop(columns=[id, *beside])
    time = find_time(rest, time_column, target)
    target = target or find_target(rest, time[0] if time else None)
    if target in (id, time[0] if time else None):
        raise DataError(f"column {target!r} cannot be the target and say which series or time it is, too")
    told: list[str] = []
    values, digits = numbers(table[target].tolist(), target, told)
    codes, ids = pd.factorize(table[id])
    unnamed = np.flatnonzero((table[id] == "").to_numpy())
    if len(unnamed):
        raise DataError(f"column {id!r}, row {unnamed[0] + 1}: the cell is empty; name the series there")
    places = time[1] if time else np.arange(len(table))
    order = np.lexsort((places, codes))
    groups = np.split(order, np.searchsorted(codes[order], np.arange(1, len(ids))))
    cells = {name: table[name].to_numpy(object) for name in beside}
    rows, kept = [], []
    for n, group in zip(ids, groups, strict=True):
        own = group, places[group], values[group]
        group, where, what = once(*own, time[2], told) if time else own
        kept.append(group)
        beside_it = {name: each[group] for name, each in cells.items()}
        rows.append(_Rows(str(n), what, where, time[2] if time else None, beside_it))
    groups = kept
    if time is not None:
        rows = _on_one_step(rows, groups, table[time[0]].to_numpy(object), time[0])
    notes: Counter[str] = Counter()
    members = [_member(each, target, fill, notes) for each in rows]
    members = [replace(each, digits=digits, time_name=time[0] if time else None, id_name=id) for each in members]
    if all(each.values.min() == each.values.max() for each in members):
        raise DataError(f"column {target!r} is constant in each series, and so is the best forecast")
    told += [time[2].note] if time and time[2].note else []
    return members, told + [f"{what} in {count} of {len(members)} series" for what, count in notes.items()]


def _commonest(numbers: np.ndarray) -> int:
    """The number that comes most often, the least of several."""
    different, counts = np.unique(numbers, return_counts=True)
    return int(different[counts.argmax()])


def _on_one_step(rows: list[_Rows], groups: Sequence[np.ndarray], stamps: np.ndarray, column: str) -> list[_Rows]:
    """The rows with places that count the steps of each series, which are the same for all.

    Where each series has longer steps than the table (weeks that begin on different days), it gets its own clock, of
    its rows `groups` of the time `stamps`.
    """
    gaps = [np.diff(each.places) for each in rows]
    for each, between in zip(rows, gaps, strict=True):
        if (between == 0).any():
            place = int(each.places[np.flatnonzero(between == 0)[0]])
            stamp = each.clock.stamp(place) if each.clock else place
            raise DataError(f"series {each.name!r} has the time {stamp!r} twice in column {column!r}; keep one row")
    widths = [_commonest(between) if len(between) > 1 else 0 for between in gaps]
    known = [width for width in widths if width]
    if not known or set(known) == {1}:
        return rows
    usual = Counter(known).most_common(1)[0][0]
    for each, width in zip(rows, widths, strict=True):
        if width not in (0, usual):
            assert each.clock is not None
            raise DataError(
                f"series {each.name!r} has steps of {width} {each.clock.step}s in column {column!r}, the others of "
                f"{usual}; forecast it by itself"
            )
    own = []
    for each, group in zip(rows, groups, strict=True):
        reading = read_clock(stamps[group].tolist()) if len(group) > 1 else None
        own.append(each if reading is None else each._replace(places=reading[0], clock=reading[1]))
    return own


def _member(rows: _Rows, target: str, fill: Fill, notes: Counter[str]) -> Series:
    """One series on its regular grid."""
    name, values, places, clock, cells = rows
    what = f"series {name!r}"
    if np.isnan(values).all():
        raise DataError(f"{what} has no values in column {target!r}; remove it")
    if len(values) < 2:
        raise DataError(f"{what} has only one row; a series needs a past to learn from: give more, or remove it")
    first = int(places[0])
    if clock is not None:
        steps = int(places[-1]) - first + 1
        if steps > _MOST_STEPS * len(values) + 1000:
            raise DataError(f"{what} leaves out {steps - len(values)} of {steps} steps of one {clock.step}")
        grid = np.full(steps, np.nan)
        grid[places - first] = values
        clock = clock.shifted(first)
    else:
        grid = values
        places = first + np.arange(len(values))
    beside = {column: on_places(each, places - first) for column, each in cells.items()}
    own: list[str] = []
    grid = without_end(grid, target, own)
    missing = np.isnan(grid)
    filled = fill_gaps(grid, fill, clock, f"{target}, {name}", own)
    if missing.any():
        notes[f"missing values or time steps, filled ({fill}),"] += 1
    return Series(target, filled, missing, None, clock, 0, (), name, beside=beside)
