"""Texts to label, as they come: in groups of what is there, so that a slow pipe is answered and a fast one batched."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from rnncli.errors import DataError, ParameterError
from rnncli.files import name_of, names_file, peeked, read_blocks
from rnncli.sentiment.lines import Lines
from rnncli.sentiment.records import is_folder
from rnncli.tables import TYPED, blocks_of, rows_of, separator_of

Form = Literal["lines", "csv", "json"]
_MOST = 2048  # texts in a group


@dataclass(frozen=True)
class Record:
    """A text, and the row of the table that it stands in."""

    text: str
    row: dict[str, Any]


@dataclass(frozen=True)
class Records:
    """Records in groups, and the form of their source."""

    form: Form
    groups: Iterator[list[Record]]
    columns: tuple[str, ...] = ()  # of a csv
    separator: str = ","


def records_of(arguments: list[str], text_column: str | None, encoding: str | None = None) -> Records:
    """The texts that a command line names: themselves, lines of files or of `-`, or a column of one table.

    What is read is UTF-8, or of another `encoding`.

    Raises DataError or ParameterError where they cannot be read; the reading of later records may raise it, too.
    """
    if text_column is None:
        return Records("lines", chain.from_iterable(_texts(argument, encoding) for argument in arguments))
    if len(arguments) != 1:
        raise ParameterError(f"`text_column` is of one table, a file or -; {len(arguments)} were named")
    return _table(arguments[0], text_column, encoding)


def _texts(argument: str, encoding: str | None) -> Iterator[list[Record]]:
    if not _is_source(argument):
        return iter([[Record(argument, {})]])
    lines = Lines(argument, read_blocks(argument, encoding))
    return _grouped((Record(line, {}) for line in lines), lines)


def _is_source(argument: str) -> bool:
    """Whether an argument names what texts are read from: a file, -, or a pipe such as `<(command)` names."""
    if argument != "-" and is_folder(argument):
        raise DataError(f"'{argument}' is a folder; name a file in it, or if it is a text, pipe it to -")
    return names_file(argument)


def _grouped(records: Iterator[Record], lines: Lines) -> Iterator[list[Record]]:
    group: list[Record] = []
    try:
        for record in records:
            group.append(record)
            if len(group) == _MOST or lines.waits():
                yield group
                group = []
    except DataError:
        if group:  # what stands before the fault is answered
            yield group
        raise
    if group:
        yield group


def _table(source: str, text_column: str, encoding: str | None) -> Records:
    if not _is_source(source):
        raise DataError(f"no such file: '{source[:200]}'; `text_column` is of a table, a file or -")
    head, blocks = peeked(read_blocks(source, encoding), telling=TYPED)
    if head.startswith(TYPED) or head.lstrip().startswith(b"["):
        return _blocks(blocks_of(blocks, name_of(source), list), text_column, name_of(source))
    lines = Lines(source, blocks)
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise DataError(f"{lines.name} is empty")
    if first.lstrip().startswith("{"):
        objects = _objects(chain([first], lines), text_column, lines.name)
        return Records("json", _grouped(objects, lines))
    separator = separator_of(first)
    rows = rows_of((f"{line}\n" for line in chain([first], lines)), separator, lines.name, strip=False)
    header = next(rows)
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{lines.name} has two columns named {twice!r}; rename one")
    _check(text_column, header, lines.name)
    cells = (dict(zip(header, row, strict=True)) for row in rows)
    records = (Record(fields[text_column], fields) for fields in cells)
    return Records("csv", _grouped(records, lines), tuple(header), separator)


def _blocks(tables: Iterator[Any], text_column: str, name: str) -> Records:
    """The records of a table that is no text, or no lines of it."""
    first = next(tables)
    _check(text_column, list(first.columns), name)

    def groups() -> Iterator[list[Record]]:
        for table in chain([first], tables):
            yield [Record(row[text_column], row) for row in table.to_dict("records")]

    return Records("csv", groups(), tuple(first.columns))


def _check(text_column: str, header: list[str], name: str) -> None:
    if text_column not in header:
        raise DataError(f"{name} has no column '{text_column}' for `text_column`; it has: {', '.join(header)}")


def _objects(lines: Iterator[str], text_column: str, name: str) -> Iterator[Record]:
    for index, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name} is not JSON Lines: line {index}, {error}") from error
        if not isinstance(fields, dict):
            raise DataError(f"{name} is not JSON Lines: line {index} is no object")
        if text_column not in fields:
            raise DataError(f"record {index} of {name} has no '{text_column}'; it has: {', '.join(fields)}")
        text = fields[text_column]
        if not isinstance(text, str | None):
            raise DataError(f"record {index} of {name}: '{text_column}' is no text but {json.dumps(text)[:40]}")
        yield Record(text or "", fields)
