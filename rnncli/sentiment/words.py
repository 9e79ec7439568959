"""Where the vectors of words and texts come from: other people's files, and naive Bayes' ratios."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from rnncli.errors import DataError, ParameterError
from rnncli.sentiment.hub import SentenceEncoder
from rnncli.sentiment.model import TextClassifier
from rnncli.sentiment.settings import SentimentSettings
from rnncli.sentiment.text import PADDING, Vocabulary, Words
from rnncli.sentiment.vectors import read_vectors
from rnncli.settings import Chosen

Say = Callable[[str], None]


def load_vectors(
    settings: SentimentSettings, chosen: Chosen[SentimentSettings], vocabulary: Vocabulary, words: Words, say: Say
) -> tuple[SentimentSettings, dict[str, np.ndarray]]:
    """The vectors of known words that a file has, and the settings that fit them.

    Raises DataError, ParameterError: it cannot be read, has none of the words, or vectors of another size than was
    chosen.
    """
    read = read_vectors(settings.embeddings, vocabulary.words)
    if chosen.get("embedding", read.dimension) != read.dimension:
        raise ParameterError(
            f"`embedding` {chosen['embedding']}, but the vectors in '{settings.embeddings}' have {read.dimension} "
            "numbers; leave `embedding` out"
        )
    if not read.found:
        raise DataError(f"none of the {read.rows:,} words of '{settings.embeddings}' is in the training texts")
    counts = words.counts
    covered = sum(count for word, count in zip(words.spellings, counts.tolist(), strict=True) if word in read.found)
    say(
        f"'{settings.embeddings}': {read.rows:,} vectors of {read.dimension}; {len(read.found):,} of the known words "
        f"have one ({len(read.found) / len(vocabulary.words):.1%}), {covered / counts.sum():.1%} of the running words"
    )
    return replace(settings, embedding=read.dimension), read.found


def load_encoder(
    settings: SentimentSettings, chosen: Chosen[SentimentSettings], texts: Sequence[str], say: Say
) -> tuple[SentimentSettings, SentenceEncoder]:
    """A TF-Hub module for whole texts, tried on the first of `texts`, and the settings that fit it.

    Raises DataError, ParameterError: it cannot be used, or has vectors of another size than was chosen.
    """
    folder = os.path.abspath(settings.embeddings)  # noqa: PTH100 - links stay links
    if settings.encoder != "bag":
        raise ParameterError(f"`embeddings` '{folder}' is a folder, of vectors of whole texts: for `encoder` bag")
    encoder = SentenceEncoder(folder)
    dimension = encoder(texts[:1]).vectors.shape[1]
    if chosen.get("embedding", dimension) != dimension:
        raise ParameterError(
            f"`embedding` {chosen['embedding']}, but the vectors of '{folder}' have {dimension} numbers"
        )
    say(f"'{folder}': vectors of {dimension} for whole texts")
    return replace(settings, embedding=dimension, sentences=True, embeddings=folder), encoder


def start_from(model: TextClassifier, vocabulary: Vocabulary, vectors: Mapping[str, np.ndarray]) -> None:
    """Give words the vectors that are known of them; the others are drawn with the same spread, frozen ones are 0."""
    table = _table(model)
    known = np.stack(list(vectors.values())) if vectors else np.ones((1, table.shape[1]), np.float32)
    table *= 0.0 if model.settings.frozen else known.std() / table.std()
    for index, word in enumerate(vocabulary.words, PADDING + 1):
        if word in vectors:
            table[index] = vectors[word]
    _set_table(model, table)


def start_with_ratios(model: TextClassifier, ratios: np.ndarray) -> None:
    """Put log-count ratios `[symbols, k]` into the first numbers of the words' vectors.

    What a linear model reads off word by word, the network then need not learn from vectors drawn at random.
    """
    table = _table(model)
    width = min(ratios.shape[1], table.shape[1])
    table[:, :width] = ratios[:, :width]
    _set_table(model, table)


def _table(model: TextClassifier) -> np.ndarray:
    """A copy of the words' vectors, `[symbols, D]`."""
    assert model.embedding is not None and model.embedding.vectors is not None
    return np.array(model.embedding.vectors[...])


def _set_table(model: TextClassifier, table: np.ndarray) -> None:
    assert model.embedding is not None and model.embedding.vectors is not None
    model.embedding.vectors[...] = jnp.asarray(table)
