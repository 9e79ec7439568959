"""`rnncli sentiment` as its users meet it: exact streams, exit codes, files, bad input."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from rnncli.cli import run
from rnncli.sentiment.imdb import write_imdb_reviews
from rnncli.training.stored import read_metadata

QUICK = ("--epochs", 1, "--units", 4, "--embedding", 4, "--quiet")
GOOD, BAD = ("fine", "lovely", "great"), ("dull", "awful", "poor")


def reviews(count: int, seed: int) -> list[tuple[str, str]]:
    """Texts whose class is that of the words that count in them."""
    generator = np.random.default_rng(seed)
    rows = []
    for label in generator.permutation(["neg", "pos"] * (count // 2)):
        words = generator.choice(["the", "film", "is", "a", "story", ","], size=generator.integers(3, 30)).tolist()
        words.insert(int(generator.integers(len(words))), str(generator.choice(GOOD if label == "pos" else BAD)))
        rows.append((" ".join(words), str(label)))
    return rows


def write_lines(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("".join(f"__label__{label} {text}\n" for text, label in rows))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled texts that are easy to learn."""
    return write_lines(tmp_path_factory.mktemp("data") / "train.txt", reviews(400, 0))


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of them."""
    folder = tmp_path_factory.mktemp("model") / "reviews"
    sizes = ["--units", "8", "--embedding", "8", "--epochs", "6", "--learning-rate", "0.02"]
    assert run(["sentiment", str(data), *sizes, "--checkpoint", str(folder), "-q"]) == 0
    return folder


def predicted(out: str) -> list[str]:
    return [line.split("\t")[0] for line in out.splitlines()]


def test_training_prints_scores_and_saves_a_model(rnncli, data: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    plot = tmp_path / "plot.png"
    trained = rnncli(
        "sentiment", "--learning-rate", 0.02, "--units", 8, "--embedding", 8, "--plot", plot, data, "--epochs", 5
    )
    assert trained.code == 0, trained.err
    assert trained.rows[0] == ["part", "system", "accuracy", "f1", "precision", "recall", "loss", "ece", "texts"]
    assert [row[:2] + row[-1:] for row in trained.rows[1:]] == [
        [part, system, "40"] for part in ("validation", "test") for system in ("model", "ngram", "both")
    ]
    assert "2 classes (neg, pos); texts: 320 train, 40 validate, 40 test" in trained.err
    assert re.search(r"baseline of \d+ words and pairs of words: validation accuracy 1.000", trained.err)
    assert "saved in 'checkpoints/sentiment'; label texts with 'rnncli sentiment predict TEXT'" in trained.err
    assert re.search(r" neg +20 .*\n pos +20 ", trained.err)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert [float(row[2]) for row in trained.rows[1:]] == [1] * 6
    labelled = rnncli("sentiment", "predict", "a lovely film", "dull !")
    assert (labelled.code, predicted(labelled.out)) == (0, ["pos", "neg"])
    again = rnncli("sentiment", data, *QUICK)
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert "already holds a checkpoint" in again.err


def test_json_is_one_document(rnncli, data: Path, tmp_path: Path) -> None:
    result = rnncli("sentiment", "train", data, *QUICK, "--checkpoint", tmp_path / "m", "--json", "--seed", 3)
    document = json.loads(result.out)
    assert result.out.count("\n") == 1
    assert document["command"] == "sentiment train"
    assert (document["config"]["seed"], document["config"]["units"], document["classes"]) == (3, 4, ["neg", "pos"])
    assert document["config"]["train"] == str(data)
    assert document["checkpoint"] == str(tmp_path / "m")
    for part in ("validation", "test"):
        for system in ("model", "ngram", "both"):
            scores = document["scores"][part][system]
            assert {"accuracy", "f1", "precision", "recall", "loss", "ece", "confusion_matrix", "classes"} <= set(
                scores
            )
            assert np.sum(scores["confusion_matrix"]) == 40
    assert [set(point) for point in document["history"]] == [{"epoch", "train", "validation", "accuracy"}]


def test_validation_and_test_files_are_used_as_they_are(rnncli, data: Path, tmp_path: Path) -> None:
    validation = write_lines(tmp_path / "v.txt", reviews(30, 1))
    test = write_lines(tmp_path / "t.txt", reviews(50, 2))
    result = rnncli(
        "sentiment", data, *QUICK, "--checkpoint", tmp_path / "m", "--validation", validation, "--test", test
    )
    assert [row[-1] for row in result.rows[1:]] == ["30"] * 3 + ["50"] * 3
    evaluated = rnncli("sentiment", "evaluate", test, "--checkpoint", tmp_path / "m", "-q")
    assert [row[1:] for row in evaluated.rows[1:]] == [row[1:] for row in result.rows[4:]]


def test_every_record_has_one_line_whatever_is_in_it(rnncli, shell, model: Path, tmp_path: Path) -> None:
    texts = [
        "fine",
        "",
        "   ",
        "tab\there",
        "x" * 1_000_000,
        "\x00\x1b[31m \x7f",
        "\u0130\u1e9e \U0001f600",
        "great \r",
    ]
    (tmp_path / "in.txt").write_text("\n".join(texts) + "\n")
    whole = shell(f"rnncli sentiment predict - --checkpoint {model} < in.txt", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert len(whole.stdout.splitlines()) == len(texts)
    for line in whole.stdout.splitlines():
        label, probability = line.split("\t")
        assert label in ("neg", "pos")
        assert 0.5 <= float(probability) <= 1
    bare = shell(f"head -c -1 in.txt | rnncli sentiment predict - --checkpoint {model}", cwd=tmp_path)
    assert bare.stdout == whole.stdout  # without the last newline
    packed = shell(f"gzip < in.txt | rnncli sentiment predict - --checkpoint {model} | head -1", cwd=tmp_path)
    assert packed.stdout == whole.stdout.splitlines(keepends=True)[0]
    pipe = shell(f"rnncli sentiment predict <(head -2 in.txt) --checkpoint {model}", cwd=tmp_path)
    assert pipe.stdout.splitlines() == whole.stdout.splitlines()[:2]
    as_file = rnncli("sentiment", "predict", tmp_path / "in.txt", "so dull", "--checkpoint", model)
    assert as_file.out.splitlines()[:-1] == whole.stdout.splitlines()
    assert as_file.out.splitlines()[-1].startswith("neg\t")


def test_what_a_text_gets_depends_on_nothing_else(rnncli, model: Path, tmp_path: Path) -> None:
    texts = [text for text, _ in reviews(300, 5)]
    (tmp_path / "in.txt").write_text("".join(f"{text}\n" for text in texts))
    (tmp_path / "turned.txt").write_text("".join(f"{text}\n" for text in reversed(texts)))

    def likely(*arguments: object) -> list[float]:
        out = rnncli("sentiment", "predict", *arguments, "--checkpoint", model, "--json").out
        return [json.loads(line)["probabilities"]["pos"] for line in out.splitlines()]

    together = likely(tmp_path / "in.txt")
    np.testing.assert_allclose(likely(tmp_path / "turned.txt")[::-1], together, atol=1e-5)
    np.testing.assert_allclose([likely(text)[0] for text in texts[:5]], together[:5], atol=1e-5)


def test_a_slow_pipe_is_answered_line_by_line(model: Path) -> None:
    command = [sys.executable, "-m", "rnncli", "sentiment", "predict", "-", "--checkpoint", str(model)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text, label in (("a lovely story", "pos"), ("", "neg|pos"), ("awful", "neg")):
            process.stdin.write(f"{text}\n")
            process.stdin.flush()
            assert re.match(rf"({label})\t0\.\d+\n", process.stdout.readline())  # or this waits for ever
        process.stdin.close()
        assert process.stdout.read() == ""
    assert process.returncode == 0


TABLE = 'id,review,label\n7,"great, great",?\n8,"so ""dull""\nand awful",\n9,,x\n'


def test_a_tables_columns_are_kept(rnncli, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(TABLE)
    result = rnncli("sentiment", "predict", path, "--text-column", "review", "--checkpoint", model)
    rows = list(csv.reader(io.StringIO(result.out)))
    assert rows[0] == ["id", "review", "label", "predicted_label", "probability"]
    assert [row[:3] for row in rows] == list(csv.reader(io.StringIO(TABLE)))
    assert [row[3] for row in rows[1:3]] == ["pos", "neg"]
    path.write_text('{"n": 1, "t": "great", "deep": {"a": [1]}}\n\n{"n": 2, "t": null}\n')
    result = rnncli("sentiment", "predict", path, "--text-column", "t", "--checkpoint", model)
    first, second = map(json.loads, result.out.splitlines())
    assert list(first) == ["n", "t", "deep", "label", "probability", "probabilities"]
    path.write_text('{"t": "great", "label": "gold"}\n')
    kept = json.loads(rnncli("sentiment", "predict", path, "--text-column", "t", "--checkpoint", model).out)
    assert (kept["label"], kept["predicted_label"]) == ("gold", "pos")
    assert (first["deep"], first["label"], second["t"]) == ({"a": [1]}, "pos", None)
    path.write_text("n\tt\n1\tgreat\n")
    result = rnncli("sentiment", "predict", path, "--text-column", "t", "--checkpoint", model, "--top", 5)
    assert result.out.splitlines()[0] == "n\tt\tlabel\tprobability\tlabel_2\tprobability_2"
    assert result.out.splitlines()[1].split("\t")[::2] == ["1", "pos", "neg"]


def test_top_and_explain(rnncli, model: Path) -> None:
    result = rnncli("sentiment", "predict", "a great story", "", "--checkpoint", model, "--top", 2, "--explain")
    first, blank = (line.split("\t") for line in result.out.splitlines())
    assert (first[0], first[2], len(blank)) == ("pos", "neg", 5)
    assert float(first[1]) + float(first[3]) == pytest.approx(1, abs=1e-5)
    assert first[4].startswith("great:+")
    assert blank[4] == ""
    result = rnncli("sentiment", "predict", "a great story", "--checkpoint", model, "--json", "--explain")
    document = json.loads(result.out)
    found = document["explanation"]
    assert [word for word, _ in found["words"]] == ["a", "great", "story"]
    assert sum(added for _, added in found["words"]) == pytest.approx(found["logit"] - found["blank"], abs=1e-3)
    odds = document["probabilities"]["pos"] / document["probabilities"]["neg"]
    assert found["logit"] == pytest.approx(np.log(odds), abs=1e-3)


def test_evaluation(rnncli, model: Path, tmp_path: Path) -> None:
    path, plot = tmp_path / "t.csv", tmp_path / "plot.svg"
    rows = reviews(40, 9)
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows))
    result = rnncli("sentiment", "evaluate", path, "--checkpoint", model, "--plot", plot)
    assert [row[:2] for row in result.rows[1:]] == [["text", system] for system in ("model", "ngram", "both")]
    assert "the network, class by class" in result.err
    assert b"<svg" in plot.read_bytes()
    result = rnncli("sentiment", "evaluate", path, "--checkpoint", model, "--json", "-q")
    document = json.loads(result.out)
    assert (document["command"], result.err) == ("sentiment evaluate", "")
    texts = [text for text, _ in rows]
    logits = []
    for system in ("model", "ngram", "both"):
        out = rnncli("sentiment", "predict", *texts, "--checkpoint", model, "--system", system, "--json").out
        found = [json.loads(line) for line in out.splitlines()]
        right = np.mean([each["label"] == label for each, (_, label) in zip(found, rows, strict=True)])
        assert document["scores"]["text"][system]["accuracy"] == pytest.approx(right)
        logits.append([np.log(each["probabilities"]["pos"] / each["probabilities"]["neg"]) for each in found])
    # both together: the mean of the two, as much sharper as the validation texts had it
    ratio = np.array(logits[2]) / np.mean(logits[:2], 0)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


@pytest.mark.parametrize("system", ["model", "ngram", "both"])
def test_every_system_explains_what_it_says(rnncli, model: Path, system: str) -> None:
    use = ("sentiment", "predict", "a great great story", "", "--checkpoint", model, "--system", system)
    for document in map(json.loads, rnncli(*use, "--json", "--explain").out.splitlines()):
        found, probabilities = document["explanation"], document["probabilities"]
        other = "neg" if document["label"] == "pos" else "pos"
        assert found["logit"] == pytest.approx(np.log(document["probability"] / probabilities[other]), abs=1e-3)
        assert sum(added for _, added in found["words"]) == pytest.approx(found["logit"] - found["blank"], abs=1e-3)
    assert [
        word for word, _ in json.loads(rnncli(*use, "--json", "--explain").out.splitlines()[0])["explanation"]["words"]
    ] == ["a", "great", "great", "story"]


def test_the_system_that_was_best_on_validation_labels_and_says_so(rnncli, model: Path) -> None:
    use = ("sentiment", "predict", "a great story", "a dull mess", "--checkpoint", model)
    auto = rnncli(*use)
    metadata = read_metadata(model, "sentiment")
    losses = {system: each["loss"] for system, each in metadata["scores"]["validation"].items()}
    best = min(losses, key=lambda system: losses[system])
    assert metadata["best_system"] == best
    assert auto.out == rnncli(*use, "--system", best).out
    assert auto.err.count("the best on validation; see --system") == 1
    assert rnncli(*use, "--system", best).err == ""


def test_a_text_below_the_threshold_has_the_other_label(rnncli, model: Path) -> None:
    use = ("sentiment", "predict", "a great story", "", "--checkpoint", model, "-q")
    sure, unsure = (line.split("\t") for line in rnncli(*use).out.splitlines())
    between = (float(sure[1]) + float(unsure[1])) / 2
    found = rnncli(*use, "--threshold", between, "--otherwise", "unclear").out.splitlines()
    assert found == ["\t".join(sure), f"unclear\t{unsure[1]}"]
    assert rnncli(*use, "--threshold", between).out.splitlines()[1] == f"\t{unsure[1]}"
    assert rnncli(*use, "--threshold", "f1").out.splitlines()[0].startswith("pos\t")
    wrong = rnncli(*use, "--threshold", 1.5)
    assert wrong.code == 2
    assert "'1.5' is neither a probability between 0 and 1 nor f1" in wrong.err


@pytest.mark.parametrize(
    "options",
    [
        ("--encoder", "bag"),
        ("--preset", "lecture", "--oov-buckets", 10, "--layers", 1),
        ("--preset", "lecture", "--mask", "--oov-buckets", 0, "--class-weights", "balanced", "--cell", "lstm"),
        ("--cell", "simple", "--unidirectional", "--cut", "tail", "--max-words", 5, "--precision", "bfloat16"),
    ],
)
def test_models_of_all_kinds_come_back_from_their_folder(rnncli, data: Path, tmp_path: Path, options) -> None:
    folder = tmp_path / "m"
    trained = rnncli("sentiment", data, *QUICK, *options, "--checkpoint", folder, "--json")
    assert trained.code == 0, trained.err
    moved = folder.rename(tmp_path / "moved")
    test = write_lines(tmp_path / "t.txt", reviews(30, 3))
    assert rnncli("sentiment", "evaluate", test, "--checkpoint", moved).code == 0
    labelled = rnncli("sentiment", "predict", "a great film", "", "--checkpoint", moved, "--explain", "--json")
    for line in labelled.out.splitlines():
        found = json.loads(line)["explanation"]
        assert sum(added for _, added in found["words"]) == pytest.approx(found["logit"] - found["blank"], abs=1e-3)


def test_more_than_two_classes(rnncli, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = [(f"{word} {' '.join(generator.choice(['x', 'y'], 4))}", word) for word in ("red", "green", "blue") * 60]
    data = write_lines(tmp_path / "d.txt", rows)
    options = ("--units", 8, "--embedding", 8, "--epochs", 8, "--learning-rate", 0.02, "-q")
    trained = rnncli("sentiment", data, *options, "--checkpoint", tmp_path / "m", "--json")
    scores = json.loads(trained.out)["scores"]["test"]
    assert scores["model"]["accuracy"] == scores["ngram"]["accuracy"] == 1
    labelled = rnncli("sentiment", "predict", "blue x y", "red", "--checkpoint", tmp_path / "m", "--json", "--explain")
    first = json.loads(labelled.out.splitlines()[0])
    assert (first["label"], list(first["probabilities"])) == ("blue", ["blue", "green", "red"])
    assert max(first["explanation"]["words"], key=lambda pair: pair[1])[0] == "blue"


def test_vectors_from_a_file(rnncli, data: Path, tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("".join(f"{word} 1 0 0\n" for word in GOOD) + "".join(f"{word} 0 1 0\n" for word in BAD))
    options = ("--units", 4, "--epochs", 1, "--checkpoint", tmp_path / "m", "--embeddings", vectors)
    trained = rnncli("sentiment", data, *options, "--frozen", "--encoder", "bag")
    assert trained.code == 0, trained.err
    assert re.search(
        r"6 vectors of 3; 6 of the known words have one \(50.0%\), \d.\d% of the running words", trained.err
    )
    wrong = rnncli("sentiment", data, *options, "--embedding", 4, "--overwrite")
    assert (wrong.code, wrong.err.splitlines()[-1][:60]) == (
        2,
        f"error: --embedding 4, but the vectors in '{vectors}"[:60],
    )
    vectors.write_text("fine 1 0 0\nlovely 1 0\n")
    broken = rnncli("sentiment", data, *options, "--overwrite")
    assert broken.code == 1
    assert "line 2 of" in broken.err.splitlines()[-1]
    assert (
        rnncli("sentiment", "predict", "fine", "--checkpoint", tmp_path / "m").code == 0
    )  # the old one is still there


def weights(folder: Path) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint."""
    from orbax.checkpoint import v1 as ocp

    step = max((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    stored = ocp.checkpointables_metadata(str(step.absolute())).metadata
    items = ("best", "state", "ngram")
    like = {item: {name: np.empty(each.shape, each.dtype) for name, each in stored[item].items()} for item in items}
    loaded = ocp.load_checkpointables(str(step.absolute()), like)
    return {f"{item}.{name}": np.asarray(leaf) for item in items for name, leaf in loaded[item].items()}


def test_a_resumed_training_is_the_one_that_never_stopped(rnncli, data: Path, tmp_path: Path) -> None:
    options = ("--units", 4, "--embedding", 4, "--schedule", "constant", "--patience", 0, "--quiet")
    assert rnncli("sentiment", data, *options, "--epochs", 4, "--checkpoint", tmp_path / "whole").code == 0
    assert rnncli("sentiment", data, *options, "--epochs", 2, "--checkpoint", tmp_path / "parts").code == 0
    resumed = rnncli("sentiment", data, *options, "--epochs", 4, "--checkpoint", tmp_path / "parts", "--resume")
    assert resumed.code == 0, resumed.err
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all((whole[name] == parts[name]).all() for name in whole)
    other = rnncli(
        "sentiment", data, *options, "--epochs", 5, "--checkpoint", tmp_path / "parts", "--resume", "--cut", "head"
    )
    assert (other.code, other.err.count("\n")) == (1, 1)
    assert "--cut both → head" in other.err


@pytest.mark.slow  # the conductor is one, and tests/test_cli_forecast.py and tests/test_signals.py stop it
def test_sigterm_saves_what_was_trained(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rnncli", "sentiment", str(data), "--units", "8", "--epochs", "9000"]
    command += ["--patience", "0", "--checkpoint", str(tmp_path / "m"), "--save-every", "0.5"]
    alone = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}  # else it is measured first whether two are faster
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=alone) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("training"):
                process.terminate()
                break
        rest, out = process.stderr.read(), process.stdout.read() if process.stdout else ""
    assert process.returncode == 143, rest
    assert rest.splitlines()[-1].endswith("saved; go on with --resume")
    assert out == ""
    assert run(["sentiment", "predict", "great", "--checkpoint", str(tmp_path / "m"), "-o", str(tmp_path / "o")]) == 0


BAD_PREDICTIONS = {
    "bytes that are no text": (b"fine\nb\xffd\n", (), "record 2 of 'in' is not UTF-8: byte 0xff at its offset 1", 1),
    "no such column": (b"a,b\n1,2\n", ("--text-column", "x"), "no column 'x' for --text-column; it has: a, b", 0),
    "unequal columns": (b"a,b\n1,2\n3\n", ("--text-column", "a"), "ragged: line 3 has 1 cells, the header 2", 2),
    "broken JSON": (b'{"a": "x"}\n{"a"\n', ("--text-column", "a"), "not JSON Lines: line 2", 1),
    "a number for a text": (b'{"a": 3}\n', ("--text-column", "a"), "record 1 of 'in': 'a' is no text but 3", 0),
    "nothing": (b"", ("--text-column", "a"), "is empty", 0),
    "a name twice": (b"a,b,b\n1,2,3\n", ("--text-column", "a"), "has two columns named 'b'", 0),
    "a quote that is not closed": (b'a,b\n1,2\n"3,4\n', ("--text-column", "a"), "is no table: line 3", 2),
}


@pytest.mark.parametrize("case", BAD_PREDICTIONS)
def test_bad_texts_are_told_in_one_line_after_the_good_ones(
    rnncli, model: Path, tmp_path: Path, case: str, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, options, message, lines = BAD_PREDICTIONS[case]
    Path("in").write_bytes(content)
    result = rnncli("sentiment", "predict", "in", *options, "--checkpoint", model, "-q")
    assert (result.code, result.err.count("\n"), result.out.count("\n")) == (1, 1, lines)
    assert message in result.err
    into = rnncli("sentiment", "predict", "in", *options, "--checkpoint", model, "--output", "out")
    assert (into.code, Path("out").exists()) == (1, False)


def test_bad_use_is_told_in_one_line(rnncli, data: Path, model: Path, tmp_path: Path) -> None:
    def failing(*arguments: object) -> tuple[int, str]:
        result = rnncli("sentiment", *arguments, "-q")
        assert result.err.count("\n") == 1, result.err
        assert result.out == ""
        return result.code, result.err

    (tmp_path / "not").mkdir()
    assert failing("predict", "x", "--checkpoint", tmp_path / "not") == (
        1,
        f"error: no checkpoint in '{tmp_path / 'not'}'; make one with 'rnncli sentiment train … --checkpoint "
        f"{tmp_path / 'not'}'\n",
    )
    assert failing("predict", "x", "--checkpoint", data)[0] == 1
    assert "--frozen keeps the vectors" in failing(data, "--frozen", "--checkpoint", tmp_path / "m")[1]
    assert failing(data, "--checkpoint", tmp_path / "m", "--epochs", "0")[0] == 2
    assert failing("--text-column", "x", "--checkpoint", tmp_path / "m")[0] == 2
    assert (
        "--text-column is of one table" in failing("predict", "a", "b", "--text-column", "x", "--checkpoint", model)[1]
    )
    assert "no such file: 'reviews.txt'" in failing("predict", "reviews.txt", "--checkpoint", model)[1]
    assert "is a folder" in failing("predict", tmp_path, "--checkpoint", model)[1]
    assert "cannot read" in failing("a long review " * 30, "--checkpoint", tmp_path / "m")[1]
    odd = rnncli("sentiment", "predict", "a \udcff great b", "--checkpoint", model, "--json", "--explain")
    assert (odd.code, json.loads(odd.out)["text"]) == (0, "a ? great b")
    other = tmp_path / "other.txt"
    other.write_text("pos fine\nsoso well\n")
    assert "record 2 of" in failing("evaluate", other, "--checkpoint", model)[1]
    assert not (tmp_path / "m").exists()


def test_without_data_it_is_imdb_reviews(rnncli, tmp_path: Path) -> None:
    archive = tmp_path / "reviews.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        for part, seed in (("train", 0), ("test", 1)):
            for number, (text, label) in enumerate([*reviews(60, seed), ("unlabelled", "unsup")]):
                member = tarfile.TarInfo(f"aclImdb/{part}/{label}/{number}_1.txt")
                member.size = len(text)
                file.addfile(member, io.BytesIO(text.encode()))
    write_imdb_reviews(archive, tmp_path / "tfds")
    result = rnncli("sentiment", "--data-dir", tmp_path / "tfds", *QUICK, "--checkpoint", tmp_path / "m")
    assert result.code == 0, result.err
    assert [row[-1] for row in result.rows[1:]] == ["6"] * 3 + ["60"] * 3


@pytest.mark.slow
def test_the_linear_model_of_the_imdb_reviews(rnncli, tmp_path: Path, shared_data: Path) -> None:
    options = ("--encoder", "bag", "--max-words", 20, "--embedding", 4, "--epochs", 1, "--vocabulary-size", 500)
    result = rnncli("sentiment", "--data-dir", shared_data / "tfds", *options, "--checkpoint", tmp_path / "m")
    assert "texts: 22,500 train, 2,500 validate, 25,000 test" in result.err
    assert float(result.rows[5][2]) >= 0.91
