"""rnncli as a library: what a script or a notebook calls."""

import doctest
import importlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import rnncli
from rnncli.errors import CheckpointError, DataError, ParameterError
from rnncli.nn import Cell, SimpleCell, register_cell
from rnncli.nn.settings import CELLS
from rnncli.sentiment.records import labelled_of
from rnncli.sentiment.settings import Columns

SALES = [100 + month + 20 * np.sin(2 * np.pi * month / 12) for month in range(60)]
QUICK = {"horizon": 3, "window": 6, "epochs": 1, "units": 4}
LABELS = ["pos", "neg"] * 30
TEXTS = ["a good film", "a bad film"] * 30

DOCUMENTED = ["rnncli.nn", "rnncli.nn.settings", "rnncli.library"]
DOCUMENTED += [f"rnncli.{task}.api" for task in ("forecast", "charlm", "sentiment")]


@pytest.mark.parametrize("module", DOCUMENTED)
def test_the_examples_of_the_docstrings_run(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(CELLS, "leaky", SimpleCell)
    found = [
        test
        for test in doctest.DocTestFinder().find(
            importlib.import_module(module), extraglobs={"rnncli": rnncli, "jnp": jnp}
        )
        if test.examples
    ]
    assert found
    for test in found:
        assert doctest.DocTestRunner().run(test).failed == 0, test.name


def test_importing_costs_nothing_until_it_is_used() -> None:
    code = (
        "import sys, rnncli; from rnncli import forecast, charlm, sentiment, nn; "
        "print(any(name in sys.modules for name in ('jax', 'numpy', 'flax', 'typer')), nn.GRUCell.gates)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split()[0] == "False"
    assert out.split()[-1] == "3"
    with pytest.raises(AttributeError, match="has no attribute 'forcast'"):
        rnncli.forcast  # noqa: B018


def test_a_series_may_come_in_any_form(tmp_path: Path) -> None:
    months = pd.date_range("2015-01-01", periods=60, freq="MS")
    frame = pd.DataFrame({"month": months, "sales": SALES})
    frame.to_csv(tmp_path / "sales.csv", index=False)
    models = [
        rnncli.forecast.fit(series, **QUICK)
        for series in (tmp_path / "sales.csv", frame, frame.set_index("month")["sales"], np.array(SALES), SALES)
    ]
    forecasts = [model.predict() for model in models]
    for forecast in forecasts[1:]:
        np.testing.assert_allclose(forecast.values, forecasts[0].values, rtol=1e-4)
    assert [forecast.times[0] for forecast in forecasts] == ["2020-01-01"] * 3 + ["61"] * 2
    with pytest.raises(DataError, match=r"the series has the shape \[2, 3\]"):
        rnncli.forecast.fit(np.zeros((2, 3)))


def test_a_forecaster_is_saved_loaded_and_measured(tmp_path: Path) -> None:
    model = rnncli.forecast.fit(SALES, **QUICK)
    model.save(tmp_path / "m")
    with pytest.raises(CheckpointError, match="already holds a checkpoint"):
        model.save(tmp_path / "m")
    loaded = rnncli.load(tmp_path / "m")
    assert loaded.settings == model.settings
    np.testing.assert_array_equal(loaded.predict(SALES).values, model.predict().values)
    assert loaded.evaluate(SALES) == model.evaluate(SALES)
    with pytest.raises(ParameterError, match="name the `series` that is to be continued"):
        loaded.predict()


def test_a_text_may_be_itself_or_a_file(tmp_path: Path) -> None:
    text = "to be or not to be, that is the question. " * 30
    (tmp_path / "play.txt").write_text(text)
    quick = {"units": 4, "embedding": 4, "layers": 1, "epochs": 1}
    itself, file = (rnncli.charlm.fit(source, **quick) for source in (text, tmp_path / "play.txt"))
    assert itself.scores == file.scores
    assert itself.sample("to", 20, seed=3) == file.sample("to", 20, seed=3)
    assert itself.evaluate() == {
        protocol: pytest.approx(metrics) for protocol, metrics in itself.scores["validation"].items()
    }
    itself.save(tmp_path / "m")
    loaded = rnncli.load(tmp_path / "m")
    assert loaded.sample("to", 20, seed=3) == itself.sample("to", 20, seed=3)
    with pytest.raises(CheckpointError, match="was trained on a text in memory, which is gone; name a `text`"):
        loaded.evaluate()
    with pytest.raises(DataError, match="no such file: 'plya.txt'"):
        rnncli.charlm.fit("plya.txt")


@pytest.mark.parametrize("text", [[], {}, 5, b"to be", {"a.txt"}, [None], np.array(["a.txt"])], ids=str)
def test_what_is_no_text_is_not_replaced_by_another(text: Any) -> None:
    with pytest.raises(ParameterError, match="the `text` is .*; give the text itself, a path, or a list of paths"):
        rnncli.charlm.fit(text)


@pytest.mark.parametrize(
    ("fit", "data"),
    [
        (rnncli.forecast.fit, (SALES,)),
        (rnncli.charlm.fit, ("to be or not to be. " * 50,)),
        (rnncli.sentiment.fit, (TEXTS, LABELS)),
    ],
    ids=["forecast", "charlm", "sentiment"],
)
def test_a_preset_that_is_not_there_is_refused(fit: Any, data: tuple[Any, ...]) -> None:
    with pytest.raises(ParameterError, match="`preset` 'Large' is not one of 'default', "):
        fit(*data, preset="Large")


def test_wrong_values_after_a_training_are_parameter_errors() -> None:
    model = rnncli.charlm.fit("to be or not to be. " * 50, units=4, embedding=4, layers=1, epochs=1)
    for wrong in ({"seed": -1}, {"seed": 2**32}, {"length": 1.5}, {"length": -1}, {"prompt": None}):
        with pytest.raises(ParameterError, match=f"`{next(iter(wrong))}`"):
            model.sample(**wrong)
    with pytest.raises(ParameterError, match="`window`: 0 is not at least 1"):
        model.evaluate("to be", window=0)
    labels = rnncli.sentiment.fit(TEXTS, LABELS, units=4, embedding=4, epochs=1)
    for wrong in ({"system": "net"}, {"threshold": 5}, {"threshold": math.nan}, {"threshold": "x"}):
        with pytest.raises(ParameterError, match=f"`{next(iter(wrong))}`"):
            labels.predict("a film", **wrong)
    for texts in ([None], [1], b"a film"):
        with pytest.raises(DataError, match="text 1 is of the type"):
            labels.predict(texts)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ParameterError, match="there is no setting `txt_column`; did you mean `text_column`"):
        labels.evaluate(TEXTS, LABELS, txt_column="a")


def test_bytes_are_the_text_that_they_encode_and_numbers_the_labels_of_a_table() -> None:
    given = labelled_of([b"good", "bär".encode()], np.array([1.0, 0.0]), Columns())
    assert list(given.texts) == ["good", "bär"]
    assert given.sets == [("1",), ("0",)]
    with pytest.raises(DataError, match="bytes that are not UTF-8"):
        labelled_of([b"\xff"], ["a"], Columns())
    with pytest.raises(DataError, match="text 2 has a label that is missing"):
        labelled_of(["a", "b"], [["x"], ["y", math.nan]], Columns())
    with pytest.raises(DataError, match="text 1 has no label"):
        labelled_of(["a", "b"], [" ", "x"], Columns())


def test_labelled_texts_may_come_in_any_form(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": TEXTS, "label": LABELS})
    frame.to_csv(tmp_path / "films.csv", index=False)
    quick = {"units": 4, "embedding": 4, "epochs": 1}
    models = [rnncli.sentiment.fit(data, **quick) for data in (tmp_path / "films.csv", frame)]
    models.append(rnncli.sentiment.fit(TEXTS, LABELS, **quick))
    assert models[0].scores == models[1].scores == models[2].scores
    models[0].save(tmp_path / "m")
    loaded = rnncli.load(tmp_path / "m")
    wanted, got = (model.predict(["good", "bad"], explain=True) for model in (models[0], loaded))
    for one, other in zip(wanted, got, strict=True):
        np.testing.assert_allclose(other.probabilities, one.probabilities, rtol=1e-5)
        assert other.words == one.words
    given = rnncli.sentiment.fit(TEXTS, LABELS, validation=(TEXTS[:6], LABELS[:6]), test=frame[:4], **quick)
    assert given.scores["validation"]["model"]["texts"] == 6
    assert given.scores["test"]["model"]["texts"] == 4
    with pytest.raises(DataError, match="there are 60 texts and 59 labels"):
        rnncli.sentiment.fit(TEXTS, LABELS[1:])
    with pytest.raises(DataError, match="the texts have no labels"):
        rnncli.sentiment.fit(TEXTS)


def test_errors_of_the_library_speak_of_parameters(rnncli, tmp_path: Path) -> None:
    import rnncli as library

    series = tmp_path / "sales.csv"
    series.write_text("x\n" + "".join(f"{value}\n" for value in SALES))
    with pytest.raises(ParameterError) as error:
        library.forecast.fit(series, cell="linear", strategy="seq2seq")
    assert str(error.value) == "`cell` linear knows `strategy` direct and recursive, not seq2seq"
    result = rnncli("forecast", series, "--cell", "linear", "--strategy", "seq2seq")
    assert result.err.splitlines()[-1] == "error: --cell linear knows --strategy direct and recursive, not seq2seq"


class Minimal(Cell):
    """A minimal gated unit (Zhou et al. 2016, arXiv 1603.09420): one gate, and a candidate."""

    gates = 2

    @staticmethod
    def step(vectors, carry, pre):
        forget, candidate = 0.5 + 0.5 * jnp.tanh(0.5 * pre[0]), jnp.tanh(pre[1])
        return ((1 - forget) * carry[0] + forget * candidate,)


def test_a_cell_from_outside_serves_all_three_tasks(rnncli, tmp_path: Path) -> None:
    import rnncli as library

    register_cell("minimal", Minimal)
    try:
        forecast = library.forecast.fit(SALES, **QUICK, cell="minimal", linear_skip=False)
        assert isinstance(forecast.network.stack.forward[0], Minimal)  # pyright: ignore
        text = library.charlm.fit("to be or not to be, " * 30, units=4, epochs=1, cell="minimal")
        assert len(text.sample("to", 5)) == 7
        labels = library.sentiment.fit(TEXTS, LABELS, units=4, epochs=1, cell="minimal")
        assert labels.predict("good")[0].label in ("pos", "neg")
        (tmp_path / "fox.txt").write_text("the quick brown fox " * 40)
        quick = ("--units", 4, "--layers", 1, "--epochs", 1, "--checkpoint", tmp_path / "m", "-q")
        assert rnncli("charlm", "train", tmp_path / "fox.txt", *quick, "--cell", "minimal").code == 0
        assert "minimal" in rnncli("charlm", "train", "--help").out
    finally:
        del CELLS["minimal"]


def test_a_cell_that_is_registered_anew_is_the_one_that_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CELLS, "again", SimpleCell)
    for cell in (type("First", (SimpleCell,), {}), type("Second", (SimpleCell,), {})):
        register_cell("again", cell)
        model = rnncli.charlm.fit("to be or not to be. " * 20, cell="again", units=4, embedding=4, layers=1, epochs=1)
        assert type(model.network.stack.forward[0]) is cell
