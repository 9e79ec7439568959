"""The network: symbols in, logits of the next symbol out."""

import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from rnncli.charlm.settings import CharlmSettings
from rnncli.nn.cells import Carry, Gates
from rnncli.nn.dropout import DropoutKey, dropout_mask
from rnncli.nn.layers import Dense, Embedding, RecurrentStack, looked_up
from rnncli.nn.precision import Operands, matmul

Carries = list[Carry]

_WORTH_PROJECTING = 4  # times that a symbol stands in a batch, from which on it pays to project each symbol once


class CharModel(nnx.Module):
    """Embedding (or one-hot), recurrent layers, a dense layer to the logits.

    Tied (Press & Wolf 2017, arXiv 1608.05859), the logits are products with the embedding's vectors; where the top
    layer has another size than they, a dense layer stands between.
    """

    operands: Operands

    def __init__(self, settings: CharlmSettings, symbols: int, *, operands: Operands | None = None, rngs: nnx.Rngs):
        """`symbols` are those of the vocabulary, the boundary (the last one) included.

        `operands` is the precision of the products, that of the settings if None.
        """
        self.operands = operands = settings.operands if operands is None else operands
        self.variational, self.output_dropout = settings.variational, settings.output_dropout
        self.embedding = Embedding(symbols, settings.embedding, rngs=rngs)
        self.stack = RecurrentStack.of(
            settings,
            self.embedding.out_features,
            operands=operands,
            variational=settings.variational,
            rngs=rngs,
        )
        features = settings.embedding if settings.tied else symbols
        through = not settings.tied or settings.embedding != settings.units
        self.output = Dense(settings.units, features, operands=operands, rngs=rngs) if through else None
        self.tied_bias = nnx.Param(jnp.zeros(symbols)) if settings.tied else None

    def initial_carries(self, batch: int) -> Carries:
        """The state before a text's beginning."""
        return self.stack.initial_carries(batch)

    def __call__(
        self, tokens: Array, carries: Carries | None = None, key: DropoutKey | None = None
    ) -> tuple[Array, Carries]:
        """Logits of the next symbol after each token, `[T, B]` → `[T, B, symbols]`, and the carries after the last.

        `key` draws the dropout masks; None switches dropout off.
        """
        hidden, carries = self.stack(self._inputs(tokens, key), carries, key=key)
        if key is not None and self.output_dropout:
            mask_key = key.fold_in(1_000)  # apart from the layers' keys
            hidden = hidden * dropout_mask(mask_key, self.output_dropout, hidden.shape, variational=self.variational)
        return self._logits(hidden), carries

    def step(self, tokens: Array, carries: Carries, projected: list[Gates] | None = None) -> tuple[Array, Carries]:
        """One step, `[B]` → logits `[B, symbols]`: a call with `tokens[None]`, for sampling.

        `projected` are the `projected_symbols`, which a loop over steps makes once.
        """
        x = self.embedding(tokens) if projected is None else looked_up(projected, tokens)
        hidden, carries = self.stack.step(x, carries)
        return self._logits(hidden), carries

    def projected_symbols(self) -> list[Gates]:
        """What the first layer makes of each symbol, wherever it stands: arrays `[symbols, units]`, one a gate."""
        return self.stack.project(self.embedding(jnp.arange(self.embedding.count)))

    def loss(self, windows: Array, carries: Carries | None, key: DropoutKey | None) -> tuple[Array, Carries]:
        """Mean cross-entropy in nats of windows `[T + 1, B]`, and the carries to hand on."""
        logits, carries = self(windows[:-1], carries, key)
        return surprisals(logits, windows[1:]).mean(), carries

    def _inputs(self, tokens: Array, key: DropoutKey | None) -> Array | list[Gates]:
        """The tokens' vectors; or, where nothing is dropped from them and symbols are few, their projections."""
        dropped = key is not None and self.stack.input_dropout > 0
        if dropped or tokens.size < _WORTH_PROJECTING * self.embedding.count:
            return self.embedding(tokens)
        return looked_up(self.projected_symbols(), tokens)

    def _logits(self, hidden: Array) -> Array:
        if self.output is not None:
            hidden = self.output(hidden)
        if self.tied_bias is None or self.embedding.vectors is None:
            return hidden
        return matmul(hidden, self.embedding.vectors[...].T, self.operands) + self.tied_bias[...]


def surprisals(logits: Array, tokens: Array) -> Array:
    """−ln p of each token, in nats: `[…, symbols]` and `[…]` → `[…]`."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, tokens.astype(jnp.int32))


def empty_network(settings: CharlmSettings, symbols: int, operands: Operands = "float32") -> CharModel:
    """The network with shapes in the place of arrays, to restore a saved one into: no weights are drawn for it."""
    return nnx.eval_shape(lambda: CharModel(settings, symbols, operands=operands, rngs=nnx.Rngs(0)))
