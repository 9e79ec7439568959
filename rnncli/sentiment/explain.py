"""Which words a decision comes from.

Integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365): on the straight way from vectors of zeros, a text of
as many blank words, to the words' own vectors, the gradient of a class's logit shares the logit's change out among the
words. The way is cut into pieces. In each the shares, by the gradient in its middle, are corrected by what is missing
to the change that the piece makes, so that they add up exactly, whatever corners (a maximum, a ReLU) lie on the way.
What remains, from a text without words to one of as many blank words, all words share alike.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnncli.nn.compiled import compiled
from rnncli.sentiment.batches import padded_lengths
from rnncli.sentiment.model import TextClassifier
from rnncli.sentiment.text import Ragged

_PIECES = 32


@dataclass(frozen=True)
class Explanation:
    """What each word adds to the logit of the explained class, over the mean of the other classes' logits."""

    contributions: np.ndarray  # float64 `[words]`
    logit: float  # of the text
    blank: float  # of a text without words; contributions add up to the difference

    def over(self, temperature: float) -> "Explanation":
        """The same of logits over a temperature."""
        return Explanation(self.contributions / temperature, self.logit / temperature, self.blank / temperature)

    def at(self, places: np.ndarray, words: int) -> "Explanation":
        """The same among so many words, of which those at the `places` were explained."""
        contributions = np.zeros(words)
        contributions[places] = self.contributions
        return Explanation(contributions, self.logit, self.blank)

    def plus(self, other: "Explanation") -> "Explanation":
        """The explanation of the sum of two logits."""
        added = self.contributions + other.contributions
        return Explanation(added, self.logit + other.logit, self.blank + other.blank)


class Explainer:
    """A network as a function from texts to explanations."""

    def __init__(self, model: TextClassifier, longest: int):
        """`longest` is that of `Scorer`."""
        self._lengths = padded_lengths(longest) if model.settings.mask else np.array([longest])
        self._run = compiled(_explained, model)

    def explain(self, params: Any, texts: Ragged, index: int, target: int) -> Explanation:
        """The explanation of a text's logit for a class."""
        length = int(texts.lengths[index])
        steps = int(self._lengths[np.searchsorted(self._lengths, length)])
        tokens = texts.padded(np.array([index]), steps)[:, 0]
        words, logit, blank = self._run(params, tokens, length, target)
        return Explanation(np.asarray(words, float)[:length], float(logit), float(blank))


def _explained(model: TextClassifier, tokens: Array, length: Array, target: Array) -> tuple[Array, Array, Array]:
    """Contributions `[T]` of a text's words, its logit for a class, and that of a text without words."""
    assert model.embedding is not None
    vectors = model.embedding(tokens)[:, None]  # [T, 1, D]
    inside = (jnp.arange(len(tokens)) < length)[:, None, None]

    def between(points: Array) -> Array:
        """Texts at these points of the way, `[T, points, D]`; padding, where it is read, stays as it is."""
        return jnp.where(inside, vectors * points[:, None], vectors)

    def margin(logits: Array) -> Array:
        """The class's logit over the mean of the others', `[n]`; where a text has several labels, by itself."""
        own = logits[:, target]
        return own if model.settings.several else own - (logits.sum(-1) - own) / (logits.shape[-1] - 1)

    def margins(vectors: Array) -> Array:
        """Of texts at several points, `[points]`."""
        return margin(model.of_vectors(vectors, jnp.full(vectors.shape[1], length)))

    ends = margins(between(jnp.arange(_PIECES + 1) / _PIECES))
    middles = between((jnp.arange(_PIECES) + 0.5) / _PIECES)
    gradients = jax.grad(lambda points: margins(points).sum())(middles)  # [T, pieces, D]
    shares = jnp.where(inside, gradients * vectors, 0.0).sum(-1) / _PIECES  # [T, pieces]
    size = jnp.abs(shares) + 1e-9 * inside[..., 0]
    missing = jnp.diff(ends) - shares.sum(0)
    words = (shares + size / jnp.maximum(size.sum(0), 1e-9) * missing).sum(1)
    empty = model.of_vectors(model.embedding(jnp.zeros_like(tokens))[:, None], jnp.zeros(1, jnp.int32))
    blank = margin(empty)[0]
    return words + (ends[0] - blank) / jnp.maximum(length, 1), ends[-1], blank
