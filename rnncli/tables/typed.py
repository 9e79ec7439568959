"""Tables whose columns have types: data frames, Parquet, workbooks. Their cells become the strings of a CSV file."""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rnncli import limits
from rnncli.errors import DataError
from rnncli.spool import Spool

if TYPE_CHECKING:
    import pandas as pd

_SURROGATE = re.compile("[\ud800-\udfff]")  # half of a character, as of a text that was cut
UNNAMED = "value"  # the only column of what has no names

Wanted = Callable[[list[str]], Sequence[str]]


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
    return as_text(data)


def check_names(names: Iterable[Any], name: str) -> None:
    """Raises DataError: columns have the same name."""
    counts = Counter(map(str, names))
    twice = next((each for each, count in counts.items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{name} has two columns named {twice!r}; rename one")


def as_text(table: "pd.DataFrame") -> "pd.DataFrame":
    """Typed columns as the strings that a CSV file would hold."""
    import pandas as pd

    check_names(table.columns, "the table")
    if table.index.name is not None or isinstance(table.index, pd.DatetimeIndex):
        table = table.reset_index()

    def text(column: Any) -> Any:
        missing = column.isna()
        if pd.api.types.is_datetime64_any_dtype(column):
            whole_days = bool((column.dropna() == column.dropna().dt.normalize()).all())
            exact = bool((column.dropna() == column.dropna().dt.floor("s")).all())
            zone = "%z" if column.dt.tz is not None and not whole_days else ""  # days are those of the place
            time = "" if whole_days else " %H:%M:%S" if exact else " %H:%M:%S.%f"
            column = column.dt.strftime("%Y-%m-%d" + time + zone)
        elif pd.api.types.is_float_dtype(column):
            # a column of integers with gaps is one of floats to pandas
            whole = (column % 1 == 0).fillna(False).astype(bool)
            column = column.astype(str).mask(whole, column[whole].map("{:.0f}".format))
        elif pd.api.types.is_object_dtype(column):
            column = pd.Series([_text(cell) for cell in column], column.index, object)
        return column.astype(str).mask(missing, "")

    return pd.DataFrame({plain(str(name)): text(table[name]) for name in table.columns})


def _text(cell: Any) -> str:
    """A list in a cell as JSON has it, a whole number without its point."""
    if isinstance(cell, str):
        return plain(cell)
    if isinstance(cell, bytes):
        return text_of(cell)
    if isinstance(cell, float):
        return f"{cell:.0f}" if cell.is_integer() else str(cell)
    if type(cell).__name__ == "ndarray":
        cell = cell.tolist()
    if isinstance(cell, set | frozenset):
        cell = sorted(cell, key=str)
    return json.dumps(cell, ensure_ascii=False, default=str) if isinstance(cell, list | tuple) else str(cell)


def text_of(cell: bytes) -> str:
    """Bytes as text. Raises DataError: they are not UTF-8."""
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"the data has {cell[:40]!r}, bytes that are not UTF-8; decode them first") from error


def plain(text: str) -> str:
    """A text without halves of characters."""
    return _SURROGATE.sub("\ufffd", text)


def parquet_blocks(blocks: Iterator[bytes], name: str, wanted: Wanted | None, size: int) -> Iterator["pd.DataFrame"]:
    """Where columns are chosen, in blocks; a file that is read whole is one."""
    import numpy as np
    import pandas as pd
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        content = Spool(np.uint8)  # as the end of the file says what is in it
        for block in blocks:
            content.put(block)
        with parquet.ParquetFile(arrow.BufferReader(arrow.py_buffer(content.array()))) as file:
            if wanted is None or not file.metadata.num_rows:
                cells = file.metadata.num_rows * max(1, file.metadata.num_columns)
                if cells > limits.MOST_CELLS and not limits.lifted():
                    what = f"has {cells:,} cells, and tables of up to {limits.MOST_CELLS:,} are read"
                    raise limits.too_much(name, what)
                yield as_text(file.read().to_pandas())
                return
            names = [column for column in file.schema_arrow.names if not column.startswith("__index_level_")]
            check_names(names, name)
            chosen = list(wanted(names))
            # whether times have hours, days alone do not tell
            times = [column for column in chosen if arrow.types.is_temporal(file.schema_arrow.field(column).type)]
            whole = as_text(file.read(columns=times).to_pandas(ignore_metadata=True)) if times else pd.DataFrame()
            first = 0
            for batch in file.iter_batches(size, columns=chosen):
                table = batch.to_pandas(ignore_metadata=True)
                for column, cells in zip(chosen, batch.select(chosen).columns, strict=True):
                    # pandas makes floats of whole numbers where one is missing
                    if arrow.types.is_integer(cells.type) or arrow.types.is_nested(cells.type):
                        table[column] = pd.Series(cells.to_pylist(), dtype=object)
                table = as_text(table)
                for column in times:
                    table[column] = whole[column].iloc[first : first + len(table)].to_numpy()
                first += len(table)
                yield table.reindex(columns=chosen)
    except DataError:
        raise
    except Exception as error:  # of a damaged file, Arrow and pandas raise what they run into
        raise DataError(f"{name} is a damaged Parquet file: {(str(error).splitlines() or [repr(error)])[0]}") from error


def workbook(raw: bytes, name: str) -> "pd.DataFrame":
    """The first sheet of a workbook."""
    import pandas as pd

    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            limits.check_unpacked(sum(each.file_size for each in archive.infolist()), len(raw), name)
        with pd.ExcelFile(io.BytesIO(raw), engine="openpyxl") as book:
            header: Any = pd.read_excel(book, nrows=1, header=None)  # pandas gives others a name of its own
            check_names(header.dropna(axis=1).to_numpy().ravel(), name)
            table: Any = pd.read_excel(book, keep_default_na=False, na_values=[""])
    except ImportError as error:
        raise DataError(f"{name} is a workbook; install rnncli[excel], or save it as CSV") from error
    except DataError:
        raise
    except Exception as error:  # of a damaged archive, openpyxl raises what it runs into
        raise DataError(
            f"{name} is a damaged workbook: {str(error).splitlines()[0] if str(error) else error!r}"
        ) from error
    return table.dropna(how="all")
