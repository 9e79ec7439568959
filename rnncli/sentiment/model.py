"""The network: the numbers of words in, logits of the classes out."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from rnncli.nn.cells import Gates
from rnncli.nn.dropout import DropoutKey, dropout_mask
from rnncli.nn.layers import Dense, Embedding, looked_up
from rnncli.nn.precision import Operands
from rnncli.sentiment.encoder import ENCODERS
from rnncli.sentiment.settings import SentimentSettings


class TextClassifier(nnx.Module):
    """Word vectors, an encoder of their sequence, a dense layer to the logits.

    Two classes have one logit, of the second class; the first one's is 0. Where a text has several labels, each class
    has its own.
    """

    def __init__(
        self,
        settings: SentimentSettings,
        symbols: int,
        classes: int,
        *,
        operands: Operands | None = None,
        rngs: nnx.Rngs,
    ):
        """`symbols` is the size of the vocabulary, `classes` the number of classes.

        `operands` is the precision of the products, that of the settings if None.
        """
        operands = settings.operands if operands is None else operands
        self.settings, self.classes = settings, classes
        self.embedding = None if settings.sentences else Embedding(symbols, settings.embedding, rngs=rngs)
        self.encoder = ENCODERS[settings.encoder](settings, operands, rngs)
        self.relative = classes == 2 and not settings.several  # to the first class
        features, outputs = self.encoder.out_features, 1 if self.relative else classes
        self.hidden = Dense(features, settings.dense, operands=operands, rngs=rngs) if settings.dense else None
        self.output = Dense(settings.dense or features, outputs, operands=operands, rngs=rngs)

    def __call__(self, tokens: Array, lengths: Array, key: DropoutKey | None = None) -> Array:
        """Logits `[B, classes]` of texts `[T, B]`, of whose steps the first `lengths` `[B]` are words.

        With `sentences` there are no words, but vectors `[1, B, D]`.
        `key` draws the dropout masks; None switches dropout off.
        """
        if self.embedding is None:
            return self.of_vectors(tokens, lengths, key)
        vectors = self.embedding(tokens)
        return self.of_vectors(jax.lax.stop_gradient(vectors) if self.settings.frozen else vectors, lengths, key)

    def of_vectors(self, vectors: Array, lengths: Array, key: DropoutKey | None = None) -> Array:
        """The same from the words' vectors `[T, B, D]`."""
        steps, batch = vectors.shape[:2]
        if key is not None and self.settings.word_dropout:
            kept = dropout_mask(key.fold_in(1_000), self.settings.word_dropout, (steps, batch, 1)) > 0
            vectors = vectors * kept
        return self._classified(self.encoder(vectors, self._read(lengths, steps), key), key)

    def projected_words(self) -> list[Gates]:
        """What the encoder makes of each word, whatever text it is in: arrays `[symbols, units]`."""
        assert self.embedding is not None and self.embedding.vectors is not None
        return self.encoder.project(self.embedding.vectors[...])

    def of_projected_words(self, words: list[Gates], tokens: Array, lengths: Array) -> Array:
        """The same as a call, without the products with the words' vectors: those were made by `projected_words`."""
        return self._classified(self.encoder(looked_up(words, tokens), self._read(lengths, len(tokens))), None)

    def loss(self, tokens: Array, lengths: Array, labels: Array, weights: Array, key: DropoutKey | None) -> Array:
        """Mean cross-entropy in nats, each text times its class's weight `[classes]`.

        Where a text has several labels `[B, classes]`, the mean over the classes too, and a weight is of the texts that
        are of its class.
        """
        logits = self(tokens, lengths, key)
        if self.settings.several:
            losses = optax.sigmoid_binary_cross_entropy(logits, labels)
            return (losses * jnp.where(labels > 0, weights, 1.0)).mean()
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return (losses * weights[labels]).mean()

    def _read(self, lengths: Array, steps: int) -> Array:
        """How many steps of each text are read: its words, or, without a mask, all."""
        return lengths if self.settings.mask else jnp.full(len(lengths), steps)

    def _classified(self, features: Array, key: DropoutKey | None) -> Array:
        features = self._dropped(features, key, 1)
        if self.hidden is not None:
            features = self._dropped(jax.nn.relu(self.hidden(features)), key, 2)
        logits = self.output(features)
        return jnp.concatenate([jnp.zeros_like(logits), logits], -1) if self.relative else logits

    def _dropped(self, features: Array, key: DropoutKey | None, place: int) -> Array:
        rate = self.settings.dropout
        if key is None or not rate:
            return features
        return features * dropout_mask(key.fold_in(1_001 + place), rate, features.shape)


def empty_network(
    settings: SentimentSettings, symbols: int, classes: int, operands: Operands = "float32"
) -> TextClassifier:
    """The network with shapes in the place of arrays, to restore a saved one into: no weights are drawn for it."""
    return nnx.eval_shape(lambda: TextClassifier(settings, symbols, classes, operands=operands, rngs=nnx.Rngs(0)))
