"""From files to tokens, in one pass and in little memory.

Characters get provisional tokens in the order in which they are met and go to a temporary file; once all are known,
they are numbered anew in the order of their code points. What comes back is mapped from that file, one or two bytes a
character, so a text may be larger than memory.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.charlm.batches import Text
from rnncli.charlm.settings import Reading
from rnncli.charlm.vocabulary import UNKNOWN, Vocabulary, lowered, to_code_points
from rnncli.encodings import decoded
from rnncli.errors import DataError
from rnncli.files import name_of, peeked, read_blocks
from rnncli.spool import Spool
from rnncli.training.stored import METADATA

TINY_SHAKESPEARE = "tfds:tiny_shakespeare"  # how the text that is meant where none is named stands in a checkpoint
IN_MEMORY = "memory:text"  # how a text stands there that was no file
_BLOCK = 2**20  # bytes or tokens at a time
_LOOKED_AT = 8000  # bytes that tell whether a file is a text
_PROVISIONAL = np.dtype(np.uint16)
_MOST_SYMBOLS = np.iinfo(_PROVISIONAL).max - 1

Pieces = Iterable[bytes]


@dataclass(frozen=True)
class Corpus:
    """A text in tokens."""

    vocabulary: Vocabulary
    tokens: np.ndarray  # [N], where there are many mapped from a file
    sources: tuple[str, ...]  # as they were named
    documents: int
    left_out: int = 0  # characters that the vocabulary does not know, where they are skipped

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of vocabulary and tokens: the same text read in the same way."""
        sha = hashlib.sha256(json.dumps(self.vocabulary.as_dict(), sort_keys=True).encode())
        for first in range(0, len(self.tokens), _BLOCK):
            sha.update(self.tokens[first : first + _BLOCK].tobytes())
        return sha.hexdigest()

    def whole(self) -> Text:
        """All of it, as one text."""
        return Text(self.tokens, self.vocabulary.boundary)

    def parts(self, validation_fraction: float) -> tuple[Text, Text]:
        """The first part, to train on, and the last, to validate on."""
        size, boundary = len(self.tokens), self.vocabulary.boundary
        train = min(size - 1, int(size * (1 - validation_fraction)))
        if train < 2:
            unit = self.vocabulary.unit
            raise DataError(f"{size} {unit}s are too few: at least 2 train and 1 validates; give more text")
        return Text(self.tokens[:train], boundary), Text(self.tokens[train:], boundary)


def read_corpus(
    sources: Iterable[str],
    settings: Reading,
    *,
    vocabulary: Vocabulary | None = None,
    beginning: Vocabulary | None = None,
    skip_unknown: bool = False,
    say: Callable[[str], None] = lambda text: None,
    except_for: Collection[Path] = (),
    read: Callable[[str], Pieces] = read_blocks,
) -> Corpus:
    """Read files, folders (every text file below, sorted) and `-`, each file a document.

    The vocabulary is learnt from the text where `vocabulary` is None, to the symbols of `beginning`, if there is one;
    `skip_unknown` leaves characters out that it does not have. `say` is told which files are left out; those in
    `except_for` are no part of a folder's text. `read` gives the bytes behind a name.

    Raises DataError where nothing is there, a text is empty, bytes are not of the encoding, or a character is unknown.
    """
    sources = tuple(sources)
    reader = _Reader(settings, vocabulary, skip_unknown)
    if beginning is not None:
        reader.begin_with(beginning)
    for name in _files(sources, settings.encoding, say, {path.resolve() for path in except_for}):
        reader.document(name, _decoded(read(name), name, settings, learns=vocabulary is None))
    return reader.corpus(sources)


class _Reader:
    """Writes the tokens of one document after the other to a file."""

    def __init__(self, settings: Reading, vocabulary: Vocabulary | None, skip_unknown: bool):
        self._settings, self._fixed, self._skip = settings, vocabulary, skip_unknown
        if vocabulary is None:  # provisional tokens: 0 for a boundary, then the symbols as they are met
            codes = 256 if settings.vocabulary == "bytes" else 0x110000
            self._table, self._boundary = np.full(codes, UNKNOWN, np.uint32), 0
            self._spool = Spool(_PROVISIONAL)
        else:
            self._table, self._boundary = vocabulary.table(), vocabulary.boundary
            self._spool = Spool(vocabulary.dtype)
        self._met = self._documents = self._left_out = 0
        self._several = False  # whether a boundary can be said, though there is one document

    def begin_with(self, vocabulary: Vocabulary) -> None:
        """Know the symbols of a vocabulary, whether the text has them or not."""
        self._several = vocabulary.documents
        self._meet(np.array(vocabulary.symbols))

    def document(self, name: str, blocks: Iterator[np.ndarray]) -> None:
        """Write one file: its code points, in blocks; a separator within it is an empty block."""
        began, place = False, 0
        for block in blocks:
            if not len(block):
                began = False
                place += len(_separator(self._settings))
                continue
            if not began:
                if self._documents and (self._fixed is None or self._fixed.documents):
                    self._spool.put(np.array([self._boundary]))
                self._documents += 1
                began = True
            self._spool.put(self._tokens(block, name, place))
            place += len(block)

    def corpus(self, sources: tuple[str, ...]) -> Corpus:
        """The corpus of all that was read."""
        if not len(self._spool):
            what = "has no character that the model knows" if self._left_out else "is empty"
            text = name_of(sources[0]) if len(sources) == 1 else f"the text of {len(sources)} sources"
            raise DataError(f"{text} {what}; there is nothing to read")
        if self._fixed is not None:
            return Corpus(self._fixed, self._spool.array(), sources, self._documents, self._left_out)
        kind, lowercase, separator = self._settings.vocabulary, self._settings.lowercase, self._settings.separator
        known = np.flatnonzero(self._table != UNKNOWN)
        symbols = range(256) if kind == "bytes" else known.tolist()
        vocabulary = Vocabulary(kind, tuple(symbols), lowercase, separator, self._several or self._documents > 1)
        final = np.zeros(_MOST_SYMBOLS + 1, vocabulary.dtype)
        final[0] = vocabulary.boundary
        final[self._table[known]] = vocabulary.table()[known]
        provisional, spool = self._spool.array(), Spool(vocabulary.dtype)
        for first in range(0, len(provisional), _BLOCK):
            spool.put(final[provisional[first : first + _BLOCK]])
        return Corpus(vocabulary, spool.array(), sources, self._documents)

    def _tokens(self, block: np.ndarray, name: str, place: int) -> np.ndarray:
        tokens = self._table[block]
        unknown = tokens == UNKNOWN
        if not unknown.any():
            return tokens
        if self._fixed is None:
            self._meet(np.unique(block[unknown]))
            return self._table[block]
        if not self._skip:
            first = int(unknown.argmax())
            raise DataError(self._fixed.unknown(int(block[first]), place + first, name_of(name)))
        self._left_out += int(unknown.sum())
        return tokens[~unknown]

    def _meet(self, codes: np.ndarray) -> None:
        if any(0xD800 <= code <= 0xDFFF for code in codes.tolist()):
            raise DataError(f"the text, read as {self._settings.encoding}, has half characters (surrogates)")
        if self._met + len(codes) > _MOST_SYMBOLS:
            raise DataError(f"more than {_MOST_SYMBOLS:,} different characters; use `vocabulary` bytes")
        self._table[codes] = np.arange(self._met + 1, self._met + 1 + len(codes))
        self._met += len(codes)


