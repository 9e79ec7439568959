"""The picture of a training: both losses over the epochs."""

import math
from functools import partial
from pathlib import Path

import numpy as np

from rnncli.plots import canvas, draw_curves, save
from rnncli.training.task import Result

LN_2 = math.log(2)


def plot_training(result: Result, unit: str, path: Path) -> None:
    """Training loss (with dropout, over an epoch) and validation loss (after it) in nats and bits."""
    figure, axes = canvas(8, 4.5)
    draw_curves(axes, result.history, result.best_epoch, "loss", f" (nats per {unit})")
    bits = axes.secondary_yaxis("right", functions=(partial(np.multiply, 1 / LN_2), partial(np.multiply, LN_2)))
    bits.set_ylabel("bits")
    bits.spines["right"].set_visible(False)
    save(figure, path)
