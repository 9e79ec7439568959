"""Tables in every form a user may have them."""

import bz2
import gzip
import io
import lzma
import time
import tracemalloc
from pathlib import Path

import pandas as pd
import pyarrow as arrow
import pyarrow.parquet as parquet_file
import pytest

from rnncli.errors import DataError
from rnncli.notation import plain_numbers
from rnncli.tables import blocks_of, read_table, reading, table_of

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
        (["1.012.345", "987.654", "12"], ["1012345", "987654", "12"], "1.234,5"),  # a point is the same in all cells …
        (["1.234,56", "2.950", "950,5"], ["1234.56", "2950", "950.5"], "1.234,5"),
        (["1.234,5", "12.5"], ["1.234,5", "12.5"], ""),  # … or none of the notations fits
        (["0,501", "1,446"], ["0.501", "1.446"], "1.234,5"),  # no group begins with 0
        (["1 234,5", "234,5"], ["1234.5", "234.5"], "1 234,5"),
        (["\u22125.0", "3"], ["-5.0", "3"], ""),
    ],
)
def test_numbers_as_people_write_them(cells: list[str], wanted: list[str], notation: str) -> None:
    assert plain_numbers(cells) == (wanted, notation)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a;b\n0,5;1.502\n12;2.253\n", {"a": ["0.5", "12"], "b": ["1.502", "2.253"]}),
        # beside a decimal comma, a point is between thousands, in its own column alone
        ("a;b\n1.201,5;1.502\n950,5;3\n", {"a": ["1201.5", "950.5"], "b": ["1.502", "3"]}),
        ("a;b\n1.502;1.5\n3,5;3,5\n", {"a": ["1502", "3.5"], "b": ["1.5", "3.5"]}),
        ("a;b\n900,0;\u2212200,0\n1 026,6;1'026,6\n", {"a": ["900.0", "1026.6"], "b": ["-200.0", "1026.6"]}),
        ("id;y\n1.100.2;0,5\n1.100.3;1,5\n", {"id": ["1.100.2", "1.100.3"], "y": ["0.5", "1.5"]}),
        ("a,b,,\n1,2,,\n3,4,,\n", {"a": ["1", "3"], "b": ["2", "4"]}),  # blank columns, as Excel writes
        ("sep=;\na;b\n1;2\n", {"a": ["1"], "b": ["2"]}),
        ("sep=\t\na\tb\n1\t2\n", {"a": ["1"], "b": ["2"]}),
    ],
)
def test_tables_as_spreadsheets_write_them(text: str, columns: dict[str, list[str]], tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text(text)
    table = read_table(str(path)).to_dict("list")
    assert {name: plain_numbers(cells)[0] for name, cells in table.items()} == columns  # pyright: ignore


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
    assert peak < 400 * rows  # lists of cells took 470


def test_lines_of_carriage_returns_may_be_cut_anywhere() -> None:
    raw = b"text,label\r" + b"a,b\r" * 9
    for end in (b"", b"\n"):
        for size in range(1, 9):
            pieces = [(raw + end)[place : place + size] for place in range(0, len(raw + end), size)]
            (table,) = blocks_of(iter(pieces), "it")
            assert (len(table), set(table["label"])) == (9, {"b"}), (size, end)
    late = b"\r".join([b"text,label", *[b"a,b"] * 400_000]) + b"\nc,d\ne,f\n"
    with pytest.raises(DataError, match="carriage returns first, and in newlines later"):
        list(blocks_of(iter([late[: 2**20], late[2**20 :]]), "it"))


@pytest.mark.parametrize("blank", ["\x0c", "\x1c", "\u00a0"])
def test_a_first_line_of_any_blanks_is_one(blank: str) -> None:
    assert table_of(f"{blank}\na,b\n1,2\n".encode(), "it").to_numpy().tolist() == [["1", "2"]]


def test_half_a_character_in_json_is_none() -> None:
    table = table_of(b'{"a": "cut \\ud83d", "b\\ude00": "\\ud83d\\ude00"}\n', "it")
    assert list(table.columns) == ["a", "b\ufffd"]
    assert table.to_numpy().tolist() == [["cut \ufffd", "\U0001f600"]]


def test_a_column_that_later_objects_alone_have_is_not_passed_over(monkeypatch) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 2)
    lines = ['{"text": "a", "score": 1}'] * 2 + ['{"text": "b", "score": 2, "label": "x"}']

    def wanted(names: list[str]) -> list[str]:
        return ["text", "label" if "label" in names else "score"]

    assert len(list(blocks_of(iter(["\n".join(lines[:2]).encode()]), "it", wanted))) == 1
    with pytest.raises(DataError, match="the first 2 records of it have no 'label', as later ones have"):
        list(blocks_of(iter(["\n".join(lines).encode()]), "it", wanted))


def test_objects_with_keys_of_their_own_cost_what_is_wanted_of_them() -> None:
    lines = "".join(f'{{"text": "a", "label": "b", "k{number}": 1}}\n' for number in range(6_000))
    begun = time.process_time()
    (table,) = blocks_of(iter([lines.encode()]), "it", lambda names: names[:2])
    assert time.process_time() - begun < 5  # a frame of all keys took a minute
    assert table.shape == (6_000, 2)


def test_a_comment_is_told_from_a_text_that_begins_with_its_sign() -> None:
    rows = "text,label\na,b\n# said, by someone, aside\n#\nc,d\n"
    assert table_of(rows.encode(), "it")["text"].tolist() == ["a", "c"]
    with pytest.raises(DataError, match="ragged: line 2 has 3 cells"):
        table_of(b"text,label\n#great, loved it,pos\n", "it")


def test_whole_numbers_of_parquet_stay_so_beside_missing_ones(monkeypatch) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 2)
    large = 2**53 + 1
    frame = arrow.table({"id": [large, 1, None, large], "set": [[1], [2, 3], [4, None], None], "x": [0.5, 1, None, 2]})
    stream = io.BytesIO()
    parquet_file.write_table(frame, stream)
    blocks = list(blocks_of(iter([stream.getvalue()]), "it", list))
    assert [len(block) for block in blocks] == [2, 2]
    assert pd.concat(blocks).to_numpy().tolist() == [
        [str(large), "[1]", "0.5"],
        ["1", "[2, 3]", "1"],
        ["", "[4, null]", ""],
        [str(large), "", "2"],
    ]


def test_workbooks_have_their_words_and_no_two_columns_of_a_name() -> None:
    pytest.importorskip("openpyxl")
    stream = io.BytesIO()
    pd.DataFrame({"text": ["null", "n/a"], "label": ["None", ""]}).to_excel(stream, index=False)
    assert table_of(stream.getvalue(), "it").to_numpy().tolist() == [["null", "None"], ["n/a", ""]]
    stream = io.BytesIO()
    pd.DataFrame([["a", "b"]], columns=["text", "text"]).to_excel(stream, index=False)
    with pytest.raises(DataError, match="it has two columns named 'text'"):
        table_of(stream.getvalue(), "it")


def test_a_decimal_comma_is_one_where_numbers_are_wanted() -> None:
    raw = b"text;label\n1,5;4,5\n"
    assert table_of(raw, "it").to_numpy().tolist() == [["1.5", "4.5"]]
    (table,) = blocks_of(iter([raw]), "it", list)
    assert table.to_numpy().tolist() == [["1,5", "4,5"]]
