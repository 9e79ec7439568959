"""A sample as it grows, and where it stops."""

import numpy as np

from rnncli.charlm.vocabulary import Vocabulary


class Sample:
    """A sample as it grows: what may become a stop string is held back."""

    def __init__(self, vocabulary: Vocabulary, stop: tuple[str, ...], *, kept: bool):
        """`kept`: whether what was printed is wanted again, as `text`."""
        self._vocabulary, self._kept = vocabulary, kept
        self._stop = [string.encode("utf-8", "surrogateescape") for string in stop if string]
        self._held = b""
        self.text, self.stopped = bytearray(), ""

    def add(self, tokens: np.ndarray) -> bytes:
        """What can be printed now."""
        if self.stopped:
            return b""
        text = self._held + self._vocabulary.raw(tokens)
        # the one that comes first, which does not depend on how the text comes in; of two at once, the longer
        ends = [(text.find(string) + len(string), -len(string), string) for string in self._stop if string in text]
        if ends:
            end, _, string = min(ends)
            self.stopped = string.decode("utf-8", "replace")
            self._held, text = b"", text[: end - len(string)]
        else:
            longest = max((len(string) for string in self._stop), default=1)
            held = next((n for n in range(longest - 1, 0, -1) if self._may_begin(text[-n:], n)), 0)
            self._held, text = text[len(text) - held :], text[: len(text) - held]
        return self._keep(text)

    def end(self) -> bytes:
        """What was held back, as nothing follows."""
        rest, self._held = self._held, b""
        return self._keep(rest)

    def _keep(self, text: bytes) -> bytes:
        if self._kept:
            self.text += text
        return text

    def _may_begin(self, tail: bytes, size: int) -> bool:
        return len(tail) == size and any(string.startswith(tail) for string in self._stop)
