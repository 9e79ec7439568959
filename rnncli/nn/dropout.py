"""Dropout masks that are the same however a batch is spread over devices.

Each sequence of a batch has masks of its own, drawn from the step's key and the sequence's place in the whole batch.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class DropoutKey(NamedTuple):
    """The randomness that the masks of a step are drawn from."""

    key: Array
    rows: Array  # the places of these sequences in the whole batch, [B]

    @classmethod
    def of_batch(cls, key: Array, batch: int) -> "DropoutKey":
        """The key of a batch that is on one device."""
        return cls(key, jnp.arange(batch))

    def fold_in(self, data: int) -> "DropoutKey":
        """The key of another use, which `data` numbers."""
        return self._replace(key=jax.random.fold_in(self.key, data))


def dropout_mask(key: DropoutKey, rate: float, shape: tuple[int, ...], *, variational: bool = False) -> Array:
    """Factors 0 (with probability `rate`) or 1/(1−rate), `[T, B, D]` or `[B, D]`.

    `variational` draws one mask a sequence and repeats it over time (Gal & Ghahramani 2016, arXiv 1512.05287).
    """
    *steps, _, features = shape
    drawn = [1] * len(steps) if variational else steps

    def of_sequence(row: Array) -> Array:
        return _factors(jax.random.fold_in(key.key, row), rate, (*drawn, features))

    return jnp.broadcast_to(jax.vmap(of_sequence, out_axes=len(steps))(key.rows), shape)


def kernel_mask(key: DropoutKey, rate: float, shape: tuple[int, ...]) -> Array:
    """Factors on a kernel, the same for all sequences of a batch."""
    return _factors(key.key, rate, shape)


def _factors(key: Array, rate: float, shape: tuple[int, ...]) -> Array:
    """Factors 0 or 1/(1−rate). Sixteen random bits decide each: a rate is met to 1e-5, at half the cost of floats."""
    dropped = jax.random.bits(key, shape, jnp.uint16) < min(round(rate * 2**16), 2**16 - 1)
    return jnp.where(dropped, 0.0, 1 / (1 - rate))
