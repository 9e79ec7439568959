"""What the verbs of `rnncli charlm` print: text, CSV or JSON on stdout, tables on stderr, plots in files."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from rnncli.charlm.api import Metrics, Model
from rnncli.charlm.batches import Text
from rnncli.charlm.drawing import Extent
from rnncli.charlm.plot import plot_evaluation, plot_training
from rnncli.charlm.reading import TextPart
from rnncli.charlm.score import Scored
from rnncli.charlm.settings import CHECKPOINT, Evaluation
from rnncli.charlm.stops import Sample
from rnncli.charlm.vocabulary import Vocabulary
from rnncli.console import Console
from rnncli.output import Output, figure, json_text, scores_csv, stdout_is_terminal
from rnncli.training.task import Scores

_METRICS = ("loss", "bpc", "perplexity", "accuracy")
_CSV = (*_METRICS, "characters")
_BETWEEN = b"\n----\n"  # two samples, as text
_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\"}


def show_training(model: Model, console: Console) -> None:
    """The scores, the plot, and what to do with the model."""
    result = model.result
    assert result is not None
    _score_tables(model.scores, console, model.settings.evaluation_window)
    for note in result.notes():
        console.say(note)
    where = "" if model.folder == CHECKPOINT else f" --checkpoint {model.folder}"
    console.say(f"saved in '{model.folder}'; sample from it with 'rnncli charlm sample{where}'")
    rate = round(result.steps_per_second * result.task.examples)
    more = {"config": {"text": model.metadata["sources"]["named"]}, "characters_per_second": rate}
    console.show_scores(
        lambda: scores_csv(model.scores, "protocol", _CSV),
        lambda: result.document("charlm train", model.folder, **more),
    )
    console.plot(lambda path: plot_training(result, model.vocabulary.unit, path))


def show_evaluation(
    model: Model,
    part: TextPart,
    measured: tuple[Metrics, Scored | None],
    window: int,
    seconds: float,
    wanted: Evaluation,
    console: Console,
) -> None:
    """The metrics, or every character's surprisal, one a line, if that is wanted; a picture of it."""
    metrics, scored = measured
    scores = {part.part: metrics}
    _score_tables(scores, console, window)
    if scored is not None:
        console.plot(lambda path: plot_evaluation(scored, model.vocabulary.unit, path))
    lines = _per_char(model.vocabulary, part.text, scored) if scored is not None and wanted.per_char else None
    if lines is not None and not console.output.json:
        with console.output.stream() as write:
            rows = (f"{symbol}\t{nats}\n" for symbol, nats in lines)
            for some in iter(lambda: "".join(islice(rows, 1000)), ""):
                write(some.encode())
        return
    document: dict[str, Any] = {
        "command": "charlm evaluate",
        "config": {**model.settings.as_dict(), "evaluation_window": window, "text": list(part.sources)},
        "scores": scores,
        "checkpoint": str(model.folder),
        "seconds": round(seconds, 3),
    }
    if lines is not None:
        document["per_char"] = [[symbol, float(nats)] for symbol, nats in lines]
    console.show_scores(lambda: scores_csv(scores, "protocol", _CSV), lambda: document)


def show_samples(
    drawn: Iterator[np.ndarray],
    prompt: np.ndarray,
    vocabulary: Vocabulary,
    extent: Extent,
    echo: bool,
    output: Output,
    numbers: range,
) -> None:
    """Those samples: one flows as it is drawn, several stand one after the other, or one a line as JSON."""
    start = vocabulary.raw(prompt) if echo else b""
    flows = len(numbers) == 1 and not output.json
    samples = [Sample(vocabulary, extent.stop, kept=not flows) for _ in numbers]
    with output.stream() as write:
        if flows:
            write(start)
        for tokens in drawn:
            texts = [sample.add(tokens[:, index]) for index, sample in enumerate(samples)]
            if flows:
                write(texts[0])
            if all(sample.stopped for sample in samples):
                break
        for index, sample in zip(numbers, samples, strict=True):
            rest = sample.end()
            if flows:
                write(rest)
            elif output.json:
                record = _record(index, start, vocabulary.text(prompt), sample, extent.seed)
                write(json_text(record).encode())
            else:
                write((_BETWEEN if index else b"") + start + bytes(sample.text))
        if output.output is None and not output.json and stdout_is_terminal():
            write(b"\n")


def _score_tables(scores: Scores, console: Console, window: int) -> None:
    names = {"carried": "state carried", "cold": f"cold, {window} each"}
    header = ["", "nats", "bits", "perplexity", "accuracy"]
    for part, protocols in scores.items():
        characters = next(iter(protocols.values()))["characters"]
        rows = [
            [names[protocol], *(figure(metrics[name]) for name in _METRICS)] for protocol, metrics in protocols.items()
        ]
        console.table(f"{part} ({characters:,.0f})", header, rows, style_row=0)


def _record(index: int, start: bytes, prompt: str, sample: Sample, seed: int) -> dict[str, Any]:
    return {
        "sample": index,
        "seed": seed,
        "prompt": prompt,
        "text": (start + sample.text).decode("utf-8", "replace"),
        "stopped": sample.stopped or None,
    }


def _per_char(vocabulary: Vocabulary, text: Text, scored: Scored) -> Iterator[tuple[str, str]]:
    """Each character, escaped to one field of one line, and its surprisal with the digits that tell it apart."""
    spellings = [_escaped(spelling) for spelling in vocabulary.spellings]
    size = 2**16
    for first in range(0, len(text), size):
        tokens, nats = text.tokens[first : first + size].tolist(), scored.nats[first : first + size]
        for token, surprisal in zip(tokens, nats, strict=True):
            # never with an exponent, which `sort -n` does not know
            yield spellings[token], np.format_float_positional(surprisal, unique=True, trim="0")


def _escaped(spelling: bytes) -> str:
    """A character as it is, or, where it cannot be seen or would end a field, as Python writes it."""
    try:
        text = spelling.decode()
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" for byte in spelling)
    return "".join(
        _ESCAPES.get(char, char if char.isprintable() else char.encode("unicode_escape").decode()) for char in text
    )
