"""Input that is damaged, or made to do harm: one line, in time, in little memory; never a traceback."""

import bz2
import gzip
import io
import json
import lzma
import resource
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fuzz import changed, damaged, within
from samples import forged, monthly_sales

import rnncli
from rnncli import limits
from rnncli.charlm.corpus import read_corpus
from rnncli.charlm.settings import Reading
from rnncli.errors import CheckpointError, DataError, RnncliError, printable
from rnncli.files import read_bytes
from rnncli.forecast.reading import read
from rnncli.forecast.source import SeriesSource
from rnncli.sentiment.imdb import _reviews
from rnncli.sentiment.records import Columns, read_labelled
from rnncli.sentiment.stream import records_of
from rnncli.sentiment.vectors import read_vectors
from rnncli.tables import read_table, separated

CASES = [pytest.param(60, id="some"), pytest.param(2_000, id="many", marks=pytest.mark.slow)]
MODELS = [pytest.param(60, id="some"), pytest.param(1_500, id="many", marks=pytest.mark.slow)]
LABELLED = "text,label\n" + "".join(f"a {word} film,{label}\n" for word, label in [("good", "pos"), ("bad", "neg")] * 9)
FRAME = pd.DataFrame({"text": ["good film", "bad film"] * 9, "label": ["pos", "neg"] * 9})


def packed(kind: str, content: bytes) -> bytes:
    if kind == "zip":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr("inner", content)
        return file.getvalue()
    if kind == "tar":
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name in ("aclImdb/train/pos/1.txt", "aclImdb/train/neg/../../../../escape.txt", "/abs.txt"):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return file.getvalue()
    return {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "": bytes}[kind](content)


def table_as(kind: str) -> bytes:
    file = io.BytesIO()
    {"parquet": FRAME.to_parquet, "xlsx": FRAME.to_excel}[kind](file, index=False)
    return file.getvalue()


def vectors() -> bytes:
    return b"3 4\n" + b"".join(b"w%d 1 2.5 -3 4e-1\n" % index for index in range(3))


def binary_vectors() -> bytes:
    return b"3 4\n" + b"".join(b"w%d " % index + np.ones(4, "<f4").tobytes() for index in range(3))


def read_series(path: str) -> Any:
    return read(path, SeriesSource(series=path), lambda _: None)


def read_text(path: str, **how: Any) -> Any:
    return read_corpus([path], Reading(**how))


READERS: dict[str, tuple[Callable[[], bytes], Callable[[str], Any]]] = {
    "csv": (LABELLED.encode, read_table),
    "csv.gz": (lambda: packed("gz", LABELLED.encode()), read_table),
    "jsonl": (lambda: FRAME.to_json(orient="records", lines=True).encode(), read_table),
    "json": (lambda: FRAME.to_json(orient="records").encode(), read_table),
    "parquet": (lambda: table_as("parquet"), read_table),
    "xlsx": (lambda: table_as("xlsx"), read_table),
    "labels.csv": (LABELLED.encode, lambda path: read_labelled(path, Columns())),
    "labels.txt": (
        lambda: b"__label__pos a good film\n__label__neg __label__x bad\n" * 9,
        lambda path: read_labelled(path, Columns()),
    ),
    "front.txt": (lambda: b"pos a good film\nneg bad\n" * 9, lambda path: read_labelled(path, Columns())),
    "series.csv": (monthly_sales(30).encode, read_series),
    "text.txt": (lambda: "Der kleine Fuchs, öfter Mäuse.\n".encode() * 9, read_text),
    "text.xz": (lambda: packed("xz", b"the quick brown fox\n" * 90), read_text),
    "text.16": (lambda: "ein Text\n".encode("utf-16") * 3, lambda path: read_text(path, encoding="utf-16")),
    "stream.csv": (LABELLED.encode, lambda path: [*records_of([path], "text").groups]),
    "stream.jsonl": (
        lambda: FRAME.to_json(orient="records", lines=True).encode(),
        lambda path: [*records_of([path], "text").groups],
    ),
    "vec": (vectors, lambda path: read_vectors(path, ["w1"])),
    "bin": (binary_vectors, lambda path: read_vectors(path, ["w1"])),
    "vec.zip": (lambda: packed("zip", vectors()), lambda path: read_vectors(path, ["w1"])),
    "vec.bz2": (lambda: packed("bz2", vectors()), lambda path: read_vectors(path, ["w1"])),
    "tar.gz": (lambda: packed("tar", b"a film"), lambda path: archived(Path(path))),
}


