"""Beginning with a saved language model or classifier: what is kept, what is new, what is replayed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

import rnncli as library
from rnncli.charlm import warm as charlm_warm
from rnncli.charlm.batches import Replayed, Streams, Text, Windows
from rnncli.charlm.model import CharModel
from rnncli.charlm.settings import CharlmSettings
from rnncli.charlm.vocabulary import Vocabulary
from rnncli.cli import run
from rnncli.nn.initial import with_parameters
from rnncli.sentiment import text as words
from rnncli.sentiment import warm as sentiment_warm
from rnncli.sentiment.metrics import loss_of
from rnncli.sentiment.model import TextClassifier
from rnncli.sentiment.ngram import fit_ngram
from rnncli.sentiment.settings import SentimentSettings

OLD, NEW = Vocabulary("chars", tuple(map(ord, "acd"))), Vocabulary("chars", tuple(map(ord, "abcde")))


@pytest.mark.parametrize("changes", [{}, {"tied": True}, {"tied": True, "embedding": 8}, {"embedding": 0}])
def test_old_characters_mean_what_they_meant_and_new_ones_are_their_mean(changes: dict) -> None:
    settings = replace(CharlmSettings(units=8, embedding=5, layers=2, dropout=0.0), **changes)
    old = CharModel(settings, OLD.size, rngs=nnx.Rngs(0))
    fresh = CharModel(settings, NEW.size, rngs=nnx.Rngs(1))
    new = with_parameters(fresh, charlm_warm.Start(old, OLD).parameters(fresh, NEW))
    text = "acdca"
    tokens = {name: each.encode(text)[0][:, None] for name, each in (("old", OLD), ("new", NEW))}
    was, now = np.asarray(old(tokens["old"])[0]), np.asarray(new(tokens["new"])[0])
    places = [*NEW.encode("acd")[0], NEW.boundary]
    np.testing.assert_allclose(now[..., places], was, atol=1e-5)
    np.testing.assert_allclose(now[..., NEW.encode("b")[0][0]], was.mean(-1), atol=1e-5)


@pytest.mark.parametrize("kind", [Streams, Windows])
def test_old_text_stands_beside_the_new_in_every_batch(kind: type) -> None:
    new, old = Text(np.arange(1000, dtype=np.uint16), 9999), Text(np.arange(5000, 5400, dtype=np.uint16), 9999)
    batches = Replayed(kind(new, 4, 10, 0, chunk=7), kind(old, 1, 10, 0, chunk=7))
    seen, step = set(), 0
    while step < 3 * batches.steps_per_epoch:
        tokens, steps = batches(step)
        assert tokens.shape == (batches.new.chunk, 11, 5)
        assert (tokens[:steps, 1:, :4] < 1000).all()
        assert (tokens[:steps, 1:, 4] >= 5000).all()
        seen |= set(tokens[:steps, 1:, 4].ravel().tolist())
        again, _ = batches(step)
        np.testing.assert_array_equal(again[:steps], tokens[:steps])
        step += steps
    assert len(seen) > 300


@pytest.mark.parametrize(("before", "after"), [("ab", "abc"), ("ab", "ab"), ("abc", "abcd")])
def test_old_words_and_classes_mean_what_they_meant(before: str, after: str) -> None:
    settings = SentimentSettings(embedding=5, units=4)
    start_words, more = words.Vocabulary(["good", "bad"], 3), words.Vocabulary(["odd", "good", "so"], 3)
    old = TextClassifier(settings, start_words.size, len(before), rngs=nnx.Rngs(0))
    start = sentiment_warm.Start(old, start_words, tuple(before))
    vocabulary = start.with_words(more)
    assert vocabulary.words == ("good", "bad", "odd", "so")
    fresh = TextClassifier(settings, vocabulary.size, len(after), rngs=nnx.Rngs(1))
    new = with_parameters(fresh, start.parameters(fresh, vocabulary, after))

    def logits(model: TextClassifier, known: words.Vocabulary) -> np.ndarray:
        numbers = known.encode(words.split_all(["good bad other good"], settings))
        return np.asarray(model(numbers.padded(np.array([0]), 4), numbers.lengths))[0]

    was, now = logits(old, start_words), logits(new, vocabulary)
    np.testing.assert_allclose(now[: len(before)] - now[0], was - was[0], atol=1e-5)
    if after > before:
        np.testing.assert_allclose(now[-1] - now[0], was.mean() - was[0], atol=1e-5)
    table = np.asarray(new.embedding.vectors[...])
    np.testing.assert_allclose(table[3], np.asarray(old.embedding.vectors[...]).mean(0), atol=1e-6)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("books")
    (folder / "old.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 25)
    (folder / "new.txt").write_text("zwölf Boxkämpfer jagen Viktor quer über den Deich\n" * 25)
    model = ["--units", "24", "--embedding", "8", "--learning-rate", "0.01", "--epochs", "12", "-q"]
    assert run(["charlm", "train", str(folder / "old.txt"), *model, "--checkpoint", str(folder / "m")]) == 0
    return folder


def test_a_language_model_learns_another_text_and_keeps_the_old_one_by_replaying_it(
    rnncli, book: Path, tmp_path: Path
) -> None:
    losses = {}
    for name, more in (("plain", ()), ("replayed", ("--replay", book / "old.txt"))):
        begun = ("--from", book / "m", *more, "--checkpoint", tmp_path / name, "--epochs", 6, "--json")
        trained = rnncli("charlm", "train", book / "new.txt", *begun)
        assert trained.code == 0, trained.err
        assert f"begins with the model in '{book / 'm'}'" in trained.err
        old = rnncli("charlm", "evaluate", book / "old.txt", "--checkpoint", tmp_path / name, "--json", "-q")
        losses[name] = json.loads(old.out)["scores"]["text"]["carried"]["loss"]
        own = json.loads(rnncli("charlm", "evaluate", "--checkpoint", tmp_path / name, "--json", "-q").out)
        assert own["scores"]["validation"]["carried"]["loss"] < 3.0
    assert losses["replayed"] < losses["plain"] - 0.3
    again = rnncli("charlm", "train", "--resume", "--checkpoint", tmp_path / "replayed", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["history"][-1]["epoch"] == 6
    assert rnncli("charlm", "sample", "--prompt", "zwölf ", "--length", 5, "--checkpoint", tmp_path / "plain").code == 0


def test_what_the_saved_model_decides_is_not_chosen_again(rnncli, book: Path, tmp_path: Path) -> None:
    train = ("charlm", "train", book / "new.txt", "--from", book / "m", "--checkpoint", tmp_path / "m")
    wider = rnncli(*train, "--units", 25)
    assert wider.code == 2
    assert f"--units 25: the model in --from '{book / 'm'}' has 24, which cannot be changed" in wider.err
    short = tmp_path / "short.txt"
    short.write_text("too short")
    assert "are too few; give more" in rnncli(*train, "--replay", short).err
    short.write_text("the quick brown fox " * 15)
    (tmp_path / "long.txt").write_text("the quick brown fox " * 1000)
    many = rnncli(*train[:2], tmp_path / "long.txt", *train[3:], "--replay", short, "--batch-size", 64)
    assert (many.code, "are too few for 16 windows of 64 a batch; give more" in many.err) == (1, True)
    absent = rnncli("charlm", "train", book / "new.txt", "--from", tmp_path / "absent")
    assert (absent.code, "no checkpoint in" in absent.err) == (1, True)
    alone = rnncli("sentiment", book / "new.txt", "--replay", short)
    assert (alone.code, "name that with --from" in alone.err) == (2, True)


def test_a_classifier_learns_a_further_class_and_keeps_the_old_ones_by_replaying_them(tmp_path: Path) -> None:
    fit = library.sentiment.fit
    films, labels = ["a good film", "a bad film"] * 30, ["pos", "neg"] * 30
    fit(films, labels, units=4, epochs=10, learning_rate=0.02).save(tmp_path / "m")
    old = tmp_path / "old.csv"
    old.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in zip(films, labels, strict=True)))
    more, kinds = ["a weird film", "a good film"] * 30, ["odd", "pos"] * 30
    how = {"from_model": tmp_path / "m", "replay": str(old), "epochs": 10, "learning_rate": 0.02}
    model = fit(more, kinds, **how)
    assert model.classes == ("neg", "pos", "odd")
    found = model.predict(["a good film", "a bad film", "a weird film"], system="model")
    assert [each.label for each in found] == ["pos", "neg", "odd"]


def test_a_known_class_without_texts_leaves_the_linear_model_finite(recwarn: pytest.WarningsRecorder) -> None:
    texts = words.split_all([f"{a}{b}x {b}{a}y" for a in "abcd" for b in "efgh"], SentimentSettings())
    labels = np.arange(16, dtype=np.int32) % 2 + 1  # of three classes; and no word is in two texts
    model = fit_ngram(texts, labels, 3, texts, labels)
    assert np.isfinite(model.logits(texts)).all()
    several = fit_ngram(texts, np.eye(3, dtype=np.int32)[labels], 3, texts, np.eye(3, dtype=np.int32)[labels])
    assert np.isfinite(several.logits(texts)).all()
    assert not recwarn.list
    assert np.isnan(loss_of(np.full((2, 2), np.nan), np.array([0, 1])))
