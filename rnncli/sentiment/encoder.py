"""Encoders: from the vectors of a text's words to the features of the text. A new one is a class and a line below.

A call turns vectors `[T, B, D]`, of which the first `lengths` `[B]` are words, into features `[B, out_features]`. Where
`projects` is true, `project` makes something of the vectors `[…, D]` that can stand in their place in a call, and costs
less when words come again and again.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from rnncli.nn.cells import Gates
from rnncli.nn.dropout import DropoutKey, dropout_mask
from rnncli.nn.layers import RecurrentStack, last_hidden
from rnncli.nn.precision import Operands
from rnncli.sentiment.settings import SentimentSettings


class RecurrentEncoder(nnx.Module):
    """Recurrent layers, and what is kept of their hidden states.

    The hidden state after the last word ("last"), the mean or the maximum of all hidden states, or both ("concat").
    """

    projects = True

    def __init__(self, settings: SentimentSettings, operands: Operands, rngs: nnx.Rngs):
        self.pooling, self.masked, self.bidirectional = settings.pooling, settings.mask, settings.bidirectional
        self.stack = RecurrentStack.of(
            settings,
            settings.embedding,
            operands=operands,
            bidirectional=settings.bidirectional,
            variational=True,
            rngs=rngs,
        )
        self.out_features = self.stack.out_features * (2 if settings.pooling == "concat" else 1)

    def __call__(self, x: Array | list[Gates], lengths: Array, key: DropoutKey | None = None) -> Array:
        hidden, carries = self.stack(x, lengths=lengths if self.masked else None, key=key)
        if self.pooling == "last":
            return last_hidden(carries, bidirectional=self.bidirectional)
        inside = _inside(hidden, lengths)
        mean = jnp.where(inside, hidden, 0.0).sum(0) / jnp.maximum(lengths, 1)[:, None]
        if self.pooling == "mean":
            return mean
        most = jnp.where(lengths[:, None] > 0, jnp.where(inside, hidden, -jnp.inf).max(0), 0.0)
        return most if self.pooling == "max" else jnp.concatenate([mean, most], -1)

    def project(self, vectors: Array) -> list[Gates]:
        return self.stack.project(vectors)


class BagEncoder(nnx.Module):
    """The sum of the vectors over the square root of their number, whatever their order.

    Cer et al. 2018, arXiv 1803.11175, and the lecture's second model.
    """

    projects = False

    def __init__(self, settings: SentimentSettings, operands: Operands, rngs: nnx.Rngs):
        self.out_features, self.input_dropout = settings.embedding, settings.input_dropout

    def __call__(self, x: Array | list[Gates], lengths: Array, key: DropoutKey | None = None) -> Array:
        assert not isinstance(x, list)
        if key is not None and self.input_dropout:
            x = x * dropout_mask(key.fold_in(1_001), self.input_dropout, x.shape)
        summed = jnp.where(_inside(x, lengths), x, 0.0).sum(0)
        return summed * jax.lax.rsqrt(jnp.maximum(lengths, 1).astype(jnp.float32))[:, None]

    def project(self, vectors: Array) -> list[Gates]:
        raise NotImplementedError


ENCODERS: dict[str, type[RecurrentEncoder] | type[BagEncoder]] = {"rnn": RecurrentEncoder, "bag": BagEncoder}


def _inside(steps: Array, lengths: Array) -> Array:
    """Which steps `[T, B, 1]` of arrays `[T, B, …]` are words."""
    return (jnp.arange(steps.shape[0])[:, None] < lengths)[:, :, None]