def archived(path: Path) -> list:
    from rnncli.sentiment.imdb import opened

    with opened(path):
        return [*_reviews(path, "train")]


@pytest.mark.parametrize("count", CASES)
@pytest.mark.parametrize("kind", READERS)
def test_damaged_files_are_read_or_refused(kind: str, count: int, tmp_path: Path) -> None:
    make, reader = READERS[kind]
    content, path = make(), tmp_path / f"damaged.{kind}"
    path.write_bytes(content)
    assert reader(str(path)) is not None
    refused = 0
    for number in range(count):
        path.write_bytes(damaged(content, number))
        with within(20):
            try:
                reader(str(path))
            except RnncliError as error:
                assert str(error).strip()
                refused += 1
    if not kind.startswith(("text.txt", "front", "stream.csv", "csv", "labels.csv")):  # nearly anything is a text
        assert refused > count / 10
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    values = 10 + np.arange(60) % 12
    rnncli.forecast.fit(values, horizon=2, window=12, cell="gru", units=3, epochs=1, checkpoint=place / "forecast")
    rnncli.charlm.fit("the quick brown fox. " * 40, units=3, epochs=1, layers=2, checkpoint=place / "charlm")
    texts = FRAME["text"].tolist() * 2
    quick = {"units": 3, "embedding": 3, "epochs": 1}
    rnncli.sentiment.fit(texts, FRAME["label"].tolist() * 2, **quick, checkpoint=place / "sentiment")
    return place


def used(folder: Path) -> None:
    """Load the model, and predict with it."""
    model: Any = rnncli.load(folder)
    if hasattr(model, "combination"):
        assert model.predict(10 + np.arange(40) % 12)
    elif hasattr(model, "sample"):
        assert len(model.sample("the", 3)) == 6
    else:
        assert model.predict(["good film"])


@pytest.mark.parametrize("count", MODELS)
@pytest.mark.parametrize("task", ["forecast", "charlm", "sentiment"])
def test_metadata_that_are_signed_and_wrong_are_refused_or_do_no_harm(
    models: Path, task: str, count: int, tmp_path: Path
) -> None:
    refused = 0
    for number in range(count):
        folder = tmp_path / "m"
        shutil.copytree(models / task, folder)

        def change(metadata: dict, number: int = number) -> None:
            other = changed(metadata, number)
            metadata.clear()
            metadata.update(other)
            if not isinstance(metadata.get("digests"), dict):
                metadata["digests"] = {}

        forged(folder, change)
        with within(30):
            try:
                used(folder)
            except RnncliError as error:
                assert "\n" not in str(error)
                refused += 1
        shutil.rmtree(folder)
    assert refused > count / 5


