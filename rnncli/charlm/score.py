"""How well a model predicts a text: every character's surprisal, −ln p in nats, and whether it was the likeliest.

Two protocols. *Carried*: one pass over the text, the state handed on from its first to its last character. *Cold*: the
text in windows, the state at zero before each.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from rnncli.charlm.batches import Text
from rnncli.charlm.model import Carries, CharModel, surprisals

_COLD_ROWS = 64  # windows at a time
_CHUNK = 1024  # characters of a stream at a time, at most; a power of two, as are shorter ones: fewer to compile
_STREAM = 2**17  # a longer text is read in several streams at once …
_WARM_UP = 2048  # … each started so many characters before its part, which a gated state does not remember
_MOST_STREAMS = 64


class Scored(NamedTuple):
    """One entry a character, in the order of the text."""

    nats: np.ndarray  # float32 [N]
    hit: np.ndarray  # bool [N]: the character was the likeliest one

    def metrics(self) -> dict[str, float]:
        """Mean loss in nats, the same in bits, perplexity, accuracy, and of how many characters."""
        loss = float(self.nats.mean(dtype=np.float64))
        return {
            "loss": loss,
            "bpc": loss / math.log(2),
            "perplexity": math.exp(min(loss, 700.0)),
            "accuracy": float(self.hit.mean()),
            "characters": len(self.nats),
        }


class Scorer:
    """A model's architecture, compiled to score windows; the parameters are given with each call."""

    def __init__(self, model: CharModel):
        graph, _, rest = nnx.split(model, nnx.Param, ...)

        @jax.jit
        def run(params: Any, windows: Array, carries: Carries) -> tuple[Array, Array, Carries]:
            logits, carries = nnx.merge(graph, params, rest)(windows[:-1], carries)
            return surprisals(logits, windows[1:]), logits.argmax(-1) == windows[1:], carries

        self._run, self._initial = run, model.initial_carries

    def cold(self, params: Any, text: Text, window: int) -> Scored:
        """Every character of the text, the state at zero before each window of `window` characters."""
        starts = np.arange(0, len(text), window)
        found = _empty(len(starts) * window)
        for first in range(0, len(starts), _COLD_ROWS):
            places = starts[first : first + _COLD_ROWS]
            windows = _padded(text, np.resize(places, _COLD_ROWS), window)
            nats, hit, _ = self._run(params, windows, self._initial(_COLD_ROWS))
            part = slice(first * window, (first + len(places)) * window)
            found.nats[part], found.hit[part] = (np.asarray(each).T[: len(places)].ravel() for each in (nats, hit))
        return Scored(found.nats[: len(text)], found.hit[: len(text)])

    def carried(self, params: Any, text: Text, *, streams: int | None = None, warm_up: int = _WARM_UP) -> Scored:
        """Every character of the text, in one pass with the state handed on.

        A long text is cut into `streams` parts (one for each 131,072 characters, at most 64) that are read at once,
        each from `warm_up` characters before its beginning, so that it starts with the state that it needs.
        """
        size = len(text)
        if streams is None:
            streams = max(1, min(_MOST_STREAMS, size // _STREAM))
        length = -(-size // streams)
        streams = -(-size // length)
        found = _empty(streams * length)
        begins = np.arange(streams) * length
        warm = warm_up if streams > 1 else 0
        carries = self._initial(streams)
        for place, steps in _pieces(-warm, length):
            carries = self._at_beginning(carries, begins + place)
            windows = _padded(text, begins + place, steps)
            nats, hit, carries = self._run(params, windows, carries)
            if place < 0:
                continue
            for row, begin in enumerate(begins):
                part = slice(begin + place, begin + min(place + steps, length))
                kept = part.stop - part.start
                found.nats[part], found.hit[part] = np.asarray(nats[:kept, row]), np.asarray(hit[:kept, row])
        return Scored(found.nats[:size], found.hit[:size])

    def _at_beginning(self, carries: Carries, places: np.ndarray) -> Carries:
        """Zero states for the streams that have not reached the text's first character yet."""
        started = jnp.asarray(places > 0)[:, None]
        return jax.tree.map(lambda each: jnp.where(started, each, 0.0), carries)


def _empty(size: int) -> Scored:
    return Scored(np.empty(size, np.float32), np.empty(size, bool))


def _pieces(first: int, end: int) -> Iterator[tuple[int, int]]:
    """Places and lengths that cover `first` … `end`, cut at 0; they may begin earlier, and reach past the end."""
    for size, low in ((-first, None), (end, 0)):
        steps = min(_CHUNK, 1 << max(size - 1, 0).bit_length())
        pieces = -(-size // steps)
        for number in range(pieces):
            yield (number - pieces if low is None else number) * steps, steps


def _padded(text: Text, starts: np.ndarray, length: int) -> np.ndarray:
    """Windows that may reach past the end of the text, where they repeat its last character."""
    places = starts[None, :] + np.arange(-1, length)[:, None]
    found = text.tokens[np.clip(places, 0, len(text) - 1)]
    found[places < 0] = text.boundary
    return found
