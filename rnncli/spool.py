"""Arrays that may be larger than memory: written in their order, and mapped from a temporary file once there are many.

The file has no name and is gone when the program ends; `TMPDIR` says where it is.
"""

import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

import numpy as np

from rnncli.errors import DataError

_IN_MEMORY = 2**26  # bytes that need no file


class Spool:
    """Numbers of one type, put one after the other."""

    def __init__(self, dtype: np.typing.DTypeLike, in_memory: int | None = None):
        """From `in_memory` bytes on, 64 MiB if None, they go to a file."""
        self._dtype, self._size = np.dtype(dtype), 0
        self._in_memory = _IN_MEMORY if in_memory is None else in_memory
        with _room():
            self._file = tempfile.SpooledTemporaryFile(self._in_memory)  # noqa: SIM115 - open until all are there
        weakref.finalize(self, _close, self._file)

    def __len__(self) -> int:
        """How many numbers there are."""
        return self._size // self._dtype.itemsize

    def put(self, numbers: np.ndarray | bytes) -> None:
        """Add numbers, or their bytes. Raises DataError: there is no room for them."""
        raw = numbers if isinstance(numbers, bytes) else np.asarray(numbers, self._dtype).tobytes()
        with _room():
            self._file.write(raw)
        self._size += len(raw)

    def array(self) -> np.ndarray:
        """All of them, `[n]`, to be read only; no more can be added."""
        try:
            with _room():
                if self._size <= self._in_memory:
                    self._file.seek(0)
                    return np.frombuffer(self._file.read(), self._dtype)
                self._file.flush()
                return np.asarray(np.memmap(self._file, self._dtype, "r", shape=(len(self),)))  # pyright: ignore
        finally:
            _close(self._file)


def _close(file: IO[bytes]) -> None:
    """What could not be written before cannot be now, either, and was told."""
    with suppress(OSError):
        file.close()


@contextmanager
def _room() -> Iterator[None]:
    """Raises DataError: there is no room."""
    try:
        yield
    except OSError as error:
        place = f"'{tempfile.tempdir}'" if tempfile.tempdir else "a temporary file"
        what = f"cannot write what was read to {place}: {error.strerror}"
        raise DataError(f"{what}; set TMPDIR to a folder with room") from error
