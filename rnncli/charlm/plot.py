"""The picture of a training: both losses over the epochs."""

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnncli.plots import BLUE, GREY, VERMILION, canvas, save

if TYPE_CHECKING:
    from rnncli.charlm.run import Outcome

LN_2 = math.log(2)


def plot_training(outcome: "Outcome", path: Path) -> None:
    """Training loss (with dropout, over an epoch) and validation loss (after it) in nats and bits."""
    figure, axes = canvas(8, 4.5)
    history, best = outcome.fitting.history, outcome.fitting.best_epoch
    epochs = [point["epoch"] for point in history]
    axes.plot(epochs, [point["train"] for point in history], color=GREY, label="training, with dropout")
    validation = [point["validation"] for point in history]
    axes.plot(epochs, validation, color=BLUE, linewidth=1.8, label="validation")
    if best in epochs:
        loss = validation[epochs.index(best)]
        axes.plot([best], [loss], "o", color=VERMILION, label=f"best epoch {best:g}: {loss:.3f} nats")
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"nats per {outcome.corpus.vocabulary.unit}")
    if len(history) > 3:  # the first epochs would flatten all that follows
        top = max(point["train"] for point in history[1:])
        low = min(min(validation), min(point["train"] for point in history))
        axes.set_ylim(low - 0.05 * (top - low), top + 0.05 * (top - low))
    bits = axes.secondary_yaxis("right", functions=(partial(np.multiply, 1 / LN_2), partial(np.multiply, LN_2)))
    bits.set_ylabel("bits")
    bits.spines["right"].set_visible(False)
    axes.legend(frameon=False)
    save(figure, path)
