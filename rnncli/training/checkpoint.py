"""Checkpoints: one folder a model, written by Orbax, whole or absent.

A folder holds one numbered step with two items, `best` (the parameters that predict) and, while there is something
to resume, `state` (a whole `TrainState`); configuration and all else that prediction needs are JSON in its metadata.
Nothing that prediction needs is a path, so moving the folder moves the model; `source` says how the data was named, for
a training that goes on. Items are flat: leaf name → array. What reads them brings the structure along, and need not
know how the optimizer that wrote them was built.

A model that predicts may also be one file of safetensors, with the same metadata in its header.

A save writes a new step, which appears by an atomic rename, and only then removes the old one.
"""

import json
import logging
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging as absl_logging
from orbax.checkpoint import v1 as ocp

from rnncli.errors import CheckpointError
from rnncli.files import whole_file
from rnncli.training.loop import leaf_name
from rnncli.training.settings import Saving
from rnncli.training.stored import HEADER, SCHEMA, is_exported, latest_step, read_metadata, safetensors, saved_steps

_FREE = {"epochs", "patience"}  # settings that may change while a training goes on
_UNFINISHED = ".orbax-checkpoint-tmp"
_PLAIN = re.compile(r"[\w /.,:;@=+~-]*", re.ASCII)  # paths that Orbax and TensorStore take as they are


def resumable(folder: Path, task: str, current: dict[str, Any]) -> dict[str, Any] | None:
    """The metadata of a checkpoint that a run with the metadata `current` can go on with; None if none was saved.

    A run may go on for more or fewer epochs, or with another patience, than it was begun with.

    Raises CheckpointError: it is damaged, or was trained on other data or with another configuration.
    """
    if not saved_steps(folder):
        return None
    metadata = read_metadata(folder, task)
    if metadata["schema"] < SCHEMA:
        raise CheckpointError(
            f"'{folder}' was saved by an earlier rnncli, whose trainings cannot go on; train anew with `overwrite`"
        )
    if metadata["data"] != current["data"]:
        raise CheckpointError(f"'{folder}' was trained on other data; resume with the same data")
    changed = [
        f"`{name}` {was} → {now}"
        for name, was in metadata["config"].items()
        if (now := current["config"].get(name)) != was and name not in _FREE
    ]
    if changed:
        raise CheckpointError(f"cannot resume '{folder}' with another configuration: {', '.join(changed)}")
    return metadata


class CheckpointWriter:
    """Saves to a folder again and again, keeping the latest."""

    def __init__(self, saving: Saving):
        """Claim the folder. A checkpoint that is in it is refused unless `overwrite` or `resume` says what to do.

        Raises CheckpointError: the folder holds a checkpoint or something else, or cannot be written.
        """
        assert saving.checkpoint is not None
        self.folder = folder = saving.checkpoint
        if os.path.exists(folder):  # noqa: PTH110 - Path.exists raises where a name is too long
            _check_free(folder, wanted=saving.overwrite or saving.resume)
            if saved_steps(folder) and not (saving.overwrite or saving.resume):
                raise CheckpointError(
                    f"'{folder}' already holds a checkpoint; go on with `resume`, replace it with `overwrite`, "
                    "or choose another `checkpoint`"
                )
        place = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.exists(path))  # noqa: PTH110
        if not (place.is_dir() and os.access(place, os.W_OK)):
            raise CheckpointError(f"cannot write to '{folder}': '{place}' is no folder that you may write to")
        self._writer: Any = None  # opened with the first save, as that makes the folder
        self._path = ExitStack()
        self._step = max((int(step.name) for step in saved_steps(folder)), default=0)

    def save(self, metadata: dict[str, Any], **items: Any) -> None:
        """Write the items (pytrees of arrays) and the metadata (JSON types); the previous ones go afterwards."""
        self._step += 1
        flat = {name: _flat(tree) for name, tree in items.items()}
        with _quiet(), _reported(f"cannot save to '{self.folder}'"):
            if self._writer is None:
                self._writer = _open(self._path.enter_context(_plain_path(self.folder, make=True)))
            self._writer.save_checkpointables(
                self._step, flat, custom_metadata={"schema": SCHEMA, **metadata}, force=True
            )

    def close(self) -> None:
        """Wait until all is on disk."""
        if self._writer is None:
            return
        with _quiet(), _reported(f"cannot save to '{self.folder}'"), self._path:
            self._writer.close()


def save_model(folder: Path, metadata: dict[str, Any], *, overwrite: bool = False, **items: Any) -> None:
    """Write a model that predicts and is trained no further.

    Raises CheckpointError: the folder holds something, unless it is to be overwritten, or cannot be written.
    """
    writer = CheckpointWriter(Saving(checkpoint=folder, overwrite=overwrite))
    writer.save(metadata, **items)
    writer.close()


@contextmanager
def _plain_path(folder: Path, *, make: bool = False) -> Iterator[str]:
    """The folder's absolute path; where that has characters that Orbax reads as a pattern, one that links to it."""
    path = str(folder.absolute())
    if _PLAIN.fullmatch(path):
        yield path
        return
    if make:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rnncli-") as temporary:
        if not _PLAIN.fullmatch(temporary):
            raise CheckpointError(f"cannot use '{folder}' below TMPDIR '{temporary}': both have unusual characters")
        link = Path(temporary) / "checkpoint"
        link.symlink_to(path)
        yield str(link)


