"""Labelled texts from the forms in which people keep them.

Tables (CSV, TSV, JSON Lines, Parquet), lines that begin with their label (`__label__pos a fine film`, as fastText has
them, or `pos a fine film`), and a folder with a folder of text files for each class.
"""

import ast
import csv
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.encodings import advice
from rnncli.errors import DataError
from rnncli.files import name_of, read_bytes
from rnncli.sentiment.settings import Columns
from rnncli.tables import SEPARATORS, separator_of, table_from, table_of, with_newlines

if TYPE_CHECKING:
    import pandas as pd

_MARK = "__label__"  # fastText's
_TABLES = (b"PAR1", b"\xff\xfe", b"\xfe\xff")  # Parquet; UTF-16, which lines are not read in
_TEXT_NAMES = ("text", "review", "sentence", "content", "comment", "message", "tweet", "body", "document", "phrase")
_LABEL_NAMES = ("label", "sentiment", "class", "category", "target", "polarity", "rating", "stars", "score", "topic")
_UNLABELLED = ("unsup",)  # aclImdb's folder of reviews without a label
_PARTS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}


@dataclass(frozen=True)
class Labelled:
    """Texts and the labels that they have."""

    texts: list[str]
    labels: Sequence[str] | Sequence[tuple[str, ...]]  # one for each text, or several
    name: str  # of the source, for messages

    @property
    def several(self) -> bool:
        """Whether texts have several labels, or none."""
        return any(isinstance(each, tuple) for each in self.labels)

    @property
    def sets(self) -> list[tuple[str, ...]]:
        """All labels of each text."""
        return [each if isinstance(each, tuple) else (each,) for each in self.labels]

    def __len__(self) -> int:
        return len(self.texts)


def read_labelled(source: str, columns: Columns, known: Collection[str] = ()) -> Labelled:
    """The labelled texts in `source`, a path or `-`. Labels in `known` tell lines of `label text` from a table.

    Raises DataError where it cannot be read, or has no texts or labels.
    """
    if is_folder(source):
        return _read_folder(Path(source), columns.encoding)
    raw, name = read_bytes(source, columns.encoding), name_of(source)
    if not raw.strip():
        raise DataError(f"{name} is empty")
    if not columns.named and not raw.startswith(_TABLES) and raw.lstrip()[:1] not in b"{[":
        lines = _decoded_lines(raw, name)
        if next(line for line in lines if line.strip()).startswith(_MARK):
            return _read_marked(lines, name)
        if not _is_table(lines[0]) and _has_labels_in_front(lines, known):
            return _read_lines(lines, name, columns.label_separator)
    return _from_table(table_of(raw, name), columns, name)


def labelled_of(texts: Any, labels: Sequence[Any] | None, columns: Columns, known: Collection[str] = ()) -> Labelled:
    """Labelled texts from wherever they are: texts with as many labels, a data frame of both, or a path.

    Raises DataError where a text has no label, the data frame no such columns, or nothing can be read from the path.
    """
    if labels is None and isinstance(texts, str | os.PathLike):
        return read_labelled(os.fspath(texts), columns, known)
    if labels is None:
        if not hasattr(texts, "columns"):
            raise DataError("the texts have no labels; give `labels`, one for each text, or a data frame with both")
        return _from_table(table_from(texts), columns, "the data frame")
    if getattr(labels, "ndim", 1) > 1:
        raise DataError("`labels` are a table; give for each text a list of its labels")
    several = (list, tuple, set, frozenset, np.ndarray)
    given = [_unique(sorted(each, key=str)) if isinstance(each, several) else str(each) for each in labels]
    labelled = Labelled([str(text) for text in texts], given, "the data")  # pyright: ignore[reportArgumentType]
    counts = len(labelled.texts), len(labelled.labels)
    if counts[0] != counts[1]:
        raise DataError(f"there are {counts[0]:,} texts and {counts[1]:,} labels; give one for each text")
    if not labelled.texts:
        raise DataError("there are no texts")
    return labelled


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


