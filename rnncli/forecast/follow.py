"""`forecast predict --follow`: rows come one by one, and after each there is a forecast."""

import csv
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import pandas as pd

from rnncli.errors import DataError
from rnncli.files import name_of, read_blocks, read_bytes, whole_lines
from rnncli.forecast.api import Model
from rnncli.forecast.columns import numbers
from rnncli.forecast.reading import is_total
from rnncli.forecast.saved import read_as_trained
from rnncli.forecast.series import Forecast
from rnncli.forecast.source import SeriesSource, columns_of
from rnncli.notation import decimal_points
from rnncli.tables import TYPED, lines_of, named_of, opened, table_of
from rnncli.training.events import Event, Note

Say = Callable[[str], None]
_MOST_NOTES = 3


def follow(
    model: Model, series: str, say: Say, *, horizon: int | None = None, **columns: Any
) -> Iterator[list[Forecast]]:
    """The forecasts after each row that comes on stdin, one for each target.

    `series` is the past that the rows follow, or "-" where they begin with the header. A row that cannot be used is
    told and left out, so that a stream goes on.

    Raises DataError: the past cannot be read, or its columns are not those of the model.
    """
    lines = _lines(read_blocks("-", columns.get("encoding")))
    past = _begun(lines) if series == "-" else _past(read_bytes(series, columns.get("encoding")), name_of(series))
    rows = _Rows(model, past, columns)
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told and len(told) < _MOST_NOTES:
            told.add(text)
            say(text)

    def hear(event: Event) -> None:
        if isinstance(event, Note):
            tell(event.text)

    for number, line in enumerate(lines, 1):
        cells = _cells(line, past.separator)
        if not line.strip() or (number == 1 and cells == past.header):
            continue
        fault = rows.fault(cells)
        if fault:
            say(f"warning: row {number}: {fault}: left out")
            continue
        id = rows.add(cells)
        try:
            yield model.predict_all(rows.table(id), horizon=horizon, on_event=hear, **columns)
            rows.answered.add(id)
        except DataError as error:
            if id in rows.answered or rows.spoilt(id):  # it went well until this row came
                rows.undo(id)
                say(f"warning: row {number}: {error}: left out")
            else:
                tell(f"no forecast yet: {error}")


class _Past(NamedTuple):
    """The rows that others follow, with cells as they were written."""

    separator: str
    header: list[str]
    rows: list[list[str]]


class _Rows:
    """The rows of each series until now, as strings."""

    def __init__(self, model: Model, past: _Past, columns: dict[str, Any]):
        trained = model.metadata["series"] or {}
        # blank columns are left out, as where a table is read whole
        self._places = named_of(past.header, lambda place: any(row[place] for row in past.rows))
        self._width, self._pointed = len(past.header), past.separator == ";"
        self.names = [past.header[place] for place in self._places]
        self._id = self._place(columns.get("id") or trained.get("id"))
        self._time = self._place(columns.get("time_column") or trained.get("time"))
        targets = columns_of(columns.get("target") or trained.get("target"), self.names)
        self._targets = [place for name in targets if (place := self._place(name)) is not None]
        self._rows: dict[str, list[list[str]]] = {}
        self._before: list[list[str]] = []
        for row in map(self._named, past.rows):
            self._rows.setdefault(self._id_of(row), []).append(row)
        self.answered: set[str] = set()  # the series of which there was a forecast
        self._columns, self._trained = columns, model.metadata

    def _place(self, name: str | None) -> int | None:
        return self.names.index(name) if name in self.names else None

    def _id_of(self, cells: list[str]) -> str:
        return "" if self._id is None else cells[self._id]

    def _named(self, cells: list[str]) -> list[str]:
        return [cells[place] for place in self._places]

    def fault(self, cells: list[str]) -> str:
        """What is wrong with a row by itself; "" if nothing."""
        if len(cells) != self._width:
            return f"it has {len(cells)} cells, the header {self._width}"
        cells = self._named(cells)
        if self._time is not None and is_total(cells[self._time]):
            return f"{cells[self._time]!r} in column {self.names[self._time]!r} is no time"
        for place in self._targets:
            try:
                if cells[place]:
                    numbers([cells[place]], self.names[place], [])
            except DataError:
                return f"{cells[place]!r} in column {self.names[place]!r} is not a number"
        return ""

    def add(self, cells: list[str]) -> str:
        """Add a row, or let it say what one of that time did not know; return the id of its series."""
        cells = self._named(cells)
        id = self._id_of(cells)
        known = self._rows.setdefault(id, [])
        self._before = list(known)
        for index, row in enumerate(known):
            same = self._time is not None and row[self._time] == cells[self._time]
            if same and not any(row[place] for place in self._targets):
                known[index] = [new or old for new, old in zip(cells, row, strict=True)]
                return id
        known.append(cells)
        return id

    def spoilt(self, id: str) -> bool:
        """Whether the last row makes a series unreadable that was readable before."""
        return self._is_readable(self._before) and not self._is_readable(self._rows[id])

    def _is_readable(self, rows: list[list[str]]) -> bool:
        try:
            read_as_trained(self._trained, self._table(rows), SeriesSource(**self._columns), lambda _: None, 0)
        except DataError:
            return False
        return True

    def undo(self, id: str) -> None:
        """Take the last row back."""
        self._rows[id] = self._before

    def table(self, id: str) -> pd.DataFrame:
        """The rows of a series."""
        return self._table(self._rows[id])

    def _table(self, rows: list[list[str]]) -> pd.DataFrame:
        columns = [list(cells) for cells in zip(*rows, strict=True)] or [[] for _ in self.names]
        if self._pointed:
            columns = map(decimal_points, columns)
        return pd.DataFrame(dict(zip(self.names, columns, strict=True)), dtype=str)


def _past(raw: bytes, name: str) -> _Past:
    """The rows of a file. Raises DataError: it cannot be read."""
    begun = raw.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not begun or raw.startswith(TYPED) or begun.startswith((b"{", b"[")):
        table = table_of(raw, name)
        return _Past(",", [str(column) for column in table.columns], table.to_numpy().tolist())
    separator, header, rows = opened(lines_of(iter([raw]), raw, name), name)
    return _Past(separator, header, list(rows))


def _begun(lines: Iterator[str]) -> _Past:
    """What a stream begins with. Raises DataError: it is empty."""
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")
    if not first:
        raise DataError("stdin is empty; with `follow`, it begins with the names of the columns")
    separator, header, _ = opened(chain([first], lines), "stdin")
    return _Past(separator, header, [])


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a stream, each as soon as it is whole; bytes that are no UTF-8 become question marks."""
    for whole in whole_lines(blocks, b"\n"):
        yield from (line.decode("utf-8-sig", "replace").rstrip("\r") for line in whole)


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]
