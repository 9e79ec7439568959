"""Tables in every form a user may have them."""

import bz2
import gzip
import io
import lzma
import tracemalloc
from pathlib import Path

import pandas as pd
import pytest

from rnncli.errors import DataError
from rnncli.notation import plain_numbers
from rnncli.tables import read_table, table_of

try:
    from compression import zstd
except ImportError:  # before Python 3.14
    from backports import zstd

CSV = 'Month,"Passengers"\n1949-01,112\n1949-02,\n1949-03,1e2\n'
WANTED = [["1949-01", "112"], ["1949-02", ""], ["1949-03", "1e2"]]


def parquet() -> bytes:
    frame = pd.DataFrame({"Month": ["1949-01", "1949-02", "1949-03"], "Passengers": [112.0, None, 100.0]})
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


FORMS = {
    "csv": CSV.encode(),
    "csv without a last newline": CSV.strip().encode(),
    "csv with a byte-order mark": CSV.encode("utf-8-sig"),
    "csv of Windows": CSV.replace("\n", "\r\n").encode(),
    "csv in UTF-16": CSV.encode("utf-16"),
    "tsv": CSV.replace(",", "\t").encode(),
    "semicolons": CSV.replace(",", ";").encode(),
    "gzip": gzip.compress(CSV.encode(), mtime=0),
    "bzip2": bz2.compress(CSV.encode()),
    "xz": lzma.compress(CSV.encode()),
    "zstandard": zstd.compress(CSV.encode()),
}


@pytest.mark.parametrize("form", FORMS)
def test_text_forms_read_alike(form: str, tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(FORMS[form])
    table = read_table(str(path))
    assert list(table.columns) == ["Month", "Passengers"]
    assert table.to_numpy().tolist() == WANTED


@pytest.mark.parametrize(
    "content",
    [
        parquet(),
        b'{"Month": "1949-01", "Passengers": 112}\n{"Month": "1949-02", "Passengers": null}\n\n'
        b'{"Month": "1949-03", "Passengers": 100}\n',
        b'[{"Month": "1949-01", "Passengers": 112}, {"Month": "1949-02"}, {"Month": "1949-03", "Passengers": 100}]',
    ],
    ids=["parquet", "json lines", "json"],
)
def test_typed_forms_become_text(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(content)
    assert read_table(str(path)).to_numpy().tolist() == [["1949-01", "112"], ["1949-02", ""], ["1949-03", "100"]]


def test_decimal_commas_where_semicolons_separate(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("t;x\n1;2,5\n2;-0,25\n")
    assert read_table(str(path))["x"].tolist() == ["2.5", "-0.25"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"a,b\n", r"has a header \(a, b\) but no rows"),
        (b"a,b\n1,2\n3\n", "ragged: line 3 has 1 cells, the header 2"),
        (b"a,b\n1,2\n3,4,5\n", "ragged: line 3 has 3 cells, the header 2"),
        (b"a,b\n1,2,3\n4,5,6\n", "ragged: line 2 has 3 cells, the header 2"),
        (b"a,a\n1,2\n", "two columns named 'a'"),
        (b"a,b\n1,\xff\n", r"not UTF-8: byte 0xff at offset 6 \(line 2\)"),
        (b'{"a": 1}\n{"a": \n', "not JSON Lines: line 2"),
        (b"[1, 2]", "no JSON object"),
        (b"PAR1 but no more", "damaged Parquet"),
        (gzip.compress(CSV.encode(), mtime=0)[:-12], "damaged"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 20, "damaged"),
        (zstd.compress(CSV.encode() * 100)[:-9], "damaged"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\xff\xfe", "is empty"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "not JSON Lines: line 1"),
    ],
)
def test_what_is_no_table_is_told_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(str(path))
    assert "\n" not in str(caught.value)


def test_a_line_that_breaks_off_is_told_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"a": 1}\n{"a": 1\n{"a": 2}\n')
    with pytest.raises(DataError, match="line 2, Expecting ',' delimiter at column 8"):
        read_table(str(path))


def test_a_table_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("112\n118\n  \n132\n")
    assert read_table(str(path))["value"].tolist() == ["112", "118", "132"]


def test_a_name_that_is_too_long() -> None:
    with pytest.raises(DataError, match="cannot read 'xxx"):
        read_table("x" * 300)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file: '.*nowhere.csv'"):
        read_table(str(tmp_path / "nowhere.csv"))
    with pytest.raises(DataError, match="is a folder"):
        read_table(str(tmp_path))


@pytest.mark.parametrize(
    ("cells", "wanted", "notation"),
    [
        (["1,234", "12", "1,234,567.5"], ["1234", "12", "1234567.5"], "1,234.5"),
        (["1.234,5", "3,25", "7"], ["1234.5", "3.25", "7"], "1.234,5"),
        (["1 234.5", "99"], ["1234.5", "99"], "1 234.5"),
        (["1\u00a0234,5", "12\u00a0000,0"], ["1234.5", "12000.0"], "1 234,5"),
        (["1,5", "x"], ["1.5", "x"], "1.234,5"),
        (["1,23,4", "2"], ["1,23,4", "2"], ""),
        (["3.5", "", "-1e3"], ["3.5", "", "-1e3"], ""),
    ],
)
def test_numbers_as_people_write_them(cells: list[str], wanted: list[str], notation: str) -> None:
    assert plain_numbers(cells) == (wanted, notation)


def test_a_workbook_is_read_by_its_first_sheet(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    path = tmp_path / "sales.xlsx"
    months = pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"])
    pd.DataFrame({"month": months, "sold": [1.5, 2, 3]}).to_excel(path, index=False)
    table = read_table(str(path))
    assert table.to_dict("list") == {"month": ["2024-01-01", "2024-02-01", "2024-03-01"], "sold": ["1.5", "2", "3"]}
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="is a damaged workbook"):
        read_table(str(path))


def test_the_rows_of_a_table_take_little_memory() -> None:
    rows = 60_000
    raw = b"id,date,value\n" + b"".join(
        b"s%d,2024-01-%02d,%d\n" % (row // 30, row % 30 + 1, row) for row in range(rows)
    )
    table_of(raw[:1000].rpartition(b"\n")[0] + b"\n", "a table")  # what is imported once counts no more
    tracemalloc.start()
    try:
        table = table_of(raw, "a table")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert table.iloc[-1].tolist() == ["s1999", "2024-01-30", "59999"]
    assert peak < 300 * rows  # lists of cells took 470
