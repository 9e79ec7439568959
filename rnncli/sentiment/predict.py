"""A saved model, and what can be done with it: label texts, explain the labels, measure it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import jax
import numpy as np
from flax import nnx

from rnncli.errors import CheckpointError, OptionError
from rnncli.sentiment.calibration import Calibration, System
from rnncli.sentiment.config import TASK, SentimentConfig
from rnncli.sentiment.data import Part, Source, with_classes
from rnncli.sentiment.explain import Explainer, Explanation
from rnncli.sentiment.hub import SentenceEncoder, Sentences
from rnncli.sentiment.metrics import Measures, measure
from rnncli.sentiment.model import TextClassifier, empty_network
from rnncli.sentiment.ngram import NgramModel, empty_arrays, from_arrays
from rnncli.sentiment.records import read_labelled
from rnncli.sentiment.score import Scorer
from rnncli.sentiment.text import Ragged, Vocabulary, Words, split_all
from rnncli.training.checkpoint import read_metadata, restore
from rnncli.training.devices import PrecisionChoice, operands


@dataclass(frozen=True)
class Model:
    """A saved model."""

    config: SentimentConfig
    classes: tuple[str, ...]
    vocabulary: Vocabulary
    network: TextClassifier
    calibration: Calibration
    ngram: NgramModel
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


def load_model(folder: Path, precision: PrecisionChoice = "float32") -> Model:
    """The model in a checkpoint, its products in `precision`, whatever it was trained in.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    metadata = read_metadata(folder, TASK)
    try:
        config = SentimentConfig(**metadata["config"])
        classes = tuple(metadata["classes"])
        vocabulary = Vocabulary(metadata["vocabulary"], config.oov_buckets)
        calibration, ngrams = Calibration(dict(metadata["temperatures"])), int(metadata["ngrams"])
        _ = [calibration.temperatures[system] for system in get_args(System)]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the checkpoint in '{folder}' is damaged: {error} in its configuration") from error
    network = empty_network(config, vocabulary.size, len(classes), operands(precision, config.units))
    nnx.update(network, restore(folder, TASK, "best", nnx.state(network, nnx.Param)))
    linear = from_arrays(jax.tree.map(np.asarray, restore(folder, TASK, "ngram", empty_arrays(ngrams, len(classes)))))
    encoder = SentenceEncoder(config.embeddings) if config.sentences else None
    return Model(config, classes, vocabulary, network, calibration, linear, encoder)


class Predictor:
    """A model as a function from texts to labels."""

    def __init__(self, model: Model, system: System = "model", *, explain: bool = False):
        """`explain`: with the words that each label comes from.

        Raises:
            OptionError: there is no explaining with that system, or that model.
        """
        self.model, self._system = model, system
        self._params = nnx.state(model.network, nnx.Param)
        self._scorer = Scorer(model.network, model.config.max_words)
        if explain and model.config.sentences:
            raise OptionError("--explain tells what words add, and this model has vectors of whole texts only")
        if explain and system != "model":
            raise OptionError(f"--explain takes the network's decisions apart, not those of --system {system}")
        temperature = model.calibration.temperatures["model"]
        self._explainer = Explainer(model.network, model.config.max_words, temperature) if explain else None

    def logits(self, texts: list[str]) -> dict[str, np.ndarray]:
        """Of the network and the baseline, as far as the system needs them, `[n, C]`."""
        return self._logits(*self.model.encode(texts))

    def __call__(self, texts: list[str]) -> Iterator[Prediction]:
        """A prediction for each text, in their order."""
        whole, words, numbers = self.model.encode(texts)
        probability = self.model.calibration.probabilities(self._logits(whole, words, numbers))[self._system]
        if self._explainer is None or isinstance(numbers, Sentences):
            yield from map(Prediction, probability)
            return
        explanations = self._explainer.explain(self._params, numbers, probability.argmax(1))
        for number, explanation in enumerate(explanations):
            yield Prediction(probability[number], words.of(number), explanation)

    def _logits(self, whole: Words, words: Words, numbers: Ragged | Sentences) -> dict[str, np.ndarray]:
        found = {}
        if self._system != "ngram":
            found["model"] = self._scorer.logits(self._params, numbers)
        if self._system != "model":
            found["ngram"] = self.model.ngram.logits(whole)
        return found


def evaluate(model: Model, source: Source) -> tuple[dict[str, Measures], np.ndarray, Part]:
    """The measures of each system on labelled texts; the network's probabilities, and the texts.

    Raises:
        DataError: the texts cannot be read, or have a label that the model does not know.
    """
    assert source.data is not None
    part = with_classes(read_labelled(source.data, source.columns, model.classes), model.classes)
    probability = model.calibration.probabilities(Predictor(model, "both").logits(part.texts))
    return {system: measure(each, part.labels) for system, each in probability.items()}, probability["model"], part
