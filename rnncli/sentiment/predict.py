"""A classifier as a function from texts to labels, compiled once for all of them."""

from collections.abc import Iterator, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from flax import nnx

from rnncli.errors import ParameterError
from rnncli.sentiment.batches import Encoded
from rnncli.sentiment.explain import Explanation
from rnncli.sentiment.settings import Labeller
from rnncli.sentiment.text import Ragged

if TYPE_CHECKING:
    from rnncli.sentiment.api import Model


class Prediction(NamedTuple):
    """What a text was labelled with."""

    label: str
    probability: float
    probabilities: np.ndarray  # of each class, [C]
    ranked: tuple[tuple[str, float], ...]  # all labels that were considered, the best first, with their probabilities
    labels: tuple[tuple[str, float], ...] | None = None  # where a text has several: those that it got
    words: list[str] | None = None  # with an explanation: those that count
    explanation: Explanation | None = None

    def document(self, classes: Sequence[str]) -> dict[str, Any]:
        """As JSON types."""
        probabilities = dict(zip(classes, map(float, self.probabilities), strict=True))
        found: dict[str, Any] = {"label": self.label, "probability": self.probability, "probabilities": probabilities}
        if self.labels is not None:
            found["labels"] = [name for name, _ in self.labels]
        if self.explanation is not None and self.words is not None:
            added = map(float, self.explanation.contributions)
            found["explanation"] = {
                "logit": self.explanation.logit,
                "blank": self.explanation.blank,
                "words": [list(pair) for pair in zip(self.words, added, strict=True)],
            }
        return found


class Predictor:
    """A model as a function from texts to predictions, compiled once for all of them."""

    def __init__(
        self,
        model: "Model",
        system: Labeller = "auto",
        *,
        explain: bool = False,
        threshold: float | Literal["f1"] | None = None,
        otherwise: str = "",
    ):
        """See `Model.predict`.

        Raises ParameterError: the model cannot explain itself, or has no thresholds.
        """
        if system not in get_args(Labeller):
            raise ParameterError(f"`system` {system!r} is not one of {', '.join(map(repr, get_args(Labeller)))}")
        self.model, self.system = model, model.calibration.best if system == "auto" else system
        self._params = nnx.state(model.network, nnx.Param)
        self._scorer = model.scorer
        self._thresholds, self._otherwise = self._thresholds_of(threshold), otherwise
        if explain and model.settings.sentences and self.system != "ngram":
            raise ParameterError(
                "`explain` tells what words add, and this model's network has vectors of whole texts only; explain "
                "`system` ngram"
            )
        self._explain = explain
        self._explainer = model.explainer if explain and self.system != "ngram" else None

    def logits(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Of the network and the baseline, as far as the system needs them, `[n, C]`."""
        return self._logits(self.model.encode(texts))

    def __call__(self, texts: Sequence[str]) -> Iterator[Prediction]:
        """A prediction for each text, in their order."""
        encoded = self.model.encode(texts)
        several = self.model.settings.several
        probability = self.model.calibration.probabilities(self._logits(encoded), several=several)[self.system]
        reached = probability / self._thresholds  # of equal thresholds, the likeliest class is the best
        ranked = np.argsort(-reached, 1, kind="stable")
        read = None if self._explainer is None else self.model.read(encoded)
        for index, (row, order) in enumerate(zip(probability, ranked, strict=True)):
            names = [
                self.model.classes[each] if several or reached[index, each] >= 1 else self._otherwise for each in order
            ]
            labels = tuple(zip(names, row[order].tolist(), strict=True))
            explained = self._explained(encoded, read, index, int(order[0]))
            if not several:
                yield Prediction(*labels[0], row, labels, None, *explained)
                continue
            got = labels[: int((reached[index] >= 1).sum())]
            label = ",".join(_quoted(name) for name, _ in got) if got else self._otherwise
            yield Prediction(label, labels[0][1], row, labels, got, *explained)

    def _thresholds_of(self, threshold: float | Literal["f1"] | None) -> np.ndarray:
        if threshold is not None and threshold != "f1" and not (isinstance(threshold, Real) and 0 <= threshold <= 1):
            raise ParameterError(f"`threshold` {threshold!r} is neither f1 nor a probability")
        if threshold == "f1":
            found = self.model.calibration.thresholds.get(self.system)
            if found is None:
                raise ParameterError("`threshold` f1: the model was saved without thresholds; train it again")
            return np.maximum(np.array(found), 1e-12)
        if threshold is None and self.model.settings.several:
            threshold = 0.5
        return np.full(len(self.model.classes), max(float(threshold or 0), 1e-12))

    def _explained(
        self, encoded: Encoded, read: Ragged | None, index: int, target: int
    ) -> tuple[list[str] | None, Explanation | None]:
        """The words that count for a class's logit, and what each adds to it; `read` has the network's words."""
        if not self._explain:
            return None, None
        words = encoded.words.of(index)
        if self.system == "ngram":
            return words, self._linear(encoded, index, target)
        assert self._explainer is not None and read is not None and isinstance(encoded.numbers, Ragged)
        temperatures = self.model.calibration.temperatures
        network = self._explainer.explain(self._params, encoded.numbers, index, target).over(temperatures["model"])
        places = read.of(index) - encoded.words.texts.starts[index]
        if self.system == "model":
            return [words[place] for place in places], network
        both = network.at(places, len(words)).plus(self._linear(encoded, index, target))
        return words, both.over(2 * temperatures["both"])

    def _linear(self, encoded: Encoded, index: int, target: int) -> Explanation:
        several = self.model.settings.several
        added, bias = self.model.ngram.contributions(encoded.words, index, target, several=several)
        whole = Explanation(added, bias + float(added.sum()), bias)
        return whole.over(self.model.calibration.temperatures["ngram"])

    def _logits(self, encoded: Encoded) -> dict[str, np.ndarray]:
        systems = {}
        if self.system != "ngram":
            systems["model"] = self._scorer.logits(self._params, encoded.numbers)
        if self.system != "model":
            systems["ngram"] = self.model.ngram.logits(encoded.words)
        return systems


def _quoted(name: str) -> str:
    """A label in a list of several, as a cell of a CSV."""
    return '"' + name.replace('"', '""') + '"' if "," in name or '"' in name else name
