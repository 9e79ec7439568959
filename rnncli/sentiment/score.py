"""Logits of many texts, whatever their lengths."""

from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import Array

from rnncli.sentiment.batches import padded_lengths
from rnncli.sentiment.hub import Sentences
from rnncli.sentiment.model import TextClassifier
from rnncli.sentiment.text import Ragged

_BATCHES = (8, 128)  # texts computed at once: a few, many


class Scorer:
    """A network without dropout as a function from texts to logits.

    What a text gets does not depend on the others: batches have one of two sizes, filled up with texts again, and
    padding is not computed with.
    """

    def __init__(self, model: TextClassifier, longest: int):
        """`longest` is the length that the longest texts are padded to (all, for a model without a mask)."""
        self._lengths = padded_lengths(longest) if model.config.mask else np.array([longest])
        self._classes = model.classes
        graph, _, rest = nnx.split(model, nnx.Param, ...)

        @jax.jit
        def run(params: Any, tokens: Array, lengths: Array) -> Array:
            return nnx.merge(graph, params, rest)(tokens, lengths)

        self._run = run

    def logits(self, params: Any, texts: Ragged | Sentences) -> np.ndarray:
        """`[n, C]`, float32."""
        logits = np.zeros((len(texts), self._classes), np.float32)
        bucket = np.searchsorted(self._lengths, texts.lengths)
        for each in np.unique(bucket):
            members = np.flatnonzero(bucket == each)
            size = next((size for size in _BATCHES if len(members) <= size), _BATCHES[-1])
            for first in range(0, len(members), size):
                rows = members[first : first + size]
                filled = np.resize(rows, size)
                tokens = texts.padded(filled, int(self._lengths[each]))
                found = self._run(params, tokens, texts.lengths[filled].astype(np.int32))
                logits[rows] = np.asarray(found)[: len(rows)]
        return logits
