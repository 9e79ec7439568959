"""Reading bytes from wherever a user keeps them: a path or `-`, compressed or not; writing files whole."""

import bz2
import gzip
import lzma
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnncli.errors import DataError, RnncliError

_ZSTANDARD = b"\x28\xb5\x2f\xfd"


def read_bytes(source: str) -> bytes:
    """All of a file, or of stdin for `-`. Compression is told by the content, so it works in a pipe too."""
    raw = _read_stdin() if source == "-" else _read_file(Path(source))
    try:
        return _decompress(raw)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
        raise DataError(
            f"{name_of(source)} is damaged: its compressed content breaks off or is wrong ({error})"
        ) from error


def name_of(source: str) -> str:
    """How messages call a source."""
    return "standard input" if source == "-" else repr(source)


def _read_stdin() -> bytes:
    if sys.stdin is None:
        raise DataError("standard input is closed; pipe something into it")
    return sys.stdin.buffer.read()


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"no such file: '{path}'") from error
    except IsADirectoryError as error:
        raise DataError(f"'{path}' is a folder; name a file in it") from error
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read '{str(path)[:200]}': {getattr(error, 'strerror', None) or error}") from error


def _decompress(raw: bytes) -> bytes:
    if raw.startswith(b"\x1f\x8b"):
        return gzip.decompress(raw)
    if raw.startswith(b"BZh"):
        return bz2.decompress(raw)
    if raw.startswith(b"\xfd7zXZ\x00"):
        return lzma.decompress(raw)
    return _decompress_zstandard(raw) if raw.startswith(_ZSTANDARD) else raw


def _decompress_zstandard(raw: bytes) -> bytes:
    """All frames; unlike the library's stream reader, this notices a last one that breaks off."""
    import zstandard

    parts = []
    while raw:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            parts.append(frame.decompress(raw))
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
        if not frame.eof:
            raise EOFError("its end is missing")
        raw = frame.unused_data
    return b"".join(parts)


def check_writable(path: Path) -> None:
    """Find out before the work, not after it, that a file cannot be written."""
    try:
        if path.is_dir():
            raise RnncliError(f"cannot write '{path}': it is a folder; name a file")
        parent = path.resolve().parent
        if not parent.is_dir():
            raise RnncliError(f"cannot write '{path}': there is no folder '{parent}'")
        place = path if path.exists() and not path.is_file() else parent  # a device or a pipe is written in place
        if not os.access(place, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise RnncliError(f"cannot write '{path}': permission denied")
        if len(os.fsencode(path.name)) > os.pathconf(parent, "PC_NAME_MAX") - _TEMPORARY_EXTRA:
            raise RnncliError(f"cannot write '{str(path)[:60]}…': the name is too long")
    except OSError as error:
        raise RnncliError(f"cannot write '{str(path)[:200]}': {error.strerror}") from error


_TEMPORARY_EXTRA = 24  # what the temporary name adds to a file's own


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to that takes the place of `path` once the block ends well, and vanishes if it does not.

    A symbolic link stays one: its target is replaced. What is no regular file (a pipe, /dev/null) is written to.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        yield target
        return
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise RnncliError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
