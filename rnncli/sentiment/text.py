"""From texts to words, and from words to the tokens that a network reads."""

import functools
import re
import unicodedata
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rnncli.sentiment.settings import Splitting
from rnncli.spool import Spool

_TEXTS = 4096  # in a block
PADDING = 0  # what stands where a text has ended; no word of any text
_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)
_NO_LETTER = re.compile(r"[^a-zA-Z']")  # the slide's ^[a-zA-Z '] lets everything pass but one leading letter
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'"})
# Characters of scripts that set no spaces between words stand alone; a word loses its clitic (do|n't, film|'s), as in
# the Penn treebank and in GloVe; any other sign that is no space is a word of its own.
_IDEOGRAPH = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_LETTER = f"[^\\W_{_IDEOGRAPH}]"
_WORD = re.compile(
    rf"[{_IDEOGRAPH}]|{_LETTER}+?(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b|{_LETTER}+|[^\w\s]|_+", re.IGNORECASE
)
_SIGN = re.compile(r"[\W_]+")
_ASTRAL = 0x20000  # from here on there are ideographs, and no marks before the tags and selectors at the end
_JOINERS = "\u200c\u200d"


@functools.cache
def _word_of_any_script() -> re.Pattern[str]:
    """The same with the marks of all scripts (accents, points, vowel signs), which Python's \\w leaves out.

    The package regex has them in its \\w, and takes 18 times as long for a text.
    """
    marks = "".join(chr(code) for code in range(0x300, _ASTRAL) if unicodedata.category(chr(code)).startswith("M"))
    any_letter = f"(?:{_LETTER}|[{marks}{_JOINERS}])"
    return re.compile(_WORD.pattern.replace(f"{_LETTER}+", f"{any_letter}+"), re.IGNORECASE)


def split(text: str, settings: Splitting) -> list[str]:
    """The words of a text, all of them; none of a blank one."""
    if settings.max_chars:
        text = text[: settings.max_chars]
    text = _TAG.sub(" ", text)
    if settings.case == "lower":
        text = text.lower()
    if settings.tokens == "letters":
        return _NO_LETTER.sub(" ", text).split()
    if text.isascii():
        words = _WORD.findall(text)
    else:
        words = _word_of_any_script().findall(unicodedata.normalize("NFC", text).translate(_APOSTROPHES))
    return words if settings.punctuation == "keep" else [word for word in words if not _SIGN.fullmatch(word)]


@dataclass(frozen=True)
class Ragged:
    """Sequences of whole numbers, one after the other: sequence i is `flat[starts[i] : starts[i + 1]]`."""

    flat: np.ndarray  # int32, where there are many mapped from a file
    starts: np.ndarray  # `[n + 1]`

    def __len__(self) -> int:
        return len(self.starts) - 1

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """The length of each sequence, `[n]`."""
        return np.diff(self.starts)

    def of(self, index: int) -> np.ndarray:
        """One of the sequences."""
        return self.flat[self.starts[index] : self.starts[index + 1]]

    def blocks(self) -> "Iterator[Ragged]":
        """The same, some sequences at a time."""
        for first in range(0, len(self), _TEXTS):
            starts = self.starts[first : first + _TEXTS + 1]
            yield Ragged(self.flat[starts[0] : starts[-1]], starts - starts[0])

    def changed(self, change: "Callable[[Ragged], Ragged]") -> "Ragged":
        """What becomes of the sequences, by a change that is done in blocks, as memory may not hold them all."""
        flat, lengths = Spool(self.flat.dtype), [np.zeros(1, int)]
        for block in map(change, self.blocks()):
            flat.put(block.flat)
            lengths.append(block.lengths)
        return Ragged(flat.array(), np.cumsum(np.concatenate(lengths)))

    def where(self, kept: np.ndarray) -> "Ragged":
        """The sequences without the numbers whose `kept`, a truth value for each of `flat`, is false."""
        before = np.concatenate([[0], np.cumsum(kept)])
        return Ragged(self.flat[kept], before[self.starts])

    def select(self, rows: np.ndarray) -> "Ragged":
        """Some of the sequences, in the order of `rows`."""
        lengths = self.lengths[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], lengths)
        return Ragged(self.flat[places], starts)

    def padded(self, rows: np.ndarray, steps: int) -> np.ndarray:
        """Some of the sequences, as columns filled up with padding: `[steps, len(rows)]`, int32.

        None of them may be longer than `steps`.
        """
        time = np.arange(steps)[:, None]
        inside = time < self.lengths[rows]
        places = np.where(inside, self.starts[rows] + time, 0)
        return np.where(inside, self.flat[places], PADDING) if len(self.flat) else np.zeros(places.shape, np.int32)


