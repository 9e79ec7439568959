"""The alphabet of a model: between characters and tokens."""

import difflib
import unicodedata
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rnncli.charlm.settings import VocabularyKind
from rnncli.errors import DataError

UNKNOWN = np.uint32(2**32 - 1)


@dataclass(frozen=True)
class Vocabulary:
    """Symbols in the order of their tokens. One more token, the last, is the boundary.

    The boundary stands before a text's first character and between two documents. Where there are several documents
    the network learns to say it, and it is printed as `separator`.
    """

    kind: VocabularyKind
    symbols: tuple[int, ...]  # code points, or bytes, in rising order
    lowercase: bool = False
    separator: str = ""  # text that is read, and printed, as the boundary
    documents: bool = False  # whether there are several, so that a boundary can be said

    @property
    def boundary(self) -> int:
        """The boundary's token."""
        return len(self.symbols)

    @property
    def size(self) -> int:
        """How many tokens there are, with the boundary."""
        return len(self.symbols) + 1

    @property
    def dtype(self) -> np.dtype:
        """The smallest type that holds every token."""
        return np.min_scalar_type(self.boundary)

    @property
    def unit(self) -> str:
        """What a token is, for messages."""
        return "byte" if self.kind == "bytes" else "character"

    def as_dict(self) -> dict[str, Any]:
        """JSON types, for a checkpoint."""
        return {**asdict(self), "symbols": "" if self.kind == "bytes" else "".join(map(chr, self.symbols))}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Vocabulary":
        """The vocabulary that `as_dict` described. Raises KeyError, TypeError, ValueError: it is something else."""
        kinds = {"kind": str, "lowercase": bool, "separator": str | None, "documents": bool}
        wrong = [name for name, kind in kinds.items() if not isinstance(stored[name], kind)]
        if wrong:
            raise TypeError(f"{wrong[0]} {stored[wrong[0]]!r}")
        symbols = range(256) if stored["kind"] == "bytes" else map(ord, stored["symbols"])
        return cls(**{**stored, "symbols": tuple(symbols)})

    def table(self) -> np.ndarray:
        """Token of each code point (byte), `UNKNOWN` where there is none."""
        table = np.full(256 if self.kind == "bytes" else 0x110000, UNKNOWN, np.uint32)
        table[list(self.symbols)] = np.arange(len(self.symbols))
        return table

    def code_points(self, text: str) -> np.ndarray:
        """The text as this vocabulary counts it, uint32: code points, lower-cased if it is, or UTF-8 bytes."""
        if self.kind == "bytes":
            raw = text.encode("utf-8", "surrogateescape")
            return np.frombuffer(lowered(raw) if self.lowercase else raw, np.uint8).astype(np.uint32)
        return to_code_points(lowered(text) if self.lowercase else text)

    def encode(self, text: str, *, what: str = "the text", skip_unknown: bool = False) -> tuple[np.ndarray, int]:
        """Tokens of a text, uint32, and how many characters were skipped.

        Raises DataError where a character is not in the vocabulary, unless such are skipped.
        """
        table, encoded, place, skipped = self.table(), [], 0, 0
        for index, part in enumerate(text.split(self.separator) if self.separator else [text]):
            if index:
                encoded.append(np.array([self.boundary], np.uint32))
                place += len(self.separator)
            codes = self.code_points(part)
            tokens = table[codes]
            unknown = np.flatnonzero(tokens == UNKNOWN)
            if len(unknown) and not skip_unknown:
                raise DataError(self.unknown(int(codes[unknown[0]]), place + int(unknown[0]), what))
            encoded.append(tokens[tokens != UNKNOWN])
            place += len(codes)
            skipped += len(unknown)
        return np.concatenate(encoded), skipped

    def unknown(self, code: int, place: int, what: str) -> str:
        """The message on a character that the model never saw."""
        message = f"{what} has {described(code)} at {self.unit} {place + 1}, which the model never saw"
        nearest = self.nearest(code)
        if nearest is not None:
            message += f"; the nearest that it knows is {described(nearest)}"
        return f"{message}; `unknown` skip leaves such characters out"

    def nearest(self, code: int) -> int | None:
        """The symbol that stands best for a character: its other case, its base letter, the most similar name."""
        if self.kind == "bytes" or not self.symbols:
            return None
        char, other = chr(code), chr(code).swapcase()
        for candidate in (other, *unicodedata.normalize("NFKD", char), *unicodedata.normalize("NFKD", other)):
            if len(candidate) == 1 and ord(candidate) in self.symbols:
                return ord(candidate)
        named = {unicodedata.name(chr(symbol), ""): symbol for symbol in self.symbols}
        for same in (2, 1, 0):  # letters of the general category that have to agree
            kind = unicodedata.category(char)[:same]
            alike = [name for name, symbol in named.items() if unicodedata.category(chr(symbol)).startswith(kind)]
            for name in difflib.get_close_matches(unicodedata.name(char, ""), alike, n=1, cutoff=0.0):
                return named[name]
        return None

    @cached_property
    def spellings(self) -> list[bytes]:
        """Each token as bytes: characters in UTF-8, the boundary as the separator (a newline if there is none)."""
        boundary = (self.separator or "\n").encode("utf-8", "surrogateescape")
        symbols = (bytes([symbol]) if self.kind == "bytes" else chr(symbol).encode() for symbol in self.symbols)
        return [*symbols, boundary]

    def raw(self, tokens: np.ndarray) -> bytes:
        """The bytes that tokens stand for."""
        return b"".join(map(self.spellings.__getitem__, tokens.tolist()))

    def text(self, tokens: np.ndarray) -> str:
        """The text that tokens stand for; bytes that are no UTF-8 become U+FFFD."""
        return self.raw(tokens).decode("utf-8", "replace")


def lowered(text: Any) -> Any:
    """A text, or bytes, in lower case: each character by itself, wherever the text is cut.

    Python's `lower` writes a sigma at the end of a word in another way.
    """
    return (text.replace("\u03a3", "\u03c3") if isinstance(text, str) else text).lower()


def to_code_points(text: str) -> np.ndarray:
    """Code points of a text, uint32."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def described(code: int) -> str:
    """A character for a message: itself if it can be seen, its number, its name."""
    char = chr(code)
    seen = f"'{char}' " if char.isprintable() and not unicodedata.combining(char) else ""
    name = unicodedata.name(char, "")
    return f"{seen}(U+{code:04X}{' ' + name if name else ''})"
