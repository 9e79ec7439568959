"""What a sweep prints: a row for each choice, the best first."""

import importlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from rnncli.console import Console
from rnncli.errors import ParameterError
from rnncli.models.held import Held
from rnncli.output import cell, csv_text, figure
from rnncli.plots import plot_bars
from rnncli.sweep.outcomes import Outcome, Swept
from rnncli.sweep.settings import Sweeping
from rnncli.sweep.trials import Sweep
from rnncli.training.layout import chosen_layout
from rnncli.training.settings import DeviceChoice, Saving


def show_sweep(
    task: str,
    make: Any,
    chosen: Any,
    sweeping: Sweeping,
    saving: Saving,
    device: DeviceChoice,
    console: Console,
    preset: str,
    beside: Mapping[str, Any],
) -> None:
    """Train all that is asked for, and show how each did on validation data, and the best one on the test part.

    `make` takes `chosen` and `on_event`, and returns a task. What was chosen `beside`, which one training has alone, is
    refused; its entry "read" has the sources of the data.
    """
    if chosen_layout() is not None:
        raise ParameterError("`mesh` and `distributed` are for one training; leave them out of a sweep")
    if "-" in beside.get("read", ()):
        raise ParameterError("a sweep reads the data for each training, and - gives it once only; save it in a file")
    unused = next((name for name, value in beside.items() if value and name != "read"), None)
    if unused is not None:
        raise ParameterError(f"`{unused}` is for one training; leave it out of a sweep")
    declared = importlib.import_module(f"rnncli.{task}.settings")
    epochs = chosen.get("epochs", chosen.cls.presets.get(preset, {}).get("epochs", declared.SEARCH_EPOCHS))
    choices = distinct(sweeping.choices(chosen.cls, declared.SEARCH), chosen, getattr(declared, "idle", lambda _: ()))
    sweep = Sweep(
        make=make,
        chosen=chosen,
        choices=choices,
        sweeping=sweeping,
        saving=saving,
        device=device,
        figures=declared.SELECTION,
        listener=console.listener,
        epochs=epochs,
    )
    swept = sweep.run()
    _tell(swept, sweeping, console)
    console.show_scores(lambda: csv_text(*_rows(swept)), lambda: _document(task, swept, sweeping))
    console.plot(lambda path: _plot(swept, path))


def distinct(
    choices: list[dict[str, Any]], chosen: Mapping[str, Any], idle: Callable[[Mapping[str, Any]], Collection[str]]
) -> list[dict[str, Any]]:
    """Those that differ in more than what does nothing beside the rest of them."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for choice in choices:
        vain = idle({**chosen, **choice})
        found.setdefault(tuple((name, value) for name, value in choice.items() if name not in vain), choice)
    return list(found.values())


def _tell(swept: Swept, sweeping: Sweeping, console: Console) -> None:
    """The table for people, and what was kept."""
    header, *rows = _rows(swept)
    texts = [[_text(value) for value in row] for row in rows]
    console.table(f"{swept.metric}, the best first", [name.replace("_", " ") for name in header], texts, style_row=0)
    for outcome in swept.outcomes:
        for error in dict.fromkeys(outcome.errors):
            console.say(f"{_named(outcome)}: {error}")
    if not swept.whole:
        console.say(f"the {sweeping.budget} were over before the last training was whole")
    held = Held.of(swept.folder) if swept.folder is not None else None
    kept = f"; kept in '{swept.folder}', the others in '{swept.best.folder.parent}'" if held is not None else ""
    score = f": {held.figure}" if held is not None else ""
    console.say(f"the best is {swept.best.name}{score}{kept}")


def _rows(swept: Swept) -> list[list[Any]]:
    """Header and rows: the values, the figure, its deviation from two seeds on, epochs, seconds."""
    names = list(swept.outcomes[0].values)
    several = any(len(outcome.figures) > 1 for outcome in swept.outcomes)
    metric = swept.metric.replace(" ", "_")
    header = [*names, metric, *([f"{metric}_std"] if several else []), "seeds", "epochs", "seconds"]
    rows = [
        [
            *(each.values[name] for name in names),
            cell(each.mean if each.figures else None),
            *([cell(each.deviation)] if several else []),
            len(each.figures),
            cell(each.epochs),
            round(each.seconds, 1),
        ]
        for each in swept.outcomes
    ]
    return [header, *rows]


def _document(task: str, swept: Swept, sweeping: Sweeping) -> dict[str, Any]:
    return {
        "command": f"{task} train",
        "config": {**swept.metadata["config"], **swept.metadata.get("source", {})},
        "sweep": {
            "metric": swept.metric,
            "budget": sweeping.budget,
            "rows": [
                {
                    "values": each.values,
                    "figures": list(each.figures.values()),
                    "mean": each.mean if each.figures else None,
                    "std": each.deviation,
                    "epochs": each.epochs,
                    "seconds": round(each.seconds, 3),
                    "errors": each.errors,
                }
                for each in swept.outcomes
            ],
            "best": {**swept.best.values, "seed": swept.best.seed},
            "whole": swept.whole,
        },
        "scores": swept.metadata.get("scores", {}),
        "checkpoint": None if swept.folder is None else str(swept.folder),
        "seconds": round(swept.seconds, 3),
    }


def _plot(swept: Swept, path: Any) -> None:
    known = [each for each in swept.outcomes if each.figures]
    spread = [each.deviation or 0.0 for each in known]
    plot_bars([_named(each) for each in known], [each.mean for each in known], swept.metric, "", path, spread)


def _named(outcome: Outcome) -> str:
    return ", ".join(f"{name} {value}" for name, value in outcome.values.items()) or "as it is"


def _text(value: Any) -> str:
    """A value for people: figures with four digits."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value) or "–"
    return str(value) if isinstance(value, int) or number.is_integer() else figure(number)
