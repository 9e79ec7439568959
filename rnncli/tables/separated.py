"""Tables in text, with a sign between cells: CSV and its relatives."""

import csv
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from rnncli.errors import DataError
from rnncli.notation import decimal_points, is_number
from rnncli.tables.typed import UNNAMED

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = ",;\t|"


def separated_blocks(lines: Iterator[str], name: str, size: int) -> Iterator["pd.DataFrame"]:
    """Tables of `size` rows, the last one of fewer; see `rows_of`."""
    import pandas as pd

    lines = _without_comments(lines)
    blank = []
    for first in lines:
        if first.strip():
            break
        blank.append(first)
    else:
        first = ""
    separator = separator_of(first)
    rows = rows_of(chain(blank, [first], lines), separator, name, strip=True)
    header = next(rows, [])
    if not header:
        raise DataError(f"{name} is empty: it has blank cells only")
    if all(map(is_number, header)):  # no header: the first line is data already
        rows = chain([header], rows)
        header = [UNNAMED] if len(header) == 1 else [f"column {index}" for index in range(1, len(header) + 1)]
    rows = (decimal_points(row, separator) for row in rows)
    some = list(islice(rows, size))
    yield pd.DataFrame(some, columns=header, dtype=str)  # a column of pandas' takes a sixth of the memory of lists
    while some := list(islice(rows, size)):
        yield pd.DataFrame(some, columns=header, dtype=str)


def _without_comments(lines: Iterator[str]) -> Iterator[str]:
    """Lines without those that begin with # before the header; the last of them may be the header itself.

    Blank lines stand for what is left out, so that others keep their numbers.
    """
    comments, first = [], ""
    for first in lines:
        if first.strip() and not first.lstrip().startswith("#"):
            break
        comments.append(first)
    else:
        yield from comments
        return
    separator = separator_of(first)
    cells = first.split(separator)
    last = next((line.lstrip("# ") for line in reversed(comments) if line.strip()), "")
    headed = len(cells) > 1 and last.count(separator) == len(cells) - 1 and any(map(is_number, cells))
    yield from ["\n"] * (len(comments) - headed)
    yield from [last, first] if headed else [first]
    yield from lines


def separator_of(header: str) -> str:
    """The separator that the first line of a table has most of."""
    return max(SEPARATORS, key=header.count)


def rows_of(lines: Iterable[str], separator: str, name: str, *, strip: bool) -> Iterator[list[str]]:
    """The rows of a CSV, the header first, without blank lines. Raises DataError where one is ragged or broken.

    `strip` takes the blanks around cells away, too. Without it, a blank line under a single column is an empty cell.
    """
    csv.field_size_limit(2**31 - 1)  # a cell may hold a book
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    width = 0
    try:
        for row in reader:
            if strip:
                row = [cell.strip() for cell in row]
            elif width == 1:
                row = row or [""]
            if not row or (strip and row == [""]):
                continue
            width = width or len(row)
            if strip and len(row) != width and row[0].startswith("#"):  # a comment
                continue
            if len(row) != width:
                raise DataError(f"{name} is ragged: line {reader.line_num} has {len(row)} cells, the header {width}")
            yield row
    except csv.Error as error:
        line = reader.line_num if width or strip else 1  # a header that never ends begins in the first line
        raise DataError(f"{name} is no table: line {line}, {error}") from error
