"""Labelled texts from the forms in which people keep them.

Tables (CSV, TSV, JSON Lines, Parquet), lines that begin with their label (`__label__pos a fine film`, as fastText has
them, or `pos a fine film`), and a folder with a folder of text files for each class.
"""

import ast
import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.encodings import advice
from rnncli.errors import DataError
from rnncli.files import HEAD, name_of, peeked, read_blocks, read_bytes, with_newlines
from rnncli.sentiment.labelled import Labelled, collected
from rnncli.sentiment.lines import Lines, decoded
from rnncli.sentiment.settings import Columns
from rnncli.tables import SEPARATORS, TYPED, Wanted, blocks_of, narrowed, separator_of, table_from
from rnncli.tables.typed import text_of

if TYPE_CHECKING:
    import pandas as pd

_MARK = "__label__"  # fastText's
_TEXT_NAMES = ("text", "review", "sentence", "content", "comment", "message", "tweet", "body", "document", "phrase")
_LABEL_NAMES = ("label", "sentiment", "class", "category", "target", "polarity", "rating", "stars", "score", "topic")
_UNLABELLED = ("unsup",)  # aclImdb's folder of reviews without a label
_PARTS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}


def read_labelled(source: str, columns: Columns, known: Collection[str] = ()) -> Labelled:
    """The labelled texts in `source`, a path or `-`. Labels in `known` tell lines of `label text` from a table.

    They are read in blocks, and may be more than memory holds.

    Raises DataError where it cannot be read, or has no texts or labels.
    """
    if is_folder(source):
        return _read_folder(Path(source), columns.encoding)
    name = name_of(source)
    head, blocks = peeked(read_blocks(source, columns.encoding))
    if not head.strip():
        raise DataError(f"{name} is empty")
    if not columns.named and not head.startswith(TYPED) and head.lstrip()[:1] not in b"{[":
        first = _decoded_lines(head, name, whole=len(head) < HEAD)
        marked = next(filter(str.strip, first), "").startswith(_MARK)
        if marked or (not _is_table(first[0]) and _has_labels_in_front(first, known)):
            lines = Lines(source, with_newlines(blocks, head, name))
            return _read_marked(lines, name) if marked else _read_lines(lines, name, columns.label_separator)
    return _from_table(lambda wanted: blocks_of(blocks, name, wanted), columns, name)


def labelled_of(texts: Any, labels: Sequence[Any] | None, columns: Columns, known: Collection[str] = ()) -> Labelled:
    """Labelled texts from wherever they are: texts with as many labels, a data frame of both, or a path.

    Raises DataError where a text has no label, the data frame no such columns, or nothing can be read from the path.
    """
    if labels is None and isinstance(texts, str | os.PathLike):
        return read_labelled(os.fspath(texts), columns, known)
    if labels is None:
        if not hasattr(texts, "columns"):
            raise DataError("the texts have no labels; give `labels`, one for each text, or a data frame with both")
        table = table_from(texts)
        return _from_table(lambda wanted: narrowed(iter([table]), wanted), columns, "the data frame")
    if getattr(labels, "ndim", 1) > 1:
        raise DataError("`labels` are a table; give for each text a list of its labels")
    texts, labels = list(texts), list(labels)
    if len(texts) != len(labels):
        raise DataError(f"there are {len(texts):,} texts and {len(labels):,} labels; give one for each text")
    several = (list, tuple, set, frozenset, np.ndarray)
    for index, label in enumerate(labels):
        if _is_missing(label):
            raise DataError(f"text {index + 1} has no label; label it or leave it out")
        if isinstance(label, several) and any(map(_is_missing, label)):
            raise DataError(f"text {index + 1} has a label that is missing; leave it out of its list")
    labels = [[_as_text(one) for one in each] if isinstance(each, several) else _as_text(each) for each in labels]
    given = [_unique(sorted(each)) if isinstance(each, list) else each.strip() for each in labels]
    if "" in given:
        raise DataError(f"text {given.index('') + 1} has no label; label it or leave it out")

    def kinds_of(cells: Sequence[Any]) -> list[tuple[str, ...]] | None:
        if not any(isinstance(cell, tuple) for cell in cells):
            return None
        return [cell if isinstance(cell, tuple) else (cell,) for cell in cells]

    written = ("" if _is_missing(text) else _as_text(text) for text in texts)
    labelled = collected(zip(written, given, strict=True), "the data", kinds_of)
    if not labelled.texts:
        raise DataError("there are no texts")
    return labelled


