"""Word vectors that others trained: GloVe's text, word2vec's text and binary, fastText's .vec.

A file may be compressed, or the only one in a zip archive. Rows are read one after the other, and only those of the
words that are asked for are kept.
"""

import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnncli.errors import DataError
from rnncli.files import name_of, read_blocks
from rnncli.limits import unpacked

_HEADER = re.compile(rb"\d{1,15} \d{1,15}\s*")
_LONGEST = 2**22  # bytes of a row
_MOST_NUMBERS = 2**17  # of a vector


_UNPACKING = (
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)


class WordVectors(NamedTuple):
    """Vectors of words."""

    dimension: int
    rows: int  # in the file
    found: dict[str, np.ndarray]  # float32 `[dimension]`, of the words that were asked for


def read_vectors(source: str, words: Collection[str]) -> WordVectors:
    """The vectors of those `words` that the file has. Raises DataError where it cannot be read, or a row is broken."""
    name = name_of(source)
    wanted = {word.encode("utf-8", "surrogatepass"): word for word in words}
    dimension, count, vectors = 0, 0, {}
    with _opened(source) as file:
        for count, row in enumerate(_rows(file, name), 1):  # noqa: B007
            dimension = row.dimension
            if row.word in wanted:
                vectors[wanted[row.word]] = row.vector()
    if not count:
        raise DataError(f"{name} has no word vectors: it is empty")
    return WordVectors(dimension, count, vectors)


class _Row(NamedTuple):
    """A row as it is stored; its numbers are read only where its word is wanted."""

    word: bytes
    numbers: bytes  # as text, or as little-endian float32
    is_text: bool
    dimension: int
    where: str  # the row, for messages

    def vector(self) -> np.ndarray:
        """The numbers, float32 `[dimension]`."""
        try:
            numbers = self.numbers.split(b" ") if self.is_text else np.frombuffer(self.numbers, "<f4")
            vector = np.array(numbers, np.float32)
        except ValueError as error:
            raise DataError(f"{self.where} is broken: {str(error)[:80]}") from error
        if not np.isfinite(vector).all():
            raise DataError(f"{self.where} is broken: a number of it is not finite")
        return vector


def _rows(file: io.BufferedReader, name: str) -> Iterator[_Row]:
    head = _line(file, 1, name)
    if not _HEADER.fullmatch(head):
        yield from _text_rows(file, name, head, 1, None)
        return
    count, dimension = map(int, head.split())
    if not 0 < dimension <= _MOST_NUMBERS:
        raise DataError(
            f"line 1 of {name} says that the vectors have {dimension} numbers; 1 to {_MOST_NUMBERS:,} are read"
        )
    second = file.readline(_LONGEST)
    if _is_text(second, dimension):
        yield from _text_rows(file, name, second, 2, dimension)
    else:
        yield from _binary_rows(file, name, second, count, dimension)


def _line(file: io.BufferedReader, index: int, name: str) -> bytes:
    line = file.readline(_LONGEST + 1)
    if len(line) > _LONGEST:
        raise DataError(f"line {index} of {name} has more than {_LONGEST:,} bytes; it is no file of word vectors")
    return line


def _is_text(line: bytes, dimension: int) -> bool:
    try:
        [float(field) for field in line.split()[-dimension:]]
        line.decode()
    except ValueError:
        return False
    return True


def _text_rows(file: io.BufferedReader, name: str, line: bytes, index: int, dimension: int | None) -> Iterator[_Row]:
    """The rows from `line` on, which is line `index` of the file."""
    while line:
        where = f"line {index} of {name}"
        row = line.strip()
        if not row and not file.peek(1):
            return  # a blank line at the end
        dimension = row.count(b" ") if dimension is None else dimension
        if dimension > _MOST_NUMBERS:
            raise DataError(f"{where} has {dimension:,} numbers; a vector has {_MOST_NUMBERS:,} at most")
        word, *numbers = row.rsplit(b" ", dimension)  # a word may have spaces in it, as some of GloVe's have
        if len(numbers) != dimension or not dimension:
            raise DataError(f"{where} is broken: it has {row.count(b' ')} numbers after the word, not {dimension}")
        yield _Row(word, row[len(word) + 1 :], True, dimension, where)
        line, index = _line(file, index + 1, name), index + 1


def _binary_rows(file: io.BufferedReader, name: str, begun: bytes, count: int, dimension: int) -> Iterator[_Row]:
    """The rows of a file of which `begun` has been read already."""
    rest = io.BufferedReader(_Blocks(chain([begun], iter(lambda: file.read1(2**16), b""))))
    for index in range(1, count + 1):
        where = f"row {index} of {name}"
        word = bytearray()
        while (byte := rest.read(1)) not in (b" ", b""):
            word += byte
            if len(word) > _LONGEST:
                raise DataError(f"{where} is broken: its word has no end")
        numbers = rest.read(4 * dimension)
        if len(numbers) < 4 * dimension:
            raise DataError(f"{where} is broken: the file ends in it, after {index - 1} rows of {count}")
        yield _Row(bytes(word.lstrip(b"\n")), numbers, False, dimension, where)


class _Blocks(io.RawIOBase):
    """Bytes that come in blocks, as a file."""

    def __init__(self, blocks: Iterator[bytes]):
        self._blocks, self._left = filter(None, blocks), b""

    def readable(self) -> bool:
        """As `io.RawIOBase` has it, as is the next."""
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._left or next(self._blocks, b"")
        data, self._left = block[: len(buffer)], block[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _opened(source: str) -> Iterator[io.BufferedReader]:
    """The file, unpacked."""
    if not _is_zip(source):
        yield io.BufferedReader(_Blocks(read_blocks(source)))
        return
    try:
        with zipfile.ZipFile(source) as archive:
            members = [member for member in archive.namelist() if not member.endswith("/")]
            if len(members) != 1:
                names = ", ".join(members)[:200]
                raise DataError(f"'{source}' holds {len(members)} files ({names}); unpack one of them")
            packed = Path(source).stat().st_size
            with archive.open(members[0]) as file:
                blocks = unpacked(iter(lambda: file.read(2**16), b""), lambda: packed, f"'{source}'")
                yield io.BufferedReader(_Blocks(blocks))
    except _UNPACKING as error:
        raise DataError(f"'{source}' cannot be unpacked: {error}") from error


def _is_zip(source: str) -> bool:
    try:
        return source != "-" and zipfile.is_zipfile(source)
    except (OSError, ValueError):
        return False  # whoever opens it says what is wrong
