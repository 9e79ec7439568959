"""Reading bytes from wherever a user keeps them: a path or `-`, compressed or not; writing files whole."""

import bz2
import io
import lzma
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, cast

from rnncli.errors import DataError, RnncliError

_LONGEST_MAGIC = 6
_PIECE = 2**16


def read_bytes(source: str) -> bytes:
    """All of a file, or of stdin for `-`. Compression is told by the content, so it works in a pipe too."""
    return b"".join(read_blocks(source))


def read_blocks(source: str) -> Iterator[bytes]:
    """The same a piece at a time, for what may be larger than memory."""
    pieces = _pieces(source)
    head = b""
    for piece in pieces:  # a pipe may give less than a magic number at once
        head += piece
        if len(head) >= _LONGEST_MAGIC:
            break
    make = _decompressor(head)
    if make is None:
        yield head
        yield from pieces
        return
    try:
        yield from _decompressed(chain([head], pieces), make)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
        raise DataError(
            f"{name_of(source)} is damaged: its compressed content breaks off or is wrong ({error})"
        ) from error


def name_of(source: str) -> str:
    """How messages call a source."""
    return "standard input" if source == "-" else repr(source)


def _pieces(source: str) -> Iterator[bytes]:
    """The bytes as they stand there."""
    if source == "-":
        if sys.stdin is None:
            raise DataError("standard input is closed; pipe something into it")
        yield from iter(partial(cast(io.BufferedReader, sys.stdin.buffer).read1, _PIECE), b"")
        return
    path = Path(source)
    try:
        with path.open("rb") as file:
            yield from iter(partial(file.read, _PIECE), b"")
    except FileNotFoundError as error:
        raise DataError(f"no such file: '{path}'") from error
    except IsADirectoryError as error:
        raise DataError(f"'{path}' is a folder; name a file in it") from error
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read '{str(path)[:200]}': {getattr(error, 'strerror', None) or error}") from error


def _decompressor(head: bytes) -> Callable[[], Any] | None:
    """What makes a decompressor of one frame of the format that begins with `head`; None if it is none."""
    if head.startswith(b"\x1f\x8b"):
        return partial(zlib.decompressobj, 16 + zlib.MAX_WBITS)
    if head.startswith(b"BZh"):
        return bz2.BZ2Decompressor
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMADecompressor
    return _zstandard_frame if head.startswith(b"\x28\xb5\x2f\xfd") else None


def _zstandard_frame() -> Any:
    import zstandard

    return _ZstandardFrame(zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError)


class _ZstandardFrame:
    """The library's object with the errors of the standard library's."""

    def __init__(self, frame: Any, failure: type[Exception]):
        self._frame, self._failure = frame, failure

    def decompress(self, data: bytes) -> bytes:
        try:
            return self._frame.decompress(data)
        except self._failure as error:
            raise ValueError(str(error)) from error

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data


def _decompressed(pieces: Iterable[bytes], make: Callable[[], Any]) -> Iterator[bytes]:
    """All frames, one after the other; zeros may stand between and after them."""
    frame = None
    for piece in pieces:
        while piece := piece if frame else piece.lstrip(b"\0"):
            frame = frame or make()
            yield frame.decompress(piece)
            if not frame.eof:
                break
            piece, frame = frame.unused_data, None
    if frame is not None:
        raise EOFError("its end is missing")


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
