"""The picture of a training: both losses over the epochs."""

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnncli.charlm.score import Scored
from rnncli.plots import BLUE, GREY, canvas, draw_curves, save
from rnncli.training.task import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LN_2 = math.log(2)
_PIECES = 200  # of a text whose means are drawn


def plot_training(result: Result, unit: str, path: Path) -> None:
    """Training loss (with dropout, over an epoch) and validation loss (after it) in nats and bits."""
    figure, axes = canvas(8, 4.5)
    draw_curves(axes, result.history, result.best_epoch, "loss", f" (nats per {unit})")
    _in_bits(axes)
    save(figure, path)


def plot_evaluation(scored: Scored, unit: str, path: Path) -> None:
    """How much the model was surprised along a text: means over short pieces, and over all of it."""
    figure, axes = canvas(10, 4.5)
    ends = np.linspace(0, len(scored.nats), min(_PIECES, len(scored.nats)) + 1).astype(int)
    pieces = np.add.reduceat(scored.nats.astype(np.float64), ends[:-1]) / np.diff(ends)
    size, mean = int(np.diff(ends).max()), float(scored.nats.mean())
    marker = "o" if len(pieces) == 1 else ""
    axes.plot(ends[:-1] + np.diff(ends) / 2, pieces, color=BLUE, linewidth=1, marker=marker, label=f"mean of {size:,}")
    axes.plot([0, len(scored.nats)], [mean, mean], color=GREY, linestyle="--", label=f"of all: {mean:.4g}")
    axes.set_xlabel(f"{unit}s of the text")
    axes.set_ylabel(f"loss (nats per {unit})")
    axes.legend(frameon=False)
    _in_bits(axes)
    save(figure, path)


def _in_bits(axes: "Axes") -> None:
    """A second scale at the right."""
    bits = axes.secondary_yaxis("right", functions=(partial(np.multiply, 1 / LN_2), partial(np.multiply, LN_2)))
    bits.set_ylabel("bits")
    bits.spines["right"].set_visible(False)
