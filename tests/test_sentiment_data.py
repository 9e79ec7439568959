"""Labelled texts and word vectors from all their forms, and what is wrong with those that cannot be read."""

import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnncli.errors import DataError, ParameterError
from rnncli.sentiment.data import Dataset, described, read_parts, split_data, with_classes
from rnncli.sentiment.imdb import read_imdb_reviews, write_imdb_reviews
from rnncli.sentiment.labelled import Labelled
from rnncli.sentiment.ratios import log_count_ratios
from rnncli.sentiment.records import labelled_of, parts_of, read_labelled
from rnncli.sentiment.settings import Columns, DataSource, Parts
from rnncli.sentiment.stream import records_of
from rnncli.sentiment.text import Ragged
from rnncli.sentiment.vectors import read_vectors

ROWS = [("a fine film", "pos"), ("dull, and long", "neg"), ("so-so", "pos"), ("no", "neg")]
TABLE = pd.DataFrame(ROWS, columns=["review", "sentiment"])


def parquet() -> bytes:
    buffer = io.BytesIO()
    TABLE.to_parquet(buffer)
    return buffer.getvalue()


FORMS = {
    "csv": TABLE.to_csv(index=False).encode(),
    "tsv": TABLE.to_csv(index=False, sep="\t").encode(),
    "json lines": TABLE.to_json(orient="records", lines=True).encode(),
    "parquet": parquet(),
    "fastText": "".join(f"__label__{label} {text}\n" for text, label in ROWS).encode(),
    "label text": "".join(f"{label} {text}\n" for text, label in ROWS).encode(),
    "label, tab, text": "".join(f"{label}\t{text}\n" for text, label in ROWS).encode(),
    "without a last newline": "\n".join(f"{label} {text}" for text, label in ROWS).encode(),
    "a header with one usual name": TABLE.rename(columns={"sentiment": "y"}).to_csv(index=False, sep="\t").encode(),
    "a header with no usual name": TABLE.rename(columns={"sentiment": "y", "review": "x"})[["y", "x"]]
    .to_csv(index=False, sep="\t")
    .encode(),
    "fastText with tabs, after a blank line": b"\n"
    + "".join(f"__label__{label}\t{text}\n" for text, label in ROWS).encode(),
    "UTF-16": TABLE.to_csv(index=False).encode("utf-16"),
    "of Windows, with a mark": b"\xef\xbb\xbf" + "".join(f"{label} {text}\r\n" for text, label in ROWS).encode(),
    "packed": gzip.compress("".join(f"{label} {text}\n" for text, label in ROWS).encode(), mtime=0),
}


