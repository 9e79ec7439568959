"""What the verbs of `rnncli charlm` print: text, CSV or JSON on stdout, tables on stderr, plots in files."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.charlm.batches import Text
from rnncli.charlm.options import CHECKPOINT
from rnncli.charlm.run import Model, Outcome, Scores
from rnncli.charlm.score import Scored
from rnncli.charlm.vocabulary import Vocabulary
from rnncli.console import (
    Messages,
    Output,
    csv_text,
    data_stream,
    figure,
    json_text,
    stdout_is_terminal,
    write_data,
    write_scores,
)

_METRICS = ("loss", "bpc", "perplexity", "accuracy")
_BETWEEN = b"\n----\n"  # two samples, as text
_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\"}


@dataclass(frozen=True)
class Printing:
    """Which samples are printed, and how."""

    echo: bool
    stop: tuple[str, ...]
    samples: int
    seed: int


def show_training(outcome: Outcome, checkpoint: Path, output: Output, messages: Messages) -> None:
    """The scores, the plot, and what to do with the model."""
    fitting = outcome.fitting
    _score_table(outcome.scores, messages, outcome.config.evaluation_window)
    epochs = outcome.config.epochs
    messages.say(f"best epoch {fitting.best_epoch:g} of {epochs} by validation loss; {outcome.seconds:.0f} s")
    if fitting.best_epoch == 0:
        messages.say("warning: no epoch was better than the untrained network; lower --learning-rate, or train longer")
    where = "" if checkpoint == CHECKPOINT else f" --checkpoint {checkpoint}"
    messages.say(f"saved in '{checkpoint}'; sample from it with 'rnncli charlm sample{where}'")
    if output.as_json:
        write_data(output.timed(outcome.document(checkpoint)), output.file)
    else:
        write_scores(_scores_csv(outcome.scores), output, messages)
    if output.plot is not None:
        from rnncli.charlm.plot import plot_training

        plot_training(outcome, output.plot)
        messages.say(f"plot in '{output.plot}'")


def show_evaluation(
    model: Model,
    checkpoint: Path,
    part: str,
    sources: tuple[str, ...],
    text: Text,
    metrics: dict[str, dict[str, float]],
    scored: Scored | None,
    window: int,
    seconds: float,
    output: Output,
    messages: Messages,
) -> None:
    """The metrics, or every character's surprisal, one a line, if `scored` has them."""
    scores = {part: metrics}
    _score_table(scores, messages, window)
    lines = _per_char(model.vocabulary, text, scored) if scored is not None else None
    if output.as_json:
        document: dict[str, Any] = {
            "command": "charlm evaluate",
            "config": {**model.config.as_dict(), "evaluation_window": window, "text": list(sources)},
            "scores": scores,
            "checkpoint": str(checkpoint),
            "seconds": round(seconds, 3),
        }
        if lines is not None:
            document["per_char"] = [[symbol, float(nats)] for symbol, nats in lines]
        write_data(output.timed(document), output.file)
    elif lines is not None:
        with data_stream(output.file) as write:
            rows = (f"{symbol}\t{nats}\n" for symbol, nats in lines)
            for some in iter(lambda: "".join(islice(rows, 1000)), ""):
                write(some.encode())
    else:
        write_scores(_scores_csv(scores), output, messages)


def show_samples(
    drawn: Iterator[np.ndarray], prompt: np.ndarray, vocabulary: Vocabulary, printing: Printing, output: Output
) -> None:
    """The samples: one flows as it is drawn, several stand one after the other, or one a line as JSON."""
    start = vocabulary.raw(prompt) if printing.echo else b""
    flows = printing.samples == 1 and not output.as_json
    samples = [_Sample(vocabulary, printing.stop, kept=not flows) for _ in range(printing.samples)]
    with data_stream(output.file) as write:
        if flows:
            write(start)
        for tokens in drawn:
            said = [sample.add(tokens[:, number]) for number, sample in enumerate(samples)]
            if flows:
                write(said[0])
            if all(sample.stopped for sample in samples):
                break
        for number, sample in enumerate(samples):
            rest = sample.end()
            if flows:
                write(rest)
            elif output.as_json:
                write(json_text(_record(number, start, vocabulary.text(prompt), sample, printing)).encode())
            else:
                write((_BETWEEN if number else b"") + start + bytes(sample.said))
        if output.file is None and not output.as_json and stdout_is_terminal():
            write(b"\n")


class _Sample:
    """A sample as it grows: what may become a stop string is held back."""

    def __init__(self, vocabulary: Vocabulary, stop: tuple[str, ...], *, kept: bool):
        """`kept`: whether what was printed is wanted again, as `said`."""
        self._vocabulary, self._kept = vocabulary, kept
        self._stop = [string.encode("utf-8", "surrogateescape") for string in stop if string]
        self._held = b""
        self.said, self.stopped = bytearray(), ""

    def add(self, tokens: np.ndarray) -> bytes:
        """What can be printed now."""
        if self.stopped:
            return b""
        text = self._held + self._vocabulary.raw(tokens)
        # the one that is said first, which does not depend on how the text comes in; of two at once, the longer
        found = [(text.find(string) + len(string), -len(string), string) for string in self._stop if string in text]
        if found:
            end, _, string = min(found)
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
            self.said += text
        return text

    def _may_begin(self, tail: bytes, size: int) -> bool:
        return len(tail) == size and any(string.startswith(tail) for string in self._stop)


def _record(number: int, start: bytes, prompt: str, sample: _Sample, printing: Printing) -> dict[str, Any]:
    return {
        "sample": number,
        "seed": printing.seed,
        "prompt": prompt,
        "text": (start + sample.said).decode("utf-8", "replace"),
        "stopped": sample.stopped or None,
    }


def _per_char(vocabulary: Vocabulary, text: Text, scored: Scored) -> Iterator[tuple[str, str]]:
    """Each character, escaped to one field of one line, and its surprisal with the digits that tell it apart."""
    spelled = [_escaped(spelling) for spelling in vocabulary.spellings]
    size = 2**16
    for first in range(0, len(text), size):
        tokens, nats = text.tokens[first : first + size].tolist(), scored.nats[first : first + size]
        for token, each in zip(tokens, nats, strict=True):
            # never with an exponent, which `sort -n` does not know
            yield spelled[token], np.format_float_positional(each, unique=True, trim="0")


def _escaped(spelling: bytes) -> str:
    """A character as it is, or, where it cannot be seen or would end a field, as Python writes it."""
    try:
        text = spelling.decode()
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" for byte in spelling)
    return "".join(
        _ESCAPES.get(char, char if char.isprintable() else char.encode("unicode_escape").decode()) for char in text
    )


def _scores_csv(scores: Scores) -> str:
    rows = [
        (part, protocol, *(f"{metrics[name]:.6g}" for name in _METRICS), metrics["characters"])
        for part, protocols in scores.items()
        for protocol, metrics in protocols.items()
    ]
    return csv_text(("part", "protocol", *_METRICS, "characters"), rows)


def _score_table(scores: Scores, messages: Messages, window: int) -> None:
    names = {"carried": "state carried", "cold": f"cold, {window} each"}
    for part, protocols in scores.items():
        characters = next(iter(protocols.values()))["characters"]
        rows = [[names[key], *(figure(values[name]) for name in _METRICS)] for key, values in protocols.items()]
        messages.table(f"{part} ({characters:,.0f})", ["", "nats", "bits", "perplexity", "accuracy"], rows, style_row=0)
