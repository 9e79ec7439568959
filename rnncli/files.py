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
    raw = sys.stdin.buffer.read() if source == "-" else _read_file(Path(source))
    try:
        return _decompress(raw)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
        raise DataError(
            f"{name_of(source)} is damaged: its compressed content breaks off or is wrong ({error})"
        ) from error


def read_text(source: str) -> str:
    """The same as UTF-8 text, a byte-order mark taken off."""
    raw = read_bytes(source)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name_of(source)} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}; "
            "convert it first, for example with iconv"
        ) from error


def name_of(source: str) -> str:
    """How messages call a source."""
    return "standard input" if source == "-" else repr(source)


def _read_file(path: Path) -> bytes:
    if path.is_dir():
        raise DataError(f"'{path}' is a folder; name a file in it")
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"no such file: '{path}'") from error
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror}") from error


def _decompress(raw: bytes) -> bytes:
    if raw.startswith(b"\x1f\x8b"):
        return gzip.decompress(raw)
    if raw.startswith(b"BZh"):
        return bz2.decompress(raw)
    if raw.startswith(b"\xfd7zXZ\x00"):
        return lzma.decompress(raw)
    if raw.startswith(_ZSTANDARD):
        import zstandard

        try:
            with zstandard.ZstdDecompressor().stream_reader(raw) as stream:
                return stream.read()
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
    return raw


def check_writable(path: Path) -> None:
    """Find out before the work, not after it, that a file cannot be written."""
    if path.is_dir():
        raise RnncliError(f"cannot write '{path}': it is a folder; name a file")
    parent = path.absolute().parent
    if not parent.is_dir():
        raise RnncliError(f"cannot write '{path}': there is no folder '{parent}'")
    if not os.access(path if path.exists() else parent, os.W_OK):
        raise RnncliError(f"cannot write '{path}': permission denied")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to that takes the place of `path` once the block ends well, and vanishes if it does not."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.absolute().parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise RnncliError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
