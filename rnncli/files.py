"""Reading bytes from wherever a user keeps them: a path or `-`, compressed or not; writing files whole."""

import bz2
import io
import lzma
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, AnyStr, cast

from rnncli import limits
from rnncli.durable import put_in_place
from rnncli.encodings import recoded
from rnncli.errors import DataError, RnncliError

HEAD = 2**20  # bytes that tell in which form a file is
_MAGIC = GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_PIECE = 2**16
_BLOCK = 2**24  # bytes that are unpacked at once, at most
_SUFFIXES = {".txt", ".csv", ".tsv", ".json", ".jsonl", ".parquet", ".gz", ".xz", ".bz2", ".zst"}  # no text ends so
_TEMPORARY_EXTRA = 24  # bytes that the name of a temporary file adds to the file's own


def read_bytes(source: str, encoding: str | None = None, most: int = limits.MOST_IN_MEMORY) -> bytes:
    """All of a file, or of stdin for `-`. Compression is told by the content, so it works in a pipe too.

    Text of an `encoding` comes as UTF-8. Raises DataError: it cannot be read, or is larger than `most` bytes.
    """
    return limits.joined(read_blocks(source, encoding), name_of(source), most)


def read_blocks(source: str, encoding: str | None = None) -> Iterator[bytes]:
    """The same in blocks, for what may be larger than memory; what a pipe has is given as soon as it is there."""
    blocks = _unpacked(source)
    return blocks if encoding in (None, "utf-8") else recoded(blocks, encoding, name_of(source))


def peeked(
    blocks: Iterator[bytes], size: int = HEAD, telling: Sequence[bytes] | None = None
) -> tuple[bytes, Iterator[bytes]]:
    """The beginning of a source, of `size` bytes where it has so many, and all of its blocks.

    Where only what it begins with is looked for, `telling`, no more is waited for than tells whether it is there: a
    pipe may give a few bytes, and the next ones much later.
    """
    begun, length = [], 0
    for block in blocks:
        begun.append(block)
        length += len(block)
        if length >= size or (telling is not None and not _may_become(b"".join(begun), telling)):
            break
    return b"".join(begun), chain(begun, blocks)


def _may_become(head: bytes, beginnings: Sequence[bytes]) -> bool:
    """Whether more bytes could make it begin with one of these, as it does not yet."""
    return not head.startswith(tuple(beginnings)) and any(each.startswith(head) for each in beginnings)


def whole_lines(pieces: Iterable[AnyStr], newline: AnyStr) -> Iterator[list[AnyStr]]:
    """The lines of a text without their ends: of each piece those that it completes, and last what has no end."""
    nothing: Any = newline[:0]
    begun: list[AnyStr] = []
    for piece in pieces:
        first, *others = piece.split(newline)
        begun.append(first)
        if others:
            yield [nothing.join(begun), *others[:-1]]
            begun = [others[-1]]
    if any(begun):
        yield [nothing.join(begun)]


def with_newlines(blocks: Iterable[bytes], head: bytes, name: str) -> Iterator[bytes]:
    """A text that begins with `head`; if its lines end in carriage returns alone, as in old Excel's, in newlines.

    Raises DataError: further on, lines end in something else.
    """
    begun = head.rstrip(b"\r\n")
    if b"\n" in begun or b"\r" not in begun:
        yield from blocks
        return
    held, ended = b"", False
    for block in blocks:
        block = held + block
        held = b"\r" if block.endswith(b"\r") else b""  # a newline may follow
        block = block.removesuffix(b"\r").replace(b"\r\n", b"\r")
        if b"\n" in block.rstrip(b"\n") or (ended and block.strip()):
            raise DataError(
                f"lines of {name} end in carriage returns first, and in newlines later; write newlines alone"
            )
        ended = ended or b"\n" in block
        yield block.replace(b"\r", b"\n")
    yield held.replace(b"\r", b"\n")


def _unpacked(source: str) -> Iterator[bytes]:
    head, pieces = peeked(_pieces(source), telling=_MAGIC)
    make, failure = _decompressor(head)
    if make is None:
        yield from pieces
        return
    packed = 0

    def counted() -> Iterator[bytes]:
        nonlocal packed
        for piece in pieces:
            packed += len(piece)
            yield piece

    try:
        yield from limits.unpacked(_frames(counted(), make), lambda: packed, name_of(source))
    except (OSError, EOFError, ValueError, failure) as error:
        reason = f"its compressed content breaks off or is wrong ({error})"
        raise DataError(f"{name_of(source)} is damaged: {reason}") from error


def _frames(pieces: Iterator[bytes], make: Callable[[], Any]) -> Iterator[bytes]:
    """What compressed frames hold, one after the other. Raises EOFError: the last one has no end.

    Not by the openers of gzip, bz2 and lzma: some of these leave out in silence what follows a stream and is none.
    """
    frame = None
    for piece in pieces:
        while piece := piece if frame else piece.lstrip(b"\0"):  # zeros may stand between and after the frames
            frame = frame or make()
            yield frame.decompress(piece, _BLOCK)
            while not frame.eof and (more := frame.decompress(getattr(frame, "unconsumed_tail", b""), _BLOCK)):
                yield more
            if not frame.eof:
                break
            piece, frame = frame.unused_data, None
    if frame is not None:
        raise EOFError("its end is missing")


def names_file(text: str) -> bool:
    """Whether a string that may be a text or a source is the latter: there is something to read by that name.

    Raises DataError where it looks like the name of a file that is not there.
    """
    # `Path.exists` raises where a text is too long for a name, or has a NUL in it
    if text == "-" or (text.strip() and os.path.exists(Path(text))):  # noqa: PTH110
        return True
    if not text.split()[1:] and Path(text[:200]).suffix.lower() in _SUFFIXES:
        raise DataError(f"no such file: '{text[:200]}'; if it is a text, pipe it to -")
    return False


def name_of(source: str) -> str:
    """What messages call a source."""
    return "standard input" if source == "-" else repr(source)


def _pieces(source: str) -> Iterator[bytes]:
    """The bytes of a source as they are stored."""
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


def _decompressor(head: bytes) -> tuple[Callable[[], Any] | None, type[Exception]]:
    """The maker of a decompressor of one frame, for the format that begins with `head`, and the error it raises.

    The maker is None where the format is none that is known.
    """
    if head.startswith(GZIP):
        return partial(zlib.decompressobj, 16 + zlib.MAX_WBITS), zlib.error
    if head.startswith(BZIP2):
        return bz2.BZ2Decompressor, OSError
    if head.startswith(XZ):
        return lzma.LZMADecompressor, lzma.LZMAError
    if head.startswith(ZSTD):
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        return zstd.ZstdDecompressor, zstd.ZstdError
    return None, OSError


def check_writable(path: Path) -> None:
    """Raises RnncliError where a file cannot be written: before the work, not after it."""
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


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to that takes the place of `path` once the block ends well, and vanishes if it does not.

    A symbolic link stays one: its target is replaced. What is no regular file (a pipe, /dev/null) is written to.
    """
    target = path.resolve()
    temporary: Path | None = None
    try:
        if target.exists() and not target.is_file():
            yield target
            return
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        mask = os.umask(0)  # it can only be read by setting it
        os.umask(mask)
        temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~mask)
        put_in_place(temporary, target)
    except OSError as error:
        raise RnncliError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
