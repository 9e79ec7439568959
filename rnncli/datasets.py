"""Public data sets in the form of TensorFlow Datasets, read and prepared without TensorFlow.

TFDS' own builders of the sets that are meant where no data is named need TensorFlow to prepare them; `write` makes the
same folders without.
"""

import contextlib
import hashlib
import io
import os
import tempfile
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from rnncli.errors import DataError

_DATA_DIR = "~/tensorflow_datasets"  # where TFDS looks
_PATIENCE = 20.0  # seconds without an answer
_PIECE = 2**20


@dataclass(frozen=True)
class PublicSet:
    """A data set of TFDS."""

    name: str
    version: str
    url: str
    sha256: str
    instead: str  # what a user can name in its place
    config: str | None = None  # of the several that TFDS has

    def ready(self, data_dir: Path | None, prepare: Callable[[Path, Path], None]) -> Path:
        """The folder of all data sets, with this one in it: `prepare(download, folder)` writes it where it is not.

        Raises DataError where it is there in a form that cannot be read, or cannot be fetched or written.
        """
        folder = self.folder(data_dir)
        if folder is None:
            folder = self.home(data_dir)
            with tempfile.TemporaryDirectory() as temporary:
                download = Path(temporary) / "download"
                self.fetch(download, folder)
                prepare(download, folder)
        return folder

    def folder(self, data_dir: Path | None) -> Path | None:
        """The folder of all data sets; None if this one is not in it. Raises DataError where it needs TensorFlow."""
        home = self.home(data_dir)
        place = home / self.name / (self.config or "") / self.version
        try:
            if list(place.glob("*.array_record*")):
                return home
            other = place.exists()
        except OSError as error:
            raise DataError(f"cannot read '{str(home)[:200]}': {error.strerror}; name another --data-dir") from error
        if other:
            raise DataError(
                f"'{home / self.name}' is not in the form of array_record, which alone can be read without "
                f"TensorFlow; name another --data-dir, and it is fetched and written there, or {self.instead}"
            )
        return None

    def home(self, data_dir: Path | None) -> Path:
        """The folder of all data sets, where this one is or goes: `data_dir`, TFDS' own folder if None."""
        return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or _DATA_DIR).expanduser()

    def fetch(self, target: Path, home: Path) -> None:
        """Download it to `target`, as `home` lacks it. Raises DataError where it cannot be had, or has another hash."""
        digest = hashlib.sha256()
        try:
            with urllib.request.urlopen(self.url, timeout=_PATIENCE) as answer, target.open("wb") as file:
                while piece := answer.read(_PIECE):
                    digest.update(piece)
                    file.write(piece)
        except (OSError, HTTPException) as error:
            raise DataError(
                f"{self.name} is not in '{home}' and could not be fetched ({getattr(error, 'reason', error)}); "
                f"{self.instead}, or a --data-dir that has it, or download {self.url} elsewhere and name what it holds"
            ) from error
        if digest.hexdigest() != self.sha256:
            raise DataError(f"what {self.url} gives is not {self.name}; {self.instead}")

    def write(self, home: Path, features: Any, splits: Mapping[str, Iterable[dict[str, Any]]]) -> None:
        """Write the examples of each split as array_record to the folder `home`. Raises DataError where that fails."""
        import tensorflow_datasets as tfds

        public = self

        class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            VERSION = tfds.core.Version(public.version)
            BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=public.config, version=VERSION)] if public.config else []
            name = public.name

            def _info(self) -> Any:
                return tfds.core.DatasetInfo(
                    builder=self, description=public.name, features=features, homepage=public.url
                )

            def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
                return {split: self._generate_examples(split) for split in splits}

            def _generate_examples(self, split: str) -> Any:
                for index, example in enumerate(splits[split]):
                    yield f"{split}-{index}", example

        tfds.disable_progress_bar()
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it tells its progress there
                Builder(data_dir=home, file_format="array_record").download_and_prepare()
        except OSError as error:
            raise DataError(f"cannot write {self.name} to '{home}': {error.strerror or error}") from error
