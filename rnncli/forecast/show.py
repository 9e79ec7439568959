"""What the verbs of `rnncli forecast` print: CSV or JSON on stdout, tables on stderr, plots in files."""

import math
from typing import Any

from rnncli.console import Console
from rnncli.forecast.api import Model, document
from rnncli.forecast.compare import Comparison
from rnncli.forecast.metrics import METRICS
from rnncli.forecast.plot import plot_forecasts, plot_training
from rnncli.forecast.series import Forecast
from rnncli.output import csv_text, figure, json_text, scores_csv, significant

_CSV_METRICS = ("mse", "mae", "rmse", "smape", "mase")


def show_training(model: Model, console: Console) -> None:
    """The forecast (or, without a future, the scores), the score tables, the plot."""
    result, output = model.result, console.output
    assert result is not None
    forecasts: list[Forecast] = result.scored.details.forecasts
    _score_tables(model, console)
    for note in [*result.notes(), *_verdict(model)]:
        console.say(note)
    if model.folder is not None:
        console.say(f"saved in '{model.folder}'")
    if output.json or not forecasts:
        more = {"config": document(model), "forecast": [row for each in forecasts for row in _objects(each)]}
        if model.combination is not None:
            more["combination"] = model.combination.weights.means()
        if len(forecasts) > 1:
            by_series = result.scored.details.by_series
            more["series"] = {forecasts[number].series.id: systems for number, systems in by_series.items()}
        console.show_scores(lambda: _scores_csv(model), lambda: result.document("forecast train", model.folder, **more))
    else:
        output.write(_forecast_csv(forecasts))
    console.plot(lambda path: plot_training(model, forecasts, path))


def show_forecast(forecasts: list[Forecast], console: Console) -> None:
    """Forecasts as CSV, or JSON Lines."""
    if console.output.json:
        text = "".join(json_text(row) for each in forecasts for row in _objects(each))
    else:
        text = _forecast_csv(forecasts)
    console.output.write(text)
    console.plot(lambda path: plot_forecasts(forecasts, path))


def _objects(forecast: Forecast) -> list[dict[str, Any]]:
    """The rows of a forecast as JSON types."""
    id = {"id": forecast.series.id} if forecast.series.id else {}
    return [{**id, "time": time, "forecast": value} for time, value in forecast.rows()]


def show_comparison(comparison: Comparison, console: Console) -> None:
    """The table of a comparison for people, and as CSV or JSON."""
    console.table(comparison.title, *comparison.table())
    console.show_scores(comparison.csv, comparison.document)


def _forecast_csv(forecasts: list[Forecast]) -> str:
    first = forecasts[0].series
    header = (first.time_name or "step", "forecast")
    rows = [
        ((each.series.id,) if each.series.id else ()) + (time, significant(value, each.series.digits))
        for each in forecasts
        for time, value in each.rows()
    ]
    return csv_text(((first.id_name,) if first.id else ()) + header, *rows)


def _scores_csv(model: Model) -> str:
    steps = [f"mse_step_{step + 1}" for step in range(model.settings.horizon)]
    flat = {
        part: {
            name: {**metrics, **dict(zip(steps, metrics["mse_by_step"], strict=True))}
            for name, metrics in systems.items()
        }
        for part, systems in model.scores.items()
    }
    return scores_csv(flat, "system", (*_CSV_METRICS, *steps))


def _score_tables(model: Model, console: Console) -> None:
    part = "test" if model.scores["test"] else "validation"
    systems, shares = model.scores[part], _shares(model)
    metrics = [metric for metric in METRICS if systems["model"][metric] is not None]
    rows = [[_label(name), *(figure(scores[metric]) for metric in metrics)] for name, scores in systems.items()]
    header = ["system", *metrics]
    if shares:
        header.insert(1, "share")
        rows = [[row[0], shares.get(name, ""), *row[1:]] for name, row in zip(systems, rows, strict=True)]
    console.table(f"{part} part", header, rows, style_row=0)
    steps = _some_steps(model.settings.horizon)
    if len(steps) > 1:
        rows = [
            [_label(name), *(figure(scores["mae_by_step"][step]) for step in steps)] for name, scores in systems.items()
        ]
        console.table("mae by steps ahead", ["system", *(str(step + 1) for step in steps)], rows, style_row=0)


def _shares(model: Model) -> dict[str, str]:
    """What the combination takes of each system, in per cent; nothing where one system is the model."""
    if model.combination is None or model.settings.system != "auto":
        return {}
    weights = model.combination.weights.means()["weights"]
    return {"model": "100 %", **{name: f"{100 * weight:.0f} %" for name, weight in weights.items()}}


def _some_steps(horizon: int, most: int = 7) -> list[int]:
    """At most seven of the steps ahead, which fit 80 columns; the first and the last are among them."""
    if horizon <= most:
        return list(range(horizon))
    return sorted({round(index * (horizon - 1) / (most - 1)) for index in range(most)})


def _verdict(model: Model) -> list[str]:
    """How the model stands against the others."""
    notes, metric = [], model.settings.loss
    systems = model.scores["test"]
    assert model.result is not None
    if model.settings.linear_skip and model.settings.trains and model.result.untrained_is_best:
        notes.append("training found nothing to add to the network's linear path")
    if not systems:
        notes.append(
            "the series is too short for a test part: the figures are those of the origins that gave the shares"
        )
        return notes
    ours = systems["model"][metric]
    best = min((name for name in systems if name != "model"), key=lambda name: systems[name][metric])
    if ours > systems[best][metric] and not math.isclose(ours, systems[best][metric], rel_tol=1e-3):
        what = "combination" if model.settings.system == "auto" else "model"
        notes.append(
            f"the {what} is not the best on the test part: {_label(best)} has {metric} "
            f"{figure(systems[best][metric])}, the {what} {figure(ours)}"
        )
    return notes


def _label(name: str) -> str:
    return name.replace("_", " ")
