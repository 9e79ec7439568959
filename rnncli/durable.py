"""Files and folders that survive a crash: synced before they are renamed into place; a folder with one writer."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # not there on Windows: no lock
    fcntl = None

_LOCK = ".lock"
_PATIENCE = 2.0  # seconds in which threads that failed may still write into a folder that goes


def put_in_place(temporary: Path, target: Path) -> None:
    """Rename a file or a folder, once all that it holds is on the disk; return when the new name is there, too.

    After a power cut, `target` is what it was before or all that `temporary` was.
    """
    if temporary.is_dir():
        for folder, _, names in os.walk(temporary):
            for name in names:
                _sync(Path(folder) / name)
            _sync(Path(folder))
    else:
        _sync(temporary)
    temporary.replace(target)
    _sync(target.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that half of it never stands under its name. What cannot be removed is left hidden."""
    if not folder.name.startswith("."):
        hidden = folder.with_name(f".{folder.name}.removed")
        shutil.rmtree(hidden, ignore_errors=True)
        with suppress(OSError):
            folder.rename(hidden)
            folder = hidden
    end = time.monotonic() + _PATIENCE
    while folder.exists() and time.monotonic() < end:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            time.sleep(0.05)


def _sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir():
            return  # a folder that may be written to and not read
        raise
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some file systems know no sync of folders
            raise
    finally:
        os.close(handle)


class Lock:
    """A folder that one process writes to. The lock is the kernel's, so it goes with the process, however that ends."""

    def __init__(self, folder: Path):
        """Take the lock. Raises BlockingIOError: another process has it; the error's `args[1]` is its number."""
        self._file: IO[str] | None = None
        if fcntl is None:
            return
        file = (folder / _LOCK).open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read(20).strip()
            file.close()
            raise BlockingIOError(error.errno, holder) from error
        except OSError:  # a file system without locks
            file.close()
            return
        try:
            file.truncate(0)
            os.write(file.fileno(), f"{os.getpid()}\n".encode())
        except OSError:  # the lock holds without it
            pass
        self._file, self._path = file, folder / _LOCK

    def release(self) -> None:
        """Give it back; the file goes, too."""
        if self._file is not None:
            with suppress(OSError):
                self._path.unlink()
            self._file.close()
            self._file = None
