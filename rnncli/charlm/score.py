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
from jax import Array

from rnncli.charlm.batches import Text
from rnncli.charlm.model import Carries, CharModel, surprisals
from rnncli.nn.compiled import compiled
from rnncli.training.batches import ALL
from rnncli.training.layout import beside, gathered

_ROWS = 64  # windows or streams at a time, at most
_CHUNK = 1024  # characters of each at a time, at most
_NUMBERS = 2**26  # that a piece needs, at most, roughly
_STREAM = 2**17  # a longer text is read in several streams at once …
_WARM_UP = 2048  # … each started so many characters before its part, which a gated state does not remember


class Scored(NamedTuple):
    """One entry a character, in the order of the text."""

    nats: np.ndarray  # float32 [N]
    hit: np.ndarray  # bool [N]: the character was the likeliest one

    def metrics(self) -> dict[str, float]:
        """The mean loss in nats, the same in bits, perplexity, accuracy, and the number of characters."""
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
        self._run, self._initial = compiled(_scored, model), model.initial_carries
        self._most = _NUMBERS // (model.embedding.count + 8 * model.stack.out_features)  # characters of a piece

    def cold(self, params: Any, text: Text, window: int, share: slice = ALL) -> Scored:
        """Every character of the text, the state at zero before each window of `window` characters.

        Of the windows, only a `share`.
        """
        window = min(window, len(text))
        begins = np.arange(0, len(text), window)[share]
        steps = min(_CHUNK, window)
        rows = max(1, min(_ROWS, self._most // steps))
        scored = _empty(len(begins) * window)
        for first in range(0, len(begins), rows):
            some = np.resize(begins[first : first + rows], rows)
            slots = np.resize(np.arange(first, min(first + rows, len(begins))), rows) * window
            carries = beside(params, self._initial(rows), 0)
            for place in range(0, window, steps):
                carries = self._piece(params, text, (some, slots), place, steps, window, carries, scored)
        return _cut(scored, begins, window, len(text))

    def carried(
        self, params: Any, text: Text, *, streams: int | None = None, warm_up: int = _WARM_UP, share: slice = ALL
    ) -> Scored:
        """Every character of the text, in one pass with the state handed on.

        A long text is cut into `streams` parts (one for each 131,072 characters, at most 64) that are read at once,
        each from `warm_up` characters before its beginning, so that it starts with the state that it needs. Of the
        parts, only a `share`.
        """
        size = len(text)
        if streams is None:
            streams = max(1, min(_ROWS, size // _STREAM))
        length = -(-size // streams)
        whole = -(-size // length)
        begins = np.arange(whole)[share] * length
        streams = len(begins)
        scored, slots = _empty(streams * length), np.arange(streams) * length
        if not streams:
            return scored
        carries = beside(params, self._initial(streams), 0)
        for place, steps in _pieces(-warm_up if whole > 1 else 0, length, max(1, min(_CHUNK, self._most // streams))):
            # streams that have not reached the text's first character yet are held at zero
            carries = _held(beside(params, begins + place > 0, 0), carries)
            carries = self._piece(params, text, (begins, slots), place, steps, length, carries, scored)
        return _cut(scored, begins, length, size)

    def _piece(
        self,
        params: Any,
        text: Text,
        parts: tuple[np.ndarray, np.ndarray],
        place: int,
        steps: int,
        length: int,
        carries: Carries,
        scored: Scored,
    ) -> Carries:
        """Scores `steps` characters of each part from `place` on into `scored`; a part has `length` characters.

        `parts` are their places in the text and in `scored`.
        """
        begins, slots = parts
        nats, hit, carries = self._run(params, beside(params, text.windows(begins + place, steps), 1), carries)
        if place >= 0:
            nats, hit = (np.asarray(gathered(each)) for each in (nats, hit))
            kept = min(steps, length - place)
            for row, slot in enumerate(slots):
                part = slice(slot + place, slot + place + kept)
                scored.nats[part], scored.hit[part] = nats[:kept, row], hit[:kept, row]
        return carries


def _scored(model: CharModel, windows: Array, carries: Carries) -> tuple[Array, Array, Carries]:
    """Nats and hits of windows `[T + 1, B]`, and the carries after them."""
    logits, carries = model(windows[:-1], carries)
    return surprisals(logits, windows[1:]), logits.argmax(-1) == windows[1:], carries


@jax.jit
def _held(started: Array, carries: Carries) -> Carries:
    return jax.tree.map(lambda carry: jnp.where(started[:, None], carry, 0.0), carries)


def _cut(scored: Scored, begins: np.ndarray, length: int, size: int) -> Scored:
    """Without what stands behind the text's end, in the last of the parts."""
    over = max(0, int(begins[-1]) + length - size) if len(begins) else 0
    return Scored(scored.nats[: len(scored.nats) - over], scored.hit[: len(scored.hit) - over])


def _empty(size: int) -> Scored:
    return Scored(np.empty(size, np.float32), np.empty(size, bool))


def _pieces(first: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """Places and lengths that cover `first` … `end`, cut at 0; they may begin earlier, and reach past the end.

    Lengths are powers of two, so that few are compiled, and at most `most` or so.
    """
    for size, low in ((-first, None), (end, 0)):
        steps = min(1 << most.bit_length() - 1, 1 << max(size - 1, 0).bit_length())
        pieces = -(-size // steps)
        for index in range(pieces):
            yield (index - pieces if low is None else index) * steps, steps