def _column_of(table: "pd.DataFrame", wanted: str | None, names: Collection[str], what: str, source: str) -> str | None:
    """The column `wanted`, else the first with a usual name; None if none has one."""
    columns = list(table.columns)
    if wanted is not None:
        if wanted in columns:
            return wanted
        raise DataError(f"{source} has no column '{wanted}' for `{what}_column`; it has: {', '.join(columns)}")
    return next((column for name in names for column in columns if column.strip().lower() == name), None)


def _decoded_lines(raw: bytes, name: str) -> list[str]:
    """The lines, which are records here; only a newline ends one."""
    lines = with_newlines(raw.removeprefix(b"\xef\xbb\xbf")).split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [decoded(line, index, name, raw) for index, line in enumerate(lines, 1)]


def decoded(line: bytes, index: int, name: str, beside: bytes = b"") -> str:
    """Record `index` as text. Raises DataError where it is not UTF-8; the bytes `beside` it may tell what they are."""
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"record {index} of {name} is not UTF-8: byte 0x{line[error.start]:02x} at its offset {error.start}; "
            + advice(beside or line)
        ) from error


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


def _read_lines(lines: list[str], name: str, separator: str | None) -> Labelled:
    rows = [line.split(maxsplit=1) for line in lines if line.strip()]
    labels = [row[0] for row in rows]
    texts = [row[1] if len(row) > 1 else "" for row in rows]
    return Labelled(texts, labels if separator is None else [_unique(each.split(separator)) for each in labels], name)


def _read_marked(lines: list[str], name: str) -> Labelled:
    texts, labels = [], []
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
        labels.append(tuple(found))
        texts.append(text)
    if all(len(each) == 1 for each in labels):
        return Labelled(texts, [each for (each,) in labels], name)
    return Labelled(texts, labels, name)


def _from_table(table: "pd.DataFrame", columns: Columns, name: str) -> Labelled:
    text = _column_of(table, columns.text_column, _TEXT_NAMES, "text", name)
    label = _column_of(table, columns.label_column, _LABEL_NAMES, "label", name)
    others = [column for column in table.columns if column not in (text, label)]
    if len(others) == 1 and (text is None) != (label is None):  # the other one of two
        text, label = text or others[0], label or others[0]
    for what, column in (("text", text), ("label", label)):
        if column is None:
            there = ", ".join(map(repr, table.columns))
            raise DataError(f"{name}: which column is the {what}? name it with `{what}_column`; there are: {there}")
    if text == label:
        raise DataError(f"{name}: `text_column` and `label_column` are both '{text}'; choose two columns")
    labels = table[label].tolist()
    several = _several_of(labels, columns.label_separator)
    if several is not None:
        return Labelled(table[text].tolist(), several, name)
    if "" in labels:
        index = labels.index("") + 1
        raise DataError(f"record {index} of {name} has no label in column '{label}'; label it or leave it out")
    return Labelled(table[text].tolist(), labels, name)


def _several_of(cells: Sequence[str], separator: str | None) -> list[tuple[str, ...]] | None:
    """The labels in cells with a separator between them, or with lists; None where no cell is a list."""
    if separator:
        return [_unique(cell.split(separator)) for cell in cells]
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


def _read_folder(folder: Path, encoding: str | None) -> Labelled:
    texts, labels = [], []
    for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
        if kind.name.startswith(".") or kind.name in _UNLABELLED:
            continue
        for path in sorted(path for path in kind.iterdir() if path.is_file() and not path.name.startswith(".")):
            raw = read_bytes(str(path), encoding)
            try:
                texts.append(raw.decode("utf-8-sig"))
            except UnicodeDecodeError as error:
                raise DataError(
                    f"'{path}' is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}; {advice(raw)}"
                ) from error
            labels.append(kind.name)
    if not texts:
        raise DataError(f"'{folder}' has no folders with texts, one folder a class; name such a folder, or a file")
    return Labelled(texts, labels, f"'{folder}'")
