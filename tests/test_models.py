"""What saved models tell of themselves, and the files that they are exported to."""

import json
import shlex
import shutil
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st
from samples import forged, monthly_sales
from typer.main import get_command

import rnncli as library
from rnncli.charlm.cli import app, train
from rnncli.charlm.settings import CharlmSettings
from rnncli.cli import run
from rnncli.options import as_words, with_options
from rnncli.settings import Chosen, Settings

TASKS = ("forecast", "charlm", "sentiment")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model of each task, and what they were trained on."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "sales.csv").write_text(monthly_sales(96))
    (folder / "book.txt").write_text("The quick brown fox. It jumps over the lazy dog.\n" * 30)
    texts = [f"{word} film {index},{label}\n" for index in range(20) for word, label in (("good", "a"), ("bad", "b"))]
    (folder / "reviews.csv").write_text("text,label\n" + "".join(texts))
    quick = ["--units", "4", "--epochs", "2", "-q", "--checkpoint"]
    sales = ["forecast", str(folder / "sales.csv"), "--horizon", "2", "--cell", "gru"]
    assert run([*sales, *quick, str(folder / "m/forecast")]) == 0
    assert run(["charlm", "train", str(folder / "book.txt"), "--stateless", *quick, str(folder / "m/charlm")]) == 0
    assert run(["sentiment", str(folder / "reviews.csv"), *quick, str(folder / "m/deeper/sentiment")]) == 0
    return folder


def model_of(place: Path, task: str) -> Path:
    return place / "m" / ("deeper/sentiment" if task == "sentiment" else task)


def test_models_are_found_below_a_folder(rnncli, place: Path) -> None:
    listed = rnncli("models", "list", place / "m", "-q")
    assert listed.rows[0] == ["model", "task", "metric", "figure", "bytes", "saved"]
    assert [row[1] for row in listed.rows[1:]] == ["charlm", "sentiment", "forecast"]
    assert [row[2] for row in listed.rows[1:]] == ["validation loss", "test accuracy", "test mase"]
    assert all(int(row[4]) > 10_000 for row in listed.rows[1:])
    shown = rnncli("models", "list", place / "m")
    assert "just now" in shown.err or "minute" in shown.err
    assert "test mase" in shown.err


def test_a_folder_without_models_says_how_to_make_one(rnncli, tmp_path: Path) -> None:
    empty = rnncli("models", "list", tmp_path)
    assert empty.code == 0
    assert empty.rows == [["model", "task", "metric", "figure", "bytes", "saved"]]
    assert "no models in" in empty.err
    absent = rnncli("models", "list", tmp_path / "absent")
    assert absent.code == 1
    assert "there is no folder" in absent.err


def test_a_damaged_model_is_left_out_of_the_list_and_refused_by_show(rnncli, place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "m", tmp_path / "m")
    forged(tmp_path / "m/charlm", lambda metadata: metadata.update(task="painting"))
    assert len(rnncli("models", "list", tmp_path / "m", "-q").rows) == 3
    refused = rnncli("models", "show", tmp_path / "m/charlm")
    assert refused.code == 1
    assert "is damaged: it is of the task 'painting'" in refused.err


