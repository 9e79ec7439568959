"""Pictures of forecasts: history, held-out truth beside its forecast, and the future."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnncli.forecast.intervals import SHARE
from rnncli.forecast.task import ForecastTask
from rnncli.forecast.timeline import Timeline
from rnncli.plots import BLACK, BLUE, GREY, VERMILION, canvas, draw_curves, panels, plot_bars, safe, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rnncli.forecast.api import Model
    from rnncli.forecast.backtest import Backtest
    from rnncli.forecast.compare import Comparison
    from rnncli.forecast.series import Forecast

_PAST, _TRUTH, _HELD_OUT, _FUTURE = GREY, BLACK, BLUE, VERMILION


def plot_training(model: "Model", forecasts: "list[Forecast]", path: Path) -> None:
    """A series: the end of its past, the last test window, the future. Synthetic data: six test windows."""
    if len(forecasts) > 1:
        plot_forecasts(forecasts, path)
    else:
        save(_timeline(forecasts[0], model) if forecasts else _panels(model), path)


def plot_forecasts(forecasts: "list[Forecast]", path: Path) -> None:
    """The end of a series and its forecast; of many series, six."""
    save(_timeline(forecasts[0], None) if len(forecasts) == 1 else _grid(forecasts), path)


def _grid(forecasts: "list[Forecast]") -> "Figure":
    """Six of many series: the end of each past, and the forecast."""
    from matplotlib.figure import Figure

    chosen = forecasts[:: max(1, len(forecasts) // 6)][:6]
    rows = 1 if len(chosen) <= 3 else 2
    figure = Figure(figsize=(11, 0.5 + 2.5 * rows if rows > 1 else 3.5), layout="constrained")
    several = len({each.series.name for each in forecasts}) > 1
    for forecast, axes in zip(chosen, figure.subplots(rows, -(-len(chosen) // rows), squeeze=False).flat, strict=False):
        style(axes)
        series, horizon = forecast.series, len(forecast.values)
        size = len(series.values)
        first = max(0, size - 5 * max(horizon, 2))
        line = Timeline(series)
        axes.plot(line.at(first, size), series.values[first:], color=_PAST, linewidth=1.2, label="history")
        _band(axes, forecast, line)
        ahead = [series.values[-1], *forecast.values]
        axes.plot(line.at(size - 1, size + horizon), ahead, color=_FUTURE, linewidth=1.5, label="forecast")
        line.shade(axes, size, size + horizon, _FUTURE)
        line.label(axes, most=4)
        names = series.id, series.name if several else ""
        axes.set_title(safe(" ".join(filter(None, names))), fontsize=9, loc="left")
    for axes in figure.axes[len(chosen) :]:
        axes.set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(f"{len(forecasts)} series, {len(forecasts[0].values)} steps ahead", fontsize=11)
    return figure


def _timeline(forecast: "Forecast", model: "Model | None") -> "Figure":
    series = forecast.series
    trained = None if model is None else model.result
    if trained is not None and trained.history:
        figure, (axes, curves) = panels(10, 7, rows=2, heights=(2, 1))
        style(axes)
        draw_curves(curves, trained.history, trained.best_epoch, trained.task.criterion)
    else:
        figure, axes = canvas(10, 4.5)
    size, horizon = len(series.values), len(forecast.values)
    shown = 7 * max(horizon, 2)  # a forecast that fills a sixth of the picture can be judged at a glance
    first = max(0, size - shown)
    line = Timeline(series)
    axes.plot(line.at(first, size), series.values[first:], color=_PAST, linewidth=1.3, label="history")
    if trained is not None and len(trained.scored.details.recent):
        assert isinstance(trained.task, ForecastTask)
        held_out = int(trained.task.dataset.parts["test"].ends[-1])
        at = line.at(held_out, held_out + horizon)
        truth, recent = series.values[held_out : held_out + horizon], trained.scored.details.recent[-1]
        label = f"forecast of the held-out end (mae {np.abs(recent - truth).mean():.4g})"
        axes.plot(at, truth, color=_TRUTH, linewidth=1.8, label="held-out truth")
        axes.plot(at, recent, color=_HELD_OUT, linewidth=1.8, linestyle="--", label=label)
        line.shade(axes, held_out, held_out + horizon, _HELD_OUT)
    ahead = line.at(size - 1, size + horizon)
    values = [series.values[-1], *forecast.values]
    _band(axes, forecast, line)
    axes.plot(ahead, values, color=_FUTURE, linewidth=1.8, label=f"forecast, {horizon} ahead")
    line.shade(axes, size, size + horizon, _FUTURE)
    line.label(axes)
    axes.set_ylabel(safe(series.name))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, fontsize=9, borderaxespad=0.2)
    return figure


def plot_backtest(backtest: "Backtest", path: Path) -> None:
    """The forecasts of one series over what came, and the error at each origin."""
    figure, (axes, errors) = panels(10, 7, rows=2, heights=(2, 1))
    for each in (axes, errors):
        style(each)
    series, origins = backtest.panel.members[0], backtest.origins
    lengths = origins.lengths[origins.series == 0]
    horizon, size = backtest.forecast.shape[1], len(series.values)
    first = max(0, int(lengths[0]) - 3 * horizon)
    line = Timeline(series)
    axes.plot(line.at(first, size), series.values[first:], color=_TRUTH, linewidth=1.2, label="what came")
    for number, (known, forecast) in enumerate(zip(lengths, backtest.forecast, strict=False)):
        label = f"forecasts, {horizon} ahead" if number == 0 else None
        axes.plot(line.at(known, known + horizon), forecast, color=_FUTURE, linewidth=1.0, alpha=0.8, label=label)
    line.label(axes)
    axes.set_ylabel(safe(" ".join(filter(None, (series.name, series.id)))))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=9, borderaxespad=0.2)
    errors.plot(np.arange(1, len(backtest.by_origin) + 1), backtest.by_origin, color=_FUTURE, marker="o", markersize=3)
    errors.set_xlabel("origin")
    errors.set_ylabel("mean absolute error")
    save(figure, path)


def plot_comparison(comparison: "Comparison", path: Path) -> None:
    """The systems of a comparison by their error on data that none has seen, the best on top."""
    names, errors, metric = comparison.errors()
    plot_bars(names, errors, metric, comparison.title, path)


def _band(axes: "Axes", forecast: "Forecast", line: Timeline) -> None:
    """The interval that holds four fifths of what is to come, behind the forecast."""
    size, last = len(forecast.series.values), forecast.series.values[-1:]
    low, high = (np.append(last, forecast.quantiles((1 + side * SHARE) / 2)) for side in (-1, 1))
    label = f"{100 * SHARE:.0f} % interval"
    ahead = line.at(size - 1, size + len(low) - 1)
    axes.fill_between(ahead, low, high, color=_FUTURE, alpha=0.2, linewidth=0, label=label)


def _panels(model: "Model") -> "Figure":
    """Six test windows: past, true and forecast future."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.5), layout="constrained")
    assert model.result is not None and isinstance(model.result.task, ForecastTask)
    data, window = model.result.task.dataset, model.settings.window
    slices = np.concatenate([data.windows("test"), data.truth("test")], axis=1)
    steps, recent = np.arange(slices.shape[1]), model.result.scored.details.recent
    ahead = steps[window:]
    for index, axes in enumerate(figure.subplots(2, 3, sharex=True, sharey=True).flat):
        style(axes)
        truth = slices[index, window:]
        axes.plot(steps[:window], slices[index, :window], color=_PAST, linewidth=1.2, label="past")
        axes.plot(ahead, truth, color=_TRUTH, marker="o", markersize=3, linewidth=1, label="truth")
        axes.plot(ahead, recent[index], color=_FUTURE, marker="x", markersize=5, linewidth=1.3, label="forecast")
        mse = float(np.square(recent[index] - truth).mean())
        axes.set_title(f"test series {index + 1}, mse {mse:.4f}", fontsize=9, loc="left")
    figure.axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    total = model.scores["test"]["model"]["mse"]
    figure.suptitle(f"{model.settings.cell}, {model.settings.strategy}: test mse {total:.5f}", fontsize=11)
    return figure
