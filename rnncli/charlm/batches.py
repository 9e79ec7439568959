"""From a text in tokens to batches of windows: continuing streams, or windows in random order.

A window of T characters is an array of T + 1 tokens: the one before it, and its own. The first T are what the network
reads, the last T what it has to say. Before the first character of a text stands its boundary, so that every character
is predicted once.

Tokens are gathered on the host, a dispatch at a time: a text may be larger than the device's memory, or the host's.
"""

from dataclasses import dataclass

import numpy as np

from rnncli.training.batches import ALL

_SHORT = 16  # windows in a stream; of fewer, none is given up for the shift
_AT_BEGINNING = 4  # of so many epochs, one begins with the text's first character


@dataclass(frozen=True)
class Text:
    """A text as the network sees it."""

    tokens: np.ndarray  # uint8 or uint16 [N]; may be mapped from a file
    boundary: int  # the token that stands before the first

    def __len__(self) -> int:
        return len(self.tokens)

    def windows(self, starts: np.ndarray, length: int) -> np.ndarray:
        """Windows from `starts` `[B]` on, each with the token before it: `[length + 1, B]`, time-major.

        Past the end of the text, the last token is repeated.
        """
        places = starts[None, :] + np.arange(-1, length)[:, None]
        tokens = self.tokens[np.clip(places, 0, len(self) - 1)]
        tokens[places < 0] = self.boundary
        return tokens


class _Batches:
    """Chunks of steps of one epoch: what both kinds of batches share."""

    steady = True

    def __init__(self, text: Text, batch: int, window: int, seed: int, steps_per_epoch: int, chunk: int):
        self.text, self.batch, self.window, self.seed = text, batch, window, seed
        self.steps_per_epoch, self.chunk = steps_per_epoch, min(chunk, steps_per_epoch)

    def starts(self, epoch: int, place: int, steps: int) -> np.ndarray:
        """The starts of the windows of `steps` steps of an epoch, from step `place` of it on: `[steps, B]`."""
        raise NotImplementedError

    def __call__(self, step: int, rows: slice = ALL) -> tuple[np.ndarray, int]:
        """Tokens of the steps from `step` on, `[chunk, window + 1, B]`, and how many of these steps there are."""
        epoch, place = divmod(step, self.steps_per_epoch)
        steps = min(self.chunk, self.steps_per_epoch - place)
        size = len(range(self.batch)[rows])
        tokens = np.zeros((self.chunk, self.window + 1, size), self.text.tokens.dtype)
        for index, starts in enumerate(self.starts(epoch, place, steps)[:, rows]):
            tokens[index] = self.text.windows(starts, self.window)
        return tokens, steps


class Streams(_Batches):
    """Stateful training: B streams through the text, window after window, so that a state can be handed on.

    Stream b starts at b·N/B plus a shift that is drawn for each epoch, so that windows begin, and what does not fill a
    window ends, elsewhere each time. In every fourth epoch the first stream has the text's beginning.
    """

    def __init__(self, text: Text, batch: int, window: int, seed: int, *, chunk: int):
        self._stride = (len(text) - window + 1) // batch
        if self._stride < _SHORT * window:  # shifted as far as whole windows leave room
            self._stride = len(text) // batch
        super().__init__(text, batch, window, seed, self._stride // window, chunk)
        self._shifts = min(window, len(text) - (batch - 1) * self._stride - self.steps_per_epoch * window + 1)

    def starts(self, epoch: int, place: int, steps: int) -> np.ndarray:
        """See `_Batches.starts`."""
        shift = np.random.default_rng([self.seed, epoch]).integers(self._shifts)
        first = np.arange(self.batch) * self._stride + shift
        if epoch % _AT_BEGINNING == 0:
            first[0] = 0
        return first[None, :] + np.arange(place, place + steps)[:, None] * self.window


class Windows(_Batches):
    """Stateless training: windows that do not overlap, in random order, once an epoch.

    The first one starts at an offset that is another one in each of `window` epochs: together these have the windows at
    every offset, as the lecture's `dataset.window(shift=1)` has them. A last batch is filled up with the first windows.
    """

    def __init__(self, text: Text, batch: int, window: int, seed: int, *, chunk: int):
        offsets = min(window, len(text) - window + 1)
        self._windows, self._offsets = (len(text) - offsets + 1) // window, offsets
        batch = min(batch, self._windows)
        super().__init__(text, batch, window, seed, -(-self._windows // batch), chunk)
        self._drawn: tuple[int, int, np.ndarray] | None = None  # an epoch, its offset and its order

    def starts(self, epoch: int, place: int, steps: int) -> np.ndarray:
        """See `_Batches.starts`."""
        if self._drawn is None or self._drawn[0] != epoch:
            cycle, index = divmod(epoch, self._offsets)
            offset = int(np.random.default_rng([self.seed, cycle]).permutation(self._offsets)[index])
            order = np.random.default_rng([self.seed, epoch, 1]).permutation(np.arange(self._windows, dtype=np.uint32))
            self._drawn = epoch, offset, order
        _, offset, order = self._drawn
        places = np.arange(place * self.batch, (place + steps) * self.batch).reshape(steps, self.batch)
        return offset + order[places % self._windows].astype(np.int64) * self.window


@dataclass(frozen=True)
class Replayed:
    """Batches of a new text beside which streams or windows of an old one stand, so that it is not forgotten.

    Attributes:
        new, old: the batches of both; the old ones begin again when they are at their end.
    """

    new: Streams | Windows
    old: Streams | Windows
    steady = True

    @property
    def batch(self) -> int:
        """Streams or windows of a batch, the old ones behind the new."""
        return self.new.batch + self.old.batch

    @property
    def window(self) -> int:
        """Characters of a window."""
        return self.new.window

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which the new text comes once."""
        return self.new.steps_per_epoch

    def __call__(self, step: int, rows: slice = ALL) -> tuple[np.ndarray, int]:
        """Tokens of the steps from `step` on, `[chunk, window + 1, batch]`, and how many of these steps there are."""
        tokens, steps = self.new(step)
        old = np.zeros((*tokens.shape[:2], self.old.batch), tokens.dtype)
        for index in range(steps):
            epoch, place = divmod(step + index, self.old.steps_per_epoch)
            old[index] = self.old.text.windows(self.old.starts(epoch, place, 1)[0], self.window)
        return np.concatenate([tokens, old], 2)[:, :, rows], steps
