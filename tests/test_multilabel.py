"""Texts with several labels, or none: read, learnt, measured, predicted, explained."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, log_loss

import rnncli
from rnncli.errors import DataError
from rnncli.sentiment import metrics
from rnncli.sentiment.calibration import best_thresholds
from rnncli.sentiment.data import Part, _drawn
from rnncli.sentiment.records import labelled_of, read_labelled
from rnncli.sentiment.settings import Columns

TOPICS = {"music": ["song", "band", "tune"], "politics": ["vote", "law", "party"], "sport": ["goal", "team", "match"]}


def drawn(count: int, seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """Texts of none to three topics, with a word of each among others."""
    draw = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(count):
        topics = sorted(draw.choice([*TOPICS], draw.integers(0, 4), replace=False).tolist())
        words = [str(draw.choice(TOPICS[topic])) for topic in topics] + draw.choice(
            ["the", "a", "new", "of"], 5
        ).tolist()
        texts.append(" ".join(draw.permutation(words)))
        labels.append(topics)
    return texts, labels


@pytest.fixture(scope="module")
def model() -> Any:
    texts, labels = drawn(400)
    return rnncli.sentiment.fit(texts, labels, units=16, embedding=16, learning_rate=0.01, epochs=20)


FORMS = {
    "fasttext": "__label__a __label__b one text\n__label__b two\n",
    "json lines": '{"text": "one text", "labels": ["a", "b"]}\n{"text": "two", "labels": ["b"]}\n',
    "separated": "text,label\none text,a|b\ntwo,b\n",
    "python in a column": "text,label\none text,\"['a', 'b']\"\ntwo,['b']\n",
    "some lists": '{"text": "one text", "labels": ["a", "b"]}\n{"text": "two", "labels": "b"}\n',
    "lines": "a+b one text\nb two\n",
    "json in a column": 'text,label\none text,"[""a"", ""b""]"\ntwo,"[""b""]"\n',
}


@pytest.mark.parametrize("form", FORMS)
def test_several_labels_are_read_from_every_form(form: str, tmp_path: Path) -> None:
    path = tmp_path / "texts"
    path.write_text(FORMS[form])
    columns = Columns(
        label_separator={"separated": "|", "lines": "+"}.get(form),
        label_column="labels" if form in ("json lines", "some lists") else None,
    )
    labelled = read_labelled(str(path), columns)
    assert list(labelled.texts) == ["one text", "two"]
    assert labelled.sets == [("a", "b"), ("b",)]
    assert labelled.several


def test_a_table_may_have_texts_without_a_label(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"text": ["x", "y"], "label": [["a"], []]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_labelled(str(tmp_path / "t.parquet"), Columns()).sets == [("a",), ()]


def test_what_only_looks_like_a_list_is_one_label(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\nx,[good]\ny,[bad]\n")
    labelled = read_labelled(str(tmp_path / "t.csv"), Columns())
    assert (labelled.sets, labelled.several) == ([("[good]",), ("[bad]",)], False)
    (tmp_path / "n.csv").write_text('text,label\nx,[null]\ny,"[""a""]"\nz,' + "[" * 100_000 + "]\n")
    assert read_labelled(str(tmp_path / "n.csv"), Columns()).sets[:2] == [(), ("a",)]


def test_lists_of_anything_in_a_table_do_no_harm(tmp_path: Path) -> None:
    import pandas as pd

    stamps = [[pd.Timestamp("2024-01-01")], [b"x"], [[1], [2, 3]]]
    frame = pd.DataFrame({"text": ["x", "y", "z"], "label": ["a", "b", "a"], "other": stamps}, dtype=object)
    frame["other"] = frame["other"].map(lambda cell: np.array(cell, dtype=object))
    labelled = labelled_of(frame, None, Columns())
    assert labelled.sets == [("a",), ("b",), ("a",)]


def test_labels_in_memory_may_be_any_collection_but_no_table() -> None:
    given = [{"b", "a"}, np.array(["b"]), [], "c"]
    assert labelled_of(["w", "x", "y", "z"], given, Columns()).sets == [("a", "b"), ("b",), (), ("c",)]
    with pytest.raises(DataError, match="are a table"):
        labelled_of(["x", "y"], np.eye(2), Columns())  # pyright: ignore


@given(
    labels=arrays(np.int32, st.tuples(st.integers(20, 60), st.just(4)), elements=st.integers(0, 1)),
    fraction=st.floats(0.1, 0.5),
)
def test_every_class_keeps_texts_to_train_with(labels: np.ndarray, fraction: float) -> None:
    labels[:2] = 1
    labels[2:4] = np.eye(4, dtype=int)[:2]
    part = Part([""] * len(labels), labels)
    rest, taken = _drawn(part, fraction, ["a", "b", "c", "d"])
    assert len(rest) + len(taken) == len(part)
    assert (rest.labels.sum(0) > 0).all()


def test_the_network_and_the_linear_model_learn_each_class_by_itself(model: Any) -> None:
    assert model.settings.several
    assert model.classes == ("music", "politics", "sport")
    scores = model.scores["test"]
    assert min(scores[system]["f1"] for system in ("model", "ngram", "both")) > 0.95
    texts, labels = drawn(200, seed=1)
    probability = np.array([[*each.probabilities] for each in model.predict(texts, system="model")])
    truth = np.array([[topic in each for topic in model.classes] for each in labels])
    measured = model.evaluate(texts, labels)["model"]
    assert measured["f1"] == pytest.approx(f1_score(truth, probability > 0.5, average="macro"))
    assert measured["accuracy"] == ((probability > 0.5) == truth).all(1).mean()
    by_class = [log_loss(truth[:, index], probability[:, index], labels=[0, 1]) for index in range(3)]
    assert measured["loss"] == pytest.approx(np.mean(by_class))
    assert np.array(measured["confusion_matrix"]).shape == (3, 2, 2)
    assert measured["classes"]["sport"]["texts"] == truth[:, 2].sum()


def test_a_text_gets_all_labels_that_are_likely_enough(model: Any) -> None:
    both, one, none = model.predict(["the team won a vote", "a new tune", "the new"], system="ngram")
    assert {name for name, _ in both.ranked} == set(model.classes)
    assert {name for name, _ in both.labels} == {"politics", "sport"}
    assert set(both.label.split(",")) == {"politics", "sport"}
    assert (one.label, none.label, none.labels) == ("music", "", ())
    assert model.predict("the new", otherwise="something else")[0].label == "something else"
    assert model.predict("the team won a vote", threshold=0.0)[0].label.count(",") == 2
    assert sum(both.probabilities) > 1.5  # of each class its own, not shares of one


def test_the_exported_network_has_each_classes_own_probability(model: Any, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    from rnncli.models.onnx import export_onnx

    model.save(tmp_path / "m")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of libraries that jax2onnx looks for
        export_onnx(tmp_path / "m", tmp_path / "m.onnx")
    tokens = model.encode(["the team won a vote"]).numbers
    padded = np.zeros((1, model.settings.max_words), np.int32)
    padded[0, : tokens.lengths[0]] = tokens.flat
    session = runtime.InferenceSession(tmp_path / "m.onnx")
    (got,) = session.run(None, {"tokens": padded, "length": tokens.lengths.astype(np.int32)})
    np.testing.assert_allclose(got[0], model.predict("the team won a vote", system="model")[0].probabilities, atol=1e-4)


@pytest.mark.parametrize("system", ["model", "ngram", "both"])
def test_contributions_add_up_to_the_classes_own_logit(model: Any, system: str) -> None:
    for text in drawn(6, seed=2)[0]:
        prediction = model.predict(text, system=system, explain=True)[0]
        explained = prediction.explanation
        assert explained.contributions.sum() == pytest.approx(explained.logit - explained.blank, abs=1e-3)
        likeliest = prediction.probabilities.max()
        assert explained.logit == pytest.approx(np.log(likeliest / (1 - likeliest)), abs=2e-3)


@given(
    logits=arrays(float, (7, 3), elements=st.floats(-10, 10)),
    labels=arrays(np.int32, (7, 3), elements=st.integers(0, 1)),
    temperature=st.floats(0.5, 10),
)
def test_losses_and_probabilities_are_those_of_independent_questions(logits, labels, temperature) -> None:
    probability = metrics.probabilities(logits, temperature, several=True)
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-logits / temperature)), atol=1e-12)
    wanted = -np.where(labels, np.log(probability), np.log1p(-probability)).mean()
    if np.isfinite(wanted):
        assert metrics.log_loss(logits / temperature, labels) == pytest.approx(wanted, abs=1e-6)
    measured = metrics.measure(probability, labels)
    assert measured.accuracy == (labels == (probability > 0.5)).all(1).mean()
    for index, threshold in enumerate(best_thresholds(probability, labels)):
        found = f1_score(labels[:, index], probability[:, index] >= threshold, zero_division=0)
        assert found >= f1_score(labels[:, index], probability[:, index] > 0.5, zero_division=0) - 1e-9


def test_the_command_line_prints_all_labels_and_goes_on_with_further_classes(rnncli, tmp_path: Path) -> None:
    texts, labels = drawn(120)
    lines = [json.dumps({"text": text, "label": each}) for text, each in zip(texts, labels, strict=True)]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    where, plot = tmp_path / "m", tmp_path / "p.svg"
    quick = ["--units", 4, "--embedding", 4, "--epochs", 1]
    trained = rnncli("sentiment", tmp_path / "t.jsonl", *quick, "--checkpoint", where, "--plot", plot)
    assert trained.code == 0, trained.err
    assert "3 classes (music, politics, sport), 1.6 a text" in trained.err
    assert "label in columns" not in trained.err  # no confusion matrix, where a text has several labels
    predict = ["sentiment", "predict", "the team won a vote", "--checkpoint", where, "--system", "ngram", "-q"]
    label, probability = rnncli(*predict).out.strip().split("\t")
    assert set(label.split(",")) == {"politics", "sport"}
    assert all(0.5 < float(each) <= 1 for each in probability.split(","))
    assert set(json.loads(rnncli(*predict, "--json").out)["labels"]) == {"politics", "sport"}
    evaluated = rnncli("sentiment", "evaluate", tmp_path / "t.jsonl", "--checkpoint", where, "--plot", plot, "--json")
    assert json.loads(evaluated.out)["scores"]["text"]["ngram"]["f1"] > 0.9
    (tmp_path / "more.txt").write_text("__label__food __label__sport a meal for the team\n__label__food a soup\n" * 20)
    further = [
        "sentiment",
        tmp_path / "more.txt",
        *quick[-2:],
        "--from",
        where,
        "--checkpoint",
        tmp_path / "n",
        "--json",
    ]
    document = json.loads(rnncli(*further).out)
    assert document["classes"] == ["music", "politics", "sport", "food"]
    assert document["config"]["labels_per_text"] == "several"
    refused = rnncli(
        "sentiment", tmp_path / "t.jsonl", *quick, "--labels-per-text", "one", "--checkpoint", tmp_path / "o"
    )
    assert (refused.code, "have several labels, and --labels-per-text is one" in refused.err) == (1, True)
    single = rnncli("sentiment", "evaluate", tmp_path / "more.txt", "--checkpoint", where)
    assert (single.code, "the label 'food', which no training text has" in single.err) == (1, True)


def test_texts_with_one_label_each_can_be_asked_for_as_questions_of_their_own() -> None:
    texts, labels = ["good film", "bad film"] * 30, ["pos", "neg"] * 30
    model = rnncli.sentiment.fit(texts, labels, units=4, epochs=1, labels_per_text="several")  # pyright: ignore
    assert model.predict("good", system="ngram")[0].label == "pos"
    assert model.predict("film", system="ngram", threshold=0.9)[0].label == ""
    with pytest.raises(DataError, match="a text has one here"):
        rnncli.sentiment.fit(texts, labels, units=4, epochs=1).evaluate(["good"], [["pos", "neg"]])
