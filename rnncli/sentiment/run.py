"""`sentiment train`, `predict` and `evaluate`: where texts, training, disk and screen meet."""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from rnncli.console import Messages
from rnncli.errors import CheckpointError, DataError, OptionError
from rnncli.nn.precision import Operands
from rnncli.sentiment.config import Preset, SentimentConfig, for_data
from rnncli.sentiment.data import PARTS, Dataset, Part, Source, load_data, with_classes
from rnncli.sentiment.explain import Explainer, Explanation
from rnncli.sentiment.fit import Fitting, prepare, train
from rnncli.sentiment.hub import SentenceEncoder, Sentences
from rnncli.sentiment.metrics import Measures, fit_temperature, measure, probabilities
from rnncli.sentiment.model import TextClassifier
from rnncli.sentiment.ngram import NgramModel, fit_ngram
from rnncli.sentiment.records import read_labelled
from rnncli.sentiment.score import Scorer
from rnncli.sentiment.text import Ragged, Vocabulary, Words, split_all
from rnncli.sentiment.vectors import read_vectors
from rnncli.training.checkpoint import CheckpointWriter, Saving, read_metadata, restore, resumable
from rnncli.training.loop import Report
from rnncli.training.watch import Pace, not_a_number, watch

TASK = "sentiment"

Scores = dict[str, dict[str, Measures]]  # part → system → measures


@dataclass(frozen=True)
class Prepared:
    """Texts as the network and the baseline take them."""

    config: SentimentConfig
    data: Dataset
    vocabulary: Vocabulary
    texts: dict[str, Ragged | Sentences]  # of each part, as numbers, or as vectors
    ngram: NgramModel
    ngram_logits: dict[str, np.ndarray]
    vectors: dict[str, np.ndarray] | None  # of the words that have one in --embeddings


@dataclass(frozen=True)
class Outcome:
    """What training gave."""

    prepared: Prepared
    fitting: Fitting
    scores: Scores
    temperature: float
    seconds: float
    steps_per_second: float

    def document(self, checkpoint: Path) -> dict[str, Any]:
        """The JSON document of `sentiment train --json`."""
        classes = self.prepared.data.classes
        return {
            "command": "sentiment train",
            "config": {**self.prepared.config.as_dict(), **self.prepared.data.sources},
            "classes": list(classes),
            "scores": as_dicts(self.scores, classes),
            "checkpoint": str(checkpoint),
            "seconds": round(self.seconds, 3),
            "steps_per_second": round(self.steps_per_second, 2),
            "best_epoch": self.fitting.best_epoch,
            "temperature": self.temperature,
            "history": self.fitting.history,
        }


def as_dicts(scores: Scores, classes: tuple[str, ...]) -> dict[str, Any]:
    """Scores as JSON types."""
    return {part: {name: each.as_dict(classes) for name, each in systems.items()} for part, systems in scores.items()}


@dataclass(frozen=True)
class Model:
    """A saved model."""

    config: SentimentConfig
    classes: tuple[str, ...]
    vocabulary: Vocabulary
    network: TextClassifier
    temperature: float
    ngram: NgramModel
    ngram_temperature: float
    encoder: SentenceEncoder | None = None  # of whole texts

    def encode(self, texts: list[str]) -> tuple[Words, Words, Ragged | Sentences]:
        """Texts as all their words, as those that the network reads, and as their numbers or vectors."""
        words = split_all(texts, self.config)
        if self.encoder is not None:
            return words, words, self.encoder(texts)
        cut = words.cut(self.config)
        numbers, known = self.vocabulary.encode(cut)
        return words, Words(cut.texts.where(known), cut.spellings), numbers


@dataclass(frozen=True)
class Prediction:
    """What a text was labelled with."""

    probabilities: np.ndarray  # `[C]`
    words: list[str] | None = None  # with an explanation: those that the network reads
    explanation: Explanation | None = None


