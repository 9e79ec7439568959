"""A text classifier as a task for the runner, and the preparation of its data."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from rnncli.errors import DataError, ParameterError
from rnncli.nn.dropout import DropoutKey
from rnncli.nn.initial import initialised, seedless, with_parameters
from rnncli.sentiment import imdb
from rnncli.sentiment.batches import Batch, Bucketed
from rnncli.sentiment.calibration import UNCALIBRATED, Calibration, fit_calibration
from rnncli.sentiment.data import PARTS, Dataset
from rnncli.sentiment.defaults import for_data
from rnncli.sentiment.hub import SentenceEncoder, Sentences
from rnncli.sentiment.metrics import Measures, accuracy_of, fit_temperature, log_loss, measure
from rnncli.sentiment.model import TextClassifier, empty_network
from rnncli.sentiment.ngram import NgramModel, as_arrays, fit_ngram
from rnncli.sentiment.ratios import log_count_ratios
from rnncli.sentiment.records import is_folder
from rnncli.sentiment.score import Scorer
from rnncli.sentiment.settings import Preset, SentimentSettings, idle
from rnncli.sentiment.text import Ragged, Vocabulary, drawn, split_all
from rnncli.sentiment.warm import Start
from rnncli.sentiment.words import load_encoder, load_vectors, start_from, start_with_ratios
from rnncli.settings import Chosen
from rnncli.training.events import Metrics
from rnncli.training.layout import gathered
from rnncli.training.loop import Params, Plan
from rnncli.training.optimizer import optimizer_of
from rnncli.training.task import Scored
from rnncli.training.warm import add_weights

TASK = "sentiment"
_DISPATCH_FLOP = 5e10  # about a second of work on two cores: how often training reports, and hears Ctrl-C
_MOST_STEPS = 16  # a dispatch, so that texts of all lengths take turns
_SMOOTHING = 10.0  # of the ratios that word vectors begin with: those of rare words would be believed too much
_EVALUATE_EVERY = 4_000  # steps, roughly; a longer epoch has several evaluations
_MOST_EVALUATED = 25_000  # validation texts that choose the best epoch; all of them calibrate

Measured = dict[str, dict[str, Measures]]  # part → system → measures


@dataclass(frozen=True)
class Prepared:
    """Texts as the network and the baseline take them."""

    settings: SentimentSettings
    data: Dataset
    vocabulary: Vocabulary
    texts: dict[str, Ragged | Sentences]  # of each part, as numbers, or as vectors
    ngram: NgramModel
    ngram_logits: dict[str, np.ndarray]
    vectors: dict[str, np.ndarray] | None = None  # of the words that have one in `embeddings`
    encoder: SentenceEncoder | None = None  # of whole texts
    start: Start | None = None  # what to begin with, if not with first weights


class Classifier(NamedTuple):
    """What scoring a classifier gives beside the scores."""

    network: TextClassifier  # with the best parameters
    calibration: Calibration
    measures: Measured


def prepare(
    data: Dataset,
    chosen: Chosen[SentimentSettings],
    preset: Preset,
    say: Callable[[str], None],
    start: Start | None = None,
) -> Prepared:
    """Settle the settings that suit the texts, make the vocabulary, train the baseline; `start` is what to begin with.

    Raises DataError, ParameterError: the data is at fault, or the settings contradict it.
    """
    settings = for_data(chosen, len(data.parts["train"]), preset)
    settings = replace(settings, labels_per_text="several" if data.several else "one")
    vain = [name for name in idle(chosen) if name in chosen and chosen[name] != getattr(SentimentSettings, name)]
    if vain:
        say(f"warning: `encoder` bag has no recurrence: {', '.join(f'`{name}`' for name in vain)} does nothing")
    words = {part: split_all(each.texts, settings) for part, each in data.parts.items()}
    cut = {part: each.cut(settings) for part, each in words.items()}
    vocabulary = Vocabulary.of(cut["train"], settings)
    if start is not None:
        vocabulary = start.with_words(vocabulary)
    texts: dict[str, Any] = {part: vocabulary.encode(each) for part, each in cut.items()}
    longest = int(cut["train"].texts.lengths.max())
    if not longest:
        raise DataError(f"the texts of {data.sources['train']} have no words; is it the right `text_column`?")
    if not texts["train"].lengths.max():
        raise DataError("no word of the training texts is known; raise `vocabulary_size` or `oov_buckets`")
    say(
        f"{len(words['train'].spellings):,} different words, {len(vocabulary.words):,} of them known; "
        f"median length {np.median(words['train'].texts.lengths):.0f} words, "
        f"{np.mean(words['train'].texts.lengths > settings.max_words):.0%} of the texts are cut to {settings.max_words}"
    )
    if not settings.mask:
        settings = replace(settings, max_words=min(settings.max_words, longest))
        texts = {part: vocabulary.encode(each.cut(settings)) for part, each in words.items()}
    vectors = encoder = None
    if settings.embeddings and is_folder(settings.embeddings):
        settings, encoder = load_encoder(settings, chosen, data.parts["train"].texts, say)
        texts = {part: encoder(each.texts) for part, each in data.parts.items()}
    elif settings.embeddings and start is None:
        settings, vectors = load_vectors(settings, chosen, vocabulary, cut["train"], say)
    begun = time.monotonic()
    labels = {part: each.labels for part, each in data.parts.items()}
    ngram = fit_ngram(words["train"], labels["train"], len(data.classes), words["validation"], labels["validation"])
    logits = {part: ngram.logits(words[part]) for part in PARTS[1:] if part in words}
    accuracy = accuracy_of(logits["validation"], labels["validation"])
    say(
        f"baseline of {len(ngram.keys):,} words and pairs of words: validation accuracy {accuracy:.3f} "
        f"({time.monotonic() - begun:.0f} s)"
    )
    return Prepared(settings, data, vocabulary, texts, ngram, logits, vectors, encoder, start)


def check_choices(chosen: Chosen[SentimentSettings], preset: Preset) -> SentimentSettings:
    """The settings as far as they are known before any text is read. Raises ParameterError: they do not go together."""
    settings = for_data(chosen, 1, preset)
    if settings.frozen and not settings.embeddings:
        raise ParameterError("`frozen` keeps the vectors that `embeddings` FILE gives; name a file")
    if settings.embeddings and "start" in chosen:
        raise ParameterError(
            "`start` says how vectors begin that `embeddings` FILE does not give; leave one of them out"
        )
    return settings


class SentimentTask:
    """See `training.task.Task`."""

    name, criterion, unit, carry = TASK, "loss", "texts", ()

    def __init__(self, prepared: Prepared):
        self.prepared, self.settings = prepared, prepared.settings
        settings, vocabulary, classes = prepared.settings, prepared.vocabulary, len(prepared.data.classes)
        texts, labels = prepared.texts["train"], prepared.data.parts["train"].labels
        self.model = initialised(TextClassifier, settings.seed, seedless(settings), vocabulary.size, classes)
        start = prepared.start
        self.has_prior = start is not None
        if start is not None:
            begun = start.parameters(self.model, vocabulary, prepared.data.classes)
            self.model = with_parameters(self.model, begun)
        elif prepared.vectors is not None:
            start_from(self.model, vocabulary, prepared.vectors)
        elif settings.start == "naive-bayes" and isinstance(texts, Ragged):
            start_with_ratios(self.model, log_count_ratios(texts, labels, vocabulary.size, classes, _SMOOTHING))
        weights = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(self.model, nnx.Param)))
        # vectors are looked up, not multiplied with
        weights -= 0 if settings.sentences else vocabulary.size * settings.embedding
        longest = min(settings.max_words, int(texts.lengths.max()))
        flop = 6 * weights * settings.batch_size * longest
        self.batches = Bucketed(
            texts,
            labels,
            settings.batch_size,
            settings.seed,
            longest=longest if settings.mask else settings.max_words,
            chunk=max(1, min(_MOST_STEPS, round(_DISPATCH_FLOP / flop))),
            pad=not settings.mask,
        )
        steps = self.batches.steps_per_epoch
        self.plan = Plan.of(settings, steps, -(-steps // max(1, round(steps / _EVALUATE_EVERY))))
        self.optimizer = optimizer_of(settings, self.plan, _decays)
        self.examples = self.batches.batch
        self.data = jnp.asarray(class_weights(settings, labels, classes))
        self._scorer = Scorer(self.model, settings.max_words)
        self._validation = prepared.texts["validation"], prepared.data.parts["validation"].labels
        if len(self._validation[1]) > _MOST_EVALUATED:
            rows = drawn(len(self._validation[1]), _MOST_EVALUATED)
            self._validation = self._validation[0].select(rows), self._validation[1][rows]

    @staticmethod
    def loss(model: TextClassifier, carry: Any, data: Array, batch: Batch, key: DropoutKey) -> tuple[Array, Any]:
        """The cross-entropy of a batch, `data` the weights of the classes."""
        labels = batch.labels[0] if batch.labels.ndim == 3 else batch.labels
        return model.loss(batch.tokens, batch.lengths, labels, data, key), carry

    def evaluate(self, params: Params) -> Metrics:
        """Loss, calibrated, and accuracy on the validation texts."""
        texts, labels = self._validation
        logits = self._scorer.logits(params, texts)
        # at the best temperature, as predictions will be calibrated: a sharper network is no worse for it
        loss = log_loss(logits / fit_temperature(logits, labels), labels)
        return {"loss": loss, "accuracy": accuracy_of(logits, labels)}

    def score(self, params: Params, epochs: float) -> Scored:
        """Calibrate, and measure the network, the linear model, and both together."""
        prepared, data = self.prepared, self.prepared.data
        empty = empty_network(self.settings, prepared.vocabulary.size, len(data.classes))
        scorer = Scorer(empty, self.settings.max_words)
        logits = {
            part: {"model": scorer.logits(params, prepared.texts[part]), "ngram": prepared.ngram_logits[part]}
            for part in PARTS[1:]
            if part in data.parts
        }
        calibration = fit_calibration(logits["validation"], data.parts["validation"].labels)
        measures = {
            part: {
                system: measure(probability, data.parts[part].labels)
                for system, probability in calibration.probabilities(systems, several=data.several).items()
            }
            for part, systems in logits.items()
        }
        details = Classifier(with_parameters(self.model, gathered(params)), calibration, measures)
        return Scored(as_dicts(measures, data.classes), calibration.as_dict(), details)

    @property
    def source(self) -> dict[str, Any]:
        """The files of the texts, their columns, and what training began with."""
        named = {name: value for name, value in self.prepared.data.sources.items() if value != imdb.NAME}
        begun = {} if self.prepared.start is None else self.prepared.start.source
        return {"data" if name == "train" else name: value for name, value in named.items()} | dict(begun)

    def metadata(self) -> dict[str, Any]:
        """The classes, the vocabulary, a digest of the texts, the size of the linear model."""
        data = self.prepared.data
        return {
            "classes": list(data.classes),
            "vocabulary": list(self.prepared.vocabulary.words),
            "data": self._digest(),
            "ngrams": len(self.prepared.ngram.keys),
            **UNCALIBRATED.as_dict(),  # until training ends
        }

    def _digest(self) -> str:
        """Of the texts, and of what training begins with, if not with first weights."""
        if self.prepared.start is None:
            return self.prepared.data.digest
        digest = hashlib.sha256(self.prepared.data.digest.encode())
        add_weights(digest, self.model)
        return digest.hexdigest()[:16]

    def arrays(self) -> dict[str, Any]:
        """The linear model."""
        return {"ngram": as_arrays(self.prepared.ngram)}


def as_dicts(measured: Measured, classes: tuple[str, ...]) -> dict[str, Any]:
    """Measures as JSON types."""
    return {
        part: {name: measures.as_dict(classes) for name, measures in systems.items()}
        for part, systems in measured.items()
    }


def class_weights(settings: SentimentSettings, labels: np.ndarray, classes: int) -> np.ndarray:
    """Ones; "balanced": each class's share of the loss the same, the mean over the texts 1. float32 `[classes]`.

    Where a text has several labels they weigh the texts of a class, so that these weigh as much as the others.
    """
    if settings.class_weights == "none":
        return np.ones(classes, np.float32)
    sizes = labels.sum(0) if labels.ndim == 2 else np.bincount(labels, minlength=classes)
    counts = np.maximum(sizes, 1)  # a class that was known before may have no text
    if labels.ndim == 2:
        return ((len(labels) - sizes) / counts).astype(np.float32)
    return (len(labels) / (classes * counts)).astype(np.float32)


def _decays(name: str) -> bool:
    """Word vectors do not decay."""
    return not name.startswith("embedding")
