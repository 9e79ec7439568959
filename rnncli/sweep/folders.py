"""The folders of a sweep: one of its trainings, and that of the best model."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnncli.errors import CheckpointError
from rnncli.training.checkpoint import CheckpointWriter
from rnncli.training.settings import Saving
from rnncli.training.stored import from_latest, saved_steps

SUFFIX = ".sweep"  # of the folder with the trainings, beside that of the best model


@contextmanager
def place_of(saving: Saving) -> Iterator[Path]:
    """The folder of the trainings: one that stays beside the model's, else one that goes.

    What `overwrite` replaces comes back where nothing takes its place.
    """
    if saving.checkpoint is None:
        with tempfile.TemporaryDirectory(prefix="rnncli-sweep-") as temporary:
            yield Path(temporary)
        return
    model = saving.checkpoint if saving.checkpoint.name not in ("", "..") else saving.checkpoint.resolve()
    place = model.with_name(model.name + SUFFIX)
    before = place.with_name(f".{place.name}")
    if before.exists() and not place.exists():  # a sweep that was to replace it came to nothing, and was killed
        before.rename(place)
    if place.exists() and not (saving.resume or saving.overwrite):
        raise CheckpointError(
            f"'{place}' already holds trainings of a sweep; go on with `resume`, or replace them with `overwrite`"
        )
    if saving.resume and not place.exists() and saved_steps(model):
        raise CheckpointError(f"'{model}' holds a model of no sweep; `resume` it alone, or choose another `checkpoint`")
    if saving.overwrite and place.exists():
        shutil.rmtree(before, ignore_errors=True)
        place.rename(before)
    try:
        yield place
    finally:
        if before.exists() and not place.exists():
            before.rename(place)
        shutil.rmtree(before, ignore_errors=True)


def keep(folder: Path, writer: CheckpointWriter) -> None:
    """Put a copy of a checkpoint's latest step into another; what it held before goes, other files stay."""
    from_latest(folder, "TASK", writer.copy)
    writer.close()