def load(source: Source, chosen: Mapping[str, Any], preset: Preset, messages: Messages) -> Prepared:
    """Read the texts, settle the configuration that suits them, make the vocabulary, train the baseline.

    Raises:
        DataError, OptionError: the data is at fault, or the options contradict it.
    """
    reading = for_data(chosen, 1, preset)
    if reading.frozen and not reading.embeddings:
        raise OptionError("--frozen keeps the vectors that --embeddings FILE gives; name a file")
    data = load_data(source, reading.validation_fraction, reading.test_fraction, messages.say)
    config = for_data(chosen, len(data.parts["train"]), preset)
    words = {part: split_all(each.texts, config) for part, each in data.parts.items()}
    cut = {part: each.cut(config) for part, each in words.items()}
    vocabulary = Vocabulary.of(cut["train"], config)
    texts: dict[str, Ragged | Sentences] = {part: vocabulary.encode(each)[0] for part, each in cut.items()}
    longest = int(texts["train"].lengths.max())
    if not longest:
        raise DataError(f"the texts of {data.sources['train']} have no words; is it the right --text-column?")
    messages.say(
        f"{len(words['train'].spellings):,} different words, {len(vocabulary.words):,} of them known; "
        f"median length {np.median(words['train'].texts.lengths):.0f} words, "
        f"{np.mean(words['train'].texts.lengths > config.max_words):.0%} of the texts are cut to {config.max_words}"
    )
    if not config.mask:
        config = replace(config, max_words=min(config.max_words, longest))
        texts = {part: vocabulary.encode(each.cut(config))[0] for part, each in words.items()}
    vectors = None
    if config.embeddings and Path(config.embeddings).is_dir():
        config, texts = _sentences(config, chosen, data, messages)
    elif config.embeddings:
        config, vectors = _vectors(config, chosen, vocabulary, cut["train"], messages)
    begun = time.monotonic()
    labels = {part: each.labels for part, each in data.parts.items()}
    ngram = fit_ngram(words["train"], labels["train"], len(data.classes), words["validation"], labels["validation"])
    logits = {part: ngram.logits(each) for part, each in words.items()}
    accuracy = float((logits["validation"].argmax(1) == labels["validation"]).mean())
    messages.say(
        f"baseline of {len(ngram.keys):,} words and pairs of words: validation accuracy {accuracy:.3f} "
        f"({time.monotonic() - begun:.0f} s)"
    )
    return Prepared(config, data, vocabulary, texts, ngram, logits, vectors)


def run_training(prepared: Prepared, messages: Messages, *, saving: Saving, save_every: float = 15.0) -> Outcome:
    """Train, save while training goes on, calibrate and score the best epoch.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the checkpoint holds what was reached.
        RnncliError: the loss was no number from the start.
    """
    begun = time.monotonic()
    config, data = prepared.config, prepared.data
    validation, labels = prepared.texts["validation"], data.parts["validation"].labels
    fitting = prepare(
        config,
        prepared.texts["train"],
        data.parts["train"].labels,
        len(data.classes),
        prepared.vocabulary,
        prepared.vectors,
    )
    about = _about(prepared)
    if saving.resume:
        metadata = resumable(saving.folder, TASK, _metadata(fitting, about), "DATA", messages.say)
        if metadata is not None:
            fitting.state = restore(saving.folder, TASK, "state", fitting.state)
            fitting.history = list(metadata["history"])
    writer = CheckpointWriter(saving)
    ngram = _stored(prepared.ngram)

    def save(**more: Any) -> None:
        metadata = _metadata(fitting, about) | more
        writer.save(metadata, best=fitting.best_params, state=fitting.state, ngram=ngram)

    before, training_begun = int(fitting.state.step), time.monotonic()
    _train(fitting, validation, labels, messages, save, save_every)
    spent = time.monotonic() - training_begun
    network = _empty(config, prepared.vocabulary.size, len(data.classes))
    logits = _logits(network, fitting.best_params, config, prepared.texts)
    temperature = fit_temperature(logits["validation"], labels)
    scores = {
        part: {
            "model": measure(probabilities(logits[part], temperature), data.parts[part].labels),
            "ngram": measure(
                probabilities(prepared.ngram_logits[part], about["ngram"]["temperature"]), data.parts[part].labels
            ),
        }
        for part in PARTS[1:]
        if part in data.parts
    }
    save(temperature=temperature, scores=as_dicts(scores, data.classes))
    writer.close()
    steps = int(fitting.state.step) - before
    return Outcome(prepared, fitting, scores, temperature, time.monotonic() - begun, steps / spent)


