"""Text encodings: their names, text of another one as UTF-8, and a guess where bytes are none."""

import codecs
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from rnncli.errors import DataError
from rnncli.settings import setting

_BINARY = (b"PAR1", b"PK\x03\x04")  # Parquet and workbooks have an encoding of their own
_LONGEST_MAGIC = 4
_LEAST_LIKELY = 200  # bytes from which on a guess is worth telling


def encoding_name(name: str) -> str:
    """The usual name of a text encoding. Raises ValueError: there is none of that name."""
    try:
        "a".encode(name)
        return codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise ValueError(f"'{name}' is no text encoding; utf-8, latin-1, utf-16 and gb18030 are some") from error


def encoding_setting(help: str, default: str | None = None, shown: str = "utf-8, strictly") -> Any:
    """Declare the setting `encoding` of a class."""
    return setting(default, help, metavar="NAME", shown=shown, convert=encoding_name)


def decoded(blocks: Iterable[bytes], codec: str, refuse: Callable[[UnicodeError, int], Exception]) -> Iterator[str]:
    """Text, a piece for each block and one for what is left at the end.

    Raises what `refuse` makes of an error and of the place of the first bad byte, where the error is one of bytes.
    """
    decoder = codecs.getincrementaldecoder(codec)("strict")
    taken = 0
    for block, final in chain(((each, False) for each in blocks), [(b"", True)]):
        taken += len(block)
        try:
            yield decoder.decode(block, final)
        except UnicodeError as error:
            bad = isinstance(error, UnicodeDecodeError)
            raise refuse(error, taken - len(error.object) + error.start if bad else 0) from error


def recoded(blocks: Iterable[bytes], encoding: str, name: str) -> Iterator[bytes]:
    """Text as UTF-8, a block for each; of a binary table, its bytes.

    Raises DataError: the bytes of what messages call `name` are not of the encoding.
    """
    blocks = iter(blocks)
    first = b""
    for block in blocks:  # of which one may be short, or empty
        first += block
        if len(first) >= _LONGEST_MAGIC:
            break
    if first.startswith(_BINARY):
        yield first
        yield from blocks
        return

    def refuse(error: UnicodeError, place: int) -> DataError:
        fault = str(error)
        if isinstance(error, UnicodeDecodeError):
            fault = f"byte 0x{error.object[error.start]:02x} at offset {place:,}"
        return DataError(f"{name} is not {encoding.upper()}: {fault}; name its `encoding`")

    for text in decoded(chain([first], blocks), encoding, refuse):
        yield text.encode("utf-8")


def advice(raw: bytes) -> str:
    """What to do about bytes that are not UTF-8."""
    likely = _guess(raw) if len(raw) >= _LEAST_LIKELY else ""
    return f"name its `encoding`; it looks like {likely}" if likely else "name its `encoding`, as in latin-1"


def _guess(raw: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(raw[:100_000]).best()
    return "" if best is None or best.encoding in ("utf_8", "ascii") else best.encoding.replace("_", "-")
