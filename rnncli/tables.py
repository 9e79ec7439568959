"""Reading a table: CSV, TSV, Parquet or JSON Lines, told apart by content.

Cells of text formats come as strings, exactly as they were written, so that whoever uses them can say which one is
wrong and how many digits it had.

Pandas is loaded where a table is made.
"""

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from rnncli.errors import DataError
from rnncli.files import name_of, read_bytes

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = ",;\t|"


def read_table(source: str) -> "pd.DataFrame":
    """The table in `source` (a path or `-`): string columns, an empty string where a cell is missing.

    Raises:
        DataError: nothing there, no rows, ragged rows, columns without or with the same name, or not a table.
    """
    return table_of(read_bytes(source), name_of(source))


def table_of(raw: bytes, name: str) -> "pd.DataFrame":
    """The same of what was read from the source that messages call `name`."""
    if not raw.strip():
        raise DataError(f"{name} is empty")
    if raw.startswith(b"PAR1"):
        table = _as_text(_read_parquet(raw, name))
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
        raise DataError(f"{name} is a binary file; tables are read as CSV, TSV, Parquet or JSON Lines")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        byte = f"byte 0x{raw[error.start]:02x} at offset {error.start} (line {line})"
        raise DataError(f"{name} is not UTF-8: {byte}; convert it first, for example with iconv") from error


def _read_separated(text: str, name: str) -> "pd.DataFrame":
    import pandas as pd

    separator = max(SEPARATORS, key=text.lstrip().split("\n", 1)[0].count)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a cell may hold a book
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            row = [cell.strip() for cell in row]
            if not any(row) and len(row) < 2:
                continue  # a blank line
            if rows and len(row) != len(rows[0]):
                raise DataError(
                    f"{name} is ragged: line {reader.line_num} has {len(row)} cells, the header {len(rows[0])}"
                )
            rows.append(row)
    except csv.Error as error:
        raise DataError(f"{name} is no table: line {reader.line_num}, {error}") from error
    if all(map(is_number, rows[0])):  # no header: the first line is data already
        rows.insert(0, ["value"] if len(rows[0]) == 1 else [f"column {number + 1}" for number in range(len(rows[0]))])
    table = pd.DataFrame(rows[1:], columns=rows[0], dtype=str)
    if separator == ";":  # where ';' separates, ',' is the decimal point
        table = table.replace(r"^([+-]?\d+),(\d+)$", r"\1.\2", regex=True)
    return table


def is_number(cell: str) -> bool:
    """Whether a cell can be read as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read_json(text: str, name: str) -> "pd.DataFrame":
    import pandas as pd

    try:
        if text.lstrip()[0] == "[":
            records = json.loads(text)
        else:
            records = [_record(line, number, name) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is not JSON: {error}") from error
    if not all(isinstance(record, dict) for record in records):
        raise DataError(f"{name} is not a table: a record of it is no JSON object")
    return _as_text(pd.DataFrame.from_records(records))


def _record(line: str, number: int, name: str) -> object:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{name} is not JSON Lines: line {number}, {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is not JSON Lines: line {number}, {error}") from error


def _read_parquet(raw: bytes, name: str) -> "pd.DataFrame":
    import pandas as pd

    try:
        return pd.read_parquet(io.BytesIO(raw))
    except (ValueError, OSError) as error:
        raise DataError(f"{name} is a damaged Parquet file: {str(error).splitlines()[0]}") from error


def _as_text(table: "pd.DataFrame") -> "pd.DataFrame":
    """Typed columns as the strings a CSV file would hold."""
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
        return column.astype(str).mask(missing, "")

    return pd.DataFrame({str(name): text(table[name]) for name in table.columns})