@pytest.mark.parametrize("task", TASKS)
def test_the_command_that_a_model_names_trains_the_same_model_again(
    rnncli, place: Path, tmp_path: Path, task: str
) -> None:
    shown = json.loads(rnncli("models", "show", model_of(place, task), "--json").out)
    words = shlex.split(shown["train"])[1:]
    again = rnncli(*words, "--checkpoint", tmp_path / "again", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["scores"] == shown["scores"]
    difference = rnncli("models", "diff", model_of(place, task), tmp_path / "again", "-q")
    assert {row[0] for row in difference.rows} <= {"name", "bytes"}


@pytest.mark.parametrize("task", TASKS)
def test_show_tells_what_a_model_is_made_of(rnncli, place: Path, task: str) -> None:
    path = model_of(place, task)
    shown = json.loads(rnncli("models", "show", path, "--json").out)
    leaves = jax.tree.leaves(nnx.state(library.load(path).network, nnx.Param))
    assert sum(shown["weights"].values()) == sum(leaf.size for leaf in leaves)
    assert shown["config"]["units"] == 4
    assert [each["epoch"] for each in shown["history"]] == [1, 2]
    text = rnncli("models", "show", path).out
    assert max(map(len, text.splitlines()[:1])) <= 120 + len(str(path))
    assert f"{sum(shown['weights'].values()):,}; about" in text
    assert shown["train"] in text


def test_a_card_has_the_scores_and_the_command(rnncli, place: Path) -> None:
    card = rnncli("models", "card", model_of(place, "sentiment")).out
    assert card.startswith("---\nlibrary_name: rnncli\n")
    assert "| test | both |" in card
    assert "rnncli sentiment predict TEXT --checkpoint" in card
    assert "## Limits" in card


def test_differences_are_those_of_settings_and_scores(rnncli, place: Path, tmp_path: Path) -> None:
    book = place / "book.txt"
    quick = ("--units", 5, "--epochs", 2, "--stateless", "-q", "--checkpoint", tmp_path / "wider")
    assert rnncli("charlm", "train", book, *quick).code == 0
    document = json.loads(rnncli("models", "diff", model_of(place, "charlm"), tmp_path / "wider", "--json").out)
    assert document["differences"].pop("units") == [4, 5]
    assert all(name.split()[0] in ("bytes", "train", "validation") for name in document["differences"])


@pytest.mark.parametrize("task", TASKS)
def test_an_exported_file_predicts_as_the_folder_does(rnncli, place: Path, tmp_path: Path, task: str) -> None:
    pytest.importorskip("safetensors")
    file = tmp_path / "model.safetensors"
    assert rnncli("models", "export", model_of(place, task), file).code == 0
    assert rnncli("models", "list", tmp_path, "-q").rows[1][:2] == [str(file), task]
    use = {
        "forecast": ("forecast", "predict", place / "sales.csv", "--quantiles", "0.1,0.9"),
        "charlm": ("charlm", "sample", "--length", 30),
        "sentiment": ("sentiment", "predict", "a good film", "--json"),
    }[task]
    ours, theirs = (rnncli(*use, "--checkpoint", path) for path in (model_of(place, task), file))
    assert ours.code == theirs.code == 0, theirs.err
    assert ours.out == theirs.out


def test_a_damaged_file_and_a_wrong_name_are_refused_in_one_line(rnncli, place: Path, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    model = model_of(place, "charlm")
    wrong = rnncli("models", "export", model, tmp_path / "model.bin")
    assert wrong.code == 2
    assert "the name of an exported model ends in .safetensors" in wrong.err
    file = tmp_path / "model.safetensors"
    assert rnncli("models", "export", model, file).code == 0
    raw = file.read_bytes()
    for damaged in (b"", raw[:100], raw[: len(raw) // 2], b"\xff" * 200, raw.replace(b'"task', b'"tusk')):
        file.write_bytes(damaged)
        refused = rnncli("charlm", "sample", "--checkpoint", file)
        assert refused.code == 1
        assert f"'{file}' is damaged" in refused.err
        assert refused.err.count("\n") == 1


@pytest.mark.parametrize("task", TASKS)
def test_onnx_gives_our_numbers(rnncli, place: Path, tmp_path: Path, task: str) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("jax2onnx")
    file = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of libraries that jax2onnx looks for
        exported = rnncli("models", "export", model_of(place, task), file, "--json")
    assert exported.code == 0, exported.err
    assert json.loads(exported.out)["difference"] < 1e-5
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    model = library.load(model_of(place, task))
    if task == "forecast":
        past = np.loadtxt(place / "sales.csv", delimiter=",", skiprows=1, usecols=1, dtype=np.float32)
        (found,) = session.run(None, {"values": past[None, -model.settings.window :]})
        network = next(iter(rnncli("forecast", "predict", place / "sales.csv", "--checkpoint", model.folder).rows[1:]))
        assert found.shape == (1, 2)
        assert abs(found[0, 0] / float(network[1]) - 1) < 0.2  # which is the combination's
    elif task == "charlm":
        tokens, _ = model.vocabulary.encode("The quick", what="the text")
        states = {each.name: np.zeros(each.shape, np.float32) for each in session.get_inputs()[1:]}
        token, losses = model.vocabulary.boundary, []
        for following in tokens.tolist():
            logits, *new = session.run(None, {"token": np.array([token], np.int32), **states})
            losses.append(np.log(np.exp(logits[0]).sum()) - logits[0, following])
            states = dict(zip(states, new, strict=True))
            token = following
        assert np.mean(losses) == pytest.approx(model.evaluate("The quick")["carried"]["loss"], rel=1e-5)
    else:
        numbers = model.encode(["a good film"]).numbers
        tokens = np.zeros((1, model.settings.max_words), np.int32)
        tokens[0, : len(numbers.flat)] = numbers.flat
        length = np.array([len(numbers.flat)], np.int32)
        (found,) = session.run(None, {"tokens": tokens, "length": length})
        np.testing.assert_allclose(found[0], model.predict("a good film", system="model")[0].probabilities, atol=1e-5)
    assert json.loads(session.get_modelmeta().custom_metadata_map["rnncli"])["task"] == task


@given(
    units=st.integers(1, 9999),
    rate=st.floats(1e-9, 10),
    stateful=st.booleans(),
    separator=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    lowercase=st.booleans(),
)
def test_words_of_a_command_line_give_the_values_they_were_made_of(
    units: int, rate: float, stateful: bool, separator: str, lowercase: bool
) -> None:
    values = {"units": units, "learning_rate": rate, "stateful": stateful, "separator": separator}
    values["lowercase"] = lowercase
    words = as_words(with_options(train).settings, values)
    command = get_command(app).commands["train"]  # pyright: ignore[reportAttributeAccessIssue]
    parsed = command.make_context("train", words).params
    given_values = {name: value for name, value in parsed.items() if name in values and value is not None}
    made: Settings = Chosen(CharlmSettings, given_values).over()
    assert {name: getattr(made, name) for name in values} == values
