"""The network: the numbers of words in, logits of the classes out."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from rnncli.nn.cells import Gates
from rnncli.nn.dropout import DropoutKey, dropout_mask
from rnncli.nn.layers import Dense, Embedding, RecurrentStack, last_hidden, looked_up
from rnncli.nn.precision import Operands
from rnncli.sentiment.config import SentimentConfig


class TextClassifier(nnx.Module):
    """Word vectors, an encoder of their sequence, a dense layer to the logits.

    Encoder "rnn": recurrent layers; the text is the hidden state after its last word ("last"), the mean or the maximum
    of all hidden states, or both of these ("concat"). Encoder "bag": the sum of the vectors over the square root of
    their number, whatever their order (Cer et al. 2018, arXiv 1803.11175, and the lecture's second model).

    Two classes have one logit, of the second class; the first one's is 0.
    """

    def __init__(
        self,
        config: SentimentConfig,
        symbols: int,
        classes: int,
        *,
        operands: Operands = "float32",
        rngs: nnx.Rngs,
    ):
        """`symbols` is the size of the vocabulary, `classes` the number of classes."""
        self.config, self.classes = config, classes
        self.embedding = None if config.sentences else Embedding(symbols, config.embedding, rngs=rngs)
        rnn = config.encoder == "rnn"
        self.stack = self._stack(config, operands, rngs) if rnn else None
        wide = config.units * (2 if config.bidirectional else 1) * (2 if config.pooling == "concat" else 1)
        features = wide if rnn else config.embedding
        self.hidden = Dense(features, config.dense, operands=operands, rngs=rngs) if config.dense else None
        outputs = 1 if classes == 2 else classes
        self.output = Dense(config.dense or features, outputs, operands=operands, rngs=rngs)

    def _stack(self, config: SentimentConfig, operands: Operands, rngs: nnx.Rngs) -> RecurrentStack:
        return RecurrentStack(
            config.cell,
            config.embedding,
            config.units,
            layers=config.layers,
            bidirectional=config.bidirectional,
            layer_norm=config.layer_norm,
            dropout=config.dropout,
            input_dropout=config.input_dropout,
            recurrent_dropout=config.recurrent_dropout,
            kernel_dropout=config.kernel_dropout,
            variational=True,
            operands=operands,
            rngs=rngs,
        )

    def __call__(self, tokens: Array, lengths: Array, key: DropoutKey | None = None) -> Array:
        """Logits `[B, classes]` of texts `[T, B]`, of whose steps the first `lengths` `[B]` are words.

        With `sentences` there are no words, but vectors `[1, B, D]`.
        `key` draws the dropout masks; None switches dropout off.
        """
        if self.embedding is None:
            return self.of_vectors(tokens, lengths, key)
        vectors = self.embedding(tokens)
        return self.of_vectors(jax.lax.stop_gradient(vectors) if self.config.frozen else vectors, lengths, key)

    def of_vectors(self, vectors: Array, lengths: Array, key: DropoutKey | None = None) -> Array:
        """The same from the words' vectors `[T, B, D]`."""
        config = self.config
        steps, batch = vectors.shape[:2]
        if not config.mask:
            lengths = jnp.full(batch, steps)
        if key is not None and config.word_dropout:
            kept = dropout_mask(key.fold_in(1_000), config.word_dropout, (steps, batch, 1)) > 0
            vectors = vectors * kept
        features = self._summed(vectors, lengths, key) if self.stack is None else self._read(vectors, lengths, key)
        return self._classified(features, key)

    def projected_words(self) -> list[Gates]:
        """What the first recurrent layer makes of each word, whatever text it is in: arrays `[symbols, units]`."""
        assert self.embedding is not None
        assert self.embedding.vectors is not None
        assert self.stack is not None
        return self.stack.project(self.embedding.vectors[...])

    def of_projected_words(self, words: list[Gates], tokens: Array, lengths: Array) -> Array:
        """The same as a call, without the products with the words' vectors: those were made by `projected_words`."""
        lengths = lengths if self.config.mask else jnp.full(tokens.shape[1], len(tokens))
        return self._classified(self._read(looked_up(words, tokens), lengths, None), None)

    def _read(self, x: Array | list[Gates], lengths: Array, key: DropoutKey | None) -> Array:
        assert self.stack is not None
        hidden, carries = self.stack(x, lengths=lengths if self.config.mask else None, key=key)
        return self._pooled(hidden, last_hidden(carries, bidirectional=self.config.bidirectional), lengths)

    def _classified(self, features: Array, key: DropoutKey | None) -> Array:
        features = self._dropped(features, key, 1)
        if self.hidden is not None:
            features = self._dropped(jax.nn.relu(self.hidden(features)), key, 2)
        logits = self.output(features)
        return jnp.concatenate([jnp.zeros_like(logits), logits], -1) if self.classes == 2 else logits

    def loss(self, tokens: Array, lengths: Array, labels: Array, weights: Array, key: DropoutKey | None) -> Array:
        """Mean cross-entropy in nats, each text times its class's weight `[classes]`."""
        logits = self(tokens, lengths, key)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return (losses * weights[labels]).mean()

    def _summed(self, vectors: Array, lengths: Array, key: DropoutKey | None) -> Array:
        if key is not None and self.config.input_dropout:
            mask = dropout_mask(key.fold_in(1_001), self.config.input_dropout, vectors.shape)
            vectors = vectors * mask
        summed = jnp.where(_inside(vectors, lengths), vectors, 0.0).sum(0)
        return summed * jax.lax.rsqrt(jnp.maximum(lengths, 1).astype(jnp.float32))[:, None]

    def _pooled(self, hidden: Array, last: Array, lengths: Array) -> Array:
        pooling = self.config.pooling
        if pooling == "last":
            return last
        inside = _inside(hidden, lengths)
        mean = jnp.where(inside, hidden, 0.0).sum(0) / jnp.maximum(lengths, 1)[:, None]
        if pooling == "mean":
            return mean
        most = jnp.where(lengths[:, None] > 0, jnp.where(inside, hidden, -jnp.inf).max(0), 0.0)
        return most if pooling == "max" else jnp.concatenate([mean, most], -1)

    def _dropped(self, features: Array, key: DropoutKey | None, place: int) -> Array:
        rate = self.config.dropout
        if key is None or not rate:
            return features
        return features * dropout_mask(key.fold_in(1_001 + place), rate, features.shape)


def _inside(steps: Array, lengths: Array) -> Array:
    """Which steps `[T, B, 1]` of arrays `[T, B, …]` are words."""
    return (jnp.arange(steps.shape[0])[:, None] < lengths)[:, :, None]


def empty_network(
    config: SentimentConfig, symbols: int, classes: int, operands: Operands = "float32"
) -> TextClassifier:
    """The network with shapes in the place of arrays, to restore a saved one into: no weights are drawn for it."""
    return nnx.eval_shape(lambda: TextClassifier(config, symbols, classes, operands=operands, rngs=nnx.Rngs(0)))
