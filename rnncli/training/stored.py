"""What a checkpoint says of itself: its metadata, read without what reads arrays.

A checkpoint is a folder with numbered steps, as Orbax writes them, or a file of safetensors, as `export` does. Its
metadata carry digests of themselves and of every item; a step that does not agree with them is damaged. The steps
before it are whole, if there are any: a training keeps two.
"""

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rnncli.errors import CheckpointError, DamageWarning, ParameterError

SCHEMA = 4  # since 4 there are digests
METADATA = "_CHECKPOINT_METADATA"  # what Orbax writes into the folder of each step
SUFFIX = ".safetensors"
HEADER = "rnncli"  # the entry of a file's header that has the metadata
DIGESTS = "digests"  # the entry of the metadata that has the digests of the items, and that of the others
_MOST_BYTES = 2**28  # of metadata; those of a vocabulary of a million words have 2**24

Found = TypeVar("Found")


def saved_steps(folder: Path) -> list[Path]:
    """The folders of the whole steps in a checkpoint; none where there is no checkpoint."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.name.isdigit() and (path / METADATA).is_file()]


def is_exported(path: Path) -> bool:
    """Whether a checkpoint is a file of safetensors."""
    return path.suffix.lower() == SUFFIX and path.is_file()


def from_latest(folder: Path, task: str, read: Callable[[Path], Found]) -> Found:
    """What `read` finds in the latest step that it can read.

    A step that is damaged is passed over with a warning, if there is another. While a training saves, steps come and
    go: one that goes while it is read has a later one behind it.

    Raises CheckpointError: there is no checkpoint, or what `read` raises of the latest step.
    """
    if folder.is_file():
        raise CheckpointError(f"'{folder}' is a file, not a checkpoint folder; choose another `checkpoint`")
    failed: dict[str, Damaged] = {}
    while True:
        steps = {step.name: step for step in saved_steps(folder)}
        names = sorted(steps.keys() - failed.keys(), key=int, reverse=True)
        if not names and failed:
            raise failed[max(failed, key=int)]
        if not names:
            raise CheckpointError(
                f"no checkpoint in '{folder}'; make one with 'rnncli {task} train … --checkpoint {folder}'"
            )
        try:
            found = read(steps[names[0]])
        except Damaged as error:
            failed[names[0]] = error
            continue
        damaged = [name for name in failed if (folder / name).is_dir()]
        if damaged:
            told = f"{failed[max(damaged, key=int)]}; what was saved before it is used"
            warnings.warn(told, DamageWarning, stacklevel=3)
        return found


class Damaged(CheckpointError):
    """A step, or a file, is not what was saved."""


def damaged(path: Path, what: str) -> Damaged:
    """The error that says so; `path` is that of a step or of a file."""
    return Damaged(f"the checkpoint in '{path if path.is_file() else path.parent}' is damaged: {what}")


def stored(path: Path, task: str = "TASK") -> dict[str, Any]:
    """The metadata of a checkpoint of any task.

    Raises CheckpointError: there is none, it is damaged, or another version of the program wrote it.
    """
    return metadata_in(path) if is_exported(path) else from_latest(path, task, metadata_in)


def metadata_in(path: Path) -> dict[str, Any]:
    """The metadata of one step, or of an exported file. Raises CheckpointError as `stored` does."""
    exported = is_exported(path)
    what = f"the entry {HEADER!r} of its header" if exported else METADATA
    try:
        if exported:
            metadata = json.loads(_header(path)[HEADER])
        else:
            file = path / METADATA
            if file.stat().st_size > _MOST_BYTES:
                raise ValueError(f"more than {_MOST_BYTES:,} bytes")
            metadata = json.loads(file.read_text(encoding="utf-8"))["custom_metadata"]
        schema, task = metadata["schema"], metadata["task"]
        if not isinstance(schema, int) or not isinstance(task, str):
            raise TypeError("schema, task")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(path, f"{what} cannot be read") from error
    if schema != SCHEMA:
        folder = path if exported else path.parent
        if schema > SCHEMA:
            newer = f"was written by a newer rnncli (schema {schema}); upgrade"
            raise CheckpointError(f"the checkpoint in '{folder}' {newer}")
        raise CheckpointError(f"'{folder}' was saved by an earlier rnncli; train anew with `overwrite`")
    digests = metadata.get(DIGESTS)
    if not isinstance(digests, dict) or digests.get("metadata") != metadata_digest(metadata):
        raise damaged(path, f"{what} is not what was saved")
    return metadata


def metadata_digest(metadata: dict[str, Any]) -> str:
    """The BLAKE2b digest of all metadata but that digest itself."""
    digests = {name: each for name, each in metadata.get(DIGESTS, {}).items() if name != "metadata"}
    text = json.dumps({**metadata, DIGESTS: digests}, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def read_metadata(path: Path, task: str) -> dict[str, Any]:
    """The metadata of a checkpoint, which must be one of `task`; raises CheckpointError as `stored` does."""
    return of_task(stored(path, task), path, task)


def of_task(metadata: dict[str, Any], path: Path, task: str) -> dict[str, Any]:
    """The metadata. Raises CheckpointError: they are of another task."""
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
