"""Reading a table: CSV, TSV, Parquet or JSON Lines, told apart by content.

Cells of text formats come as strings, exactly as they were written, so that whoever uses them can say which one is
wrong and how many digits it had.
"""

import io
import json
import warnings

import pandas as pd

from rnncli.errors import DataError
from rnncli.files import name_of, read_bytes

_SEPARATORS = ",;\t|"


def read_table(source: str) -> pd.DataFrame:
    """The table in `source` (a path or `-`): string columns, an empty string where a cell is missing.

    Raises:
        DataError: nothing there, no rows, ragged rows, columns without or with the same name, or not a table.
    """
    raw = read_bytes(source)
    name = name_of(source)
    if not raw.strip():
        raise DataError(f"{name} is empty")
    if raw.startswith(b"PAR1"):
        table = _as_text(_read_parquet(raw, name))
    else:
        text = _decode(raw, name)
        table = _read_json(text, name) if text.lstrip()[0] in "{[" else _read_separated(text, name)
    if table.empty:
        raise DataError(f"{name} has a header ({', '.join(map(str, table.columns))}) but no rows")
    if table.columns.duplicated().any():
        twice = table.columns[table.columns.duplicated()][0]
        raise DataError(f"{name} has two columns named {twice!r}; rename one")
    return table


def _decode(raw: bytes, name: str) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"{name} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start} (line {line}); convert it first"
        ) from error


def _read_separated(text: str, name: str) -> pd.DataFrame:
    header = text.lstrip().split("\n", 1)[0]
    separator = max(_SEPARATORS, key=header.count)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # dtype=str with keep_default_na=False leaves NaN for one thing only: a cell that is not there at all
            table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, index_col=False)
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise DataError(f"{name} is ragged: {_longest_row(text, separator)}") from error
    except (pd.errors.EmptyDataError, ValueError) as error:
        raise DataError(f"{name} is not a table: {error}") from error
    absent = table.isna().any(axis=1)
    if absent.any():
        row = int(absent.argmax())
        cells = int(table.iloc[row].notna().sum())
        raise DataError(
            f"{name} is ragged: row {row + 1} after the header has {cells} cells, the header {len(table.columns)}"
        )
    table.columns = [str(column).strip() for column in table.columns]
    table = table.apply(lambda column: column.str.strip())
    if separator == ";":  # where ';' separates, ',' is the decimal point
        decimal_comma = r"^([+-]?\d+),(\d+)$"
        table = table.replace(decimal_comma, r"\1.\2", regex=True)
    return table


def _longest_row(text: str, separator: str) -> str:
    """Name the first row with more cells than the header."""
    import csv

    rows = csv.reader(io.StringIO(text), delimiter=separator)
    width = len(next(rows))
    for row in rows:
        if len(row) > width:
            return f"line {rows.line_num} has {len(row)} cells, the header {width}"
    return "a quoted cell is never closed"


def _read_json(text: str, name: str) -> pd.DataFrame:
    try:
        if text.lstrip()[0] == "[":
            records = json.loads(text)
        else:
            records = [_record(line, number, name) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    except json.JSONDecodeError as error:
        raise DataError(f"{name} is not JSON: {error}") from error
    if not all(isinstance(record, dict) for record in records):
        raise DataError(f"{name} is not a table: a record of it is no JSON object")
    return _as_text(pd.DataFrame.from_records(records))


def _record(line: str, number: int, name: str) -> object:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{name} is not JSON Lines: line {number}, {error.msg} at column {error.colno}") from error


def _read_parquet(raw: bytes, name: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(io.BytesIO(raw))
    except (ValueError, OSError) as error:
        raise DataError(f"{name} is a damaged Parquet file: {str(error).splitlines()[0]}") from error


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Typed columns as the strings a CSV file would hold."""
    if table.index.name is not None or isinstance(table.index, pd.DatetimeIndex):
        table = table.reset_index()

    def text(column: pd.Series) -> pd.Series:
        missing = column.isna()
        if pd.api.types.is_datetime64_any_dtype(column):
            whole_days = bool((column.dropna() == column.dropna().dt.normalize()).all())
            column = column.dt.strftime("%Y-%m-%d" if whole_days else "%Y-%m-%d %H:%M:%S")
        elif pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
            column = column.map("{:.0f}".format)  # a column of integers with gaps is one of floats to pandas
        return column.astype(str).mask(missing, "")

    table = table.apply(text)
    table.columns = [str(column) for column in table.columns]
    return table
