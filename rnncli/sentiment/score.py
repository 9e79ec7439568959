"""Logits of many texts, whatever their lengths."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import numpy as np

from rnncli.nn.compiled import compiled
from rnncli.sentiment.batches import padded_lengths
from rnncli.sentiment.hub import Sentences
from rnncli.sentiment.model import TextClassifier
from rnncli.sentiment.text import Ragged
from rnncli.training.devices import own_device
from rnncli.training.layout import beside, gathered, on_grid

_FEW = 8  # texts are computed together; of more, …
_STEPS = 2**13  # … so many that their steps, with what is computed of them, stay in the processor's cache
_THREADS = min(8, os.cpu_count() or 1)
_MANY_TEXTS = 64  # from so many on it pays to project the whole vocabulary first


class Scorer:
    """A network without dropout as a function from texts to logits.

    The logits of a text do not depend on the other texts: a length has batches of one of two sizes, filled up with
    texts again, and padding does not enter the logits.
    """

    def __init__(self, model: TextClassifier, longest: int):
        """`longest` is the length that the longest texts are padded to (all, for a model without a mask)."""
        self._lengths = padded_lengths(longest) if model.settings.mask else np.array([longest])
        self._classes = model.classes
        self._run = compiled(TextClassifier.__call__, model)
        self._run_projected = compiled(TextClassifier.of_projected_words, model)
        self._project = compiled(TextClassifier.projected_words, model)
        self._projects = model.encoder.projects
        self._projected: tuple[Any, Any] = (None, None)  # the parameters, and the words with them

    def logits(self, params: Any, texts: Ragged | Sentences) -> np.ndarray:
        """The logits of texts, `[n, C]`, float32."""
        logits = np.zeros((len(texts), self._classes), np.float32)
        if own_device().platform == "cpu" and jax.process_count() == 1:
            params = gathered(params)
        grid = on_grid(params)
        words = self._words(params) if self._projects and len(texts) >= _MANY_TEXTS else None

        def compute(batch: tuple[int, int, np.ndarray]) -> None:
            steps, size, rows = batch
            filled = np.resize(rows, size)
            tokens = beside(params, texts.padded(filled, steps), 1)
            lengths = beside(params, texts.lengths[filled].astype(np.int32), 0)
            run = self._run if words is None else partial(self._run_projected, words=words)
            logits[rows] = np.asarray(gathered(run(params, tokens=tokens, lengths=lengths)))[: len(rows)]

        batches = list(self._batches(texts.lengths))
        # small products one after the other leave most of a processor idle, so batches share it; where devices share
        # each batch, they come in the same order everywhere
        with ThreadPoolExecutor(1 if grid else min(len(batches), _THREADS) or 1) as pool:
            for _ in pool.map(compute, batches):
                pass  # which raises what a batch did
        return logits

    def _batches(self, lengths: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
        """For each batch the steps that are padded to, the texts that it has room for, and those that are in it."""
        bucket = np.searchsorted(self._lengths, lengths)
        for index in np.unique(bucket):
            members, steps = np.flatnonzero(bucket == index), int(self._lengths[index])
            size = _FEW if len(members) <= _FEW else max(_FEW, _STEPS // steps // 8 * 8)
            for first in range(0, len(members), size):
                yield steps, size, members[first : first + size]

    def _words(self, params: Any) -> Any:
        if self._projected[0] is not params:
            self._projected = params, self._project(params)
        return self._projected[1]
