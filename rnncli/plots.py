"""What all pictures share: colours, axes, saving."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnncli.errors import RnncliError
from rnncli.files import whole_file

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


def style(axes: "Axes") -> None:
    """No more lines than are read."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.margins(x=0.01)


def safe(text: str) -> str:
    """A name with `$` would be read as a formula."""
    return text.replace("$", r"\$")


def save(figure: "Figure", path: Path) -> None:
    """Write the picture, in the format of the name's ending.

    Raises:
        RnncliError: it cannot be written.
    """
    with whole_file(path) as temporary:
        try:
            figure.savefig(temporary, dpi=130)
        except ValueError as error:
            raise RnncliError(f"cannot draw '{path}': {error}") from error
