"""Reading a table in one of many forms, whole or in blocks of rows."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from rnncli import limits
from rnncli.encodings import advice, decoded
from rnncli.errors import DataError
from rnncli.files import name_of, peeked, read_blocks, whole_lines, with_newlines
from rnncli.tables.separated import separated_blocks
from rnncli.tables.typed import Wanted, as_text, check_names, parquet_blocks, plain, workbook

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 20_000  # rows
TYPED = (b"PAR1", b"PK\x03\x04", b"\xff\xfe", b"\xfe\xff")  # Parquet, Excel; UTF-16: what is not read by lines

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
    if not head.startswith(b"PK\x03\x04"):
        return _checked(_text_blocks(lines_of(blocks, head, name), name, wanted), name)
    tables = _checked(iter([as_text(workbook(limits.joined(blocks, name), name))]), name)
    return tables if wanted is None else narrowed(tables, wanted)


def _checked(tables: Tables, name: str) -> Tables:
    first = next(tables)
    if first.empty:
        raise DataError(f"{name} has a header ({', '.join(map(str, first.columns))}) but no rows")
    check_names(first.columns, name)
    return chain([first], tables)


def narrowed(tables: Tables, wanted: Wanted) -> Tables:
    """Tables with those columns alone that are wanted."""
    chosen: list[str] = []
    for table in tables:
        chosen = chosen or list(wanted(list(table.columns)))
        yield table.reindex(columns=chosen)


def _whole(tables: Tables) -> "pd.DataFrame":
    import pandas as pd

    blocks = list(tables)
    table = pd.concat(blocks, ignore_index=True)
    same = all(block.columns.equals(table.columns) for block in blocks)
    return table if same else table.fillna("")


def lines_of(blocks: Iterable[bytes], head: bytes, name: str) -> Iterator[str]:
    """The lines of a text that begins with `head`, without their newlines."""
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    newlines = 0

    def checked() -> Iterator[bytes]:
        nonlocal newlines
        for block in blocks if wide else with_newlines(blocks, head, name):
            if b"\x00" in block and not wide:
                raise DataError(f"{name} is a binary file; tables are read as CSV, TSV, Parquet, JSON Lines or Excel")
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
    if not _is_array(head):  # which may be one line
        text = limits.lines_at_most(text, "\n", name)
    return chain.from_iterable(whole_lines(text, "\n"))


def _is_array(head: bytes) -> bool:
    return head.translate(None, b"\0\xef\xbb\xbf\xff\xfe").lstrip().startswith(b"[")


def _text_blocks(lines: Iterator[str], name: str, wanted: Wanted | None) -> Tables:
    before, sign = [], ""
    for line in lines:
        before.append(line)
        if sign := line.strip().strip("\ufeff").strip()[:1]:
            break
    else:
        raise DataError(f"{name} is empty")
    before[-1] = before[-1].lstrip("\ufeff")
    lines = chain(before, lines)
    if sign == "[":
        return _json_blocks(_records_of("\n".join(limits.at_most(lines, name)), name), name, wanted)
    if sign == "{":
        numbered = ((index, line) for index, line in enumerate(lines, 1) if line.strip())
        return _json_blocks((_record(line, index, name) for index, line in numbered), name, wanted)
    tables = separated_blocks(lines, name, _BLOCK, numbers=wanted is None)
    return tables if wanted is None else narrowed(tables, wanted)


def _json_blocks(records: Iterator[Any], name: str, wanted: Wanted | None) -> Tables:
    """Objects may have different keys, of which only those are looked at that are `wanted`, if it is not None."""
    import pandas as pd

    met: dict[str, None] = {}
    chosen: list[str] = []
    while some := list(islice(records, _BLOCK)):
        if not all(isinstance(record, dict) for record in some):
            raise DataError(f"{name} is not a table: a record of it is no JSON object")
        keys = dict.fromkeys(chain.from_iterable(some))
        if any(key != plain(key) for key in keys):
            some = [{plain(key): value for key, value in record.items()} for record in some]
            keys = dict.fromkeys(map(plain, keys))
        if wanted is not None and not met.keys() >= keys.keys():
            met |= keys
            found = list(wanted(list(met)))
            if chosen and chosen != found:
                missing = next(key for key in found if key not in chosen)
                raise DataError(f"the first {_BLOCK:,} records of {name} have no {missing!r}, as later ones have")
            chosen = found
        columns = list(keys) if wanted is None else chosen
        cells = {column: [record.get(column) for record in some] for column in columns}
        # of objects, so that the text of a cell does not depend on other ones
        yield as_text(pd.DataFrame(cells, columns=columns, index=range(len(some)), dtype=object))


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
