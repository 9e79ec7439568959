"""Beginning with a saved classifier, on other texts; further words and classes begin as the mean of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from rnncli.sentiment.model import TextClassifier
from rnncli.sentiment.settings import SentimentSettings, Splitting, TextNetwork
from rnncli.sentiment.text import PADDING, Vocabulary
from rnncli.settings import Chosen, settings_of
from rnncli.training.loop import Params
from rnncli.training.warm import NEW, adapted, kept, placed

if TYPE_CHECKING:
    from rnncli.sentiment.api import Model

_FREE = {"vocabulary_size", "min_count", "start"}  # what decides about further words only
_KEPT = (
    "labels_per_text",
    *(name for part in (TextNetwork, Splitting) for name in settings_of(part) if name not in _FREE),
)


@dataclass(frozen=True)
class Start:
    """What a training begins with: a saved model."""

    network: TextClassifier
    vocabulary: Vocabulary
    classes: tuple[str, ...]
    source: Mapping[str, Any] = field(default_factory=dict)  # how the command line names it

    def with_words(self, further: Vocabulary) -> Vocabulary:
        """The words that the saved model knows, and behind them those that another vocabulary has besides."""
        known = set(self.vocabulary.words)
        words = [*self.vocabulary.words, *(word for word in further.words if word not in known)]
        return Vocabulary(words, self.vocabulary.oov_buckets)

    def parameters(self, model: TextClassifier, vocabulary: Vocabulary, classes: Sequence[str]) -> Params:
        """Those of the saved model, for a network of the same architecture and at least its words and classes."""
        old = len(self.vocabulary.words)
        words = np.arange(PADDING + 1 + len(vocabulary.words))
        words[words > old] = NEW
        words = np.concatenate([words, np.arange(old + 1, old + 1 + vocabulary.oov_buckets)])
        labels = np.array([self.classes.index(name) if name in self.classes else NEW for name in classes])

        def adapt(name: str, leaf: Array) -> Array:
            if name == "embedding.vectors":
                return placed(leaf, words, 0)
            if not name.startswith("output."):
                return leaf
            if self.network.relative:  # one column, that of the second class over the first
                leaf = jnp.concatenate([jnp.zeros_like(leaf), leaf], -1)
            leaf = placed(leaf, labels, leaf.ndim - 1)
            return leaf[..., 1:] - leaf[..., :1] if model.relative else leaf

        return adapted(self.network, adapt)


def warm_start(
    model: "Model", folder: Path, chosen: Chosen[SentimentSettings]
) -> tuple[Chosen[SentimentSettings], Start]:
    """What was chosen, with the architecture of the model that was saved in a folder, and that model.

    Raises ParameterError: another architecture was chosen.
    """
    start = Start(model.network, model.vocabulary, model.classes)
    return chosen.replaced(**kept(chosen, model.settings, _KEPT, folder)), start
