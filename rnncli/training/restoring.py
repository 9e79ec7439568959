"""Reading checkpoints: metadata and arrays of one step, which are what was saved, bit for bit, or are not read."""

import functools
import hashlib
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from rnncli.errors import CheckpointError, ParameterError
from rnncli.training.layout import gathered, is_own
from rnncli.training.orbax import plain_path, quiet, reason_of
from rnncli.training.step import leaf_name
from rnncli.training.stored import DIGESTS, damaged, from_latest, is_exported, metadata_in, of_task, safetensors

STATE = "state"  # the item that training goes on from; prediction does without it
_THREADS = 2  # that compute digests

Flat = dict[str, Any]  # leaf name → array
Parameters = ParamSpec("Parameters")
Loaded = TypeVar("Loaded")


class Checkpoint:
    """One step of a checkpoint, or an exported file: its metadata, and the items that were read."""

    def __init__(self, path: Path, metadata: dict[str, Any]):
        """`path` is that of a step or of a file."""
        self.path, self.metadata = path, metadata
        self._items: dict[str, Flat] = {}

    @property
    def saved(self) -> Collection[str]:
        """The names of the items."""
        return [name for name in self.metadata[DIGESTS] if name != "metadata"]

    def read(self, item: str) -> None:
        """Read an item, and compare it with its digest. Raises CheckpointError: it is not there, or is damaged."""
        folder = self.path if self.path.is_file() else self.path.parent
        if item not in self.saved:
            raise CheckpointError(f"the checkpoint in '{folder}' has no {item} to go on from; train with `overwrite`")
        try:
            saved = self.metadata[DIGESTS][item]
            template = {name: np.empty(shape, dtype) for name, (dtype, shape) in saved["leaves"].items()}
            wanted = saved["digest"]
        except (TypeError, ValueError, KeyError, AttributeError, MemoryError, OverflowError) as error:
            raise damaged(self.path, f"what it says of {item}") from error
        if self.path.is_file():
            flat = self._exported(item, template)
        else:
            try:
                with quiet(), plain_path(self.path) as path:
                    flat = ocp.load_checkpointables(path, {item: template})[item]
            except CheckpointError:
                raise
            except Exception as error:  # Orbax raises what it runs into
                raise damaged(self.path, reason_of(error)) from error
        if digest_of(flat) != wanted:
            raise damaged(self.path, f"the arrays of {item} are not those that were saved")
        self._items[item] = flat

    def _exported(self, item: str, template: Flat) -> Flat:
        library = safetensors()
        try:
            with library.safe_open(self.path, "numpy") as file:
                return {name: file.get_tensor(f"{item}/{name}") for name in template}
        except (OSError, library.SafetensorError) as error:
            raise damaged(self.path, str(error)) from error

    def restore(self, item: str, like: Any) -> Any:
        """The item as a pytree of the structure, shapes and types of `like`.

        Raises CheckpointError: it is not there, is damaged, or has other leaves than `like`.
        """
        if item not in self._items:
            self.read(item)
        flat, template = self._items[item], flat_of(like)
        if flat.keys() != template.keys():
            odd = sorted(flat.keys() ^ template.keys())[0]
            raise damaged(self.path, f"{odd} is in its {item} or in its configuration alone")
        leaves = [self._same(name, flat[name], wanted) for name, wanted in template.items()]
        # put there as they are: `jnp.asarray` would compile a program for each shape; float64 stays NumPy's, unrounded
        placed = [leaf if leaf.dtype == np.float64 else jax.device_put(leaf) for leaf in leaves]
        return jax.tree.unflatten(jax.tree.structure(like), placed)

    def _same(self, name: str, stored: np.ndarray, wanted: Any) -> np.ndarray:
        if stored.shape != wanted.shape or stored.dtype != wanted.dtype:
            now, then = (f"{each.dtype}{list(each.shape)}" for each in (stored, wanted))
            raise damaged(self.path, f"{name} is {now}, not {then}")
        return stored


def open_checkpoint(path: Path, task: str, items: Collection[str] | None = None) -> Checkpoint:
    """The latest step of a checkpoint that is whole: its metadata and `items`; all but the state, if None.

    Raises CheckpointError: there is none, it is damaged, or it is one of another task.
    """

    def opened(step: Path) -> Checkpoint:
        checkpoint = Checkpoint(step, of_task(metadata_in(step), path, task))
        for item in items if items is not None else [name for name in checkpoint.saved if name != STATE]:
            checkpoint.read(item)
        return checkpoint

    return opened(path) if is_exported(path) else from_latest(path, task, opened)


def flat_of(tree: Any) -> Flat:
    """The leaves of a pytree by their names."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {leaf_name(path): leaf for path, leaf in leaves}


def held_of(tree: Any) -> Flat:
    """The leaves by their names, as Orbax takes them from one process or several.

    Of several, each has the same arrays, which the first one writes, or its part of those that they share.
    """
    flat = flat_of(tree)
    if jax.process_count() == 1:
        return flat
    return {name: np.asarray(leaf) if is_own(leaf) else leaf for name, leaf in flat.items()}


def described(flat: Flat) -> dict[str, Any]:
    """What the metadata say of an item: its digest, and the type and shape of each leaf."""
    leaves = {name: [str(leaf.dtype), list(leaf.shape)] for name, leaf in flat.items()}
    return {"digest": digest_of(flat), "leaves": leaves}


def digest_of(flat: Mapping[str, Any]) -> str:
    """The BLAKE2b digest of arrays: of their names, types, shapes and bytes."""
    flat = {name: leaf if is_own(leaf) else np.asarray(gathered(leaf)) for name, leaf in flat.items()}

    def one(name: str) -> bytes:
        array = np.ascontiguousarray(flat[name])
        digest = hashlib.blake2b(f"{name} {array.dtype} {array.shape} ".encode(), digest_size=16)
        digest.update(array.view(np.uint8).data if array.size and array.ndim else array.tobytes())
        return digest.digest()

    with ThreadPoolExecutor(_THREADS) as pool:
        return hashlib.blake2b(b"".join(pool.map(one, sorted(flat))), digest_size=16).hexdigest()


def loader(load: Callable[Parameters, Loaded]) -> Callable[Parameters, Loaded]:
    """A function that makes a model of the checkpoint in its first argument, which is damaged where that fails."""

    @functools.wraps(load)
    def loading(*given: Parameters.args, **how: Parameters.kwargs) -> Loaded:
        try:
            return load(*given, **how)
        except _ODD as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            what = f"{told} in its configuration" if isinstance(error, ParameterError) else f"{told} in its metadata"
            raise CheckpointError(f"the checkpoint in '{given[0]}' is damaged: {what}") from error

    return loading


# what metadata of other types or sizes than were saved lead to
_ODD = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, ParameterError, MemoryError)
