"""What a checkpoint says of itself: its metadata, read without what reads arrays.

A checkpoint is a folder with numbered steps, as Orbax writes it, or a file of safetensors, as `export` does.
"""

import json
from pathlib import Path
from typing import Any

from rnncli.errors import CheckpointError, ParameterError

SCHEMA = 3  # since 2 a state knows its devices; since 3 a text classifier's layers stand below `encoder`
METADATA = "_CHECKPOINT_METADATA"  # what Orbax writes into the folder of each step
SUFFIX = ".safetensors"
HEADER = "rnncli"  # the entry of a file's header that has the metadata


def saved_steps(folder: Path) -> list[Path]:
    """The folders of the whole steps in a checkpoint; none where there is no checkpoint."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.name.isdigit() and (path / METADATA).is_file()]


def is_exported(path: Path) -> bool:
    """Whether a checkpoint is a file of safetensors."""
    return path.suffix.lower() == SUFFIX and path.is_file()


def latest_step(folder: Path, task: str = "TASK") -> Path:
    """The folder of the latest whole step. Raises CheckpointError: there is none."""
    if folder.is_file():
        raise CheckpointError(f"'{folder}' is a file, not a checkpoint folder; choose another `checkpoint`")
    steps = saved_steps(folder)
    if not steps:
        raise CheckpointError(
            f"no checkpoint in '{folder}'; make one with 'rnncli {task} train … --checkpoint {folder}'"
        )
    return max(steps, key=lambda step: int(step.name))


def stored(path: Path, task: str = "TASK") -> dict[str, Any]:
    """The metadata of a checkpoint of any task.

    Raises CheckpointError: there is none, it is damaged, or a newer version of the program wrote it.
    """
    try:
        if is_exported(path):
            metadata = json.loads(_header(path)[HEADER])
        else:
            metadata = json.loads((latest_step(path, task) / METADATA).read_text())["custom_metadata"]
        _ = metadata["schema"], metadata["task"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"the entry {HEADER!r} of its header" if is_exported(path) else METADATA
        raise CheckpointError(f"the checkpoint in '{path}' is damaged: {what} cannot be read") from error
    if metadata["schema"] > SCHEMA:
        schema = metadata["schema"]
        raise CheckpointError(f"the checkpoint in '{path}' was written by a newer rnncli (schema {schema}); upgrade")
    return metadata


def read_metadata(path: Path, task: str) -> dict[str, Any]:
    """The metadata of a checkpoint, which must be one of `task`; raises CheckpointError as `stored` does."""
    metadata = stored(path, task)
    if metadata["task"] != task:
        kind = metadata["task"]
        raise CheckpointError(f"'{path}' holds a checkpoint of {kind}, not of {task}; choose another `checkpoint`")
    return metadata


def task_of(path: Path) -> str:
    """The task of a checkpoint. Raises CheckpointError: there is none, or it is damaged."""
    return stored(path)["task"]


def safetensors() -> Any:
    """The library. Raises ParameterError: it is not installed."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ParameterError(f"{SUFFIX} needs a library: pip install 'rnncli[export]'") from error
    import safetensors as library

    return library


def _header(path: Path) -> dict[str, str]:
    """The texts in the header of a file. Raises ValueError: it is no such file."""
    library = safetensors()
    try:
        with library.safe_open(path, "numpy") as file:
            return file.metadata() or {}
    except library.SafetensorError as error:
        raise ValueError(str(error)) from error
