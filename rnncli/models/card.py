"""Model cards (Mitchell et al. 2019, arXiv 1810.03993): what a model is, how it was made, how good it is."""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rnncli import __version__
from rnncli.models.held import Held, figures_in
from rnncli.models.weights import weights_of
from rnncli.output import Output, encoded, figure, json_text

_WHAT = {
    "forecast": "forecasts a time series from its past",
    "charlm": "gives the probabilities of the next character of a text, and writes texts",
    "sentiment": "labels texts",
}
_LIMITS = {
    "forecast": (
        "It knows the series that it was trained on. Where a series changes its behaviour, forecasts and their "
        "intervals are wrong until it is trained anew; `rnncli forecast backtest` shows how far they were off before."
    ),
    "charlm": (
        "It writes what is like its text, with what is false or offensive in that. Characters that the text did not "
        "have, it cannot read or write."
    ),
    "sentiment": (
        "It knows the kind of texts that it was trained on, and has no label for others. Probabilities are calibrated "
        "on texts of that kind."
    ),
}


def show_card(path: Path, output: Output) -> None:
    """Print the card; with --json as one string in a document."""
    text = "".join(f"{line}\n" for line in _lines(Held.of(path), weights_of(path).total))
    if output.json:
        text = json_text({"command": "models card", "model": str(path), "card": text})
    with output.stream() as write:
        write(encoded(text))


def _lines(held: Held, weights: int) -> Iterator[str]:
    name = held.path.resolve().stem
    cell = held.config.get("cell", "")
    source = held.metadata.get("source", {})
    yield from ("---", "library_name: rnncli", f"tags: [{', '.join(filter(None, (held.task, str(cell))))}]", "---", "")
    yield from (f"# {name}", "")
    day = datetime.fromtimestamp(held.saved, UTC).date()
    yield f"A model that {_WHAT[held.task]}. rnncli {__version__} describes it; it was saved on {day}."
    yield from (
        "",
        "## How to use it",
        "",
        "```sh",
        *_uses(held),
        "```",
        "",
        f'In Python: `rnncli.load("{held.path}")`.',
    )
    yield from ("", "## What it was trained on", "")
    yield from (f"- {what}: {_listed(value)}" for what, value in source.items())
    yield from (f"- {count:,} {what}" for what, count in held.sizes.items())
    yield f"- digest of the data: `{held.metadata.get('data')}`"
    yield from ("", "## How it was trained", "")
    yield f"{weights:,} weights. Settings that are not at their defaults:"
    yield from ("", "| setting | value |", "|---|---|")
    yield from (f"| {what} | {_listed(value)} |" for what, value in held.changed.items())
    yield from ("", "The command that trains such a model again:", "", "```sh", held.command, "```")
    yield from ("", "## How good it is", "")
    yield from _scores(held)
    yield from ("", "## Limits", "", _LIMITS[held.task])


def _uses(held: Held) -> Iterator[str]:
    where = f"--checkpoint {shlex.quote(str(held.path))}"
    if held.task == "forecast":
        yield f"rnncli forecast predict SERIES {where}"
    elif held.task == "charlm":
        yield from (f"rnncli charlm sample {where}", f"rnncli charlm evaluate TEXT {where}")
    else:
        yield from (f"rnncli sentiment predict TEXT {where}", f"rnncli sentiment evaluate DATA {where}")


def _scores(held: Held) -> Iterator[str]:
    if not held.scores:
        yield "The training has not come to its end, and has no scores."
        return
    rows = [(part, system, metrics) for part, systems in held.scores.items() for system, metrics in systems.items()]
    names = list(figures_in(rows[0][2]))
    yield f"| part | system | {' | '.join(names)} |"
    yield f"|---|---|{'---|' * len(names)}"
    for part, system, metrics in rows:
        yield f"| {part} | {system} | {' | '.join(figure(metrics.get(name)) for name in names)} |"


def _listed(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
