"""Writing checkpoints: one folder a model, written by Orbax, whole or absent.

A folder holds numbered steps with two items or more, `best` (the parameters that predict) and, while there is something
to resume, `state` (a whole `TrainState`); configuration and all else that prediction needs are JSON in its metadata.
Nothing that prediction needs is a path, so moving the folder moves the model; `source` says how the data was named, for
a training that goes on. Items are flat: leaf name → array. What reads them brings the structure along, and need not
know how the optimizer that wrote them was built.

A save writes a new step under a hidden name, with digests of all that it holds; syncs it; renames it; syncs the folder;
and only then removes the step before the last. A training leaves one step, and two where it was killed. One process
writes to a folder at a time; readers need no lock, as a step that has its name never changes.

A model that predicts may also be one file of safetensors, with the same metadata in its header.
"""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from orbax.checkpoint import v1 as ocp

from rnncli.durable import Lock, holder_of, put_in_place, remove_folder
from rnncli.errors import CheckpointError
from rnncli.files import whole_file
from rnncli.training import processes
from rnncli.training.orbax import plain_path, quiet, reason_of
from rnncli.training.restoring import STATE, Checkpoint, described, flat_of, held_of, open_checkpoint
from rnncli.training.settings import Saving
from rnncli.training.stored import DIGESTS, HEADER, SCHEMA, metadata_digest, metadata_in, safetensors, saved_steps

_FREE = {"epochs", "patience", "accumulate", "remat"}  # settings that may change while a training goes on
SAVING = ".saving-"  # how the name of a step begins that is being written
_KEPT = 2  # steps, while training


def resumable(folder: Path, task: str, current: dict[str, Any]) -> Checkpoint | None:
    """The checkpoint that a run with the metadata `current` can go on with; None if none was saved.

    A run may go on for more or fewer epochs, or with another patience, than it was begun with.

    Raises CheckpointError: it is damaged, or was trained on other data or with another configuration.
    """
    if not saved_steps(folder):
        return None
    checkpoint = open_checkpoint(folder, task, [STATE])
    metadata = checkpoint.metadata
    if metadata["data"] != current["data"]:
        raise CheckpointError(f"'{folder}' was trained on other data; resume with the same data")
    changed = [
        f"`{name}` {was} → {now}"
        for name, was in metadata["config"].items()
        if (now := current["config"].get(name)) != was and name not in _FREE
    ]
    if changed:
        raise CheckpointError(f"cannot resume '{folder}' with another configuration: {', '.join(changed)}")
    return checkpoint


def check_folder(saving: Saving) -> None:
    """Refuse, before the work, a folder that `CheckpointWriter` would refuse.

    Raises CheckpointError: the folder holds a checkpoint or something else, is in use, or cannot be written.
    """
    folder = saving.checkpoint
    if folder is None or not processes.first():
        return
    _check(folder, saving)
    place = next((path for path in (folder.absolute(), *folder.absolute().parents) if os.path.exists(path)), None)  # noqa: PTH110
    if place is None or not (place.is_dir() and os.access(place, os.W_OK)):
        raise CheckpointError(f"cannot write to '{folder}': '{place}' is no folder that you may write to")
    if (holder := holder_of(folder)) is not None:
        raise _in_use(folder, holder)


def _check(folder: Path, saving: Saving) -> None:
    """Refuse what is in the folder, unless somebody said what to do with it."""
    if os.path.exists(folder):  # noqa: PTH110 - Path.exists raises where a name is too long
        _check_free(folder, wanted=saving.overwrite or saving.resume)
        if saved_steps(folder) and not (saving.overwrite or saving.resume):
            raise CheckpointError(
                f"'{folder}' already holds a checkpoint; go on with `resume`, replace it with `overwrite`, "
                "or choose another `checkpoint`"
            )


