"""Tables in text, with a sign between cells: CSV and its relatives."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from rnncli.errors import DataError
from rnncli.limits import LONGEST_LINE
from rnncli.notation import decimal_points, is_number
from rnncli.tables.typed import UNNAMED, check_names

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = ",;\t|"
_SAID = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


def separated_blocks(lines: Iterator[str], name: str, size: int, *, numbers: bool) -> Iterator["pd.DataFrame"]:
    """Tables of `size` rows, the last one of fewer; see `rows_of`.

    Where they are `numbers`, blank columns without a name are left out; where ';' separates, a decimal comma becomes a
    point. As a whole column tells what a point is, they come in one table.
    """
    import pandas as pd

    separator, header, rows = opened(lines, name)
    if not numbers or (separator != ";" and "" not in header):
        check_names(header, name)
        yield from _tables(rows, header, size)
        return
    table = pd.concat(list(_tables(rows, list(range(len(header))), size)), ignore_index=True)
    table = table.loc[:, named_of(header, lambda place: any(table[place]))]
    for place in table if separator == ";" else ():
        table[place] = pd.Series(decimal_points(table[place].tolist()), table.index, str)
    table.columns = pd.Index([header[place] for place in table])
    check_names(table.columns, name)
    yield table


def opened(lines: Iterator[str], name: str) -> tuple[str, list[str], Iterator[list[str]]]:
    """What separates the cells of a table, its header, and its rows. Raises DataError: there is nothing."""
    first, lines = _without_comments(lines)
    if (said := _SAID.fullmatch(first.strip(" \r\n"))) is not None:  # what Excel asks for
        separator, lines = said[1], ("" if line == first else line for line in lines)
    else:
        separator = separator_of(first)
    rows = rows_of((f"{line}\n" for line in lines), separator, name, strip=True)
    header = next(rows, [])
    if not header:
        raise DataError(f"{name} is empty: it has blank cells only")
    if all(map(is_number, header)):  # no header: the first line is data already
        rows = chain([header], rows)
        header = [UNNAMED] if len(header) == 1 else [f"column {index}" for index in range(1, len(header) + 1)]
    return separator, header, rows


def named_of(header: list[str], has_values: Callable[[int], bool]) -> list[int]:
    """The places of columns that have a name, or values."""
    return [place for place, name in enumerate(header) if name or has_values(place)]


def _tables(rows: Iterator[list[str]], header: list[Any], size: int) -> Iterator["pd.DataFrame"]:
    import pandas as pd

    some = list(islice(rows, size))
    while True:  # a table without rows is one, too
        yield pd.DataFrame(some, columns=header, dtype=str)  # a column of pandas' takes a sixth of the memory of lists
        if not (some := list(islice(rows, size))):
            return


def _without_comments(lines: Iterator[str]) -> tuple[str, Iterator[str]]:
    """The first line, and all, without those that begin with # before the header; the last of them may be it itself.

    Blank lines stand for what is left out, so that others keep their numbers.
    """
    comments, first = [], ""
    for first in lines:
        if first.strip() and not first.lstrip().startswith("#"):
            break
        comments.append(first)
    else:
        return next(filter(str.strip, comments), ""), iter(comments)
    separator = separator_of(first)
    cells = first.split(separator)
    last = next(filter(str.strip, reversed(comments)), "").lstrip("# ")
    headed = len(cells) > 1 and last.count(separator) == len(cells) - 1 and any(map(is_number, cells))
    begun = [last, first] if headed else [first]
    return begun[0], chain([""] * (len(comments) - headed), begun, lines)


def separator_of(header: str) -> str:
    """The separator that the first line of a table has most of."""
    return max(SEPARATORS, key=header.count)


def rows_of(lines: Iterable[str], separator: str, name: str, *, strip: bool) -> Iterator[list[str]]:
    """The rows of a CSV, the header first, without blank lines. Raises DataError where one is ragged or broken.

    `strip` takes the blanks around cells away, too. Without it, a blank line under a single column is an empty cell.
    """
    csv.field_size_limit(LONGEST_LINE)  # a cell may hold a book
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    width, line, after = 0, 1, 1  # the line in which a row begins, and the next one
    try:
        for row in reader:
            line, after = after, reader.line_num + 1
            if strip:
                row = [cell.strip() for cell in row]
            elif width == 1:
                row = row or [""]
            if not row or (strip and row == [""]):
                continue
            width = width or len(row)
            if strip and len(row) != width and row[0].startswith("# " if len(row) > 1 else "#"):
                continue  # a comment; #this may be a text
            if len(row) != width:
                raise DataError(f"{name} is ragged: line {line} has {len(row)} cells, the header {width}")
            yield row
    except csv.Error as error:
        raise DataError(f"{name} is no table: line {after}, {error}") from error
