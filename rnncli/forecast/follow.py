"""`forecast predict --follow`: rows come one by one, and after each there is a forecast."""

import csv
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pandas as pd

from rnncli.errors import DataError
from rnncli.files import read_blocks
from rnncli.forecast.api import Model
from rnncli.forecast.series import Forecast
from rnncli.tables import read_table, separator_of
from rnncli.training.events import Event, Note

Say = Callable[[str], None]
_MOST_NOTES = 3


def follow(model: Model, series: str, say: Say, *, horizon: int | None = None, **columns: Any) -> Iterator[Forecast]:
    """Forecasts after each row that comes on stdin.

    `series` is the past that the rows follow, or "-" where they begin with the header. A row that cannot be used is
    told and left out, so that a stream goes on.

    Raises DataError: the past cannot be read, or its columns are not those of the model.
    """
    lines = _lines(read_blocks("-"))
    if series == "-":
        header = next(lines, "")
        if not header.strip():
            raise DataError("stdin is empty; with `follow`, it begins with the names of the columns")
        separator = separator_of(header)
        names = _cells(header, separator)
        past = pd.DataFrame(columns=names, dtype=str)
    else:
        past = read_table(series)
        names, separator = [str(name) for name in past.columns], ""
    id = columns.get("id") or (model.metadata["series"] or {}).get("id")
    rows: dict[str, list[list[str]]] = {}  # by the id of their series
    for row in past.itertuples(index=False):
        rows.setdefault(_id_of(list(row), names, id), []).append(list(row))
    told: set[str] = set()

    def hear(event: Event) -> None:
        if isinstance(event, Note) and event.text not in told and len(told) < _MOST_NOTES:
            told.add(event.text)
            say(event.text)

    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = _cells(line, separator or separator_of(line))
        if number == 1 and cells == names:
            continue
        if len(cells) != len(names):
            say(f"warning: row {number} has {len(cells)} cells, the header {len(names)}: left out")
            continue
        known = rows.setdefault(_id_of(cells, names, id), [])
        known.append(cells)
        try:
            table = pd.DataFrame(known, columns=names, dtype=str)
            found = model.predict_all(table, horizon=horizon, on_event=hear, **columns)
        except DataError as error:
            if len(known) > 2:  # of fewer, nothing is wrong but their number
                known.pop()
                say(f"warning: row {number}: {error}: left out")
            continue
        yield from found


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a stream, each as soon as it is whole; bytes that are no UTF-8 become question marks."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + bytes(block)).split(b"\n")
        yield from (line.decode("utf-8-sig", "replace").rstrip("\r") for line in whole)
    if rest.strip():
        yield rest.decode("utf-8-sig", "replace").rstrip("\r")


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]


def _id_of(cells: list[str], names: list[str], id: str | None) -> str:
    return cells[names.index(id)] if id in names else ""
