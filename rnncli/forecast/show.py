"""What the verbs of `rnncli forecast` print: CSV or JSON on stdout, tables on stderr, plots in files."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rnncli.console import Console
from rnncli.errors import Alarm
from rnncli.forecast.api import Model, document
from rnncli.forecast.backtest import Backtest
from rnncli.forecast.compare import Comparison, label_of
from rnncli.forecast.intervals import SHARE
from rnncli.forecast.metrics import METRICS
from rnncli.forecast.plot import plot_backtest, plot_comparison, plot_forecasts, plot_training
from rnncli.forecast.rows import forecast_csv, key_of, keys_of, objects, objects_of, several_targets, texts_of
from rnncli.forecast.series import Forecast, Series
from rnncli.forecast.verb_settings import Alert, Quantiles
from rnncli.output import csv_text, encoded, figure, json_text, scores_csv, significant

_CSV_METRICS = ("mse", "mae", "rmse", "smape", "mase")


def show_training(model: Model, quantiles: Quantiles, console: Console) -> None:
    """The forecast (or, without a future, the scores), the score tables, the plot."""
    result, output = model.result, console.output
    assert result is not None
    forecasts: list[Forecast] = result.scored.details.forecasts
    _score_tables(model, console)
    for note in [*result.notes(), *_verdict(model)]:
        console.say(note)
    if model.settings.loss == "pinball" and model.settings.system != "network" and not quantiles.conformal:
        console.say("the quantiles are those of a normal distribution; `system` network has its own")
    if model.folder is not None:
        console.say(f"saved in '{model.folder}'")
    if output.json or not forecasts:
        more = {"config": document(model) | quantiles.as_dict(), "forecast": list(objects(forecasts, quantiles))}
        if model.combination is not None:
            more["combination"] = model.combination.weights.means()
        if len(forecasts) > 1:
            by_series = result.scored.details.by_series
            more["series"] = _nested([(forecasts[number].series, systems) for number, systems in by_series.items()])
        console.show_scores(lambda: _scores_csv(model), lambda: result.document("forecast train", model.folder, **more))
    else:
        output.write(forecast_csv(forecasts, quantiles))
    console.plot(lambda path: plot_training(model, forecasts, path))


def _nested(scored: Sequence[tuple[Series, Mapping[str, Any]]]) -> dict[str, Any]:
    """The scores of each series: by id, by target, or, where there are several of both, by id and then by target."""
    members = [series for series, _ in scored]
    if not members or not members[0].id:
        return {series.name: systems for series, systems in scored}
    if not several_targets(members):
        return {series.id: systems for series, systems in scored}
    nested: dict[str, Any] = {}
    for series, systems in scored:
        nested.setdefault(series.id, {})[series.name] = systems
    return nested


def sound(alert: Alert, systems: Mapping[str, Any], where: str) -> None:
    """Raise Alarm where the model's error is larger than the user allows, or is not known."""
    if alert.alert is None:
        return
    mase = systems.get("model", {}).get("mase")
    if mase is None:
        raise Alarm(f"the error on {where} could not be told, and `alert` {alert.alert:g} not be checked")
    if mase > alert.alert:
        raise Alarm(f"the error on {where}, MASE {figure(mase)}, is above `alert` {alert.alert:g}")


def show_forecast(forecasts: list[Forecast], quantiles: Quantiles, console: Console) -> None:
    """Forecasts as CSV, or JSON Lines."""
    if console.output.json:
        text = "".join(json_text(row) for row in objects(forecasts, quantiles))
    else:
        text = forecast_csv(forecasts, quantiles)
    console.output.write(text)
    console.plot(lambda path: plot_forecasts(forecasts, path))


def show_following(followed: Iterator[list[Forecast]], quantiles: Quantiles, console: Console) -> None:
    """Forecasts as they come: CSV with a header first, or JSON Lines; each says the last row that it knows."""
    begun = False
    with console.output.stream() as write:
        for forecasts in followed:
            several, lines = several_targets([each.series for each in forecasts]), []
            for forecast in forecasts:
                series = forecast.series
                origin = series.stamp(len(series.values) - 1)
                if console.output.json:
                    rows = objects_of(forecast, quantiles, several=several)
                    write(encoded("".join(json_text({"origin": origin, **row}) for row in rows)))
                    continue
                key = (*key_of(series, several=several), origin)
                lines += [(*key, step, *row) for step, row in enumerate(texts_of(forecast, quantiles), 1)]
                if not begun:
                    names = (*keys_of(series, several=several), "origin", "step", series.time_name or "row", "forecast")
                    lines.insert(0, (*names, *quantiles.levels))
                begun = True
            if lines:
                write(encoded(csv_text(*lines)))