def _files(sources: tuple[str, ...], encoding: str, say: Callable[[str], None], except_for: set[Path]) -> Iterator[str]:
    """The files behind the names; a folder's in sorted order, without hidden ones, checkpoints, and what is no text."""

    def unreadable(error: OSError) -> None:
        raise DataError(f"cannot read '{error.filename}': {error.strerror}") from error

    for source in sources:
        if source == "-" or not os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises where a name is too long
            yield source
            continue
        binary, texts = [], 0
        for folder, folders, names in os.walk(source, onerror=unreadable):
            if METADATA in names or Path(folder).resolve() in except_for:
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for path in (Path(folder) / name for name in sorted(names) if not name.startswith(".")):
                if not path.is_file() or path.resolve() in except_for:
                    continue
                if _is_binary(path, encoding):
                    binary.append(str(path))
                    continue
                texts += 1
                yield str(path)
        if binary:
            say(f"{len(binary)} files in '{source}' are no text and are left out, '{binary[0]}' the first")
        if not texts:
            raise DataError(f"'{source}' has no text file in it")


def _is_binary(path: Path, encoding: str) -> bool:
    """Whether there is a NUL near its beginning, as git tells it; wide encodings are full of them, and exempt."""
    if encoding.startswith(("utf-16", "utf-32")):
        return False
    return b"\0" in peeked(read_blocks(str(path)), _LOOKED_AT)[0][:_LOOKED_AT]


def _separator(settings: Reading) -> Any:
    """What stands between documents: bytes where the text is read as bytes, else characters."""
    separator = settings.separator
    return separator.encode("utf-8", "surrogateescape") if settings.vocabulary == "bytes" else separator


def _decoded(pieces: Pieces, name: str, settings: Reading, *, learns: bool) -> Iterator[np.ndarray]:
    """The code points (bytes) of a file in blocks; an empty block where a separator stood."""
    blocks: Any = pieces if settings.vocabulary == "bytes" else _characters(pieces, name, settings, learns=learns)
    separator = _separator(settings)
    for parts in _split(blocks, separator) if separator else ([block] for block in blocks):
        for index, part in enumerate(parts):
            if index:
                yield np.empty(0, np.uint32)
            if settings.lowercase:
                part = lowered(part)
            if part:
                yield to_code_points(part) if isinstance(part, str) else np.frombuffer(part, np.uint8)


def _characters(pieces: Pieces, name: str, settings: Reading, *, learns: bool) -> Iterator[str]:
    """The decoded text, without a byte-order mark at its beginning."""
    codec = "utf-8-sig" if settings.encoding == "utf-8" else settings.encoding
    advice = "name its `encoding` (latin-1?)" + (", or take any bytes with `vocabulary` bytes" if learns else "")

    def refuse(error: UnicodeError, place: int) -> DataError:
        fault = str(error)  # of an encoding that needs a byte-order mark
        if isinstance(error, UnicodeDecodeError):
            fault = f"byte 0x{error.object[error.start]:02X} at offset {place:,} ({error.reason})"
        return DataError(f"{name_of(name)} is not {settings.encoding.upper()}: {fault}; {advice}")

    return decoded(pieces, codec, refuse)


def _split(blocks: Iterator[Any], separator: Any) -> Iterator[list[Any]]:
    """Blocks cut at each separator, also at one that lies across two blocks."""
    rest = separator[:0]
    for block in blocks:
        *parts, rest = (rest + block).split(separator)
        held = next((size for size in range(len(separator) - 1, 0, -1) if rest.endswith(separator[:size])), 0)
        yield [*parts, rest[: len(rest) - held]]
        rest = rest[len(rest) - held :]
    yield [rest]
