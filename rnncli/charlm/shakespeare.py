"""The text that is meant where none is named: TFDS' `tiny_shakespeare`, read, and prepared if need be.

TFDS' own builder needs TensorFlow to prepare it; the one below writes the same data set without.
"""

import contextlib
import hashlib
import io
import os
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

from rnncli.errors import DataError

NAME = "tiny_shakespeare"
URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
_SPLITS = ("train", "validation", "test")  # nine tenths, a twentieth, a twentieth, in the order of the text
_DATA_DIR = "~/tensorflow_datasets"  # where TFDS looks
_PATIENCE = 20.0  # seconds


def read_tiny_shakespeare(data_dir: Path | None) -> Iterator[bytes]:
    """The three parts, in the order of the text, from `data_dir` (TFDS' own folder if None).

    Raises:
        DataError: it is not there, and cannot be fetched.
    """
    import tensorflow_datasets as tfds

    folder = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or _DATA_DIR).expanduser()
    if not list(folder.glob(f"{NAME}/1.*/*.array_record*")):
        if (folder / NAME).exists():
            raise DataError(
                f"'{folder / NAME}' is not in the form of array_record, which alone can be read without TensorFlow; "
                "name another --data-dir, and it is fetched and written there, or name a TEXT"
            )
        _prepare(folder)
    source: Any = tfds.data_source(NAME, data_dir=folder, split=list(_SPLITS))
    for part in source:
        yield part[0]["text"]


def _prepare(folder: Path) -> None:
    try:
        with urllib.request.urlopen(URL, timeout=_PATIENCE) as answer:
            text = answer.read()
    except (OSError, HTTPException) as error:
        raise DataError(
            f"tiny_shakespeare is not in '{folder}' and could not be fetched ({getattr(error, 'reason', error)}); "
            f"name a TEXT, or a --data-dir that has it, or download {URL} elsewhere and name that file"
        ) from error
    if hashlib.sha256(text).hexdigest() != SHA256:
        raise DataError(f"what {URL} gives is not tiny Shakespeare; name a TEXT instead")
    write_tiny_shakespeare(text, folder)


def write_tiny_shakespeare(text: bytes, folder: Path) -> None:
    """Write the data set, as array_record, where TFDS looks for it.

    Raises:
        DataError: the folder cannot be written.
    """
    import tensorflow_datasets as tfds

    train, validation = int(len(text) * 0.9), int(len(text) * 0.95)
    parts: dict[str, bytes] = dict(zip(_SPLITS, (text[:train], text[train:validation], text[validation:]), strict=True))

    class TinyShakespeare(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        name = NAME

        def _info(self) -> Any:
            features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
            return tfds.core.DatasetInfo(builder=self, description="tiny Shakespeare", features=features, homepage=URL)

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            return {name: self._generate_examples(name) for name in parts}

        def _generate_examples(self, split: str) -> Any:
            yield split, {"text": parts[split]}

    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it tells its progress there
            TinyShakespeare(data_dir=folder, file_format="array_record").download_and_prepare()
    except OSError as error:
        raise DataError(f"cannot write tiny_shakespeare to '{folder}': {error.strerror or error}") from error
