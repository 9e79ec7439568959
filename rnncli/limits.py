"""Bounds on what is read, so that no file takes all memory or all time by what it claims to hold.

They are far above what people mean to read. `RNNCLI_UNBOUNDED=1` in the environment lifts those on sizes.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import AnyStr

from rnncli.errors import DataError

UNBOUNDED = "RNNCLI_UNBOUNDED"
MOST_IN_MEMORY = 4 * 2**30  # bytes of a file that is read as a whole
MOST_CELLS = 2 * 10**8  # of a table
LONGEST_LINE = 2**26  # bytes of a line, or of another record, where lines are read as they come
LONGEST_PROMPT = 2**24  # bytes
_MOST_TIMES = 500  # the size of a compressed file, what it holds; text has 3 to 20, logs up to 100
_NO_BOMB = 2**28  # bytes that may be had from any file


def lifted() -> bool:
    """Whether somebody wants no bounds."""
    return os.environ.get(UNBOUNDED, "") not in ("", "0")


def too_much(name: str, what: str) -> DataError:
    """The error about a file, which messages call `name`."""
    return DataError(f"{name} {what}; if that is meant, set {UNBOUNDED}=1")


def check_unpacked(size: int, packed: int, name: str) -> None:
    """Raises DataError: what was unpacked is so much more than the file that nobody can have meant it."""
    if size > _NO_BOMB and size > _MOST_TIMES * packed and not lifted():
        raise too_much(name, f"unpacks to more than {_MOST_TIMES} times its size, {size / 2**20:,.0f} MiB so far")


def unpacked(blocks: Iterable[bytes], packed: Callable[[], int], name: str) -> Iterator[bytes]:
    """The blocks of an unpacked file; `packed` says how many bytes of the file were read for them.

    Raises DataError as `check_unpacked` does.
    """
    size = 0
    for block in blocks:
        size += len(block)
        check_unpacked(size, packed(), name)
        yield block


def at_most(blocks: Iterable[AnyStr], name: str, most: int = MOST_IN_MEMORY) -> Iterator[AnyStr]:
    """The blocks. Raises DataError: they are more than `most` bytes, or characters."""
    size = 0
    for block in blocks:
        size += len(block)
        if size > most and not lifted():
            raise too_much(name, f"is larger than {most / 2**20:,.0f} MiB, the most that is read into memory")
        yield block


def lines_at_most(pieces: Iterable[AnyStr], newline: AnyStr, name: str, most: int | None = None) -> Iterator[AnyStr]:
    """The pieces of a text. Raises DataError: a line in them is longer than `most`, `LONGEST_LINE` if None."""
    size, most = 0, LONGEST_LINE if most is None else most  # of a line without its end
    for piece in pieces:
        size = len(piece) - piece.rfind(newline) - 1 if newline in piece else size + len(piece)
        if size > most and not lifted():
            raise too_much(name, f"has a line of more than {most / 2**20:,.0f} MiB")
        yield piece


def joined(blocks: Iterable[bytes], name: str, most: int = MOST_IN_MEMORY) -> bytes:
    """The blocks as one. Raises DataError: they are more than `most` bytes."""
    return b"".join(at_most(blocks, name, most))
