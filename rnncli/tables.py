"""Reading a table: CSV, TSV, Parquet, JSON Lines or an Excel workbook, told apart by content.

Cells of text formats come as strings, exactly as they were written, so that whoever uses them can say which one is
wrong and how many digits it had.

Pandas is loaded where a table is made.
"""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from rnncli import limits
from rnncli.encodings import advice
from rnncli.errors import DataError
from rnncli.files import name_of, read_bytes

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 20_000  # rows that are held as lists
SEPARATORS = ",;\t|"
_COMMA = re.compile(r"^([+-]?\d+),(\d+)$")
UNNAMED = "value"  # the only column of what has no names


def read_table(source: str, encoding: str | None = None) -> "pd.DataFrame":
    """The table in `source` (a path or `-`): string columns, an empty string where a cell is missing.

    Text is UTF-8, or of another `encoding`.

    Raises DataError where there is nothing, no table, no row, a ragged row, or two columns with the same name.
    """
    return table_of(read_bytes(source, encoding), name_of(source))


def table_from(data: Any) -> "pd.DataFrame":
    """The table of strings that a file of a data frame, a series with an index, an array or a list would hold.

    Raises DataError where the data has no rows, or more dimensions than a table.
    """
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.Series):
        data = data.to_frame(UNNAMED if data.name is None else data.name)
    if not isinstance(data, pd.DataFrame):
        values = np.asarray(data)
        if values.ndim != 1:
            raise DataError(f"the series has the shape {list(values.shape)}; give one value for each step")
        data = pd.DataFrame({UNNAMED: values})
    if data.empty:
        raise DataError("the data is empty")
    return _as_text(data)


def table_of(raw: bytes, name: str) -> "pd.DataFrame":
    """The table in the content `raw` of a file that messages call `name`; see `read_table`."""
    if not raw.strip():
        raise DataError(f"{name} is empty")
    if raw.startswith(b"PAR1"):
        table = _as_text(_read_parquet(raw, name))
    elif raw.startswith(b"PK\x03\x04"):
        table = _as_text(_read_excel(raw, name))
    else:
        text = _decode(raw, name).strip("\ufeff")
        if not text.strip():
            raise DataError(f"{name} is empty")
        table = _read_json(text, name) if text.lstrip()[0] in "{[" else _read_separated(text, name)
    if table.empty:
        raise DataError(f"{name} has a header ({', '.join(map(str, table.columns))}) but no rows")
    if table.columns.duplicated().any():
        twice = table.columns[table.columns.duplicated()][0]
        raise DataError(f"{name} has two columns named {twice!r}; rename one")
    return table


def _decode(raw: bytes, name: str) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    if b"\x00" in raw:
        raise DataError(f"{name} is a binary file; tables are read as CSV, TSV, Parquet, JSON Lines or Excel")
    try:
        return with_newlines(raw).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        byte = f"byte 0x{raw[error.start]:02x} at offset {error.start} (line {line})"
        raise DataError(f"{name} is not UTF-8: {byte}; {advice(raw)}") from error


def with_newlines(raw: bytes) -> bytes:
    """The text with newlines at the ends of its lines, where these are carriage returns alone, as of old Excel."""
    return raw if b"\n" in raw else raw.replace(b"\r", b"\n")


def _read_separated(text: str, name: str) -> "pd.DataFrame":
    import pandas as pd

    text = _without_comments(text)
    separator = separator_of(text.lstrip().split("\n", 1)[0])
    rows = rows_of(io.StringIO(text), separator, name, strip=True)
    header = next(rows, [])
    if not header:
        raise DataError(f"{name} is empty: it has blank cells only")
    if all(map(is_number, header)):  # no header: the first line is data already
        rows = chain([header], rows)
        header = [UNNAMED] if len(header) == 1 else [f"column {index}" for index in range(1, len(header) + 1)]
    rows = (decimal_points(row, separator) for row in rows)
    # a column of pandas' takes a sixth of the memory of cells in lists
    blocks = [pd.DataFrame(some, columns=header, dtype=str) for some in iter(lambda: list(islice(rows, _BLOCK)), [])]
    return pd.concat(blocks, ignore_index=True) if blocks else pd.DataFrame(columns=header, dtype=str)


def _without_comments(text: str) -> str:
    """A text without lines that begin with # before its header; the last of them may be the header itself."""
    comments, rest = [], text
    while rest.lstrip().startswith("#"):
        line, _, rest = rest.lstrip().partition("\n")
        comments.append(line.lstrip("# "))
    if not comments or not rest.strip():
        return text
    first = rest.lstrip().split("\n", 1)[0]
    separator = separator_of(first)
    cells = first.split(separator)
    headed = len(cells) > 1 and comments[-1].count(separator) == len(cells) - 1 and any(map(is_number, cells))
    return f"{comments[-1]}\n{rest}" if headed else rest


def decimal_points(row: list[str], separator: str) -> list[str]:
    """Cells of a row as other programs write them: where ';' separates, ',' is the decimal point."""
    return [_COMMA.sub(r"\1.\2", cell) for cell in row] if separator == ";" else row


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


