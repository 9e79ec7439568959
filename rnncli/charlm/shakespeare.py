"""The text that is meant where none is named: TFDS' `tiny_shakespeare`, read, and prepared if need be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnncli.datasets import PublicSet

NAME = "tiny_shakespeare"
_SET = PublicSet(
    name=NAME,
    version="1.0.0",
    url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    instead="name a TEXT",
)
_SPLITS = ("train", "validation", "test")  # nine tenths, a twentieth, a twentieth, in the order of the text


def read_tiny_shakespeare(data_dir: Path | None) -> Iterator[bytes]:
    """The three parts in order, from `data_dir` (TFDS' own if None). Raises DataError where they cannot be had."""
    import tensorflow_datasets as tfds

    folder = _SET.ready(data_dir, lambda text, home: write_tiny_shakespeare(text.read_bytes(), home))
    source: Any = tfds.data_source(NAME, data_dir=folder, split=list(_SPLITS))
    for part in source:
        yield part[0]["text"]


def write_tiny_shakespeare(text: bytes, folder: Path) -> None:
    """Write the data set, as array_record, where TFDS looks for it. Raises DataError where that cannot be written."""
    import tensorflow_datasets as tfds

    train, validation = int(len(text) * 0.9), int(len(text) * 0.95)
    parts = (text[:train], text[train:validation], text[validation:])
    features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
    _SET.write(folder, features, {name: [{"text": part}] for name, part in zip(_SPLITS, parts, strict=True)})
