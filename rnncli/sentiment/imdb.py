"""The texts that are meant where none are named: TFDS' `imdb_reviews`, read, and prepared if need be.

Maas et al. 2011, "Learning Word Vectors for Sentiment Analysis".
"""

import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rnncli.datasets import PublicSet
from rnncli.errors import DataError

NAME = "imdb_reviews"
_SET = PublicSet(
    name=NAME,
    version="1.0.0",
    config="plain_text",
    url="http://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    sha256="c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
    instead="name labelled DATA",
)
_CLASSES = ("neg", "pos")
_SPLITS = {"train": _CLASSES, "test": _CLASSES, "unsupervised": ("unsup",)}  # of TFDS: folders of the archive


def read_imdb_reviews(data_dir: Path | None, split: str) -> Iterator[tuple[str, str]]:
    """Texts and labels of "train" or "test" in `data_dir` (TFDS' own if None). Raises DataError where it has none."""
    import tensorflow_datasets as tfds

    folder = _SET.ready(data_dir, write_imdb_reviews)
    source: Any = tfds.data_source(NAME, data_dir=folder, split=split)
    examples = source.__getitems__(range(len(source)))
    return ((example["text"].decode(), _CLASSES[example["label"]]) for example in examples)


def write_imdb_reviews(archive: Path, folder: Path) -> None:
    """Write the data set, as array_record, where TFDS looks for it, from the archive of its authors.

    Raises DataError where the archive is damaged, or the folder cannot be written.
    """
    import tensorflow_datasets as tfds

    label = tfds.features.ClassLabel(names=list(_CLASSES))
    features = tfds.features.FeaturesDict({"text": tfds.features.Text(), "label": label})
    with opened(archive):
        _SET.write(folder, features, {split: _reviews(archive, split) for split in _SPLITS})


@contextmanager
def opened(archive: Path) -> Iterator[None]:
    """Raises DataError where the block finds the archive damaged."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, TypeError, LookupError) as error:
        raise DataError(f"the archive of {NAME} is damaged ({error}); name labelled DATA instead") from error


def _reviews(path: Path, split: str) -> Iterator[dict[str, Any]]:
    """The reviews of a split, one file of the archive each; the unlabelled ones have label −1."""
    part = "train" if split == "unsupervised" else split
    folders = {f"aclImdb/{part}/{name}" for name in _SPLITS[split]}
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            folder, _, file = member.name.rpartition("/")
            content = archive.extractfile(member) if folder in folders and file.endswith(".txt") else None
            if content is not None:
                label = folder.rpartition("/")[2]
                yield {"text": content.read(), "label": _CLASSES.index(label) if label in _CLASSES else -1}