def is_number(cell: str) -> bool:
    """Whether a cell can be read as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


_GROUPED = {  # numbers with separators between thousands, or with a decimal comma
    "1,234.5": re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?"),
    "1.234,5": re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+|[+-]?\d{1,3}(\.\d{3}){2,}"),
    "1 234.5": re.compile(r"[+-]?\d{1,3}([ \u00a0\u202f']\d{3})+(\.\d+)?"),
    "1 234,5": re.compile(r"[+-]?\d{1,3}([ \u00a0\u202f']\d{3})+,\d+"),
}


def plain_numbers(column: Sequence[str]) -> tuple[list[str], str]:
    """A column with its numbers as programs write them, and the notation that was read; "" if there was no other.

    A notation is read where it fits every cell that is no number already: "1,234" is a thousand, "1.234,5" too.
    """
    odd = [cell for cell in column if cell and not is_number(cell) and any(map(str.isdigit, cell))]
    for notation, pattern in _GROUPED.items() if odd else ():
        if all(pattern.fullmatch(cell) for cell in odd):
            comma = notation.endswith(",5")
            between = str.maketrans(
                {**dict.fromkeys(". \u00a0\u202f'", ""), ",": "."} if comma else dict.fromkeys(", \u00a0\u202f'", "")
            )
            found = set(odd)
            return [cell.translate(between) if cell in found else cell for cell in column], notation
    return list(column), ""


def _read_json(text: str, name: str) -> "pd.DataFrame":
    import pandas as pd

    try:
        if text.lstrip()[0] == "[":
            records = json.loads(text)
        else:
            records = [_record(line, index, name) for index, line in enumerate(text.split("\n"), 1) if line.strip()]
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is not JSON: {error}") from error
    if not all(isinstance(record, dict) for record in records):
        raise DataError(f"{name} is not a table: a record of it is no JSON object")
    return _as_text(pd.DataFrame.from_records(records))


def _record(line: str, index: int, name: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        fault = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
        raise DataError(f"{name} is not JSON Lines: line {index}, {fault}") from error


def _read_parquet(raw: bytes, name: str) -> "pd.DataFrame":
    import pyarrow.parquet as parquet

    try:
        file = parquet.ParquetFile(io.BytesIO(raw))
        cells = file.metadata.num_rows * max(1, file.metadata.num_columns)
        if cells > limits.MOST_CELLS and not limits.lifted():
            raise limits.too_much(name, f"has {cells:,} cells, and tables of up to {limits.MOST_CELLS:,} are read")
        return file.read().to_pandas()
    except DataError:
        raise
    except Exception as error:  # of a damaged file, Arrow and pandas raise what they run into
        raise DataError(f"{name} is a damaged Parquet file: {(str(error).splitlines() or [repr(error)])[0]}") from error


def _read_excel(raw: bytes, name: str) -> "pd.DataFrame":
    """The first sheet of a workbook."""
    import pandas as pd

    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            limits.check_unpacked(sum(each.file_size for each in archive.infolist()), len(raw), name)
        table = pd.read_excel(io.BytesIO(raw), engine="openpyxl")
    except ImportError as error:
        raise DataError(f"{name} is a workbook; install rnncli[excel], or save it as CSV") from error
    except DataError:
        raise
    except Exception as error:  # of a damaged archive, openpyxl raises what it runs into
        raise DataError(
            f"{name} is a damaged workbook: {str(error).splitlines()[0] if str(error) else error!r}"
        ) from error
    return table.dropna(how="all")


def _listed(cell: Any) -> Any:
    """A list in a cell as JSON has it; others as they are."""
    if type(cell).__name__ == "ndarray":
        cell = cell.tolist()
    if isinstance(cell, set | frozenset):
        cell = sorted(cell, key=str)
    return json.dumps(cell, ensure_ascii=False, default=str) if isinstance(cell, list | tuple) else cell


def _as_text(table: "pd.DataFrame") -> "pd.DataFrame":
    """Typed columns as the strings that a CSV file would hold."""
    import pandas as pd

    if table.index.name is not None or isinstance(table.index, pd.DatetimeIndex):
        table = table.reset_index()

    def text(column: Any) -> Any:
        missing = column.isna()
        if pd.api.types.is_datetime64_any_dtype(column):
            whole_days = bool((column.dropna() == column.dropna().dt.normalize()).all())
            exact = bool((column.dropna() == column.dropna().dt.floor("s")).all())
            zone = "%z" if column.dt.tz is not None else ""
            time = "" if whole_days and not zone else " %H:%M:%S" if exact else " %H:%M:%S.%f"
            column = column.dt.strftime("%Y-%m-%d" + time + zone)
        elif pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
            column = column.map("{:.0f}".format)  # a column of integers with gaps is one of floats to pandas
        elif pd.api.types.is_object_dtype(column):
            column = column.map(_listed)
        return column.astype(str).mask(missing, "")

    return pd.DataFrame({str(name): text(table[name]) for name in table.columns})
