"""A classifier as a function from texts to labels, compiled once for all of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from flax import nnx

from rnncli.errors import ParameterError
from rnncli.sentiment.explain import Explainer, Explanation
from rnncli.sentiment.hub import Sentences
from rnncli.sentiment.score import Scorer
from rnncli.sentiment.settings import System
from rnncli.sentiment.text import Ragged, Words

if TYPE_CHECKING:
    from rnncli.sentiment.api import Model


class Prediction(NamedTuple):
    """What a text was labelled with."""

    label: str
    probability: float
    probabilities: np.ndarray  # of each class, [C]
    words: list[str] | None = None  # with an explanation: those that the network reads
    explanation: Explanation | None = None


class Predictor:
    """A model as a function from texts to predictions, compiled once for all of them."""

    def __init__(self, model: "Model", system: System = "model", *, explain: bool = False):
        """`explain`: with the words that each label comes from.

        Raises ParameterError: there is no explaining with that system, or that model.
        """
        self.model, self._system = model, system
        self._params = nnx.state(model.network, nnx.Param)
        self._scorer = Scorer(model.network, model.settings.max_words)
        if explain and model.settings.sentences:
            raise ParameterError("`explain` tells what words add, and this model has vectors of whole texts only")
        if explain and system != "model":
            raise ParameterError(f"`explain` takes the network's decisions apart, not those of `system` {system}")
        temperature = model.calibration.temperatures["model"]
        self._explainer = Explainer(model.network, model.settings.max_words, temperature) if explain else None

    def logits(self, texts: list[str]) -> dict[str, np.ndarray]:
        """Of the network and the baseline, as far as the system needs them, `[n, C]`."""
        whole, _, numbers = self.model.encode(texts)
        return self._logits(whole, numbers)

    def __call__(self, texts: list[str]) -> Iterator[Prediction]:
        """A prediction for each text, in their order."""
        whole, words, numbers = self.model.encode(texts)
        probability = self.model.calibration.probabilities(self._logits(whole, numbers))[self._system]
        best = probability.argmax(1)
        explanations = None
        if self._explainer is not None and isinstance(numbers, Ragged):
            explanations = self._explainer.explain(self._params, numbers, best)
        for index, (likeliest, row) in enumerate(zip(best.tolist(), probability, strict=True)):
            prediction = Prediction(self.model.classes[likeliest], float(row[likeliest]), row)
            if explanations is not None:
                prediction = prediction._replace(words=words.of(index), explanation=explanations[index])
            yield prediction

    def _logits(self, whole: Words, numbers: Ragged | Sentences) -> dict[str, np.ndarray]:
        systems = {}
        if self._system != "ngram":
            systems["model"] = self._scorer.logits(self._params, numbers)
        if self._system != "model":
            systems["ngram"] = self.model.ngram.logits(whole)
        return systems
