"""Lines of text as they come, which are records; only a newline ends one."""

import select
import sys
from collections.abc import Iterator

from rnncli.encodings import advice
from rnncli.errors import DataError
from rnncli.files import name_of, whole_lines
from rnncli.limits import lines_at_most


class Lines:
    """The lines of a source, and whether the next one is there already."""

    def __init__(self, source: str, blocks: Iterator[bytes]):
        """`blocks` are the source's bytes."""
        self.name, self._from_pipe = name_of(source), source == "-"
        self._blocks = blocks
        self._ready = False  # whether the next line has been read already
        self._indexed = enumerate(self._split(), 1)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        index, line = next(self._indexed)
        return decoded(line.removeprefix(b"\xef\xbb\xbf") if index == 1 else line, index, self.name)

    def _split(self) -> Iterator[bytes]:
        for whole in whole_lines(lines_at_most(self._blocks, b"\n", self.name), b"\n"):
            for index, line in enumerate(whole, 1):
                self._ready = index < len(whole)
                yield line

    def waits(self) -> bool:
        """Whether the next line may be long in coming."""
        if self._ready or not self._from_pipe:
            return False
        try:
            return not select.select([sys.stdin], [], [], 0)[0]
        except (OSError, ValueError):
            return True  # no such thing here: answer at once


def decoded(line: bytes, index: int, name: str, beside: bytes = b"") -> str:
    """Record `index` as text. Raises DataError where it is not UTF-8; the bytes `beside` it may tell what they are."""
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"record {index} of {name} is not UTF-8: byte 0x{line[error.start]:02x} at its offset {error.start}; "
            + advice(beside or line)
        ) from error