def _open(path: str) -> Any:
    """Orbax' writer: every save is wanted, and only the latest is kept."""
    training: Any = ocp.training
    return training.Checkpointer(
        path,
        save_decision_policy=training.save_decision_policies.FixedIntervalPolicy(1),
        preservation_policy=training.preservation_policies.LatestN(1),
    )


def restore(folder: Path, task: str, item: str, like: Any, renamed: Mapping[str, str] = {}) -> Any:
    """The item as a pytree of the structure, shapes and types of `like`.

    `renamed` says which beginnings of the leaves' names stand in the checkpoint for today's.

    Raises CheckpointError: it is not there, is damaged, or has other leaves than `like`.
    """
    template = {_then(name, renamed): np.empty(leaf.shape, leaf.dtype) for name, leaf in _flat(like).items()}
    flat = _exported(folder, item, template) if is_exported(folder) else _saved(folder, task, item, template)
    leaves = [_same(folder, name, flat[name], wanted) for name, wanted in template.items()]
    # put there as they are: `jnp.asarray` would compile a program for each shape; float64 stays NumPy's, unrounded
    placed = [leaf if leaf.dtype == np.float64 else jax.device_put(leaf) for leaf in leaves]
    return jax.tree.unflatten(jax.tree.structure(like), placed)


def _saved(folder: Path, task: str, item: str, template: dict[str, np.ndarray]) -> dict[str, Any]:
    step = latest_step(folder, task)
    if not (step / item).is_dir():
        raise CheckpointError(f"the checkpoint in '{folder}' has no {item} to go on from; train with `overwrite`")
    with _quiet(), _reported(f"the checkpoint in '{folder}' is damaged"), _plain_path(step) as path:
        return ocp.load_checkpointables(path, {item: template})[item]


def _exported(path: Path, item: str, template: dict[str, np.ndarray]) -> dict[str, Any]:
    library = safetensors()
    try:
        with library.safe_open(path, "numpy") as file:
            return {name: file.get_tensor(f"{item}/{name}") for name in template}
    except (OSError, library.SafetensorError) as error:
        raise CheckpointError(f"the checkpoint in '{path}' is damaged: {error}") from error


def export_model(path: Path, metadata: dict[str, Any], **items: Any) -> None:
    """Write a model that predicts into one file of safetensors; `restore` reads it like a folder.

    Raises CheckpointError: the file cannot be written. Raises ParameterError: the library is not installed.
    """
    library = safetensors()
    tensors = {f"{item}/{name}": np.asarray(leaf) for item, tree in items.items() for name, leaf in _flat(tree).items()}
    header = {HEADER: json.dumps({"schema": SCHEMA, **metadata}, allow_nan=False), "format": "flax"}
    with _reported(f"cannot write '{path}'"), whole_file(path) as temporary:
        library.numpy.save_file(tensors, temporary, header)


def _then(name: str, renamed: Mapping[str, str]) -> str:
    """The name that a leaf had."""
    now = next((now for now in renamed if name.startswith(now)), "")
    return renamed[now] + name.removeprefix(now) if now else name


def _same(folder: Path, name: str, stored: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    if stored.shape != wanted.shape or stored.dtype != wanted.dtype:
        raise CheckpointError(
            f"the checkpoint in '{folder}' is damaged: {name} is {stored.dtype}{list(stored.shape)}, "
            f"not {wanted.dtype}{list(wanted.shape)}"
        )
    return stored


def _flat(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {leaf_name(path): leaf for path, leaf in leaves}


def _check_free(folder: Path, *, wanted: bool) -> None:
    """Refuse a folder of something else, all the more one with numbered folders: Orbax would take them for its own.

    Beside a checkpoint, or where the user says that this is its folder, other files do no harm. A numbered folder
    below the latest whole step is what is left of one whose removal was cut short.
    """
    if not folder.is_dir():
        raise CheckpointError(f"'{folder}' is a file, not a checkpoint folder; choose another `checkpoint`")
    latest = max((int(step.name) for step in saved_steps(folder)), default=-1)
    whole = {step.name for step in saved_steps(folder)}
    for path in sorted(folder.iterdir()):
        ours = path.name in whole or path.name.endswith(_UNFINISHED) or path.name.startswith(".")
        if ours or (not path.name.isdigit() and (whole or wanted)):
            continue
        if not path.name.isdigit() or int(path.name) > latest:
            raise CheckpointError(
                f"'{folder}' is no checkpoint folder: it holds '{path.name}'; choose another `checkpoint`"
            )
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Orbax raises what matters, and spills it over warnings and logs as well."""
    hook, verbosity = sys.unraisablehook, absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.FATAL)
    sys.unraisablehook = lambda _: None
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        absl_logging.set_verbosity(verbosity)
        sys.unraisablehook = hook


@contextmanager
def _reported(what: str) -> Iterator[None]:
    """Orbax' exceptions as one line; the reason stands at the end of their chain of causes."""
    try:
        yield
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
        first = (reason.splitlines() or [type(cause).__name__])[0][:200]
        raise CheckpointError(f"{what}: {first}") from error