@dataclass(frozen=True)
class Words:
    """Texts that were split: each word is its place in `spellings`."""

    texts: Ragged
    spellings: list[str]

    def cut(self, settings: Splitting) -> "Words":
        """The same without the words of texts longer than `max_words` that the network does not read."""
        most = settings.max_words
        head = {"head": most, "tail": 0, "both": most // 2}[settings.cut]
        if self.texts.lengths.max(initial=0) <= most:
            return self

        def shortened(texts: Ragged) -> Ragged:
            place = np.arange(len(texts.flat)) - np.repeat(texts.starts[:-1], texts.lengths)
            length = np.repeat(texts.lengths, texts.lengths)
            return texts.where((length <= most) | (place < head) | (place >= length - (most - head)))

        return Words(self.texts.changed(shortened), self.spellings)

    @property
    def counts(self) -> np.ndarray:
        """How often each spelling comes."""
        counts = np.zeros(len(self.spellings), int)
        for texts in self.texts.blocks():
            counts += np.bincount(texts.flat, minlength=len(counts))
        return counts

    def of(self, text: int) -> list[str]:
        """The words of one text."""
        return [self.spellings[index] for index in self.texts.of(text)]


def split_all(texts: Iterable[str], settings: Splitting) -> Words:
    """The words of all texts. A word that comes often is kept once."""
    places: dict[str, int] = {}
    flat, starts = Spool(np.int32), array("q", [0])
    for text in texts:
        flat.put(np.array([places.setdefault(word, len(places)) for word in split(text, settings)], np.int32))
        starts.append(len(flat))
    return Words(Ragged(flat.array(), np.array(starts)), list(places))


def drawn(count: int, most: int) -> np.ndarray:
    """The numbers of `most` of `count` texts, or of all, rising: the same ones each time."""
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def hash_of(word: str) -> int:
    """A number of 32 bits that a word has everywhere and for ever: its CRC-32."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))


class Vocabulary:
    """Words and their tokens: the padding, the known words from the commonest on, the buckets of the others.

    A word that is not known goes to one of `oov_buckets` by its hash: unknown words share vectors, and the network
    learns what to make of them from the training texts' own rare words.
    """

    def __init__(self, words: Sequence[str], oov_buckets: int):
        """`words` are the known ones."""
        self.words, self.oov_buckets = tuple(words), oov_buckets
        self._tokens = {word: token for token, word in enumerate(self.words, PADDING + 1)}
        self._first_bucket = PADDING + 1 + len(self.words)

    @property
    def size(self) -> int:
        """How many tokens there are, padding and buckets included."""
        return self._first_bucket + self.oov_buckets

    def encode(self, words: Words) -> Ragged:
        """The tokens of the texts' words; without buckets, of those that are known."""
        table = self._table(words)

        def tokens(texts: Ragged) -> Ragged:
            numbers = table[texts.flat]
            return Ragged(numbers, texts.starts).where(numbers != PADDING)

        return words.texts.changed(tokens)

    def knows(self, words: Words) -> np.ndarray:
        """Which of the texts' words have a token."""
        return self._table(words)[words.texts.flat] != PADDING

    def _table(self, words: Words) -> np.ndarray:
        """The token of each spelling; one more, as an index has to be in bounds where there is none."""
        return np.array([*map(self._token, words.spellings), PADDING], np.int32)

    def _token(self, word: str) -> int:
        known = self._tokens.get(word)
        if known is None and self.oov_buckets:
            return self._first_bucket + hash_of(word) % self.oov_buckets
        return known or PADDING

    @staticmethod
    def of(words: Words, settings: Splitting) -> "Vocabulary":
        """The commonest words, `vocabulary_size` with the padding; words as common as each other by the alphabet."""
        counted = zip(words.counts.tolist(), words.spellings, strict=True)
        common = sorted((-count, word) for count, word in counted if count >= settings.min_count)
        return Vocabulary([word for _, word in common[: settings.vocabulary_size - 1]], settings.oov_buckets)
