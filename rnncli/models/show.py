"""What the verbs of `rnncli models` print."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from rnncli.console import Console
from rnncli.models.held import Held, figures_in, find
from rnncli.models.weights import Weights, weights_of
from rnncli.output import Output, cell, csv_text, figure, json_text
from rnncli.training.stored import SUFFIX

_LIST = ("model", "task", "metric", "figure", "bytes", "saved")
_BLOCKS = "▁▂▃▄▅▆▇█"
_MOST_BLOCKS = 60
_MOST_METRICS = 5  # beside each other


def show_list(folder: Path, console: Console) -> None:
    """A row for each model."""
    models = list(find(folder))
    if not models:
        console.say(f"no models in '{folder}' or below; 'rnncli forecast FILE --checkpoint DIR' saves one")
    rows = [(str(each.path), each.task, str(each.figure), size(each.size), age(each.saved)) for each in models]
    if rows:
        console.table(f"models in '{folder}'", ("model", "task", "figure", "size", "age"), rows)
    documents = [_row(each) for each in models]
    console.show_scores(
        lambda: csv_text(_LIST, *([cell(each[name]) for name in _LIST] for each in documents)),
        lambda: {"command": "models list", "models": documents},
    )


def show_model(path: Path, output: Output) -> None:
    """Everything about one model."""
    held = Held.of(path)
    weights = weights_of(path)
    if output.json:
        output.write(json_text(document(held, weights)))
        return
    output.write("".join(f"{line}\n" for line in _described(held, weights)))


def show_export(path: Path, file: Path, console: Console) -> None:
    """Write the file, and say what is in it."""
    if file.suffix.lower() == ".onnx":
        from rnncli.models.onnx import export_onnx

        found = export_onnx(path, file)
    else:
        from rnncli.library import load

        load(path).export(file)
        found = {"format": SUFFIX[1:]}
    found = {"file": str(file), "bytes": file.stat().st_size, **found}
    if console.output.json:
        console.output.write(json_text({"command": "models export", **found}))
    else:
        console.output.write(csv_text(tuple(found), [cell(value) for value in found.values()]))


def show_difference(first: Path, second: Path, console: Console) -> None:
    """A row for each thing in which the models differ."""
    one, other = Held.of(first), Held.of(second)
    rows = [row for row in _differences(one, other) if row[1] != row[2]]
    if not rows:
        console.say(f"'{first}' and '{second}' differ in nothing but their weights")
    else:
        shown = [(name, *("" if value is None else _listed(value) for value in pair)) for name, *pair in rows]
        console.table("differences", ("", str(first), str(second)), shown)
    console.show_scores(
        lambda: csv_text(("name", "first", "second"), *([name, cell(a), cell(b)] for name, a, b in rows)),
        lambda: {
            "command": "models diff",
            "models": [str(first), str(second)],
            "differences": {name: [a, b] for name, a, b in rows},
        },
    )


def document(held: Held, weights: Weights) -> dict[str, Any]:
    """Everything about a model, as JSON types."""
    return {
        "command": "models show",
        **_row(held),
        "config": held.config,
        "source": held.metadata.get("source", {}),
        "sizes": held.sizes,
        "weights": dict(weights.modules),
        "scores": held.scores,
        "history": held.history,
        "train": held.command,
    }


def size(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"


def age(moment: float) -> str:
    """How long ago something was, for people."""
    seconds = max(0.0, time.time() - moment)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds / length)
            return f"{count:,} {unit}{'s' if count > 1 else ''}"
    return "just now"


def curve(values: list[float]) -> str:
    """A curve of one line: the higher the block the larger the value."""
    if len(values) > _MOST_BLOCKS:
        ends = [round(place * len(values) / _MOST_BLOCKS) for place in range(_MOST_BLOCKS + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in pairwise(ends)]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_BLOCKS[round((value - low) / span * (len(_BLOCKS) - 1))] for value in values)


def _row(held: Held) -> dict[str, Any]:
    return {
        "model": str(held.path),
        "task": held.task,
        "metric": f"{held.figure.part} {held.figure.metric}",
        "figure": held.figure.value,
        "bytes": held.size,
        "saved": datetime.fromtimestamp(int(held.saved), UTC).isoformat().replace("+00:00", "Z"),
    }


def _described(held: Held, weights: Weights) -> Iterator[str]:
    yield f"{held.path}: {held.task}, {size(held.size)}, {age(held.saved)}; {held.figure}"
    source = ", ".join(f"{name} {_joined(value)}" for name, value in held.metadata.get("source", {}).items())
    words = {"charlm": "symbols", "sentiment": "words"}.get(held.task, "")
    names = {"vocabulary": f"{words} in the vocabulary"}
    knows = ", ".join(f"{count:,} {names.get(name, name)}" for name, count in held.sizes.items())
    yield f"data      {'; '.join(part for part in (source, knows) if part) or 'that of the lecture'}"
    changed = " ".join(f"{name} {_joined(value)}," for name, value in held.changed.items()).rstrip(",")
    yield f"settings  {changed or 'the defaults'}"
    yield f"weights   {weights.total:,}; about {2 * weights.multiplied:,} FLOP a step of time, thrice that in training"
    yield from (f"            {name}: {count:,}" for name, count in weights.modules.items())
    yield from _scores(held.scores)
    losses = [each["validation"] for each in held.history if each.get("validation") is not None]
    if losses:
        epochs = held.history[-1]["epoch"]
        yield f"history   {curve(losses)} validation {figure(losses[0])} → {figure(losses[-1])}, {epochs:g} epochs"
    if not held.scores:
        yield "          the training has not come to its end; --resume goes on with it"
    yield f"command   {held.command}"


def _scores(scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """A small table for each part of the data."""
    for part, systems in scores.items():
        names = list(figures_in(next(iter(systems.values()), {})))[:_MOST_METRICS]
        yield f"{'scores':10}{part:15}{''.join(f'{name[:10]:>11}' for name in names)}".rstrip()
        for system, metrics in systems.items():
            figures = (figure(metrics.get(name)) for name in names)
            yield f"{'':10}{system:15}{''.join(f'{text:>11}' for text in figures)}"


def _differences(one: Held, other: Held) -> Iterator[tuple[str, Any, Any]]:
    yield "task", one.task, other.task
    first, second = _flat(one.scores), _flat(other.scores)
    pairs: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any]], ...] = (
        ("source ", one.metadata.get("source", {}), other.metadata.get("source", {})),
        ("", one.config, other.config) if one.task == other.task else ("", {}, {}),
        ("", one.sizes, other.sizes),
        ("", {"bytes": one.size}, {"bytes": other.size}),
        ("", {name: first[name] for name in first if name in second}, second),
    )
    for prefix, ours, theirs in pairs:
        for name in dict.fromkeys([*ours, *theirs]) if ours else ():
            yield f"{prefix}{name}", ours.get(name), theirs.get(name)


def _flat(scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        f"{part} {system} {metric}": value
        for part, systems in scores.items()
        for system, metrics in systems.items()
        for metric, value in figures_in(metrics).items()
    }


def _joined(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _listed(value: Any) -> str:
    return figure(value) if isinstance(value, float) else _joined(value)