def show_backtest(backtest: Backtest, quantiles: Quantiles, console: Console) -> None:
    """All forecasts as CSV, or the scores as JSON; tables by system and by origin; the plot."""
    systems = backtest.scores
    console.table("all origins", *_metrics_table(systems, {}), style_row=0)
    _step_table(systems, backtest.settings.horizon, console)
    inside, crps = systems["model"]["coverage"], systems["model"]["crps"]
    console.say(f"{100 * SHARE:.0f} % intervals held {100 * inside:.1f} % of what came; crps {figure(crps)}")
    if console.output.json:
        console.output.write_document(_backtest_document(backtest, quantiles), console.clock)
    else:
        console.output.write(_backtest_csv(backtest, quantiles))
    console.plot(lambda path: plot_backtest(backtest, path))


def _backtest_csv(backtest: Backtest, quantiles: Quantiles) -> str:
    members, origins = backtest.panel.members, backtest.origins
    first, several = members[0], several_targets(members)
    header = (*keys_of(first, several=several), "origin", "step", first.time_name or "row", "actual", "forecast")
    columns = [backtest.quantile(level, conformal=quantiles.conformal) for level in quantiles.levels.values()]
    rows = []
    for row, (number, known, actual) in enumerate(zip(origins.series, origins.lengths, backtest.actual, strict=True)):
        series, known = members[number], int(known)
        id = key_of(series, several=several)
        for step, value in enumerate(backtest.forecast[row]):
            figures = [actual[step], value, *(column[row, step] for column in columns)]
            texts = ["" if np.isnan(each) else significant(float(each), series.digits) for each in figures]
            rows.append((*id, series.stamp(known - 1), step + 1, series.stamp(known + step), *texts))
    return csv_text((*header, *quantiles.levels), *rows)


def _backtest_document(backtest: Backtest, quantiles: Quantiles) -> dict[str, Any]:
    return {
        "command": "forecast backtest",
        "config": backtest.config | quantiles.as_dict(),
        "scores": {"backtest": backtest.scores},
        "checkpoint": None,
        "seconds": round(backtest.seconds, 3),
        "combination": backtest.combination.weights.means(),
        "mae_by_origin": backtest.by_origin.tolist(),
    }


def show_comparison(comparison: Comparison, console: Console) -> None:
    """The table of a comparison for people, and as CSV or JSON."""
    console.table(comparison.title, *comparison.table())
    console.show_scores(comparison.csv, comparison.document)
    console.plot(lambda path: plot_comparison(comparison, path))


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
    console.table(f"{part} part", *_metrics_table(systems, shares), style_row=0)
    _step_table(systems, model.settings.horizon, console)


def _metrics_table(systems: Mapping[str, Any], shares: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: the metrics of each system, and what the combination takes of it."""
    metrics = [metric for metric in METRICS if systems["model"][metric] is not None]
    rows = [[label_of(name), *(figure(scores[metric]) for metric in metrics)] for name, scores in systems.items()]
    if not shares:
        return ["system", *metrics], rows
    rows = [[row[0], shares.get(name, ""), *row[1:]] for name, row in zip(systems, rows, strict=True)]
    return ["system", "share", *metrics], rows


def _step_table(systems: Mapping[str, Any], horizon: int, console: Console) -> None:
    steps = _some_steps(horizon)
    if len(steps) > 1:
        errors = {label_of(name): scores["mae_by_step"] for name, scores in systems.items()}
        rows = [[name, *(figure(each[step]) for step in steps)] for name, each in errors.items()]
        console.table("mae by steps ahead", ["system", *(str(step + 1) for step in steps)], rows, style_row=0)


def _shares(model: Model) -> dict[str, str]:
    """What the combination takes of each system, in per cent; nothing where one system is the model."""
    if model.combination is None or model.settings.system != "auto":
        return {}
    weights = model.combination.weights.means()["weights"]
    return {"model": "100 %", **{name: f"{100 * weight:.0f} %" for name, weight in weights.items()}}


def _some_steps(horizon: int, most: int = 7) -> list[int]:
    """At most seven of the steps ahead, which fit 80 columns: the last, others at even distances before it, the first.

    They are counted from 0.
    """
    stride = 1 if horizon <= most else -(-horizon // (most - 1))
    return sorted({0, *range(horizon - 1, -1, -stride)})


def _verdict(model: Model) -> list[str]:
    """How the model stands against the others."""
    notes, metric = [], model.settings.metric
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
    known = {name: each[metric] for name, each in systems.items() if name != "model" and each[metric] is not None}
    best = min(known, key=known.__getitem__, default=None)
    if ours is None or best is None:
        return notes  # of one of the series there is no forecast
    if ours > known[best] and not math.isclose(ours, known[best], rel_tol=1e-3):
        what = "combination" if model.settings.system == "auto" else "model"
        notes.append(
            f"the {what} is not the best on the test part: {label_of(best)} has {metric} "
            f"{figure(known[best])}, the {what} {figure(ours)}"
        )
    return notes
