"""Reading a table in one of many forms, whole or in blocks of rows."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from rnncli import limits
from rnncli.encodings import advice, decoded
from rnncli.errors import DataError
from rnncli.files import name_of, peeked, read_blocks, whole_lines
from rnncli.tables.separated import separated_blocks
from rnncli.tables.typed import Wanted, as_text, parquet_blocks, workbook

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 20_000  # rows

Tables = Iterator["pd.DataFrame"]


def read_table(source: str, encoding: str | None = None) -> "pd.DataFrame":
    """The table in `source` (a path or `-`): string columns, an empty string where a cell is missing.

    Text is UTF-8, or of another `encoding`.

    Raises DataError where there is nothing, no table, no row, a ragged row, or two columns with the same name.
    """
    name = name_of(source)
    return _whole(blocks_of(limits.at_most(read_blocks(source, encoding), name), name))


def table_of(raw: bytes, name: str) -> "pd.DataFrame":
    """The table in the content `raw` of a file that messages call `name`; see `read_table`."""
    return _whole(blocks_of(iter([raw]), name))


def blocks_of(blocks: Iterator[bytes], name: str, wanted: Wanted | None = None) -> Tables:
    """The same in tables of some rows each, for what may be larger than memory.

    `wanted` chooses columns from the names of all.
    """
    head, blocks = peeked(blocks)
    if not head.strip():
        raise DataError(f"{name} is empty")
    if head.startswith(b"PAR1"):  # of which columns that are not wanted need not be read
        return _checked(parquet_blocks(blocks, name, wanted, _BLOCK), name)
    if head.startswith(b"PK\x03\x04"):
        tables = iter([as_text(workbook(limits.joined(blocks, name), name))])
    else:
        tables = _text_blocks(_lines(blocks, head, name), name)
    tables = _checked(tables, name)
    return tables if wanted is None else narrowed(tables, wanted)


def _checked(tables: Tables, name: str) -> Tables:
    first = next(tables)
    if first.empty:
        raise DataError(f"{name} has a header ({', '.join(map(str, first.columns))}) but no rows")
    if first.columns.duplicated().any():
        twice = first.columns[first.columns.duplicated()][0]
        raise DataError(f"{name} has two columns named {twice!r}; rename one")
    return chain([first], tables)


def narrowed(tables: Tables, wanted: Wanted) -> Tables:
    """Tables with those columns alone that are wanted of the first one's."""
    chosen: list[str] = []
    for table in tables:
        chosen = chosen or list(wanted(list(table.columns)))
        yield table.reindex(columns=chosen, fill_value="")  # later JSON objects may have other ones


def _whole(tables: Tables) -> "pd.DataFrame":
    import pandas as pd

    blocks = list(tables)
    table = pd.concat(blocks, ignore_index=True)
    same = all(block.columns.equals(table.columns) for block in blocks)
    return table if same else table.fillna("")


def _lines(blocks: Iterable[bytes], head: bytes, name: str) -> Iterator[str]:
    """The lines of a text that begins with `head`, without their newlines."""
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    old = b"\n" not in head and not wide
    newlines = 0

    def checked() -> Iterator[bytes]:
        nonlocal newlines
        for block in blocks:
            if b"\x00" in block and not wide:
                raise DataError(f"{name} is a binary file; tables are read as CSV, TSV, Parquet, JSON Lines or Excel")
            block = with_newlines(block) if old else block
            newlines += block.count(b"\n")
            yield block

    def refuse(error: UnicodeError, place: int) -> DataError:
        if not isinstance(error, UnicodeDecodeError):
            return DataError(f"{name} is not UTF-16: {error}")
        raw, start = error.object, error.start
        line = newlines - raw.count(b"\n") + raw[:start].count(b"\n") + 1
        fault = f"byte 0x{raw[start]:02x} at offset {place} (line {line})"
        return DataError(f"{name} is not UTF-{16 if wide else 8}: {fault}; {advice(raw)}")

    text = decoded(checked(), "utf-16" if wide else "utf-8-sig", refuse)
    return chain.from_iterable(whole_lines(text, "\n"))


def with_newlines(raw: bytes) -> bytes:
    """The text with newlines at the ends of its lines, where these are carriage returns alone, as of old Excel."""
    return raw if b"\n" in raw else raw.replace(b"\r", b"\n")


def _text_blocks(lines: Iterator[str], name: str) -> Tables:
    before = []
    for line in lines:
        before.append(line)
        if line.strip("\ufeff \t\r"):
            break
    else:
        raise DataError(f"{name} is empty")
    before[-1] = before[-1].lstrip("\ufeff")
    sign = before[-1].lstrip()[0]
    lines = chain(before, lines)
    if sign == "[":
        return _json_blocks(_records_of("\n".join(limits.at_most(lines, name)), name), name)
    if sign == "{":
        numbered = ((index, line) for index, line in enumerate(lines, 1) if line.strip())
        return _json_blocks((_record(line, index, name) for index, line in numbered), name)
    return separated_blocks(lines, name, _BLOCK)


def _json_blocks(records: Iterator[Any], name: str) -> Tables:
    import pandas as pd

    while some := list(islice(records, _BLOCK)):
        if not all(isinstance(record, dict) for record in some):
            raise DataError(f"{name} is not a table: a record of it is no JSON object")
        yield as_text(pd.DataFrame(some, dtype=object))  # so that the text of a cell does not depend on other ones


def _records_of(text: str, name: str) -> Iterator[Any]:
    """The objects of a JSON array."""
    try:
        return iter(json.loads(text) or [{}])
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is not JSON: {error}") from error


def _record(line: str, index: int, name: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        fault = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
        raise DataError(f"{name} is not JSON Lines: line {index}, {fault}") from error