def texts_of(texts: Any) -> list[str]:
    """One text, or several. Raises DataError: one of them is none."""
    texts = [texts] if isinstance(texts, str | bytes) else list(texts)
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise DataError(f"text {number} is of the type {type(text).__name__}: {str(text)[:40]!r}; give strings")
    return texts


def _as_text(value: Any) -> str:
    """Of a text or a label; whole numbers without a point, as in tables."""
    if isinstance(value, bytes):
        return text_of(value)
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _is_missing(value: Any) -> bool:
    """Whether something is what stands where there is nothing: None, NaN, pandas' NA and NaT."""
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def parts_of(source: str) -> dict[str, str]:
    """The folders of training, validation and test texts in a folder such as aclImdb's; {} where there are none."""
    folder = Path(source)
    if not is_folder(source):
        return {}
    parts = {part: str(folder / name) for part, names in _PARTS.items() for name in names if (folder / name).is_dir()}
    return parts if "train" in parts else {}


def is_folder(source: str) -> bool:
    """Whether a source is a folder."""
    return source != "-" and os.path.isdir(source)  # noqa: PTH112 - `is_dir` raises where a name is too long


def _column_of(columns: list[str], wanted: str | None, names: Collection[str], what: str, source: str) -> str | None:
    """The column `wanted`, else the first with a usual name; None if none has one."""
    if wanted is not None:
        if wanted in columns:
            return wanted
        raise DataError(f"{source} has no column '{wanted}' for `{what}_column`; it has: {', '.join(columns)}")
    return next((column for name in names for column in columns if column.strip().lower() == name), None)


def _decoded_lines(head: bytes, name: str, *, whole: bool) -> list[str]:
    """The lines at the beginning of a source; where it goes on, without the last one, or, of a long one, its end."""
    begun = b"".join(with_newlines([head], head, name)).removeprefix(b"\xef\xbb\xbf")
    if not whole:  # a line or a letter is not all there
        begun = begun[: begun.rfind(b"\n" if b"\n" in begun else b" ") + 1]
    lines = begun.split(b"\n")
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    return [decoded(line, index, name, head) for index, line in enumerate(lines, 1)]


def _is_table(line: str) -> bool:
    """Whether a first line is the header of a table with a usual name."""
    try:
        first = next(csv.reader(line.splitlines(), delimiter=separator_of(line)), [])
    except csv.Error:  # whoever reads the table says what is wrong
        return True
    cells = {cell.strip().lower() for cell in first}
    return len(cells) > 1 and bool(cells.intersection(_TEXT_NAMES + _LABEL_NAMES))


