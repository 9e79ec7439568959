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
_LOOK = 0.2  # seconds that a look at a lock may take, at most
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
    """Wait until a file's content, or a folder's names, are on the disk, as far as the system lets us."""
    folder = path.is_dir()
    for flags in (os.O_RDONLY,) if folder else (os.O_RDWR, os.O_RDONLY):
        try:
            handle = os.open(path, flags)
        except PermissionError:
            continue
        try:
            os.fsync(handle)
        except OSError:
            if not folder:  # some file systems know no sync of folders
                raise
        finally:
            os.close(handle)
        return


class Lock:
    """A folder that one process writes to. The lock is the kernel's, so it goes with the process, however that ends."""

    def __init__(self, folder: Path):
        """Take the lock. Raises BlockingIOError: another process has it; the error's `args[1]` is its number."""
        self._file: IO[str] | None = None
        self._path = folder / _LOCK
        if fcntl is None:
            return
        end = time.monotonic() + _LOOK
        while self._file is None:
            file = self._path.open("a+", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = _number_in(file)
                file.close()
                if time.monotonic() > end:
                    raise BlockingIOError(error.errno, holder) from error
                time.sleep(_LOOK / 10)  # somebody may only be looking
            except OSError:  # a file system without locks
                file.close()
                return
            else:
                if _is(file, self._path):
                    self._file = file
                else:  # whoever had it has removed it
                    file.close()
        with suppress(OSError):  # the lock holds without it
            self._file.truncate(0)
            os.write(self._file.fileno(), f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Give it back; the file goes, too."""
        if self._file is not None:
            with suppress(OSError):
                self._path.unlink()
            self._file.close()
            self._file = None


def holder_of(folder: Path) -> str | None:
    """The number of the process that writes to a folder, as far as it is told; None if there is none."""
    if fcntl is None:
        return None
    try:
        with (folder / _LOCK).open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _number_in(file)
    except OSError:
        return None
    return None


def _number_in(file: IO[str]) -> str:
    file.seek(0)
    return file.read(20).strip()


def _is(file: IO[str], path: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False
