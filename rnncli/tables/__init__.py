"""Reading a table: CSV, TSV, Parquet, JSON Lines or an Excel workbook, told apart by content.

Cells of text formats come as strings, exactly as they were written, so that whoever uses them can say which one is
wrong and how many digits it had. A table may be larger than memory: it comes in blocks of rows.

Pandas is loaded where a table is made.
"""

from rnncli.tables.reading import TYPED, blocks_of, lines_of, narrowed, read_table, table_of
from rnncli.tables.separated import SEPARATORS, named_of, opened, rows_of, separator_of
from rnncli.tables.typed import UNNAMED, Wanted, table_from

__all__ = [
    "SEPARATORS",
    "TYPED",
    "UNNAMED",
    "Wanted",
    "blocks_of",
    "lines_of",
    "named_of",
    "narrowed",
    "opened",
    "read_table",
    "rows_of",
    "separator_of",
    "table_from",
    "table_of",
]