def _has_labels_in_front(lines: list[str], known: Collection[str]) -> bool:
    """Whether the lines' first words are labels: few different ones, without the signs of a table."""
    firsts = Counter(line.split(maxsplit=1)[0] for line in lines if line.strip())
    if not firsts:
        return False
    if known and firsts.keys() <= set(known):
        return True
    first = lines[0].split(maxsplit=1)[:1]
    if "\t" in lines[0] and first and firsts[first[0]] == 1 and firsts.total() > 2:
        return False  # the header of a table: no other line begins as it does
    clean = not any(sign in first for first in firsts for sign in (*SEPARATORS, '"'))
    return clean and len(firsts) <= max(2, firsts.total() // 2)


def _read_lines(lines: Iterable[str], name: str, separator: str | None) -> Labelled:
    rows = (line.split(maxsplit=1) for line in lines if line.strip())
    records = ((row[1] if len(row) > 1 else "", row[0]) for row in rows)
    return collected(records, name, lambda cells: _separated(cells, separator) if separator else None)


def _read_marked(lines: Iterable[str], name: str) -> Labelled:
    def records() -> Iterator[tuple[str, tuple[str, ...]]]:
        for index, line in enumerate(lines, 1):
            if not line.strip():
                continue
            found, text = [], line
            while (first := text.split(maxsplit=1)[:1]) and first[0].startswith(_MARK):
                if first[0] == _MARK:
                    raise DataError(f"line {index} of {name} has a label without a name: '{line[:40]}'")
                found.append(first[0].removeprefix(_MARK))
                text = [*text.split(maxsplit=1), ""][1]
            if not found:
                raise DataError(f"line {index} of {name} does not begin with a label: '{line[:40]}'")
            yield text, tuple(dict.fromkeys(found))

    labelled = collected(records(), name, list)
    return replace(labelled, several=any(len(kind) > 1 for kind in labelled.kinds))


def _from_table(tables: Callable[[Wanted], Iterator["pd.DataFrame"]], columns: Columns, name: str) -> Labelled:
    """The texts of a table, which comes in blocks of those columns that are wanted of it."""
    text = label = ""

    def wanted(names: list[str]) -> list[str]:
        nonlocal text, label
        text, label = _text_and_label(names, columns, name)
        return [text, label]

    def records() -> Iterator[tuple[str, str]]:
        for table in tables(wanted):
            yield from zip(table[text].tolist(), map(str.strip, table[label].tolist()), strict=True)

    labelled = collected(records(), name, lambda cells: _several_of(cells, columns.label_separator))
    if not labelled.several and ("",) in labelled.kinds:
        record = labelled.record_with([labelled.kinds.index(("",))])
        raise DataError(f"record {record} of {name} has no label in column '{label}'; label it or leave it out")
    return labelled


def _text_and_label(names: list[str], columns: Columns, name: str) -> tuple[str, str]:
    """The columns of the texts and of their labels."""
    text = _column_of(names, columns.text_column, _TEXT_NAMES, "text", name)
    label = _column_of(names, columns.label_column, _LABEL_NAMES, "label", name)
    others = [column for column in names if column not in (text, label)]
    if len(others) == 1 and (text is None) != (label is None):  # the other one of two
        text, label = text or others[0], label or others[0]
    for what, column in (("text", text), ("label", label)):
        if column is None:
            there = ", ".join(map(repr, names))
            raise DataError(f"{name}: which column is the {what}? name it with `{what}_column`; there are: {there}")
    assert text is not None and label is not None
    if text == label:
        raise DataError(f"{name}: `text_column` and `label_column` are both '{text}'; choose two columns")
    return text, label


def _separated(cells: Iterable[str], separator: str) -> list[tuple[str, ...]]:
    return [_unique(cell.split(separator)) for cell in cells]


def _several_of(cells: Sequence[str], separator: str | None) -> list[tuple[str, ...]] | None:
    """The labels in cells with a separator between them, or with lists; None where no cell is a list."""
    if separator:
        return _separated(cells, separator)
    lists = [_list_in(cell) for cell in cells]
    if all(each is None for each in lists):
        return None
    return [_unique([cell] if each is None else each) for cell, each in zip(cells, lists, strict=True)]


def _list_in(cell: str) -> list[Any] | None:
    """The list that a cell is, as JSON or as Python writes it; None where it is none."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list):
            return found
    return None


def _unique(items: Iterable[Any]) -> tuple[str, ...]:
    """Labels, each once, without blank ones."""
    names = (str(item).strip() for item in items if item is not None)
    return tuple(dict.fromkeys(name for name in names if name))


def _inside(folder: Path) -> list[Path]:
    """What is in a folder, in order, without what is hidden."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"cannot read '{folder}': {error.strerror}") from error


def _read_folder(folder: Path, encoding: str | None) -> Labelled:
    def records() -> Iterator[tuple[str, str]]:
        for kind in (path for path in _inside(folder) if path.is_dir() and path.name not in _UNLABELLED):
            for path in filter(Path.is_file, _inside(kind)):
                raw = read_bytes(str(path), encoding)
                try:
                    yield raw.decode("utf-8-sig"), kind.name
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"'{path}' is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}; {advice(raw)}"
                    ) from error

    labelled = collected(records(), f"'{folder}'")
    if not labelled.texts:
        raise DataError(f"'{folder}' has no folders with texts, one folder a class; name such a folder, or a file")
    return labelled
