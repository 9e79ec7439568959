"""What all pictures share: colours, axes, saving."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnncli.errors import RnncliError
from rnncli.files import whole_file
from rnncli.output import TERMINAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that stay apart for colour-blind readers (Okabe & Ito 2008).
GREY, BLACK, BLUE, VERMILION = "#555555", "#000000", "#0072B2", "#D55E00"


def canvas(width: float, height: float) -> "tuple[Figure, Axes]":
    """An empty picture of that size in inches, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes: Any = figure.subplots()
    style(axes)
    return figure, axes


def panels(
    width: float, height: float, *, rows: int = 1, columns: int = 1, heights: Any = None
) -> "tuple[Figure, Any]":
    """An empty picture with several axes, whose `heights` are relative to each other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, height_ratios=heights)


def draw_curves(
    axes: "Axes", history: Sequence[Mapping[str, float]], best: float, criterion: str, unit: str = ""
) -> None:
    """The losses of a training over its epochs: in training (with dropout) and on validation data, and the best."""
    from matplotlib.ticker import MaxNLocator

    style(axes)
    epochs = [point["epoch"] for point in history]
    train, validation = ([point[name] for point in history] for name in ("train", "validation"))
    look: dict[str, Any] = {"marker": "." if len(history) < 30 else ""}
    if len(history) == 1:  # a line would be nothing
        look = {"marker": "o", "linestyle": "None"}
    axes.plot(epochs, train, color=GREY, label="training", **look)
    axes.plot(epochs, validation, color=BLUE, linewidth=1.8, label="validation", **look)
    if best in epochs:
        value = validation[epochs.index(best)]
        axes.plot([best], [value], "o", color=VERMILION, label=f"best epoch {best:g}: {criterion} {value:.4g}{unit}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{criterion}{unit}")
    if len(history) > 3:  # the first epochs would flatten all that follows
        top, low = max(*train[1:], *validation[1:]), min(*validation, *train)
        axes.set_ylim(low - 0.05 * (top - low), top + 0.05 * (top - low))
    axes.legend(frameon=False)


def plot_bars(
    names: Sequence[str], values: Sequence[float], metric: str, title: str, path: Path, spread: Sequence[float] = ()
) -> None:
    """Values as horizontal bars, the first on top, the least of them in another colour; with their `spread`."""
    figure, axes = canvas(8, 1 + 0.28 * len(names))
    axes.grid(visible=False)
    colours = [BLUE if value == min(values) else GREY for value in values]
    bars: dict[str, Any] = {"xerr": spread, "ecolor": VERMILION} if any(spread) else {}
    axes.barh(range(len(names)), values, color=colours, **bars)
    axes.set_yticks(range(len(names)), [safe(name) for name in names])
    axes.invert_yaxis()
    if max(values) > 30 * min(values) > 0:  # or the better ones could not be told apart
        axes.set_xscale("log")
    axes.set_xlabel(metric)
    axes.set_title(safe(title), fontsize=10, loc="left")
    save(figure, path)


def style(axes: "Axes") -> None:
    """No more lines than are read."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.margins(x=0.01)


def safe(text: str) -> str:
    """A name with `$` would be read as a formula."""
    return text.replace("$", r"\$")


def save(figure: "Figure", path: Path) -> None:
    """Write the picture, in the format of the name's ending; for "-", draw it in the terminal, on stderr.

    Raises RnncliError: it cannot be written.
    """
    if path == TERMINAL:
        from rnncli.terminal import drawn

        print(drawn(figure), end="", file=sys.stderr, flush=True)
        return
    with whole_file(path) as temporary:
        try:
            figure.savefig(temporary, dpi=130)
        except ValueError as error:
            raise RnncliError(f"cannot draw '{path}': {error}") from error