class CheckpointWriter:
    """Saves to a folder again and again; nobody else may meanwhile."""

    def __init__(self, saving: Saving):
        """Claim the folder. A checkpoint that is in it is refused unless `overwrite` or `resume` says what to do.

        Raises CheckpointError: the folder holds a checkpoint or something else, is in use, or cannot be written.
        """
        assert saving.checkpoint is not None
        check_folder(saving)
        self.folder = folder = saving.checkpoint
        self._made = _make(folder)
        self._lock = _locked(folder)
        self._closed = False
        try:
            _check(folder, saving)  # somebody may have saved there since
        except CheckpointError:
            self._lock.release()
            raise
        for left in folder.glob(".*"):
            if left.name.startswith(SAVING) or left.name.endswith(".removed"):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
        steps = sorted(saved_steps(folder), key=lambda step: int(step.name))
        self._step = int(steps[-1].name) if steps else 0
        # the steps that are worth keeping: what this training goes on from, and what it saves
        self._own = [steps[-1].name] if steps and saving.resume else []
        self._saves = 0

    def go_on_from(self, step: Path) -> None:
        """Training goes on from that step; a later one is damaged."""
        self._own = [step.name]

    def save(self, metadata: dict[str, Any], **items: Any) -> None:
        """Write the items (pytrees of arrays) and the metadata (JSON types); what was saved last stays, too.

        Raises CheckpointError: there is no room, or no permission. What was saved before is as it was.
        """
        self._step += 1
        processes.agreed(self._step)  # which the others do not know
        flat = {name: held_of(tree) for name, tree in items.items()}
        temporary = self.folder / f"{SAVING}{self._step}"
        try:
            _write(temporary, metadata, flat)
            put_in_place(temporary, self.folder / str(self._step))
        except CheckpointError:
            raise
        except BaseException as error:  # Orbax raises what it runs into
            for left in self.folder.glob(f"{SAVING}*"):
                remove_folder(left)
            if not isinstance(error, Exception):
                raise
            size = sum(leaf.nbytes for leaves in flat.values() for leaf in leaves.values()) / 1e6
            told = f"cannot save to '{self.folder}': {reason_of(error)}; a checkpoint takes {size:.1f} MB"
            before = "; what was saved before is whole" if saved_steps(self.folder) else ""
            raise CheckpointError(told + before) from error
        self._saved()
        processes.agreed(0)  # it has its name: the others may end

    def copy(self, step: Path) -> None:
        """Take over a step of another checkpoint. Raises CheckpointError: it is damaged, or cannot be written."""
        metadata_in(step)
        self._step += 1
        temporary = self.folder / f"{SAVING}{self._step}"
        try:
            shutil.copytree(step, temporary)
            put_in_place(temporary, self.folder / str(self._step))
        except OSError as error:
            remove_folder(temporary)
            raise CheckpointError(f"cannot save to '{self.folder}': {reason_of(error)}") from error
        self._saved()

    def close(self) -> None:
        """Keep the step that was saved last alone, and let others write to the folder."""
        if self._closed:
            return
        self._closed = True
        if self._saves:
            self._keep(1)
        self._lock.release()
        if self._made and not saved_steps(self.folder):
            with suppress(OSError):
                self.folder.rmdir()

    def _saved(self) -> None:
        self._saves += 1
        self._own.append(str(self._step))
        self._keep(_KEPT)

    def _keep(self, count: int) -> None:
        """Remove all steps but the last ones of this training."""
        for step in saved_steps(self.folder):
            if step.name not in self._own[-count:]:
                remove_folder(step)


