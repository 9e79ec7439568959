"""What the verbs of `rnncli forecast` print: CSV or JSON on stdout, tables on stderr, plots in files."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnncli.console import Messages, Output, csv_text, figure, json_text, significant, write_data, write_scores
from rnncli.forecast.compare import Comparison
from rnncli.forecast.run import Outcome
from rnncli.forecast.series import Series


def show_training(outcome: Outcome, checkpoint: Path | None, output: Output, messages: Messages) -> None:
    """The forecast (or, on synthetic data, the scores), the score tables, the plot."""
    series = outcome.data.series
    _score_table(outcome, messages)
    _verdict(outcome, messages)
    if checkpoint is not None:
        messages.say(f"saved in '{checkpoint}'")
    if output.as_json:
        write_data(output.timed(outcome.document(checkpoint)), output.file)
    elif series is not None:
        write_data(_forecast_csv(series, outcome.forecast), output.file)
    else:
        write_scores(_scores_csv(outcome), output, messages)
    if output.plot is not None:
        from rnncli.forecast.plot import plot_training

        plot_training(outcome, output.plot)
        messages.say(f"plot in '{output.plot}'")


def show_forecast(series: Series, forecast: list[tuple[str, float]], output: Output) -> None:
    """A forecast as CSV, or JSON Lines."""
    if output.as_json:
        text = "".join(json_text({"time": stamp, "forecast": value}) for stamp, value in forecast)
    else:
        text = _forecast_csv(series, forecast)
    write_data(text, output.file)
    if output.plot is not None:
        from rnncli.forecast.plot import plot_forecast

        plot_forecast(series, forecast, output.plot)


def show_comparison(comparison: Comparison, output: Output, messages: Messages) -> None:
    """The table of a comparison for people, and as CSV or JSON."""
    header, rows = comparison.table()
    messages.table(comparison.title, header, rows)
    if output.as_json:
        write_data(output.timed(comparison.document()), output.file)
    else:
        write_scores(csv_text(*comparison.csv()), output, messages)


def _forecast_csv(series: Series, forecast: list[tuple[str, float]]) -> str:
    rows = [(stamp, significant(value, series.digits)) for stamp, value in forecast]
    return csv_text((series.time_name or "step", "forecast"), rows)


def _scores_csv(outcome: Outcome) -> str:
    metrics = ("mse", "mae", "rmse", "smape", "mase")
    steps = range(outcome.config.horizon)
    header = ("part", "system", *metrics, *(f"mse_step_{step + 1}" for step in steps))
    rows = [
        (part, name, *(_plain(system[metric]) for metric in metrics), *map(_plain, system["mse_by_step"]))
        for part, systems in outcome.scores.items()
        for name, system in systems.items()
    ]
    return csv_text(header, rows)


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _score_table(outcome: Outcome, messages: Messages) -> None:
    systems = outcome.scores["test"]
    metrics = [
        metric for metric in ("mse", "mae", "rmse", "smape", "mape", "mase") if systems["model"][metric] is not None
    ]
    header = ["system", *metrics]
    rows = [[_label(name), *(figure(system[metric]) for metric in metrics)] for name, system in systems.items()]
    messages.table("test part", header, rows, style_row=0)
    steps = _some_steps(outcome.config.horizon)
    if len(steps) > 1:
        rows = [
            [_label(name), *(figure(system["mae_by_step"][step]) for step in steps)] for name, system in systems.items()
        ]
        messages.table("mae by steps ahead", ["system", *(str(step + 1) for step in steps)], rows, style_row=0)


def _some_steps(horizon: int, most: int = 10) -> list[int]:
    """At most ten of the steps ahead, the first and the last among them."""
    if horizon <= most:
        return list(range(horizon))
    return sorted({round(index * (horizon - 1) / (most - 1)) for index in range(most)})


def _verdict(outcome: Outcome, messages: Messages) -> None:
    """Say how the network stands against the baselines, and which epoch it is of."""
    metric = outcome.config.loss
    systems: Mapping[str, Any] = outcome.scores["test"]
    ours = systems["model"][metric]
    best = min((name for name in systems if name != "model"), key=lambda name: systems[name][metric])
    fitting = outcome.fitting
    if outcome.config.cell != "linear":
        seconds = f"{outcome.seconds:.0f} s"
        messages.say(f"best epoch {fitting.best_epoch:g} of {outcome.config.epochs} by validation {metric}; {seconds}")
        if fitting.best_epoch == 0 and outcome.config.linear_skip:
            messages.say("training found nothing to add to the linear path: the forecast is the linear model's")
        elif fitting.best_epoch == 0:
            messages.say(
                "warning: no epoch was better than the untrained network; lower --learning-rate, or train longer"
            )
    if ours > systems[best][metric] and not math.isclose(ours, systems[best][metric], rel_tol=1e-3):
        messages.say(
            f"the network does not beat the best baseline on the test part: {_label(best)} has {metric} "
            f"{figure(systems[best][metric])}, the network {figure(ours)}"
        )


def _label(name: str) -> str:
    return name.replace("_", " ")
