"""Pictures of forecasts: history, held-out truth beside its forecast, and the future."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnncli.forecast.series import Series
from rnncli.plots import BLACK, BLUE, GREY, VERMILION, canvas, safe, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rnncli.forecast.run import Outcome

_PAST, _TRUTH, _HELD_OUT, _FUTURE = GREY, BLACK, BLUE, VERMILION


def plot_training(outcome: "Outcome", path: Path) -> None:
    """A series: the end of its past, the last test window, the future. Synthetic data: six test windows."""
    if outcome.data.series is None:
        save(_panels(outcome), path)
    else:
        save(_timeline(outcome.data.series, outcome.forecast, outcome), path)


def plot_forecast(series: Series, forecast: list[tuple[str, float]], path: Path) -> None:
    """The end of a series and its forecast."""
    save(_timeline(series, forecast, None), path)


def _timeline(series: Series, forecast: list[tuple[str, float]], outcome: "Outcome | None") -> "Figure":
    figure, axes = canvas(10, 4.5)
    size, horizon = len(series.values), len(forecast)
    shown = 7 * max(horizon, 2)  # a forecast that fills a sixth of the picture can be judged at a glance
    first = max(0, size - shown)
    past = np.arange(first, size)
    axes.plot(past, series.values[first:], color=_PAST, linewidth=1.3, label="history")
    if outcome is not None:
        held_out = int(outcome.data.starts["test"][-1]) + outcome.config.window
        at = np.arange(held_out, held_out + horizon)
        truth = series.values[at]
        error = float(np.abs(outcome.recent[-1] - truth).mean())
        label = f"forecast of the held-out end (mae {error:.4g})"
        axes.plot(at, truth, color=_TRUTH, linewidth=1.8, label="held-out truth")
        axes.plot(at, outcome.recent[-1], color=_HELD_OUT, linewidth=1.8, linestyle="--", label=label)
        axes.axvspan(held_out - 0.5, held_out + horizon - 0.5, color=_HELD_OUT, alpha=0.07, linewidth=0)
    ahead = np.arange(size - 1, size + horizon)
    values = [series.values[-1], *(value for _, value in forecast)]
    axes.plot(ahead, values, color=_FUTURE, linewidth=1.8, label=f"forecast, {horizon} ahead")
    axes.axvspan(size - 0.5, size + horizon - 0.5, color=_FUTURE, alpha=0.07, linewidth=0)
    _stamps(axes, series, first, size + horizon)
    axes.set_ylabel(safe(series.name))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, fontsize=9, borderaxespad=0.2)
    return figure


def _stamps(axes: "Axes", series: Series, first: int, end: int, most: int = 9) -> None:
    """Time stamps under the axis, at whole positions, as many as can be read."""
    from matplotlib.ticker import MaxNLocator

    places = [int(place) for place in MaxNLocator(most, integer=True).tick_values(first, end - 1)]
    places = [place for place in places if first <= place < end]
    stamps = [series.stamp(place).removesuffix(" 00:00:00") for place in places]
    axes.set_xticks(places, stamps)
    axes.tick_params(axis="x", labelrotation=0 if max(map(len, stamps)) <= 10 else 20)


def _panels(outcome: "Outcome") -> "Figure":
    """Six test windows: past, true and forecast future."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.5), layout="constrained")
    slices, window = outcome.data.slices("test"), outcome.config.window
    for index, axes in enumerate(figure.subplots(2, 3, sharex=True, sharey=True).flat):
        style(axes)
        steps = np.arange(slices.shape[1])
        axes.plot(steps[:window], slices[index, :window], color=_PAST, linewidth=1.2, label="past")
        axes.plot(
            steps[window:], slices[index, window:], color=_TRUTH, marker="o", markersize=3, linewidth=1, label="truth"
        )
        axes.plot(
            steps[window:],
            outcome.recent[index],
            color=_FUTURE,
            marker="x",
            markersize=5,
            linewidth=1.3,
            label="forecast",
        )
        mse = float(np.square(outcome.recent[index] - slices[index, window:]).mean())
        axes.set_title(f"test series {index + 1}, mse {mse:.4f}", fontsize=9, loc="left")
    figure.axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    total = outcome.scores["test"]["model"]["mse"]
    figure.suptitle(f"{outcome.config.cell}, {outcome.config.strategy}: test mse {total:.5f}", fontsize=11)
    return figure