@pytest.mark.parametrize(
    ("task", "name", "value"),
    [(task, name, value) for task in ("forecast", "charlm", "sentiment") for name, value in [
        ("units", 0), ("units", "16"), ("units", None), ("units", 10**30), ("layers", 10**6), ("layers", -1),
        ("cell", "unknown"), ("units", [[]]), ("units", 16_000),
    ]],
)  # fmt: skip
def test_sizes_that_cannot_be_are_refused_before_memory_is_taken(
    models: Path, tmp_path: Path, task: str, name: str, value: Any
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(models / task, folder)
    forged(folder, lambda metadata: metadata["config"].update({name: value}))
    with within(20), pytest.raises(CheckpointError, match="damaged"):
        used(folder)


def test_a_leaf_of_a_size_that_cannot_be_is_refused(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "charlm", tmp_path / "m")

    def change(metadata: dict) -> None:
        leaves = metadata["digests"]["best"]["leaves"]
        leaves[next(iter(leaves))][1] = [10**9, 10**9]

    forged(tmp_path / "m", change)
    with pytest.raises(CheckpointError, match="damaged"):
        used(tmp_path / "m")


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_bomb_is_refused_in_little_memory_and_time(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_NO_BOMB", 2**24)
    path = tmp_path / "bomb"
    path.write_bytes(packed(kind, bytes(2**27)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"unpacks to more than 500 times its size, .* set RNNCLI_UNBOUNDED=1"):
        read_bytes(str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # kB
    monkeypatch.setenv(limits.UNBOUNDED, "1")
    assert len(read_bytes(str(path))) == 2**27


def test_what_is_read_as_a_whole_has_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"a" * 1000)
    with pytest.raises(DataError, match="is larger than 0 MiB"):
        read_bytes(str(path), most=999)
    assert len(read_bytes(str(path), most=1000)) == 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1" * 4400 + b" 3\nfoo 1 2 3\n", None),
        (b"1 99999999999999999999\nfoo 1 2 3\n", None),
        (b"1 999999999999999\nfoo 1 2 3\n", "says that the vectors have 999999999999999 numbers"),
        (b"x" * 2**23, "has more than 4,194,304 bytes"),
        (b"2 4\n" + b"w" * 2**23, "is broken: its word has no end"),
    ],
)
def test_vectors_that_claim_too_much(content: bytes, message: str | None, tmp_path: Path) -> None:
    path = tmp_path / "a.vec"
    path.write_bytes(content)
    if message is None:
        assert read_vectors(str(path), []).rows
        return
    with within(20), pytest.raises(DataError, match=message):
        read_vectors(str(path), [])


def test_a_parquet_that_claims_too_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_CELLS", 30)
    FRAME.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="has 36 cells, and tables of up to 30 are read"):
        read_table(str(tmp_path / "a.parquet"))


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LONGEST_LINE", 2**18)
    monkeypatch.setattr(separated, "LONGEST_LINE", 2**18)
    path = tmp_path / "a.txt"
    path.write_bytes(b"a" * 2**19)
    with pytest.raises(DataError, match="has a line of more than 0 MiB"):
        list(records_of([str(path)], None).groups)
    with pytest.raises(DataError, match="has a line of more than 0 MiB"):
        read_table(str(path))
    path.write_text('text,label\na,b\n"c,d\n' + "e,f\n" * 2**17)  # the third quote is missing
    with pytest.raises(DataError, match="line 3, field larger than field limit"):
        read_table(str(path))
    path.write_text(json.dumps([{"value": 2.5, "name": "long"}] * 20_000))
    assert len(read_table(str(path))) == 20_000, "a whole table may be one line"


@pytest.mark.parametrize("ends", ["\r", "\r\n", "\n"])
def test_lines_may_end_as_they_do(ends: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(LABELLED.replace("\n", ends), newline="")
    assert read_labelled(str(path), Columns()).texts[0] == "a good film"
    path.write_text("pos a good film\nneg bad\n".replace("\n", ends) * 5, newline="")
    assert read_labelled(str(path), Columns()).texts[:2] == ["a good film", "bad"]


def test_control_characters_are_shown_escaped_and_long_messages_cut() -> None:
    assert printable("a\x1b[31mb\x9b\u202e\udcffc\n\t") == "a\\x1b[31mb\\x9b\\u202e\\udcffc\n\t"
    assert len(printable("x" * 5000, 600)) == 603
    assert printable("head" + "x" * 5000 + "; do this", 600).endswith("; do this")


def test_names_reach_a_terminal_escaped_and_data_as_it_is(rnncli: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Month,a\x1b[31mred\n" + monthly_sales(40).split("\n", 1)[1])
    result = rnncli("forecast", path, "--cell", "linear", "--horizon", 2, "--output", tmp_path / "out.csv")
    assert result.code == 0, result.err
    assert "\x1b" not in result.err
    data = rnncli("forecast", path, "--cell", "linear", "--horizon", 2, "--target", "a\x1b[31mred", "--json", "-q")
    assert json.loads(data.out)["config"]["target"] == "a\x1b[31mred"
    gone = rnncli("forecast", tmp_path / "no\x1b[31m.csv")
    assert ("\x1b" in gone.err, "\\x1b[31m" in gone.err) == (False, True)
    long = rnncli("forecast", path, "--target", "x" * 9000)
    assert len(long.err) < 700


def test_documents_that_are_nested_deeply(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    with pytest.raises(DataError):
        read_table(str(path))
