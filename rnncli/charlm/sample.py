"""Sampling: a text from a model, a symbol at a time, in a loop that never leaves the device for long.

A symbol is drawn by the Gumbel-max trick (Gumbel 1954; Maddison et al. 2014): the argument of the maximum of
logits / temperature + noise is distributed like softmax(logits / temperature). The noise depends on the seed, the
sample's number and the place in the text, on nothing else: the same seed gives the same text however the work is cut.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax

from rnncli.charlm.drawing import Drawing
from rnncli.charlm.model import Carries, CharModel
from rnncli.charlm.vocabulary import Vocabulary
from rnncli.nn.compiled import compiled
from rnncli.training.layout import WHOLE, Layout, rows, sharded, split, spread, whole
from rnncli.training.parallel import possible

_CHUNK = 512  # symbols a dispatch, at most: a text flows, and a dispatch costs little beside it
_NOISE = 2**22  # random numbers a dispatch, at most
_RECENT = 64  # symbols that a repetition penalty looks back
_FEW_SYMBOLS = 512  # so many are projected before each dispatch, and looked up in its loop
_AS_IT_IS = Drawing()
_FREE = -1  # stands where a prompt does not say what comes next


class _Loop(NamedTuple):
    """The state of the loop."""

    carries: Carries
    token: Array  # [B], the symbol before the next one
    recent: Array  # [B, _RECENT], the last symbols
    place: Array  # of the next symbol, counted from the end of the prompt


class _Symbols(NamedTuple):
    """What is known of the vocabulary's symbols, bool `[symbols]`."""

    exempt: Any  # from the penalty for repetition
    never: Any  # said


_EXTREMES = 1e-6, 1e6  # of what divides logits


class Degrees(NamedTuple):
    """The settings of a `Drawing` that a compiled program is told, so that it serves any."""

    temperature: Any
    top_p: Any
    min_p: Any
    penalty: Any

    @classmethod
    def of(cls, drawing: Drawing) -> "Degrees":
        """Those of a drawing, float32; beyond `_EXTREMES`, nothing would change but that floats overflow."""
        temperature, penalty = np.clip([drawing.temperature, drawing.repetition_penalty], *_EXTREMES)
        return cls(*map(np.float32, (temperature, drawing.top_p, drawing.min_p, penalty)))


def compiled_for(drawing: Drawing) -> Drawing:
    """What one compiled program serves: drawings that filter by the same means, to whatever degree."""
    return replace(
        drawing,
        temperature=1.0 if drawing.temperature else 0.0,
        top_p=0.5 if drawing.top_p < 1 else 1.0,
        min_p=0.5 if drawing.min_p else 0.0,
        repetition_penalty=2.0 if drawing.repetition_penalty != 1 else 1.0,
    )


def filtered(logits: Array, drawing: Drawing, degrees: Degrees | None = None) -> Array:
    """Logits over the temperature, −∞ where top-k, then top-p, then min-p leave a symbol out. `[B, symbols]`.

    The likeliest symbol always stays. The degrees are those of `drawing` if None.
    """
    degrees = Degrees.of(drawing) if degrees is None else degrees
    logits = (logits - logits.max(-1, keepdims=True)) / degrees.temperature
    if drawing.top_k:
        least = lax.top_k(logits, min(drawing.top_k, logits.shape[-1]))[0][:, -1:]
        logits = jnp.where(logits < least, -jnp.inf, logits)
    if drawing.top_p < 1:
        ranked = -jnp.sort(-logits, axis=-1)
        before = jnp.cumsum(jax.nn.softmax(ranked), -1) - jax.nn.softmax(ranked)
        # the least likely symbol that stays is the last one with less than p before it
        kept = jnp.maximum((before < degrees.top_p).sum(-1, keepdims=True), 1)
        least = jnp.take_along_axis(ranked, kept - 1, -1)
        logits = jnp.where(logits < least, -jnp.inf, logits)
    if drawing.min_p:
        floor = logits.max(-1, keepdims=True) + jnp.log(degrees.min_p)
        logits = jnp.where(logits < floor, -jnp.inf, logits)
    return logits


def draw(logits: Array, noise: Array, drawing: Drawing, degrees: Degrees | None = None) -> Array:
    """A symbol for each row: logits and Gumbel noise `[B, symbols]` → `[B]`."""
    return (filtered(logits, drawing, degrees) + noise).argmax(-1)


def penalised(logits: Array, recent: Array, penalty: float | Array, exempt: Array) -> Array:
    """Logits `[B, symbols]` with those of the symbols in `recent` `[B, n]` made smaller (Keskar et al. 2019).

    Symbols at which `exempt` `[symbols]` is true stay as they are. Entries of `recent` below 0 are none.
    """
    seen = jax.nn.one_hot(recent, logits.shape[-1], dtype=bool).any(1) & ~exempt
    smaller = jnp.where(logits > 0, logits / penalty, logits * penalty)
    return jnp.where(seen, smaller, logits)


