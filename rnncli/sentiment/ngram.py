"""The baseline beside the network: a linear model of words and pairs of words.

Each n-gram that a text has counts once, weighted by its naive-Bayes log-count ratio; a logistic regression learns
from these (Wang & Manning 2012, "Baselines and Bigrams"). On the IMDB reviews it beats many a network, in seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.sentiment.metrics import log_loss
from rnncli.sentiment.ratios import indicators, of_class, ratio_of, targets
from rnncli.sentiment.text import Ragged, Words, drawn, hash_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_LEAST = 2  # texts that an n-gram must be in
_MOST_TEXTS = 100_000  # that are trained on: each needs 22 kB, and more of them teach a linear model little
_CHUNK, _CLASSES = 1024, 8  # texts whose weights are in memory at once, and classes
_STRENGTHS = (0.03, 0.1, 0.3, 1.0)  # inverse of the regularisation, of which the validation texts choose one


@dataclass(frozen=True)
class NgramModel:
    """Weights of n-grams, each of them known by the hashes of its two words; that of a single word has 0 for one."""

    keys: np.ndarray  # uint64 `[n]`, in their order
    weights: np.ndarray  # float32 `[n, C]`
    bias: np.ndarray  # float32 `[C]`

    def logits(self, words: Words) -> np.ndarray:
        """`[texts, C]`; of two classes the first one's are 0."""
        hashes = _hashes(words.spellings)
        logits, cuts = [np.zeros((0, len(self.bias)), np.float32)], np.arange(_CLASSES, len(self.bias), _CLASSES)
        for first in range(0, len(words.texts), _CHUNK):
            keys, starts = _ngrams(words.texts, hashes, slice(first, first + _CHUNK))
            place, known = self._places_of(keys)
            sums = [self._summed(place, known, starts, some) for some in np.split(np.arange(len(self.bias)), cuts)]
            logits.append(np.concatenate(sums, 1).astype(np.float32) + self.bias)
        return np.concatenate(logits)

    def contributions(self, words: Words, text: int, target: int, *, several: bool = False) -> tuple[np.ndarray, float]:
        """What each word of a text adds to a class's logit over the mean of the others', `[words]`, and the bias.

        Where a text has `several` labels, what it adds to the class's own logit.
        A pair's weight is shared by its two words, that of an n-gram that comes several times by all its places.
        """
        high = _hashes(words.of(text)) << np.uint64(32)
        pairs = high[:-1] | (high[1:] >> np.uint64(32))
        keys, place, counts = np.unique(np.concatenate([high, pairs]), return_inverse=True, return_counts=True)
        margin = _own if several else _margin
        shares = (margin(self._weights_of(keys), target) / counts)[place]
        added, halves = shares[: len(high)].copy(), shares[len(high) :] / 2
        added[:-1] += halves
        added[1:] += halves
        return added, float(margin(self.bias[None].astype(float), target)[0])

    def _weights_of(self, keys: np.ndarray) -> np.ndarray:
        """The weights of n-grams, float64 `[n, C]`; 0 of those that are not known."""
        place, known = self._places_of(keys)
        return np.where(known[:, None], self.weights[place], 0).astype(float)

    def _summed(self, place: np.ndarray, known: np.ndarray, starts: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """The sums of the weights of each text's n-grams, float64, for some classes."""
        weights = np.where(known[:, None], self.weights[place[:, None], classes], 0)
        added = np.cumsum(weights, 0, float)
        return np.diff(np.concatenate([np.zeros((1, len(classes))), added])[starts], axis=0)

    def _places_of(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where n-grams stand among those that are known, and whether they are."""
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return place, self.keys[place] == keys


def fit_ngram(
    words: Words, labels: np.ndarray, classes: int, validation: Words, validation_labels: np.ndarray
) -> NgramModel:
    """Train on texts with labels `[texts]`; the validation texts choose how strongly it is regularised.

    Of more than 100,000 texts so many are drawn, the same ones each time.
    """
    if len(words.texts) > _MOST_TEXTS:
        rows = drawn(len(words.texts), _MOST_TEXTS)
        words, labels = Words(words.texts.select(rows), words.spellings), labels[rows]
    from sklearn.linear_model import LogisticRegression  # not loaded to predict

    occurring, starts = _ngrams(words.texts, _hashes(words.spellings))
    keys, place, counts = np.unique(occurring, return_inverse=True, return_counts=True)
    common = counts >= _LEAST
    keys = keys[common]
    features = _matrix(np.cumsum(common)[place] - 1, starts, common[place], len(keys))
    several = labels.ndim == 2
    inside = {target: of_class(labels, target) for target in targets(classes, several=several)}
    ratios = {target: ratio_of(features, texts) for target, texts in inside.items()}

    def trained(strength: float) -> NgramModel:
        weights, bias = np.zeros((len(keys), classes), np.float32), np.zeros(classes, np.float32)
        for target, ratio in ratios.items():
            share = inside[target].mean()
            if share in (0, 1):  # a class that was known before, and has no text now
                bias[target] = np.copysign(np.log(len(labels) + 1), share - 0.5)
                continue
            model: Any = LogisticRegression(
                C=strength, solver="liblinear", dual=True, tol=1e-3, max_iter=1000, random_state=0
            )
            model.fit(features.multiply(ratio).tocsr(), inside[target])
            weights[:, target], bias[target] = model.coef_[0] * ratio, model.intercept_[0]
        return NgramModel(keys, weights, bias)

    if not len(keys):
        share = labels.mean(0) if several else np.bincount(labels, minlength=classes) / len(labels)
        least = 0.5 / (len(labels) + 1)  # of a class that was known before, and has no text now
        share = np.clip(share, least, 1 - least)
        odds = np.log(share / (1 - share)) if several else np.log(share / share[0])
        bias = np.clip(odds, -20, 20).astype(np.float32)
        return NgramModel(np.zeros(1, np.uint64), np.zeros((1, classes), np.float32), bias)
    # one after the other: of many classes a model is large
    return min(map(trained, _STRENGTHS), key=lambda model: log_loss(model.logits(validation), validation_labels))


def _margin(values: np.ndarray, target: int) -> np.ndarray:
    """What a class has, `[n, C]`, over the mean of the others, `[n]`."""
    return values[:, target] - (values.sum(1) - values[:, target]) / (values.shape[1] - 1)


def _own(values: np.ndarray, target: int) -> np.ndarray:
    """What a class has, `[n, C]`."""
    return values[:, target]


def _hashes(words: Sequence[str]) -> np.ndarray:
    return np.array([hash_of(word) for word in words], np.uint64)


def _ngrams(texts: Ragged, hashes: np.ndarray, some: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams of each text, or of some, each once: keys, and where each text's begin."""
    keys = []
    for start, end in pairwise(texts.starts[some.start : None if some.stop is None else some.stop + 1]):
        text = hashes[texts.flat[start:end]]
        high = text << np.uint64(32)
        keys.append(np.unique(np.concatenate([high, high[:-1] | text[1:]])))
    return np.concatenate([np.zeros(0, np.uint64), *keys]), np.cumsum([0, *map(len, keys)])


def _matrix(columns: np.ndarray, starts: np.ndarray, kept: np.ndarray, width: int) -> "csr_matrix":
    """The features of each text, without the entries that are not `kept`."""
    before = np.concatenate([[0], np.cumsum(kept)])
    return indicators(columns[kept], before[starts], width)


def as_arrays(model: NgramModel) -> dict[str, np.ndarray]:
    """A model as arrays of types that JAX has, to save it."""
    halves = np.stack([model.keys >> np.uint64(32), model.keys & np.uint64(2**32 - 1)], 1).astype(np.uint32)
    return {"keys": halves, "weights": model.weights, "bias": model.bias}


def empty_arrays(ngrams: int, classes: int) -> dict[str, np.ndarray]:
    """Arrays of the same shapes and types, to restore a saved one into."""
    weights, bias = np.zeros((ngrams, classes), np.float32), np.zeros(classes, np.float32)
    return as_arrays(NgramModel(np.zeros(ngrams, np.uint64), weights, bias))


def from_arrays(arrays: dict[str, np.ndarray]) -> NgramModel:
    """The model that `as_arrays` made arrays of."""
    high, low = arrays["keys"].astype(np.uint64).T
    return NgramModel(high << np.uint64(32) | low, arrays["weights"], arrays["bias"])