def load_model(folder: Path, operands: Operands = "float32") -> Model:
    """The model in a checkpoint, its products with `operands`, whatever it was trained with.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    metadata = read_metadata(folder, TASK)
    try:
        config = SentimentConfig(**metadata["config"])
        classes = tuple(metadata["classes"])
        vocabulary = Vocabulary(metadata["vocabulary"], config.oov_buckets)
        temperature, ngram = float(metadata["temperature"]), metadata["ngram"]
        ngram_temperature, ngrams = float(ngram["temperature"]), int(ngram["ngrams"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the checkpoint in '{folder}' is damaged: {error} in its configuration") from error
    network = _empty(config, vocabulary.size, len(classes), operands)
    nnx.update(network, restore(folder, TASK, "best", nnx.state(network, nnx.Param)))
    like = {
        "keys": np.zeros((ngrams, 2), np.uint32),
        "weights": np.zeros((ngrams, len(classes)), np.float32),
        "bias": np.zeros(len(classes), np.float32),
    }
    stored = jax.tree.map(np.asarray, restore(folder, TASK, "ngram", like))
    keys = stored["keys"].astype(np.uint64)
    linear = NgramModel(keys[:, 0] << np.uint64(32) | keys[:, 1], stored["weights"], stored["bias"])
    encoder = SentenceEncoder(config.embeddings) if config.sentences else None
    return Model(config, classes, vocabulary, network, temperature, linear, ngram_temperature, encoder)


class Predictor:
    """A model as a function from texts to labels."""

    def __init__(self, model: Model, *, explain: bool = False):
        """`explain`: with the words that each label comes from."""
        self.model = model
        self._params = nnx.state(model.network, nnx.Param)
        self._scorer = Scorer(model.network, model.config.max_words)
        if explain and model.config.sentences:
            raise OptionError("--explain tells what words add, and this model has vectors of whole texts only")
        self._explainer = Explainer(model.network, model.config.max_words, model.temperature) if explain else None

    def __call__(self, texts: list[str]) -> Iterator[Prediction]:
        """A prediction for each text, in their order."""
        _, words, numbers = self.model.encode(texts)
        probability = probabilities(self._scorer.logits(self._params, numbers), self.model.temperature)
        if self._explainer is None or isinstance(numbers, Sentences):
            yield from map(Prediction, probability)
            return
        explanations = self._explainer.explain(self._params, numbers, probability.argmax(1))
        for number, explanation in enumerate(explanations):
            yield Prediction(probability[number], words.of(number), explanation)


def evaluate(model: Model, source: Source) -> tuple[dict[str, Measures], np.ndarray, Part]:
    """The measures of the network and of the baseline on labelled texts; the network's probabilities, and the texts.

    Raises:
        DataError: the texts cannot be read, or have a label that the model does not know.
    """
    assert source.data is not None
    part = with_classes(read_labelled(source.data, source.columns, model.classes), model.classes)
    words, _, numbers = model.encode(part.texts)
    logits = Scorer(model.network, model.config.max_words).logits(nnx.state(model.network, nnx.Param), numbers)
    probability = probabilities(logits, model.temperature)
    baseline = probabilities(model.ngram.logits(words), model.ngram_temperature)
    measures = {"model": measure(probability, part.labels), "ngram": measure(baseline, part.labels)}
    return measures, probability, part


def _vectors(
    config: SentimentConfig, chosen: Mapping[str, Any], vocabulary: Vocabulary, words: Words, messages: Messages
) -> tuple[SentimentConfig, dict[str, np.ndarray]]:
    read = read_vectors(config.embeddings, vocabulary.words)
    if chosen.get("embedding", read.dimension) != read.dimension:
        raise OptionError(
            f"--embedding {chosen['embedding']}, but the vectors in '{config.embeddings}' have {read.dimension} "
            "numbers; leave --embedding out"
        )
    if not read.found:
        raise DataError(f"none of the {read.rows:,} words of '{config.embeddings}' is in the training texts")
    counts = np.bincount(words.texts.flat, minlength=len(words.spellings))
    covered = sum(count for word, count in zip(words.spellings, counts.tolist(), strict=True) if word in read.found)
    messages.say(
        f"'{config.embeddings}': {read.rows:,} vectors of {read.dimension}; {len(read.found):,} of the known words "
        f"have one ({len(read.found) / len(vocabulary.words):.1%}), {covered / counts.sum():.1%} of the running words"
    )
    return replace(config, embedding=read.dimension), read.found


def _sentences(
    config: SentimentConfig, chosen: Mapping[str, Any], data: Dataset, messages: Messages
) -> tuple[SentimentConfig, dict[str, Ragged | Sentences]]:
    folder = os.path.abspath(config.embeddings)  # noqa: PTH100 - links stay links
    if config.encoder != "bag":
        raise OptionError(f"--embeddings '{folder}' is a folder, of vectors of whole texts: for --encoder bag")
    encoder = SentenceEncoder(folder)
    texts: dict[str, Ragged | Sentences] = {part: encoder(each.texts) for part, each in data.parts.items()}
    dimension = encoder(data.parts["train"].texts[:1]).vectors.shape[1]
    if chosen.get("embedding", dimension) != dimension:
        raise OptionError(f"--embedding {chosen['embedding']}, but the vectors of '{folder}' have {dimension} numbers")
    messages.say(f"'{folder}': vectors of {dimension} for whole texts")
    return replace(config, embedding=dimension, sentences=True, embeddings=folder), texts


def _empty(config: SentimentConfig, symbols: int, classes: int, operands: Operands = "float32") -> TextClassifier:
    """The network with shapes in the place of arrays: first weights would be drawn for nothing."""
    return nnx.eval_shape(lambda: TextClassifier(config, symbols, classes, operands=operands, rngs=nnx.Rngs(0)))


def _logits(
    network: TextClassifier, params: Any, config: SentimentConfig, texts: Mapping[str, Ragged | Sentences]
) -> dict[str, np.ndarray]:
    scorer = Scorer(network, config.max_words)
    return {part: scorer.logits(params, each) for part, each in texts.items() if part != "train"}


def _stored(ngram: NgramModel) -> dict[str, np.ndarray]:
    """The baseline as arrays of types that JAX has."""
    halves = np.stack([ngram.keys >> np.uint64(32), ngram.keys & np.uint64(2**32 - 1)], 1).astype(np.uint32)
    return {"keys": halves, "weights": ngram.weights, "bias": ngram.bias}


def _about(prepared: Prepared) -> dict[str, Any]:
    """What a checkpoint says of the data, the vocabulary and the baseline."""
    data = prepared.data
    temperature = fit_temperature(prepared.ngram_logits["validation"], data.parts["validation"].labels)
    return {
        "classes": list(data.classes),
        "vocabulary": list(prepared.vocabulary.words),
        "data": data.digest(),
        "ngram": {"ngrams": len(prepared.ngram.keys), "temperature": temperature},
        "temperature": 1.0,  # until training ends
    }


def _metadata(fitting: Fitting, about: dict[str, Any]) -> dict[str, Any]:
    return {"task": TASK, "config": fitting.config.as_dict(), "history": fitting.history, **about}


def _train(
    fitting: Fitting,
    validation: Ragged | Sentences,
    labels: np.ndarray,
    messages: Messages,
    save: Callable[[], None],
    save_every: float,
) -> None:
    pace, config = Pace(int(fitting.state.step)), fitting.config

    def detail(report: Report) -> str:
        said = f"epoch {min(int(report.epoch) + 1, config.epochs)} of {config.epochs}, loss {report.train_loss:.3f}"
        if fitting.history:
            last = fitting.history[-1]
            said += f", validation {last['validation']:.3f}, accuracy {last['accuracy']:.3f}"
        return f"{said}, {pace.steps_per_second(report) * fitting.batches.batch:,.0f} texts/s"

    last = watch(
        train(fitting, validation, labels),
        epochs=config.epochs,
        messages=messages,
        label="training",
        detail=detail,
        save=save,
        save_every=save_every,
    )
    if last is not None and not math.isfinite(last.train_loss):
        not_a_number(last.step, config.learning_rate, config.clip, messages, kept=int(fitting.state.best_step) > 0)
