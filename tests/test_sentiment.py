"""Text classifiers: the network against NumPy, measures, the linear baseline, explanations."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from rnncli.nn.dropout import DropoutKey
from rnncli.sentiment import ngram
from rnncli.sentiment.calibration import best_thresholds
from rnncli.sentiment.data import Dataset, Part
from rnncli.sentiment.defaults import for_data
from rnncli.sentiment.explain import Explainer
from rnncli.sentiment.metrics import calibration_error, fit_temperature, log_loss, measure, probabilities
from rnncli.sentiment.model import TextClassifier
from rnncli.sentiment.ngram import NgramModel, _hashes, _ngrams, fit_ngram
from rnncli.sentiment.ratios import log_count_ratios
from rnncli.sentiment.score import Scorer
from rnncli.sentiment.settings import SentimentSettings
from rnncli.sentiment.task import Prepared, SentimentTask, class_weights
from rnncli.sentiment.text import Ragged, Vocabulary, hash_of, split_all
from rnncli.training.events import Evaluated, follow
from rnncli.training.runner import run

SMALL = SentimentSettings(embedding=5, units=4, max_words=70)
BAG = replace(SMALL, encoder="bag", dense=6)


def network(settings: SentimentSettings, classes: int = 3, symbols: int = 50) -> TextClassifier:
    return TextClassifier(settings, symbols, classes, rngs=nnx.Rngs(1))


def some_texts(count: int, longest: int = 70, symbols: int = 50) -> Ragged:
    generator = np.random.default_rng(0)
    lengths = generator.integers(0, longest + 1, count)
    starts = np.cumsum([0, *lengths])
    return Ragged(generator.integers(1, symbols, starts[-1]).astype(np.int32), starts)


def logits(model: TextClassifier, texts: Ragged) -> np.ndarray:
    return Scorer(model, model.settings.max_words).logits(nnx.state(model, nnx.Param), texts)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "concat"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_pooling_is_over_the_words_and_nothing_else(pooling: str, bidirectional: bool) -> None:
    settings = replace(SMALL, pooling=pooling, bidirectional=bidirectional)
    model = network(settings)
    tokens = jnp.array([[3, 7, 9], [4, 0, 8], [5, 0, 0]])
    lengths = jnp.array([3, 1, 0])
    got = model(tokens, lengths)
    assert model.encoder.stack is not None
    for text, length in enumerate([3, 1, 0]):
        hidden = np.zeros((0, model.encoder.stack.out_features))
        last = np.zeros(model.encoder.stack.out_features)
        if length:
            steps, carries = model.encoder.stack(model.embedding(tokens[:length, text : text + 1]))
            hidden = np.asarray(steps)[:, 0]
            last = np.concatenate([np.asarray(carry[0][0]) for carry in carries])
        mean = hidden.mean(0) if length else last
        most = hidden.max(0) if length else last
        pooled = {"last": last, "mean": mean, "max": most, "concat": np.concatenate([mean, most])}[pooling]
        wanted = pooled @ np.asarray(model.output.kernel[...]) + np.asarray(model.output.bias[...])
        np.testing.assert_allclose(got[text], wanted, atol=1e-5)


def test_a_bag_is_the_sum_over_the_root_of_the_number() -> None:
    model = network(BAG)
    tokens = jnp.array([[3, 7], [4, 0], [3, 0], [9, 0]])
    got = model(tokens, jnp.array([4, 1]))
    assert model.embedding.vectors is not None
    assert model.hidden is not None
    vectors = np.asarray(model.embedding.vectors[...])
    for text, words in enumerate([[3, 4, 3, 9], [7]]):
        features = vectors[words].sum(0) / len(words) ** 0.5
        hidden = np.maximum(features @ np.asarray(model.hidden.kernel[...]) + np.asarray(model.hidden.bias[...]), 0)
        wanted = hidden @ np.asarray(model.output.kernel[...]) + np.asarray(model.output.bias[...])
        np.testing.assert_allclose(got[text], wanted, atol=1e-5)


def test_two_classes_have_one_logit() -> None:
    model = network(SMALL, classes=2)
    assert model.output.kernel.shape[-1] == 1
    assert (logits(model, some_texts(5))[:, 0] == 0).all()


def test_without_a_mask_the_padding_is_read() -> None:
    masked, unmasked = (
        network(replace(SMALL, mask=mask, pooling="last", bidirectional=False)) for mask in (True, False)
    )
    text = Ragged(np.array([5, 6], np.int32), np.array([0, 2]))
    filled = Ragged(np.array([5, 6] + [0] * 68, np.int32), np.array([0, 70]))
    np.testing.assert_allclose(logits(unmasked, text), logits(masked, filled), atol=1e-6)
    assert np.abs(logits(unmasked, text) - logits(masked, text)).max() > 1e-3


@pytest.mark.parametrize("settings", [SMALL, replace(SMALL, mask=False), replace(SMALL, cell="lstm", layers=2), BAG])
def test_padding_batching_order_and_chunking_change_nothing(settings: SentimentSettings) -> None:
    model = network(settings)
    texts = some_texts(1000)
    together = probabilities(logits(model, texts), 1.0)
    order = np.random.default_rng(1).permutation(1000)
    shuffled = probabilities(logits(model, texts.select(order)), 1.0)
    assert np.abs(shuffled - together[order]).max() < 1e-5
    cuts = [0, 1, 2, 10, 75, 300, 1000]  # one text, few, many
    parts = [logits(model, texts.select(np.arange(first, end))) for first, end in pairwise(cuts)]
    assert np.abs(probabilities(np.concatenate(parts), 1.0) - together).max() < 1e-5
    params = nnx.state(model, nnx.Param)
    graph, _, rest = nnx.split(model, nnx.Param, ...)
    if settings.mask:  # any padding
        run = jax.jit(lambda tokens, lengths: nnx.merge(graph, params, rest)(tokens, lengths))
        rows = np.arange(1000)
        wide = run(texts.padded(rows, 97), texts.lengths.astype(np.int32))
        assert np.abs(probabilities(np.asarray(wide), 1.0) - together).max() < 1e-5


def test_dropout_draws_from_its_key_and_keeps_the_mean() -> None:
    settings = replace(SMALL, input_dropout=0.0, dropout=0.5, word_dropout=0.0)
    model = network(settings)
    tokens, lengths = jnp.array([[3], [4]]), jnp.array([2])
    keys = jax.vmap(lambda key: DropoutKey.of_batch(key, 1))(jax.random.split(jax.random.key(0), 300))
    draws = np.asarray(jax.jit(jax.vmap(lambda key: model(tokens, lengths, key)))(keys))
    assert draws.std(0).min() > 1e-3
    spread = draws.std(0) / 300**0.5
    assert (np.abs(draws.mean(0) - np.asarray(model(tokens, lengths))) < 5 * spread).all()
    blanked = network(replace(settings, dropout=0.0, word_dropout=0.999))
    blank = blanked.of_vectors(jnp.zeros((2, 1, 5)), lengths)
    np.testing.assert_allclose(blanked(tokens, lengths, DropoutKey.of_batch(jax.random.key(0), 1)), blank, atol=1e-6)


def test_class_weights() -> None:
    labels = np.array([0, 0, 0, 1])
    assert class_weights(SMALL, labels, 2).tolist() == [1, 1]
    balanced = class_weights(replace(SMALL, class_weights="balanced"), labels, 2)
    np.testing.assert_allclose(balanced, [4 / 6, 2])
    tokens, lengths, labels = jnp.array([[3, 4]]), jnp.array([1, 1]), jnp.array([0, 1])
    key = DropoutKey.of_batch(jax.random.key(0), 2)
    plain = replace(SMALL, dropout=0.0, input_dropout=0.0)
    model = network(plain, classes=2)
    each = [float(model.loss(tokens, lengths, labels, jnp.array(weights), key)) for weights in ([1.0, 0], [0, 1.0])]
    both = float(model.loss(tokens, lengths, labels, jnp.array([0.5, 3.0]), key))
    assert both == pytest.approx(0.5 * each[0] + 3 * each[1], rel=1e-5)


def task_of(
    settings: SentimentSettings, texts: list[str], labels: np.ndarray, vectors: dict[str, np.ndarray] | None = None
) -> SentimentTask:
    """A training on texts that validate, too."""
    words = split_all(texts, settings)
    vocabulary = Vocabulary.of(words, settings)
    numbers, part = vocabulary.encode(words), Part(texts, labels)
    data = Dataset(tuple(map(str, range(labels.max() + 1))), {"train": part, "validation": part}, {})
    ngram = fit_ngram(words, labels, len(data.classes), words, labels)
    parts, logits = {"train": numbers, "validation": numbers}, {"validation": ngram.logits(words)}
    return SentimentTask(Prepared(settings, data, vocabulary, parts, ngram, logits, vectors))


def fitted(settings: SentimentSettings) -> tuple[TextClassifier, float]:
    """A network trained on texts whose class is that of the one word that counts, and its validation accuracy."""
    generator = np.random.default_rng(0)
    texts = [
        " ".join(generator.permutation(["fine", *["x", "y", "z"] * 2] if label else ["dull", *["x", "y", "z"] * 2]))
        for label in generator.integers(0, 2, 200)
    ]
    labels = np.array(["fine" in text for text in texts], np.int32)
    result = follow(run(task_of(settings, texts, labels)))
    return result.scored.details.network, result.history[-1]["accuracy"]


@pytest.mark.parametrize(
    "settings",
    [
        replace(SMALL, epochs=12, patience=0, start="random", learning_rate=0.02),
        replace(SMALL, epochs=12, patience=0, start="random", learning_rate=0.02, precision="bfloat16"),
        replace(BAG, epochs=12, patience=0, start="random", learning_rate=0.02),
    ],
)
def test_a_network_learns_which_word_counts(settings: SentimentSettings) -> None:
    _, accuracy = fitted(settings)
    assert accuracy == 1


@pytest.mark.parametrize("classes", [2, 3])
def test_vectors_begin_with_naive_bayes_ratios(classes: int) -> None:
    labels = np.array([1, 0, classes - 1, 1] * 9)
    task = task_of(SMALL, ["good film", "bad film", "film", "good"] * 9, labels)
    model, vocabulary = task.model, task.prepared.vocabulary
    ratios = log_count_ratios(task.prepared.texts["train"], labels, vocabulary.size, classes, smoothing=10.0)
    assert model.embedding.vectors is not None
    table = np.asarray(model.embedding.vectors[...])
    np.testing.assert_allclose(table[:, : ratios.shape[1]], ratios, rtol=1e-6)
    assert ratios[1 + vocabulary.words.index("good"), -1 if classes == 2 else 1] > 0.2


def test_log_count_ratios() -> None:
    texts = Ragged(np.array([1, 1, 2, 2, 3], np.int32), np.array([0, 3, 4, 5]))
    labels = np.array([1, 0, 1])
    ours, others = np.array([1, 2, 2, 2.0]), np.array([1, 1, 2, 1.0])  # one more than the texts with each number
    wanted = np.log(ours / ours.sum() / (others / others.sum()))
    turned = Ragged(np.array([2, 1, 1, 2, 3], np.int32), texts.starts)
    np.testing.assert_allclose(log_count_ratios(turned, labels, 4, 2), log_count_ratios(texts, labels, 4, 2))
    assert turned.flat.tolist() == [2, 1, 1, 2, 3]  # the order of the words is left alone
    np.testing.assert_allclose(log_count_ratios(texts, labels, 4, 2)[:, 0], wanted, rtol=1e-5)
    assert log_count_ratios(texts, np.array([0, 1, 2]), 4, 3).shape == (4, 3)


def test_frozen_vectors_stay() -> None:
    settings = replace(SMALL, epochs=1, frozen=True, weight_decay=0.1)
    vectors = {"good": np.arange(5, dtype=np.float32), "film": np.ones(5, np.float32)}
    task = task_of(settings, ["good film", "bad film"] * 20, np.array([1, 0] * 20), vectors)
    (params,) = (jax.tree.map(jnp.copy, event.params) for event in run(task) if isinstance(event, Evaluated))
    table = np.asarray(params["embedding"]["vectors"][...])
    for number, word in enumerate(task.prepared.vocabulary.words, 1):
        assert table[number].tolist() == (vectors[word].tolist() if word in vectors else [0] * 5)
    assert np.abs(np.asarray(params["output"]["bias"][...])).max() > 0


@pytest.mark.parametrize(
    ("settings", "classes"),
    [(SMALL, 2), (SMALL, 3), (replace(SMALL, pooling="last"), 3), (replace(SMALL, mask=False), 2), (BAG, 3)],
)
def test_contributions_add_up_to_the_logits_difference_from_a_blank_text(
    settings: SentimentSettings, classes: int
) -> None:
    model = network(settings, classes)
    texts, temperature = some_texts(6), 0.4
    params, scaled = nnx.state(model, nnx.Param), logits(model, texts) / temperature
    explainer = Explainer(model, settings.max_words)
    for number, target in enumerate(scaled.argmax(1).tolist()):
        explanation = explainer.explain(params, texts, number, target).over(temperature)
        margin = scaled[number, target] - np.delete(scaled[number], target).mean()
        assert explanation.logit == pytest.approx(margin, abs=1e-4)
        assert len(explanation.contributions) == texts.lengths[number]
        assert explanation.contributions.sum() == pytest.approx(explanation.logit - explanation.blank, abs=1e-3)
        blank = logits(model, Ragged(np.zeros(0, np.int32), np.array([0, 0])))[0] / temperature
        assert explanation.blank == pytest.approx(blank[target] - np.delete(blank, target).mean(), abs=1e-4)


def test_contributions_to_a_linear_model_are_its_own() -> None:
    settings = replace(BAG, dense=0)
    model = network(settings, 2)
    texts = Ragged(np.array([3, 4, 5], np.int32), np.array([0, 3]))
    found = Explainer(model, 70).explain(nnx.state(model, nnx.Param), texts, 0, 1)
    assert model.embedding.vectors is not None
    own = np.asarray(model.embedding.vectors[...])[[3, 4, 5]] @ np.asarray(model.output.kernel[...])[:, 0] / 3**0.5
    np.testing.assert_allclose(found.contributions, own, atol=1e-5)


@given(st.data())
def test_the_n_gram_model_is_taken_apart_into_its_words(data: st.DataObject) -> None:
    words = st.lists(st.sampled_from(["good", "bad", "film", "not", "odd"]), max_size=8)
    texts = [" ".join(each) for each in data.draw(st.lists(words, min_size=1, max_size=4))]
    split = split_all(texts, SMALL)
    known = np.unique(np.concatenate([_ngrams(split.texts, _hashes(split.spellings))[0], [np.uint64(7)]]))[
        ::2
    ]  # some are not known
    rng = np.random.default_rng(0)
    model = NgramModel(
        known, rng.normal(size=(len(known), 3)).astype(np.float32), np.array([0.1, 0.2, 0.3], np.float32)
    )
    whole = model.logits(split)
    for index, row in enumerate(whole):
        for target in range(3):
            added, bias = model.contributions(split, index, target)
            assert len(added) == len(split.of(index))
            assert added.sum() + bias == pytest.approx(row[target] - np.delete(row, target).mean(), abs=1e-5)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.8, 1.0]), st.booleans()), min_size=1, max_size=12))
def test_a_threshold_is_the_one_with_the_best_f1(texts: list[tuple[float, bool]]) -> None:
    probability = np.array([[1 - p, p] for p, _ in texts])
    labels = np.array([int(label) for _, label in texts])

    def f1(threshold: float) -> float:
        given = probability[:, 1] >= threshold
        return 2 * (given & (labels == 1)).sum() / max(1, given.sum() + labels.sum())

    threshold = best_thresholds(probability, labels)[1]
    assert f1(threshold) == pytest.approx(max(map(f1, np.linspace(0.0, 1.0, 101))))


def test_measures_of_a_known_case() -> None:
    probability = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    found = measure(probability, np.array([0, 1, 1, 0]))
    assert (found.accuracy, found.confusion.tolist()) == (0.75, [[2, 0], [1, 1]])
    np.testing.assert_allclose(found.precision, [2 / 3, 1])
    np.testing.assert_allclose(found.recall, [1, 0.5])
    np.testing.assert_allclose(found.f1, [0.8, 2 / 3])
    assert found.loss == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.7]).mean())
    # bins of a fifteenth: each text is alone in its bin
    assert found.ece == pytest.approx((0.1 + 0.2 + 0.6 + 0.3) / 4)
    assert found.as_dict(("no", "yes"))["classes"]["yes"] == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "texts": 2,
    }


def test_probabilities_that_are_met_have_no_calibration_error() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1, 200_000)
    right = generator.uniform(size=200_000) < confidence
    assert calibration_error(confidence, right) < 0.01
    assert calibration_error(np.minimum(confidence + 0.1, 1), right) > 0.08


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_was_drawn_with_is_found(temperature: float) -> None:
    generator = np.random.default_rng(0)
    scores = 3 * generator.normal(size=(50_000, 3))
    labels = np.array([generator.choice(3, p=row) for row in probabilities(scores, temperature)])
    assert fit_temperature(scores, labels) == pytest.approx(temperature, rel=0.05)


def test_a_dozen_texts_do_not_make_a_network_sure() -> None:
    logits = np.array([[0.0, 0.1], [0.1, 0.0]] * 6)
    assert fit_temperature(logits, np.array([1, 0] * 6)) > 0.5
    assert measure(np.array([[1.0, 0.0]]), np.array([0])).loss == 0


def test_where_nothing_beats_the_untrained_network_that_is_kept() -> None:
    model, _ = fitted(replace(BAG, epochs=2, learning_rate=50.0, clip=0.0, schedule="constant", start="random", seed=2))
    assert np.abs(logits(model, some_texts(20, symbols=5))).max() < 10


def test_the_linear_baseline_is_a_sum_over_words_and_pairs() -> None:
    texts = ["not good", "good film", "not bad", "bad film", "good good film", "so bad so bad"] * 5
    labels = np.array([0, 1, 1, 0, 1, 0] * 5)
    words = split_all(texts, SMALL)
    model = fit_ngram(words, labels, 2, words, labels)
    found = model.logits(words)
    assert (found.argmax(1) == labels).all()
    weights = dict(zip(model.keys.tolist(), model.weights[:, 1].tolist(), strict=True))

    def key(first: str, second: str = "") -> int:
        return hash_of(first) << 32 | (hash_of(second) if second else 0)

    by_hand = sum(weights[each] for each in (key("so"), key("bad"), key("so", "bad"), key("bad", "so")))
    assert found[5, 1] == pytest.approx(by_hand + model.bias[1], abs=1e-5)
    unseen = model.logits(split_all(["", "zzz"], SMALL))
    np.testing.assert_allclose(unseen, np.tile(model.bias, (2, 1)))


def test_of_very_many_texts_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    words = split_all(["good", "bad"] * 50, SMALL)
    labels = np.array([0, 1] * 50)
    whole = fit_ngram(words, labels, 2, words, labels)
    monkeypatch.setattr(ngram, "_MOST_TEXTS", 20)
    some, again = (fit_ngram(words, labels, 2, words, labels) for _ in range(2))
    assert (some.logits(words).argmax(1) == labels).all()
    np.testing.assert_array_equal(some.weights, again.weights)
    assert (some.weights != whole.weights).any()


def test_the_linear_baseline_of_texts_that_share_nothing_is_the_classes_share() -> None:
    words = split_all(["a", "b", "c"], SMALL)
    labels = np.array([0, 1, 1])
    found = fit_ngram(words, labels, 2, words, labels).logits(words)
    np.testing.assert_allclose(probabilities(found, 1.0), [[1 / 3, 2 / 3]] * 3, rtol=1e-5)
    assert log_loss(found, labels) == pytest.approx(-np.log([1 / 3, 2 / 3, 2 / 3]).mean())


def test_the_configuration_follows_the_data() -> None:
    assert for_data({}, 22_500).epochs == SentimentSettings().epochs
    assert for_data({}, 6_920).epochs > SentimentSettings().epochs
    assert for_data({"epochs": 2}, 100).epochs == 2
    assert for_data({}, 10).batch_size == 10
    assert for_data({}, 22_500).dropout < for_data({}, 6_920).dropout
    assert for_data({"dropout": 0.1}, 6_920).dropout == 0.1
    assert for_data({"encoder": "bag"}, 22_500).dense == 128
    lecture = for_data({"encoder": "bag"}, 22_500, "lecture")
    assert (lecture.dense, lecture.epochs, lecture.max_chars) == (128, 5, 300)
