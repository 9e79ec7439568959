"""Which columns of a table are the time and the target, and cells as numbers."""

import difflib
import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from rnncli.errors import DataError
from rnncli.forecast.clock import read_clock
from rnncli.forecast.periods import Clock, Irregular
from rnncli.notation import is_number, plain_numbers

TIME_NAMES = {
    "date", "datetime", "time", "timestamp", "ds", "month", "year", "quarter", "week", "day", "period", "hour",
}  # fmt: skip
_ROW_NAMES = {"rownames", "rowname", "row", "index", "id", "step", "t", "n", "no", "nr", "unnamed: 0", ""}
MISSING = {"", "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "nan", "null", "nil", "none", "?", "-", "."}
NO_TIME = "none"  # the name of a time column that means: count the rows
KNOWN = ("2024-01-31", "31.01.2024", "01/31/2024", "2024-01", "2024Q1", "2024-W05", "Jan 2024", "2024-01-31 14:00")
_FEW = 100  # stamps that come a few times are read as they are: how often each comes may tell what they are
_FEW_NAMED = 3  # columns in a message
LARGEST = 1e100  # squares must stay finite in float64


def check_column(table: pd.DataFrame, name: str | None) -> None:
    """Raise DataError where a table has no column of that name."""
    if name in (None, NO_TIME) or name in table.columns:
        return
    near = difflib.get_close_matches(name, table.columns, n=3, cutoff=0.4) or list(table.columns)
    raise DataError(f"no column {name!r}; did you mean {' or '.join(map(repr, near))}?")


def _is_row_number(name: object) -> bool:
    return str(name).lower() in _ROW_NAMES


def find_time(table: pd.DataFrame, name: str | None, target: str | None) -> tuple[str, np.ndarray, Clock] | None:
    """The time column, the positions of its stamps, its clock; None where rows are to be counted.

    Raises DataError: the column that was named, or is called like a time, cannot be read as one.
    """
    if name == NO_TIME and name not in table.columns:
        return None
    if name is not None:
        reading = _reading(table[name])
        if reading is None:
            raise _unread(table, name)
        return (name, *reading)
    rest = [column for column in table.columns if column != target]
    named = [column for column in rest if str(column).lower() in TIME_NAMES]
    named.sort(key=lambda column: table[column].duplicated().any())  # an "hour" beside a "date" is no time by itself
    texts = [column for column in rest if column not in named and not mostly_numbers(table[column].tolist())]
    rows = [column for column in rest if column not in named and _is_row_number(column)]
    for column in [*named, *texts, *rows]:
        try:
            reading = _reading(table[column])
        except Irregular:
            if column in rows:
                continue
            raise
        if reading is not None:
            return (column, *reading)
    unread = [column for column in named if not mostly_numbers(table[column].tolist())]
    if unread:
        raise _unread(table, unread[0])
    return None


def _reading(stamps: Any) -> tuple[np.ndarray, Clock] | None:
    """`read_clock`; of many series on the same steps, each stamp is read once."""
    codes, different = pd.factorize(stamps)
    if _FEW < len(different) < len(stamps) or _FEW * len(different) < len(stamps):
        try:
            reading = read_clock(list(map(str, different)))
        except DataError:
            reading = None  # what is wrong is told of the rows as they are
        if reading is not None:
            return reading[0][codes], reading[1]
    return read_clock(stamps.tolist())


def _unread(table: pd.DataFrame, column: str) -> DataError:
    """The error of a column of times that nobody can read."""
    cells = table[column].tolist()
    row = next((row for row, cell in enumerate(cells) if cell.lower() not in MISSING), 0)
    return DataError(
        f"column {column!r}, row {row + 1}: {cells[row]!r} is no time; known are stamps like {', '.join(KNOWN)}; name "
        f"another `time_column`, or none to count the rows"
    )


def find_target(table: pd.DataFrame, time_name: str | None) -> str:
    """The only column that can be the target."""
    others = [str(column) for column in table.columns if column != time_name]
    numeric = [name for name in others if mostly_numbers(table[name].tolist())]
    # row numbers and unread times are not what one forecasts, unless there is nothing else
    likely = [name for name in numeric if not _is_row_number(name) and name.lower() not in TIME_NAMES]
    candidates = likely or numeric
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise DataError(f"no column of numbers to forecast{_unlike(table, others)}")
    raise DataError(f"several columns could be forecast; choose one with `target`: {', '.join(map(repr, candidates))}")


def _unlike(table: pd.DataFrame, columns: Sequence[str]) -> str:
    """What there is instead of numbers."""
    if not columns:
        return ": every column is the time or a covariate; leave one out of these"
    cells = (next((cell for cell in table[name] if cell.lower() not in MISSING), "") for name in columns)
    found = (f"{name!r} has {cell[:40]!r}" for name, cell in zip(columns, cells, strict=True))
    return f": {', '.join(islice(found, _FEW_NAMED))}; write numbers alone, as in 1234.5"


def mostly_numbers(column: Iterable[str]) -> bool:
    """Whether at least half of the cells that are not missing are numbers."""
    present = [cell for cell in plain_numbers(list(column))[0] if cell.lower() not in MISSING]
    return not present or sum(map(is_number, present)) * 2 > len(present)


def numbers(column: Sequence[str], name: str, notes: list[str]) -> tuple[np.ndarray, int]:
    """The cells as float64, NaN where one is missing, and their most significant digits."""
    column, notation = plain_numbers(column)
    if notation:
        notes.append(f"column {name!r} was read as numbers like {notation}")
    values = np.full(len(column), np.nan)
    for row, cell in enumerate(column):
        if cell.lower() in MISSING:
            continue
        where = f"column {name!r}, row {row + 1}"
        try:
            values[row] = float(cell.replace("_", "x"))  # Python would take 1_000 for a number
        except ValueError:
            raise DataError(f"{where}: {cell!r} is not a number") from None
        if math.isinf(values[row]):
            raise DataError(f"{where}: {cell!r} is infinite; leave the cell empty if it is missing")
        if abs(values[row]) > LARGEST:
            raise DataError(f"{where}: {cell} is too large to compute with; divide the column")
    if np.isnan(values).all():
        raise DataError(f"column {name!r} has no values: all {len(values)} are missing")
    return values, _significant_digits(column)


def _significant_digits(column: Iterable[str]) -> int:
    """The most significant digits that a cell has, at least 4 and at most 15."""
    mantissas = (cell.lower().split("e")[0] for cell in column if is_number(cell))
    return max([4, *(min(15, len(each.replace(".", "").strip("+-").lstrip("0"))) for each in mantissas)])
