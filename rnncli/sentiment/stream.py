"""Texts to label, as they come: in groups of what is there, so that a slow pipe is answered and a fast one batched."""

import csv
import json
import select
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from rnncli.errors import DataError, OptionError
from rnncli.files import name_of, read_blocks
from rnncli.sentiment.records import decoded, is_folder
from rnncli.tables import SEPARATORS, table_of

Form = Literal["lines", "csv", "json"]
_MOST = 2048  # texts in a group
_SUFFIXES = {".txt", ".csv", ".tsv", ".json", ".jsonl", ".parquet", ".gz", ".xz", ".bz2", ".zst"}  # no text ends so


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


def records_of(arguments: list[str], text_column: str | None) -> Records:
    """The texts that a command line names: themselves, lines of files or of `-`, or a column of one table.

    Raises:
        DataError, OptionError: they cannot be read; the reading of later records may raise it, too.
    """
    if text_column is None:
        return Records("lines", chain.from_iterable(_texts(argument) for argument in arguments))
    if len(arguments) != 1:
        raise OptionError(f"--text-column is of one table, a file or -; {len(arguments)} were named")
    return _table(arguments[0], text_column)


def _texts(argument: str) -> Iterator[list[Record]]:
    if argument != "-" and not _is_file(argument):
        if not argument.split()[1:] and Path(argument[:200]).suffix.lower() in _SUFFIXES:
            raise DataError(f"no such file: '{argument[:200]}'; if it is a text, pipe it to -")
        return iter([[Record(argument, {})]])
    lines = _Lines(argument)
    return _grouped((Record(line, {}) for line in lines), lines)


def _is_file(argument: str) -> bool:
    """Whether there is something to read by that name: a file, or a pipe such as `<(command)` names."""
    try:
        exists = bool(argument.strip()) and Path(argument).exists()
    except (OSError, ValueError):
        return False  # too long for a name, or with a NUL in it
    if exists and is_folder(argument):
        raise DataError(f"'{argument}' is a folder; name a file in it, or if it is a text, pipe it to -")
    return exists


class _Lines:
    """The lines of a source as they come, and whether the next one is there already."""

    def __init__(self, source: str, blocks: Iterator[bytes] | None = None):
        """`blocks` are the source's bytes, where reading them has begun."""
        self.name, self._from_pipe = name_of(source), source == "-"
        self._blocks = read_blocks(source) if blocks is None else blocks
        self._whole: list[bytes] = []  # lines that are there, the last one first
        self._begun: list[bytes] = []  # pieces of a line without its end
        self._count = 0

    def __iter__(self) -> "Iterator[str]":
        return self

    def __next__(self) -> str:
        while not self._whole:
            block = next(self._blocks, None)
            if block is None:
                if not any(self._begun):
                    raise StopIteration
                self._whole, self._begun = [b"".join(self._begun)], []
                break
            first, *others = block.split(b"\n")
            self._begun.append(first)
            if others:
                self._whole = [*reversed(others[:-1]), b"".join(self._begun)]
                self._begun = [others[-1]]
        self._count += 1
        line = self._whole.pop()
        if self._count == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        return decoded(line, self._count, self.name)

    def waits(self) -> bool:
        """Whether the next line may be long in coming."""
        if self._whole or not self._from_pipe:
            return False
        try:
            return not select.select([sys.stdin], [], [], 0)[0]
        except (OSError, ValueError):
            return True  # no such thing here: answer at once


def _grouped(records: Iterator[Record], lines: _Lines) -> Iterator[list[Record]]:
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


def _table(source: str, text_column: str) -> Records:
    if source != "-" and not _is_file(source):
        raise DataError(f"no such file: '{source[:200]}'; --text-column is of a table, a file or -")
    blocks = read_blocks(source)
    begun = next(blocks, b"")
    if begun.startswith(b"PAR1"):
        table = table_of(begun + b"".join(blocks), name_of(source))
        _check(text_column, list(table.columns), name_of(source))
        rows = table.to_dict("records")
        records = [Record(str(row[text_column]), {str(name): cell for name, cell in row.items()}) for row in rows]
        return Records("csv", iter([records]), tuple(table.columns))
    lines = _Lines(source, chain([begun], blocks))
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise DataError(f"{lines.name} is empty")
    if first.lstrip().startswith("{"):
        objects = _objects(chain([first], lines), text_column, lines.name)
        return Records("json", _grouped(objects, lines))
    separator = max(SEPARATORS, key=first.count)
    csv.field_size_limit(2**31 - 1)
    rows = (f"{line}\n" for line in chain([first], lines))
    reader = csv.reader(rows, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        header = next(reader)
    except csv.Error as error:
        raise DataError(f"{lines.name} is no table: line 1, {error}") from error
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{lines.name} has two columns named {twice!r}; rename one")
    _check(text_column, header, lines.name)
    return Records("csv", _grouped(_rows(reader, header, text_column, lines.name), lines), tuple(header), separator)


def _check(text_column: str, header: list[str], name: str) -> None:
    if text_column not in header:
        raise DataError(f"{name} has no column '{text_column}' for --text-column; it has: {', '.join(header)}")


def _rows(reader: Any, header: list[str], text_column: str, name: str) -> Iterator[Record]:
    try:
        for row in reader:
            if not row and len(header) > 1:
                continue  # a blank line
            if len(row) != len(header) and (row or len(header) > 1):
                raise DataError(
                    f"{name} is ragged: line {reader.line_num} has {len(row)} cells, the header {len(header)}"
                )
            fields = dict(zip(header, row or [""], strict=True))
            yield Record(fields[text_column], fields)
    except csv.Error as error:
        raise DataError(f"{name} is no table: line {reader.line_num}, {error}") from error


def _objects(lines: Iterator[str], text_column: str, name: str) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name} is not JSON Lines: line {number}, {error}") from error
        if not isinstance(fields, dict):
            raise DataError(f"{name} is not JSON Lines: line {number} is no object")
        if text_column not in fields:
            raise DataError(f"record {number} of {name} has no '{text_column}'; it has: {', '.join(fields)}")
        text = fields[text_column]
        if not isinstance(text, str | None):
            raise DataError(f"record {number} of {name}: '{text_column}' is no text but {json.dumps(text)[:40]}")
        yield Record(text or "", fields)
