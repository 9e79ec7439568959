"""Records of outputs, and outputs put together of the records of others."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from rnncli.errors import DataError
from rnncli.output import encoded
from rnncli.sharding import in_turn
from rnncli.tables import separator_of


def merged(parts: Sequence[str], *, header: bool, by: str | None) -> Iterator[bytes]:
    """The records of all parts, in turn, and the header before them, if there is one.

    Args:
        parts: files.
        header: whether each begins with the names of columns.
        by: a column; rows with the same value there, one after the other, are one record.

    Raises:
        DataError: a part cannot be read, or is none of the same whole.
    """
    with ExitStack() as stack:
        lines = []
        for part in parts:
            try:
                lines.append(_whole(stack.enter_context(Path(part).open("rb")), part))
            except OSError as error:
                raise DataError(f"cannot read '{part}': {error.strerror}") from error
        begun = [next(each, b"") for each in lines]
        objects = next((line for line in begun if line), b"").startswith(b"{")
        key = None
        if (header or by is not None) and not objects:
            names = next((line for line in begun if line), b"")
            odd = next((part for part, line in zip(parts, begun, strict=True) if line not in (names, b"")), None)
            if odd is not None:
                raise DataError(f"'{odd}' has other columns than '{parts[0]}'; merge parts of one output")
            yield names
            rows = [_rows(each) for each in lines]
            key = _column(names, by) if by is not None else None
        else:
            rows = [chain([line] if line else [], each) for line, each in zip(begun, lines, strict=True)]
            key = None if by is None else lambda record: _entry(record, by)
        records = rows if key is None else [_grouped(each, key) for each in rows]
        try:
            yield from in_turn(records)
        except ValueError as error:
            raise DataError(f"{error}; name the parts of one output in their order") from error


def _whole(file: Iterable[bytes], part: str) -> Iterator[bytes]:
    """The lines of a file, each with its end. Raises DataError: it was broken off."""
    for line in file:
        if not line.endswith(b"\n"):
            raise DataError(f"'{part}' ends within a line: it is not whole; make it again")
        yield line


def _rows(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Rows of a table: a cell in quotes may have several lines."""
    row = b""
    for line in lines:
        row += line
        if row.count(b'"') % 2 == 0:
            yield row
            row = b""
    if row:
        yield row


def _grouped(rows: Iterator[bytes], key: Any) -> Iterator[bytes]:
    for _, group in groupby(rows, key):
        yield b"".join(group)


def _column(header: bytes, by: str) -> Any:
    """A function from a row to its value in a column. Raises DataError: there is none of that name."""
    import csv

    text = header.decode("utf-8", "replace")
    separator = separator_of(text)
    names = next(csv.reader([text], delimiter=separator))
    if by not in names:
        raise DataError(f"there is no column '{by}' for `by`; there are: {', '.join(names)}")
    place = names.index(by)
    return lambda row: next(csv.reader([row.decode("utf-8", "replace")], delimiter=separator))[place]


def _entry(record: bytes, by: str) -> Any:
    try:
        return json.loads(record)[by]
    except (ValueError, KeyError, TypeError) as error:
        shown = encoded(repr(record[:60])).decode()
        raise DataError(f"no JSON object with {by!r}: {shown}") from error
