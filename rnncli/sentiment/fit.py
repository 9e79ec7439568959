"""Fitting a text classifier. No screen, no disk."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from rnncli.nn.dropout import DropoutKey
from rnncli.nn.initial import initialised
from rnncli.sentiment.batches import Batch, Bucketed
from rnncli.sentiment.config import SentimentConfig
from rnncli.sentiment.hub import Sentences
from rnncli.sentiment.metrics import fit_temperature, log_loss
from rnncli.sentiment.model import TextClassifier
from rnncli.sentiment.ratios import log_count_ratios
from rnncli.sentiment.score import Scorer
from rnncli.sentiment.text import PADDING, Ragged, Vocabulary
from rnncli.training.loop import Metrics, Params, Plan, Report, TrainState, fit, initial_state
from rnncli.training.optimizer import optimizer_of

_DISPATCH_FLOP = 5e10  # about a second of work on two cores: how often training reports, and hears Ctrl-C
_MOST_STEPS = 16  # a dispatch, so that texts of all lengths take turns
_SMOOTHING = 10.0  # of the ratios that word vectors begin with: those of rare words would be believed too much
_EVALUATE_EVERY = 4_000  # steps, roughly; a longer epoch has several evaluations


@dataclass
class Fitting:
    """A model and how its training stands; `train` moves it on."""

    config: SentimentConfig
    model: TextClassifier
    plan: Plan
    batches: Bucketed
    weights: np.ndarray  # of the classes in the loss
    state: TrainState
    history: list[dict[str, float]] = field(default_factory=list)  # epoch, losses, accuracy

    @property
    def best_params(self) -> Params:
        """The parameters that did best on the validation texts; the current ones before the first evaluation."""
        return self.state.best_params if math.isfinite(self.state.best_loss) else self.state.params

    @property
    def best_epoch(self) -> float:
        """The epoch whose parameters did best on the validation texts."""
        return int(self.state.best_step) / self.plan.steps_per_epoch


def prepare(
    config: SentimentConfig,
    texts: Ragged | Sentences,
    labels: np.ndarray,
    classes: int,
    vocabulary: Vocabulary,
    vectors: Mapping[str, np.ndarray] | None = None,
) -> Fitting:
    """The untrained model, with what is known of its words' `vectors`, and the plan of its training."""

    def make(rngs: nnx.Rngs) -> TextClassifier:
        return TextClassifier(config, vocabulary.size, classes, operands=config.precision, rngs=rngs)

    model = initialised(make, config.seed)
    if vectors is not None:
        start_from(model, vocabulary, vectors)
    elif config.start == "naive-bayes" and isinstance(texts, Ragged):
        start_with_ratios(model, log_count_ratios(texts, labels, vocabulary.size, classes, _SMOOTHING))
    weights = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    weights -= 0 if config.sentences else vocabulary.size * config.embedding  # which are looked up, not multiplied with
    longest = min(config.max_words, int(texts.lengths.max()))
    flop = 6 * weights * config.batch_size * longest
    batches = Bucketed(
        texts,
        labels,
        config.batch_size,
        config.seed,
        longest=config.max_words if not config.mask else longest,
        chunk=max(1, min(_MOST_STEPS, round(_DISPATCH_FLOP / flop))),
        pad=not config.mask,
    )
    every = -(-batches.steps_per_epoch // max(1, round(batches.steps_per_epoch / _EVALUATE_EVERY)))
    plan = Plan(batches.steps_per_epoch, config.epochs, config.patience or None, config.seed, every)
    state = initial_state(model, optimizer_of(config, plan, _decayed))
    return Fitting(config, model, plan, batches, class_weights(config, labels, classes), state)


def start_from(model: TextClassifier, vocabulary: Vocabulary, vectors: Mapping[str, np.ndarray]) -> None:
    """Give words the vectors that are known of them; the others are drawn with the same spread, frozen ones are 0."""
    assert model.embedding is not None
    assert model.embedding.vectors is not None
    table = np.array(model.embedding.vectors[...])
    known = np.stack(list(vectors.values())) if vectors else np.ones((1, table.shape[1]), np.float32)
    table *= 0.0 if model.config.frozen else known.std() / table.std()
    for number, word in enumerate(vocabulary.words, PADDING + 1):
        if word in vectors:
            table[number] = vectors[word]
    model.embedding.vectors[...] = jnp.asarray(table)


def start_with_ratios(model: TextClassifier, ratios: np.ndarray) -> None:
    """Put log-count ratios `[symbols, k]` into the first numbers of the words' vectors.

    What a linear model reads off word by word, the network then need not learn from vectors drawn at random.
    """
    assert model.embedding is not None
    assert model.embedding.vectors is not None
    table = np.array(model.embedding.vectors[...])
    width = min(ratios.shape[1], table.shape[1])
    table[:, :width] = ratios[:, :width]
    model.embedding.vectors[...] = jnp.asarray(table)


def class_weights(config: SentimentConfig, labels: np.ndarray, classes: int) -> np.ndarray:
    """Ones; "balanced": each class's share of the loss the same, the mean over the texts 1. float32 `[classes]`."""
    if config.class_weights == "none":
        return np.ones(classes, np.float32)
    return (len(labels) / (classes * np.bincount(labels, minlength=classes))).astype(np.float32)


def train(fitting: Fitting, validation: Ragged | Sentences, labels: np.ndarray) -> Iterator[Report]:
    """Train from where `fitting` stands, keeping it up to date; yields after each dispatch."""
    scorer = Scorer(fitting.model, fitting.config.max_words)

    def objective(
        model: TextClassifier, carry: Any, weights: Array, batch: Batch, key: DropoutKey
    ) -> tuple[Array, Any]:
        return model.loss(batch.tokens, batch.lengths, batch.labels, weights, key), carry

    def evaluate(params: Params) -> Metrics:
        logits = scorer.logits(params, validation)
        # at the best temperature, as predictions will be calibrated: a sharper network is no worse for it
        loss = log_loss(logits / fit_temperature(logits, labels), labels)
        return {"loss": loss, "accuracy": float((logits.argmax(1) == labels).mean())}

    optimizer = optimizer_of(fitting.config, fitting.plan, _decayed)
    weights = jnp.asarray(fitting.weights)
    for report in fit(
        fitting.model, optimizer, objective, evaluate, weights, fitting.batches, fitting.plan, fitting.state
    ):
        fitting.state = report.state
        if report.metrics is not None:
            fitting.history.append(
                {
                    "epoch": report.epoch,
                    "train": report.train_loss,
                    "validation": report.metrics["loss"],
                    "accuracy": report.metrics["accuracy"],
                }
            )
        yield report


def _decayed(name: str) -> bool:
    """Word vectors do not decay."""
    return not name.startswith("embedding")