class TakesPart:
    """What the other processes do while the first one saves: they write their parts of arrays that all share."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, metadata: dict[str, Any], **items: Any) -> None:
        """See `CheckpointWriter.save`."""
        (step,) = processes.agreed(0)
        flat = {name: held_of(tree) for name, tree in items.items()}
        try:
            _write(self.folder / f"{SAVING}{step}", metadata, flat)
        except Exception as error:  # Orbax raises what it runs into
            raise CheckpointError(f"cannot save to '{self.folder}': {reason_of(error)}") from error
        processes.agreed(0)

    def go_on_from(self, step: Path) -> None:
        """The first process knows."""

    def close(self) -> None:
        """There is nothing to give back."""


def _write(temporary: Path, metadata: dict[str, Any], flat: dict[str, Any]) -> None:
    try:
        with quiet(), plain_path(temporary.parent) as path:
            ocp.save_checkpointables(f"{path}/{temporary.name}", flat, custom_metadata=_signed(metadata, flat))
    except Exception as error:
        processes.heed(error)
        raise


def save_model(folder: Path, metadata: dict[str, Any], *, overwrite: bool = False, **items: Any) -> None:
    """Write a model that predicts and is trained no further.

    Raises CheckpointError: the folder holds something, unless it is to be overwritten, or cannot be written.
    """
    writer = CheckpointWriter(Saving(checkpoint=folder, overwrite=overwrite))
    try:
        writer.save(metadata, **items)
    finally:
        writer.close()


def export_model(path: Path, metadata: dict[str, Any], **items: Any) -> None:
    """Write a model that predicts into one file of safetensors; `open_checkpoint` reads it like a folder.

    Raises CheckpointError: the file cannot be written. Raises ParameterError: the library is not installed.
    """
    library = safetensors()
    flat = {name: {leaf: np.asarray(each) for leaf, each in flat_of(tree).items()} for name, tree in items.items()}
    tensors = {f"{item}/{name}": leaf for item, leaves in flat.items() for name, leaf in leaves.items()}
    header = {HEADER: json.dumps(_signed(metadata, flat), allow_nan=False), "format": "flax"}
    try:
        with whole_file(path) as temporary:
            library.numpy.save_file(tensors, temporary, header)
    except (OSError, library.SafetensorError) as error:
        raise CheckpointError(f"cannot write '{path}': {reason_of(error)}") from error


def _signed(metadata: dict[str, Any], items: dict[str, Any]) -> dict[str, Any]:
    """The metadata as they will be read, with the digests of the items and of themselves."""
    own = {name: value for name, value in metadata.items() if name != DIGESTS}
    told = json.loads(json.dumps({"schema": SCHEMA, **own}))
    told["schema"], told[DIGESTS] = SCHEMA, {name: described(flat) for name, flat in items.items()}
    told[DIGESTS]["metadata"] = metadata_digest(told)
    return told


def _make(folder: Path) -> bool:
    """Whether the folder was not there, and is now. Raises CheckpointError: it cannot be made."""
    if folder.is_dir():
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot write to '{str(folder)[:_LONG]}': {error.strerror}") from error
    return True


_LONG = 200  # characters of a name in a message


def _locked(folder: Path) -> Lock:
    try:
        return Lock(folder)
    except BlockingIOError as error:
        raise _in_use(folder, error.args[1]) from error
    except OSError as error:
        raise CheckpointError(f"cannot write to '{folder}': {error.strerror}") from error


def _in_use(folder: Path, holder: str) -> CheckpointError:
    whose = f" by process {holder}" if holder else ""
    return CheckpointError(f"'{folder}' is being written{whose}; wait for its end, or choose another `checkpoint`")


def _check_free(folder: Path, *, wanted: bool) -> None:
    """Refuse a folder of something else, all the more one with numbered folders: they could be taken for steps.

    Beside a checkpoint, or where the user says that this is its folder, other files do no harm.
    """
    if not folder.is_dir():
        raise CheckpointError(f"'{folder}' is a file, not a checkpoint folder; choose another `checkpoint`")
    whole = {step.name for step in saved_steps(folder)}
    for path in sorted(folder.iterdir()):
        ours = path.name in whole or path.name.startswith(".")
        if not ours and (path.name.isdigit() or not (whole or wanted)):
            raise CheckpointError(
                f"'{folder}' is no checkpoint folder: it holds '{path.name}'; choose another `checkpoint`"
            )