class Sampler:
    """A model compiled for sampling."""

    def __init__(self, model: CharModel, vocabulary: Vocabulary, drawing: Drawing = _AS_IT_IS):
        self._model, self._vocabulary, self._degrees = model, vocabulary, Degrees.of(drawing)
        exempt = np.array([symbol == ord("\n") for symbol in vocabulary.symbols] + [True])
        never = np.zeros(vocabulary.size, bool)
        never[-1] = not vocabulary.documents  # a boundary that was never trained is never said
        self._state, self._symbols = nnx.state(model), _Symbols(exempt, never)
        self._kind = compiled_for(drawing)

    def sample(
        self,
        prompt: np.ndarray,
        length: int,
        *,
        samples: int | range = 1,
        seed: int = 0,
        params: Any = None,
        degrees: Degrees | None = None,
        most: int = _CHUNK,
    ) -> Iterator[np.ndarray]:
        """Tokens that follow the prompt, `[n, B]` a dispatch, `length` in all, of B samples.

        `samples` are how many there are, or the numbers of those that are wanted: a sample depends on its number and
        the seed, not on those beside it. An empty prompt is a text's beginning; while a long one is read, empty arrays
        come. `params` replace the model's own parameters, `degrees` those of the drawing. A dispatch has at most `most`
        steps; another number is compiled anew.
        """
        degrees = self._degrees if degrees is None else degrees
        state = self._state if params is None else nnx.merge_state(self._state, params)
        boundary = self._vocabulary.boundary
        # made by NumPy, as each operation of JAX outside the loop would be compiled by itself
        numbers = range(samples) if isinstance(samples, int) else samples
        size = len(numbers)
        shapes = jax.eval_shape(lambda: self._model.initial_carries(size))
        loop = _Loop(
            jax.tree.map(lambda carry: np.zeros(carry.shape, carry.dtype), shapes),
            jax.device_put(np.full(size, boundary, np.int32)),
            jax.device_put(np.full((size, _RECENT), _FREE, np.int32)),
            jax.device_put(np.int32(-len(prompt))),
        )
        # a rule, not a measurement: samples have nothing to do with each other, and a core is idle without them
        layout = Layout(possible(size)[-1])
        run = compiled(_Generation(self._kind, layout), self._model)
        # as `run` hands them on, or it would be compiled twice
        state, loop = spread((state, loop), (whole(state), _parts(loop)), layout)
        drawn = np.array([seed, numbers.start, numbers.step], np.uint32)
        pending: tuple[Array, int, int] | None = None
        chunk = max(1, min(most, _NOISE // (size * self._vocabulary.size)))
        for first in range(0, len(prompt) + length, chunk):
            steps = min(chunk, len(prompt) + length - first)
            forced = np.full(chunk, _FREE, np.int32)
            part = prompt[first : first + chunk]
            forced[: len(part)] = part
            loop, tokens = run(state, loop, self._symbols, drawn, degrees, forced, steps)
            if pending is not None:  # the device goes on while these are looked at
                yield from _after_prompt(*pending)
            pending = tokens, len(part), steps
        if pending is not None:
            yield from _after_prompt(*pending)


def _parts(loop: _Loop) -> Any:
    """The part of the loop's arrays that each device has: its samples."""
    return jax.tree.map(lambda array: split(array, 0) if array.ndim else WHOLE, loop)


def _after_prompt(tokens: Array, first: int, end: int) -> Iterator[np.ndarray]:
    """The tokens of a dispatch that are not the prompt's; none while a prompt is read."""
    yield np.asarray(tokens)[first:end]


@dataclass(frozen=True)
class _Generation:
    """The function that is compiled for drawings of a kind."""

    drawing: Drawing
    layout: Layout

    def __call__(
        self,
        model: CharModel,
        loop: _Loop,
        symbols: _Symbols,
        seed: Array,
        degrees: Degrees,
        forced: Array,
        steps: Array,
    ) -> tuple[_Loop, Array]:
        """See `_generate`; devices share the samples."""
        graph, state = nnx.split(model)
        parts = _parts(loop)
        arguments, results = (WHOLE, parts, *[WHOLE] * 5), (parts, split(forced[:, None], 1))
        program = sharded(partial(_generate, graph, self.drawing, self.layout), arguments, results, self.layout)
        return program(state, loop, symbols, seed, degrees, forced, steps)


def _generate(
    graph: Any,
    drawing: Drawing,
    layout: Layout,
    state: Any,
    loop: _Loop,
    known: _Symbols,
    seed: Array,
    degrees: Degrees,
    forced: Array,
    steps: Array,
) -> tuple[_Loop, Array]:
    """The next `steps` symbols `[len(forced), B]`: forced ones where `forced` has them, drawn ones elsewhere."""
    model: CharModel = nnx.merge(graph, state)
    samples, symbols = len(loop.token), len(known.never)
    projected = model.projected_symbols() if symbols <= _FEW_SYMBOLS else None
    places = jnp.maximum(loop.place + jnp.arange(len(forced)), 0)
    noise = _noise(seed[0], places, seed[1] + seed[2] * rows(samples, layout), symbols) if drawing.temperature else None

    def choose(logits: Array, recent: Array, index: Array) -> Array:
        logits = jnp.where(known.never, -jnp.inf, logits)
        if drawing.repetition_penalty != 1:
            logits = penalised(logits, recent, degrees.penalty, known.exempt)
        return logits.argmax(-1) if noise is None else draw(logits, noise[index], drawing, degrees)

    def body(index: Array, state: tuple[_Loop, Array]) -> tuple[_Loop, Array]:
        loop, tokens = state
        logits, carries = model.step(loop.token, loop.carries, projected)
        drawn = choose(logits, loop.recent, index).astype(jnp.int32)
        token = jnp.where(forced[index] >= 0, forced[index], drawn)
        recent = loop.recent
        if drawing.repetition_penalty != 1:
            recent = jnp.concatenate([recent[:, 1:], token[:, None]], 1)
        return _Loop(carries, token, recent, loop.place + 1), tokens.at[index].set(token)

    return lax.fori_loop(0, steps, body, (loop, jnp.zeros((len(forced), samples), jnp.int32)))


def _noise(seed: Array, places: Array, samples: Array, symbols: int) -> Array:
    """Gumbel noise `[places, B, symbols]`, from a key for each sample `[B]` and each place."""

    def at(place: Array, sample: Array) -> Array:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), sample), place)
        return jax.random.gumbel(key, (symbols,))

    return jax.vmap(lambda place: jax.vmap(partial(at, place))(samples))(places)
