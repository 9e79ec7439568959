"""Word vectors that others trained: GloVe's text, word2vec's text and binary, fastText's .vec.

A file may be compressed, or the only one in a zip archive. Rows are read one after the other, and only those of the
words that are asked for are kept.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from rnncli.errors import DataError
from rnncli.files import name_of, read_blocks

_HEADER = re.compile(rb"\d+ \d+\s*")
_LONGEST = 2**20  # bytes of a line


class WordVectors(NamedTuple):
    """Vectors of words."""

    dimension: int
    rows: int  # in the file
    found: dict[str, np.ndarray]  # float32 `[dimension]`, of the words that were asked for


def read_vectors(source: str, words: Collection[str]) -> WordVectors:
    """The vectors of `words`, as far as the file has them.

    Raises:
        DataError: it cannot be read, a row is broken, or rows have different dimensions.
    """
    name = name_of(source)
    wanted = {word.encode("utf-8", "surrogatepass"): word for word in words}
    dimension, count, found = 0, 0, {}
    with _opened(source) as file:
        for count, (word, vector) in enumerate(_rows(file, name), 1):  # noqa: B007
            dimension = vector.dimension
            if word in wanted:
                found[wanted[word]] = vector.numbers()
    if not count:
        raise DataError(f"{name} has no word vectors: it is empty")
    return WordVectors(dimension, count, found)


class _Row(NamedTuple):
    """A vector as it stands in the file, read only where it is wanted."""

    fields: bytes
    dimension: int
    where: str

    def numbers(self) -> np.ndarray:
        """float32 `[dimension]`."""
        try:
            numbers = np.array(self.fields.split(b" "), np.float32)
        except ValueError as error:
            raise DataError(f"{self.where} is broken: {str(error)[:80]}") from error
        return _checked(numbers, self.where)


class _BinaryRow(NamedTuple):
    """The same of a binary file."""

    fields: bytes
    dimension: int
    where: str

    def numbers(self) -> np.ndarray:
        """float32 `[dimension]`."""
        return _checked(np.frombuffer(self.fields, "<f4").astype(np.float32), self.where)


def _checked(numbers: np.ndarray, where: str) -> np.ndarray:
    if not np.isfinite(numbers).all():
        raise DataError(f"{where} is broken: a number of it is not finite")
    return numbers


def _rows(file: io.BufferedReader, name: str) -> Iterator[tuple[bytes, Any]]:
    head = file.readline()
    if not _HEADER.fullmatch(head):
        yield from _text_rows(file, name, head, 1, None)
        return
    count, dimension = map(int, head.split())
    if not dimension:
        raise DataError(f"line 1 of {name} says that the vectors have no numbers")
    second = file.readline(_LONGEST)
    if _is_text(second, dimension):
        yield from _text_rows(file, name, second, 2, dimension)
    else:
        yield from _binary_rows(file, name, second, count, dimension)


def _is_text(line: bytes, dimension: int) -> bool:
    try:
        [float(field) for field in line.split()[-dimension:]]
        line.decode()
    except ValueError:
        return False
    return True


def _text_rows(
    file: io.BufferedReader, name: str, first: bytes, number: int, dimension: int | None
) -> Iterator[tuple[bytes, _Row]]:
    line = first
    while line:
        where = f"line {number} of {name}"
        row = line.strip()
        if not row and not file.peek(1):
            return  # a blank line at the end
        dimension = row.count(b" ") if dimension is None else dimension
        fields = row.rsplit(b" ", dimension)  # a word may have spaces in it, as some of GloVe's have
        if len(fields) != dimension + 1 or not dimension:
            raise DataError(f"{where} is broken: it has {row.count(b' ')} numbers after the word, not {dimension}")
        yield fields[0], _Row(row[len(fields[0]) + 1 :], dimension, where)
        line, number = file.readline(), number + 1


def _binary_rows(
    file: io.BufferedReader, name: str, begun: bytes, count: int, dimension: int
) -> Iterator[tuple[bytes, _BinaryRow]]:
    size = 4 * dimension
    rest = io.BufferedReader(_Blocks(chain([begun], iter(lambda: file.read1(2**16), b""))))
    for number in range(1, count + 1):
        where = f"row {number} of {name}"
        word = bytearray()
        while (byte := rest.read(1)) not in (b" ", b""):
            word += byte
        row = rest.read(size)
        if len(row) < size:
            raise DataError(f"{where} is broken: the file ends in it, after {number - 1} rows of {count}")
        yield bytes(word.lstrip(b"\n")), _BinaryRow(row, dimension, where)


class _Blocks(io.RawIOBase):
    """Bytes that come in pieces, as a file."""

    def __init__(self, blocks: Iterable[bytes]):
        self._blocks, self._left = iter(blocks), b""

    def readable(self) -> bool:
        """As `io.RawIOBase` has it, as is the next."""
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._left = block
        data, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _opened(source: str) -> Iterator[io.BufferedReader]:
    """The file, unpacked."""
    if _is_zip(source):
        with _damage(source), zipfile.ZipFile(source) as archive:
            members = [member for member in archive.namelist() if not member.endswith("/")]
            if len(members) != 1:
                raise DataError(
                    f"'{source}' holds {len(members)} files ({', '.join(members)[:200]}); unpack one of them"
                )
            with archive.open(members[0]) as file:
                yield io.BufferedReader(_Blocks(iter(lambda: file.read(2**16), b"")))
        return
    yield io.BufferedReader(_Blocks(read_blocks(source)))


def _is_zip(source: str) -> bool:
    try:
        return source != "-" and zipfile.is_zipfile(source)
    except (OSError, ValueError):
        return False  # whoever opens it says what is wrong


@contextmanager
def _damage(source: str) -> Iterator[None]:
    """What an archive can be at fault for, as one line."""
    try:
        yield
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DataError(f"'{source}' cannot be unpacked: {error}") from error