def pairs(labelled: Labelled) -> list[tuple[str, str]]:
    """Each text with its label."""
    return [(text, label) for text, (label,) in zip(labelled.texts, labelled.sets, strict=True)]


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_read_alike(form: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(FORMS[form])
    named = Columns(text_column="x", label_column="y") if form == "a header with no usual name" else Columns()
    found = read_labelled(str(path), named)
    assert pairs(found) == ROWS


def test_a_folder_has_a_folder_for_each_class(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for number, (text, label) in enumerate(ROWS):
            (tmp_path / part / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / part / label / f"{number}.txt").write_text(text)
    (tmp_path / "train/unsup").mkdir()
    (tmp_path / "train/unsup/1.txt").write_text("who knows")
    found = read_labelled(str(tmp_path / "train"), Columns())
    assert sorted(pairs(found)) == sorted(ROWS)
    assert parts_of(str(tmp_path)).keys() == {"train", "test"}
    data = loaded(tmp_path)
    assert {part: len(each) for part, each in data.parts.items()} == {"train": 2, "validation": 2, "test": 4}


def loaded(path: Path, validation_fraction: float = 0.5, test_fraction: float = 0.0, **named: str) -> Dataset:
    source = DataSource(data=str(path), **named)
    fractions = Parts(validation_fraction=validation_fraction, test_fraction=test_fraction)
    return split_data(read_parts(source), described(source), fractions, lambda text: None)


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a,b,c\nx,1,good film\ny,0,bad film\n")
    assert read_labelled(str(path), Columns(text_column="c", label_column="b")).sets == [("1",), ("0",)]
    path.write_text("stars,what\n1,good film\n0,bad film\n")
    assert list(read_labelled(str(path), Columns()).texts) == ["good film", "bad film"]  # the other of two


def test_the_treebanks_files(shared_data: Path) -> None:
    fine = read_labelled(str(shared_data / "sst2/stsa.fine.train"), Columns())
    assert (len(fine), sorted(fine.label_names)) == (8544, list("01234"))
    assert fine.texts[1] == "apparently reassembled from the cutting-room floor of any given daytime soap ."


def test_parts_are_drawn_class_by_class(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("".join(f"{'rare' if number % 10 == 0 else 'common'} text {number}\n" for number in range(200)))
    data = loaded(path, 0.1, 0.2)
    assert data.classes == ("common", "rare")
    counts = {part: np.bincount(each.labels).tolist() for part, each in data.parts.items()}
    assert counts == {"train": [126, 14], "validation": [18, 2], "test": [36, 4]}
    texts = [text for part in data.parts.values() for text in part.texts]
    assert sorted(texts) == sorted(f"text {number}" for number in range(200))
    again = loaded(path, 0.1, 0.2)
    assert list(again.parts["train"].texts) == list(data.parts["train"].texts)
    assert again.digest == data.digest
    assert loaded(path, 0.1, 0.1).digest != data.digest


def test_numbers_as_labels_stand_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("".join(f"{number % 11} text\n" for number in range(44)))
    assert loaded(path).classes == tuple(map(str, range(11)))
    path.write_text("".join(f"{label} text\n" for label in ("nan", "2", "10", "inf")) * 9)
    assert loaded(path).classes == ("2", "10", "inf", "nan")


def test_of_many_small_classes_some_texts_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("".join(f"{number % 20} text {number}\n" for number in range(60)))
    data = loaded(path, 0.1, 0.1)
    assert {part: len(each) for part, each in data.parts.items()} == {"train": 48, "validation": 6, "test": 6}
    with pytest.raises(
        ParameterError, match=r"`validation_fraction` 0.5 and `test_fraction` 0.5 leave nothing to train"
    ):
        loaded(path, 0.5, 0.5)


BAD = {
    "nothing in it": (b"", "is empty"),
    "one class": (b"pos good\npos fine\n", "every text of .* has the label 'pos'; a classifier needs two classes"),
    "bytes that are no text": (b"pos good\nneg b\xffd\n", "record 2 of .* is not UTF-8: byte 0xff at its offset 5"),
    "a table without labels": (b"text,x,y\ngood,1,2\nbad,1,2\n", "which column is the label.*'text', 'x', 'y'"),
    "a table without texts": (b"label,x,y\ngood,1,2\nbad,1,2\n", "which column is the text"),
    "unequal columns": (b"text,label\ngood,1\nbad\n", "ragged: line 3 has 1 cells, the header 2"),
    "a text without a label": (b"text,label\ngood,1\nbad,\n", "record 2 of .* has no label in column 'label'"),
    "a mark missing": (b"__label__a x\nb y\n", "line 2 of .* does not begin with a label: 'b y'"),
    "a mark without a name": (b"__label__a __label__ x\n", "line 1 of .* has a label without a name"),
    "broken JSON": (b'{"text": "a", "label": 1}\n{"text"\n', "not JSON Lines: line 2"),
    "as many labels as texts": (
        b"text,label\n" + b"".join(b"a,%d\n" % number for number in range(60)),
        "have 60 different labels",
    ),
    "a quote that is not closed": (b'text,label\n"good,1\nbad,0\n', "is no table: line 2, unexpected end of data"),
    "a label of two lines": (
        b'{"text": "a", "label": "x\\ny"}\n{"text": "b", "label": "z"}\n',
        "one line of printable",
    ),
    "too few": (b"a x\nb y\n", "2 texts of 2 classes are too few"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_told_in_one_line(case: str, tmp_path: Path) -> None:
    content, message = BAD[case]
    path = tmp_path / "data"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        loaded(path)
    assert "\n" not in str(caught.value)


def test_a_label_that_only_the_test_file_has_is_named(tmp_path: Path) -> None:
    data, test = tmp_path / "train", tmp_path / "test"
    data.write_text("a x\nb y\n" * 9)
    test.write_text("a x\nc y\n")
    with pytest.raises(DataError, match=r"record 2 of '.*test' has the label 'c', which no training text has.*a, b"):
        loaded(data, test=str(test))


def test_folders_and_columns_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folders with texts"):
        read_labelled(str(tmp_path), Columns())
    with pytest.raises(DataError, match="no such file"):
        read_labelled(str(tmp_path / "no"), Columns())
    path = tmp_path / "data.csv"
    path.write_text("text,label\na,b\n")
    with pytest.raises(DataError, match="no column 'x' for `text_column`; it has: text, label"):
        read_labelled(str(path), Columns(text_column="x"))
    with pytest.raises(DataError, match="are both 'text'"):
        read_labelled(str(path), Columns(text_column="text", label_column="text"))
    (tmp_path / "folder/pos").mkdir(parents=True)
    (tmp_path / "folder/pos/1.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"1.txt' is not UTF-8: byte 0xff"):
        read_labelled(str(tmp_path / "folder"), Columns())


def test_imdb_reviews_are_read(shared_data: Path) -> None:
    texts, labels = zip(*read_imdb_reviews(shared_data / "tfds", "test"), strict=True)
    assert (len(texts), labels.count("pos"), labels.count("neg")) == (25_000, 12_500, 12_500)


def test_imdb_reviews_are_prepared_without_tensorflow(tmp_path: Path, monkeypatch) -> None:
    archive = tmp_path / "a.tar.gz"
    wanted = {}
    with tarfile.open(archive, "w:gz") as file:
        for part in ("train", "test"):
            for label in ("neg", "pos") if part == "test" else ("neg", "pos", "unsup"):
                content = f"a {label} {part} review<br />\u00e9".encode()
                wanted.setdefault(part, set()).add((content.decode(), label))
                for name in (f"aclImdb/{part}/{label}/0_1.txt", f"aclImdb/{part}/urls_{label}.txt"):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    file.addfile(member, io.BytesIO(content))
    write_imdb_reviews(archive, tmp_path / "tfds")
    for part, found in wanted.items():
        assert set(read_imdb_reviews(tmp_path / "tfds", part)) == {each for each in found if each[1] != "unsup"}
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(DataError, match="the archive of imdb_reviews is damaged"):
        write_imdb_reviews(archive, tmp_path / "other")

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(DataError, match=r"could not be fetched \(no network here\); name labelled DATA, or a --data-d"):
        read_imdb_reviews(tmp_path / "nowhere", "train")


VECTORS = {"good": [1.0, -2.5, 0.25], "n't": [0.5, 0.5, 0.5], "\u00e9t\u00e9": [3.0, 2.0, 1.0]}
LINES = "".join(f"{word} {' '.join(map(str, numbers))}\n" for word, numbers in VECTORS.items())


def binary(newline: bytes = b"") -> bytes:
    rows = [word.encode() + b" " + np.array(numbers, "<f4").tobytes() + newline for word, numbers in VECTORS.items()]
    return b"3 3\n" + b"".join(rows)


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, LINES)
    return buffer.getvalue()


VECTOR_FILES = {
    "GloVe": LINES.encode(),
    "word2vec text": f"3 3\n{LINES}".encode(),
    "fastText, blanks at the ends": ("3 3\n" + LINES.replace("\n", " \n")).encode(),
    "word2vec binary": binary(),
    "word2vec binary with newlines": binary(b"\n"),
    "gzip": gzip.compress(LINES.encode(), mtime=0),
    "xz": lzma.compress(binary()),
    "zip": zipped("vectors.txt"),
    "a word with a blank": LINES.encode() + b". . . 1 2 3\n",
    "a blank line at the end": LINES.encode() + b"\n",
}


@pytest.mark.parametrize("form", VECTOR_FILES)
def test_word_vectors_of_all_forms(form: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(VECTOR_FILES[form])
    found = read_vectors(str(path), ["good", "\u00e9t\u00e9", "absent"])
    assert found.dimension == 3
    assert found.rows == 3 + (form == "a word with a blank") * 1
    assert {word: vector.tolist() for word, vector in found.found.items()} == {
        "good": VECTORS["good"],
        "\u00e9t\u00e9": VECTORS["\u00e9t\u00e9"],
    }


BAD_VECTORS = {
    "a row too short": (b"good 1 2 3\nbad 1 2\n", "line 2 of .* is broken: it has 2 numbers after the word, not 3"),
    "a number that is none": (b"a 1 2 3\ngood 1 x 3\n", "line 2 of .* is broken: .*'x'"),
    "a number that is not finite": (b"good 1 nan 3\n", "line 1 of .* is broken: a number of it is not finite"),
    "no numbers": (b"good\nbad\n", "line 1 of .* is broken: it has 0 numbers"),
    "nothing": (b"", "has no word vectors: it is empty"),
    "a binary file cut off": (binary()[:-5], "row 3 of .* is broken: the file ends in it, after 2 rows of 3"),
    "a damaged archive": (gzip.compress(LINES.encode(), mtime=0)[:-9], "damaged"),
    "vectors of nothing": (b"1 0\na\n", "line 1 of .* says that the vectors have 0 numbers"),
    "several files": (zipped("a.txt", "b.txt"), r"holds 2 files \(a.txt, b.txt\); unpack one of them"),
}


@pytest.mark.parametrize("case", BAD_VECTORS)
def test_broken_vectors_are_told_in_one_line(case: str, tmp_path: Path) -> None:
    content, message = BAD_VECTORS[case]
    path = tmp_path / "vectors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_vectors(str(path), ["good"])
    assert "\n" not in str(caught.value)


def test_the_glove_file(shared_data: Path) -> None:
    found = read_vectors(str(shared_data / "glove/glove.6B.50d.imdb40k.txt.xz"), ["the", "n't", "zzzzzz"])
    assert (found.dimension, found.rows, sorted(found.found)) == (50, 40_000, ["n't", "the"])


def test_json_lines_keep_labels_of_any_type(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("".join(json.dumps({"text": "x", "label": label}) + "\n" for label in (True, False)))
    assert read_labelled(str(path), Columns()).sets == [("True",), ("False",)]


def test_texts_as_vectors_of_a_tf_hub_module(tmp_path: Path, rnncli) -> None:
    data = tmp_path / "data.txt"
    data.write_text("pos good good film\nneg bad , bad film\n" * 60)
    options = ("sentiment", data, "--embeddings", tmp_path / "hub", "--checkpoint", tmp_path / "m", "--epochs", 20)
    (tmp_path / "hub").mkdir()
    empty = rnncli(*options, "--encoder", "bag")
    assert (empty.code, "has no saved_model.pb" in empty.err) == (1, True)
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

    class Module(tf.Module):  # counts two words: what nnlm-en-dim50 does, in small
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts):
            words = tf.strings.split(texts)
            return tf.stack([tf.reduce_sum(tf.cast(words == word, tf.float32), 1) for word in ("good", "bad")], 1)

    tf.saved_model.save(Module(), str(tmp_path / "hub"))
    assert "for --encoder bag" in rnncli(*options).err
    trained = rnncli(*options, "--encoder", "bag", "--learning-rate", 0.02)
    assert trained.code == 0, trained.err
    assert "vectors of 2 for whole texts" in trained.err
    labelled = rnncli("sentiment", "predict", "so good", "too bad", "", "--checkpoint", tmp_path / "m")
    assert [line.split("\t")[0] for line in labelled.out.splitlines()[:2]] == ["pos", "neg"]
    assert len(labelled.out.splitlines()) == 3
    explained = rnncli("sentiment", "predict", "so good", "--explain", "--checkpoint", tmp_path / "m")
    assert (explained.code, "vectors of whole texts only" in explained.err) == (2, True)


def test_two_columns_of_a_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("text,text,label\na,b,x\nc,d,y\n")
    with pytest.raises(DataError, match="two columns named 'text'"):
        read_labelled(str(path), Columns())


def test_a_first_line_that_is_longer_than_what_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "books"
    book = "öä " * 400_000  # the look ends within a letter
    path.write_text(f"pos {book}\nneg short\npos {book}\nneg short\n")
    assert read_labelled(str(path), Columns(), ["pos", "neg"]).sets == [("pos",), ("neg",), ("pos",), ("neg",)]


@pytest.mark.parametrize("form", ["xlsx", "json array", "parquet", "UTF-16", "parquet in small pieces"])
def test_what_is_trained_on_can_be_predicted(form: str, tmp_path: Path, monkeypatch) -> None:
    stream = io.BytesIO()
    if form == "xlsx":
        pytest.importorskip("openpyxl")
        TABLE.to_excel(stream, index=False)
    raw = {
        "xlsx": stream.getvalue(),
        "json array": TABLE.to_json(orient="records").encode(),
        "UTF-16": FORMS["UTF-16"],
    }.get(form, FORMS["parquet"])
    path = tmp_path / "texts"
    path.write_bytes(raw)
    if "pieces" in form:  # as a slow pipe gives them
        monkeypatch.setattr("rnncli.files._pieces", lambda source: iter([raw[:2], b"", raw[2:9], raw[9:]]))
    for encoding in (None, "latin-1") if "parquet" in form else (None,):
        records = records_of([str(path)], "review", encoding)
        assert records.columns == ("review", "sentiment")
        found = [(record.text, record.row["sentiment"]) for group in records.groups for record in group]
        assert found == ROWS


def test_what_is_missing_in_lists_is_missing() -> None:
    labelled = labelled_of(["a", None, float("nan")], ["x ", "y", "x"], Columns())
    assert pairs(labelled) == [("a", "x"), ("", "y"), ("", "x")]
    for missing in (None, float("nan"), pd.NA):
        with pytest.raises(DataError, match="text 2 has no label"):
            labelled_of(["a", "b"], ["x", missing], Columns())
    assert pairs(labelled_of(["a", "b"], iter("xy"), Columns())) == [("a", "x"), ("b", "y")]


def test_a_label_that_is_said_twice_is_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("__label__pos __label__pos fine\n__label__neg dull\n")
    labelled = read_labelled(str(tmp_path / "a"), Columns())
    assert not labelled.several
    assert pairs(labelled) == [("fine", "pos"), ("dull", "neg")]


def test_a_share_tells_the_record_of_the_whole(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "a,x\nb,y\n" * 4 + "c,wrong\nd,x\n")
    shared = read_labelled(str(tmp_path / "a.csv"), Columns()).share(slice(2, None, 3))
    with pytest.raises(DataError, match="record 9 of .* has the label 'wrong'"):
        with_classes(shared, ["x", "y"])


def test_ratios_of_blocks_are_those_of_all(monkeypatch) -> None:
    monkeypatch.setattr("rnncli.sentiment.text._TEXTS", 7)
    draw = np.random.default_rng(0)
    lengths = draw.integers(0, 6, 50)
    texts = Ragged(draw.integers(0, 20, lengths.sum()).astype(np.int32), np.cumsum([0, *lengths]))
    several = draw.integers(0, 2, (50, 3)).astype(np.int32)
    for labels in (draw.integers(0, 3, 50), several):
        found = log_count_ratios(texts, labels, 20, 3, 0.5)
        for target in range(3):
            inside = labels[:, target] > 0 if labels.ndim == 2 else labels == target
            has = np.array([[number in texts.of(row) for number in range(20)] for row in range(50)])
            ours, others = 0.5 + has[inside].sum(0), 0.5 + has[~inside].sum(0)
            wanted = np.log(ours / ours.sum() / (others / others.sum()))
            np.testing.assert_allclose(found[:, target], wanted, rtol=1e-5)
