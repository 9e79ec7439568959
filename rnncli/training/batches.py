"""Which batches a training sees, and in which order."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnncli.nn.compiled import quickly

ALL = slice(None)  # rows of a batch


class Batches(Protocol):
    """The batches of a training.

    Attributes:
        steady: whether arrays and steps are of the same sizes for every seed, at each step.
    """

    steady: bool

    @property
    def batch(self) -> int:
        """Sequences of a batch."""
        ...

    def __call__(self, step: int, rows: slice = ALL) -> tuple[Any, int]:
        """Arrays `[S, …]` with the batches of the n ≤ S steps from `step` on, all of one epoch, and n.

        S is best the same each time, as each new one is compiled anew. Of each batch come the sequences `rows` alone:
        those that are another process's need not be read.
        """
        ...


class Shuffled:
    """Batches of indices `[B]`: every example once an epoch, in an order drawn from seed and epoch.

    The last batch of an epoch is filled up with its first examples again.
    """

    steady = True

    def __init__(self, examples: int, batch_size: int, seed: int, *, chunk: int = 200, repeats: bool = False):
        """`chunk` is the number of steps a dispatch, at most.

        Of fewer examples than that, a batch has all, each once; if it `repeats`, some again, to its size.
        """
        self.examples, self.chunk = examples, chunk
        self.batch = batch_size if repeats else min(batch_size, examples)
        self.steps_per_epoch = math.ceil(examples / self.batch)
        self._key = jax.random.key(seed)
        self._drawn: tuple[int, np.ndarray] | None = None  # the epoch and its order

    def order(self, epoch: int) -> np.ndarray:
        """The order of the examples in an epoch, `[steps_per_epoch, B]`."""
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = (
                epoch,
                np.asarray(_drawing()(self._key, epoch, self.examples, self.steps_per_epoch, self.batch)),
            )
        return self._drawn[1]

    def __call__(self, step: int, rows: slice = ALL) -> tuple[np.ndarray, int]:
        """The indices of the next steps, `[chunk, B]`, and how many of them there are."""
        epoch, place = divmod(step, self.steps_per_epoch)
        batches = self.order(epoch)[place : place + self.chunk]
        return np.resize(batches, (self.chunk, self.batch))[:, rows], len(batches)


@cache
def _drawing() -> Callable[..., Array]:
    return jax.jit(_drawn, static_argnums=(2, 3, 4), compiler_options=quickly(0))


def _drawn(key: Array, epoch: int, examples: int, steps: int, batch: int) -> Array:
    """So many examples in the order of an epoch, `[steps, batch]`."""
    order = jax.random.permutation(jax.random.fold_in(jax.random.fold_in(key, epoch), 1), examples)
    return jnp.resize(order, (steps, batch))


@dataclass
class Replayed:
    """Batches of new examples, of which a share are old ones, so that what was learnt of these is not forgotten.

    Attributes:
        new: the batches of the new examples, whose indices are below `first`.
        batch: examples of a batch, new and old ones.
        first, count: the old examples: from which index on, and how many.
        seed: of the draw of the old ones.
    """

    new: Shuffled
    batch: int
    first: int
    count: int
    seed: int
    steady = True

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which each new example comes once."""
        return self.new.steps_per_epoch

    def __call__(self, step: int, rows: slice = ALL) -> tuple[np.ndarray, int]:
        """The indices of the next steps, `[chunk, batch]`, and how many of them there are."""
        new, steps = self.new(step)
        # drawn from the step, so that a training that goes on sees the same ones
        old = [np.random.default_rng([self.seed, step + row]) for row in range(len(new))]
        drawn = [draw.integers(self.first, self.first + self.count, self.batch - self.new.batch) for draw in old]
        return np.concatenate([new, np.stack(drawn)], 1).astype(new.dtype)[:, rows], steps
