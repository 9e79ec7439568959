"""Vectors of whole texts from a TF-Hub text embedding: a SavedModel's folder, strings in, vectors out.

TensorFlow is wanted here and nowhere else, and is loaded only where such a folder is named.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.errors import DataError

_TEXTS = 256  # at once


@dataclass(frozen=True)
class Sentences:
    """Texts as a vector each. To the network each is a text of one word that has this vector."""

    vectors: np.ndarray  # float32 `[n, D]`

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def lengths(self) -> np.ndarray:
        """The lengths of the texts: ones, `[n]`."""
        return np.ones(len(self.vectors), int)

    def select(self, rows: np.ndarray) -> "Sentences":
        """Some of the texts, in the order of `rows`."""
        return Sentences(self.vectors[rows])

    def padded(self, rows: np.ndarray, steps: int) -> np.ndarray:
        """Some of the texts, `[steps, len(rows), D]`, with zeros after the first step."""
        return np.pad(self.vectors[None, rows], ((0, steps - 1), (0, 0), (0, 0)))


class SentenceEncoder:
    """A TF-Hub module as a function from texts to vectors."""

    def __init__(self, folder: str):
        """Loads the module. Raises DataError where TensorFlow is not installed, or the folder holds no such module."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        if not (Path(folder) / "saved_model.pb").is_file():
            raise DataError(
                f"'{folder}' is no TF-Hub module: it has no saved_model.pb; put one there, or train with word vectors"
            )
        try:
            import tensorflow as tf  # pyright: ignore[reportMissingImports, reportMissingModuleSource]
        except ImportError as error:
            advice = "pip install tensorflow, or name a file of word vectors"
            raise DataError(f"'{folder}' is a TF-Hub module, which needs TensorFlow: {advice}") from error
        self._folder, self._constant = folder, tf.constant
        try:
            self._module: Any = tf.saved_model.load(folder)  # which goes when nothing refers to it any more
        except Exception as error:  # TensorFlow's own, of many kinds
            raise DataError(f"the TF-Hub module in '{folder}' cannot be loaded: {_first_line(error)}") from error

    def __call__(self, texts: Sequence[str]) -> Sentences:
        """The vectors of texts. Raises DataError where the module does not turn strings into vectors."""
        rows = [self._vectors(list(texts[first : first + _TEXTS])) for first in range(0, len(texts), _TEXTS)]
        return Sentences(np.concatenate(rows).astype(np.float32))

    def _vectors(self, texts: list[str]) -> np.ndarray:
        run = self._module if callable(self._module) else next(iter(self._module.signatures.values()), None)
        try:
            output: Any = run(self._constant(texts)) if run is not None else None
        except Exception as error:
            raise DataError(f"the TF-Hub module in '{self._folder}' takes no strings: {_first_line(error)}") from error
        vectors = np.asarray(next(iter(output.values())) if isinstance(output, dict) else output)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise DataError(f"the TF-Hub module in '{self._folder}' does not turn texts into a vector each")
        return vectors


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
