"""Batches of texts of about the same length, so that little padding is computed for nothing."""

from typing import Any, NamedTuple

import numpy as np

from rnncli.sentiment.hub import Sentences
from rnncli.sentiment.text import Ragged, Words
from rnncli.training.batches import ALL

Texts = Ragged | Sentences
_SHORTEST = 32
_LEAST_BATCHES = 4  # in an epoch; a length that has fewer joins the next one, as each is compiled by itself


class Encoded(NamedTuple):
    """Texts as the systems take them."""

    words: Words  # all of them, for the linear model
    numbers: Texts  # for the network


class Batch(NamedTuple):
    """Texts as the network takes them; in training with a leading axis for the steps of a dispatch."""

    tokens: Any  # int32 [T, B]; of texts that are a vector each, float32 [1, B, D]
    lengths: Any  # int32 [B]
    labels: Any  # int32 [B]; where a text has several, [1, B, C]


def padded_lengths(longest: int) -> np.ndarray:
    """The lengths that texts are padded to: 32, 48, 64, 96, 128, … up to `longest`.

    They grow by a third or a half, so a sixth of the steps, about, is padding.
    """
    lengths = [_SHORTEST]
    while lengths[-1] < longest:
        lengths.append(lengths[-1] * 3 // 2 if lengths[-1].bit_count() == 1 else lengths[-1] // 3 * 4)
    below = [length for length in lengths if length <= 0.9 * longest]
    return np.array([*below, max(longest, 1)])


class Bucketed:
    """Every text once an epoch, in batches of texts padded to one length, in an order drawn from seed and epoch.

    Batches of the same length come in runs of `chunk`, at most, which are one dispatch. The last batch of a length is
    filled up with some of its texts again.
    """

    def __init__(self, texts: Texts, labels: np.ndarray, batch: int, seed: int, *, longest: int, chunk: int, pad: bool):
        """`longest` is the length that the longest text is padded to, or, with `pad`, that all are padded to."""
        self.texts, self.labels, self.seed, self.chunk = texts, labels, seed, chunk
        self.batch = min(batch, len(texts))
        steps = np.array([longest]) if pad else padded_lengths(longest)
        bucket = np.searchsorted(steps, texts.lengths)
        sizes = np.bincount(bucket, minlength=len(steps))
        for index in range(len(steps) - 1):
            if 0 < sizes[index] < _LEAST_BATCHES * self.batch:
                bucket[bucket == index] = index + 1
                sizes[index + 1] += sizes[index]
        self._buckets = [(int(steps[index]), np.flatnonzero(bucket == index)) for index in np.unique(bucket)]
        self.steady = len(self._buckets) == 1
        self.steps_per_epoch = sum(-(-len(members) // self.batch) for _, members in self._buckets)
        self._drawn: tuple[int, list[tuple[int, np.ndarray]]] | None = None  # the epoch and its runs

    def runs(self, epoch: int) -> list[tuple[int, np.ndarray]]:
        """The dispatches of an epoch: the length that is padded to, and the texts of each step `[S, B]`."""
        if self._drawn is None or self._drawn[0] != epoch:
            generator = np.random.default_rng([self.seed, epoch])
            runs = []
            for steps, members in self._buckets:
                order = generator.permutation(members)
                batches = np.resize(order, (-(-len(order) // self.batch), self.batch))
                runs += [(steps, batches[first : first + self.chunk]) for first in range(0, len(batches), self.chunk)]
            self._drawn = epoch, [runs[index] for index in generator.permutation(len(runs))]
        return self._drawn[1]

    def __call__(self, step: int, rows: slice = ALL) -> tuple[Batch, int]:
        """The batches of the dispatch that has step `step`, `[chunk, …]`, from that step on, and how many."""
        epoch, place = divmod(step, self.steps_per_epoch)
        for steps, run in self.runs(epoch):
            if place < len(run):
                own = np.resize(run[place:], (self.chunk, self.batch))[:, rows]
                padded = self.texts.padded(own.ravel(), steps)
                tokens = padded.reshape(steps, *own.shape, *padded.shape[2:]).swapaxes(0, 1)
                lengths = self.texts.lengths[own].astype(np.int32)
                labels = self.labels[own].astype(np.int32)
                labels = labels[:, None] if labels.ndim == 3 else labels  # sequences stand at the third axis
                return Batch(tokens, lengths, labels), len(run) - place
            place -= len(run)
        raise AssertionError("an epoch has as many steps as its runs")  # pragma: no cover
