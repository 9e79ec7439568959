"""Pictures of a classifier: how training went, which classes it confuses, how far it can be believed."""

from pathlib import Path
from typing import Any

import numpy as np

from rnncli.plots import BLACK, BLUE, GREY, VERMILION, safe, save, style
from rnncli.sentiment.metrics import Measures

_BINS = 15
_NUMBERED = 12  # classes whose confusions are written into the matrix


def plot_training(
    history: list[dict[str, float]],
    best: float,
    part: str,
    measures: Measures,
    classes: tuple[str, ...],
    path: Path,
) -> None:
    """Losses over the epochs, and the confusion matrix of a part's texts."""
    figure, (curves, matrix) = _panels()
    epochs = [point["epoch"] for point in history]
    validation = [point["validation"] for point in history]
    curves.plot(epochs, [point["train"] for point in history], color=GREY, label="training, with dropout", marker=".")
    curves.plot(epochs, validation, color=BLUE, linewidth=1.8, label="validation, calibrated", marker=".")
    if best in epochs:
        point = history[epochs.index(best)]
        label = f"best epoch {best:g}: accuracy {point['accuracy']:.3f}"
        curves.plot([best], [point["validation"]], "o", color=VERMILION, label=label)
    curves.set_xlabel("epoch")
    curves.set_ylabel("log loss (nats)")
    curves.set_ylim(bottom=0)
    curves.xaxis.get_major_locator().set_params(integer=True)
    curves.legend(frameon=False)
    _draw_confusion(matrix, measures, classes, f"{part}: accuracy {measures.accuracy:.3f}")
    save(figure, path)


def plot_evaluation(
    probability: np.ndarray, labels: np.ndarray, measures: Measures, classes: tuple[str, ...], path: Path
) -> None:
    """The reliability of the probabilities `[n, C]`, and the confusion matrix."""
    figure, (curve, matrix) = _panels()
    confidence, right = probability.max(1), probability.argmax(1) == labels
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    filled = np.unique(bins)
    share = np.array([np.mean(bins == each) for each in filled])
    accuracy = [np.mean(right[bins == each]) for each in filled]
    curve.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--", label="as often as it says")
    curve.plot([np.mean(confidence[bins == each]) for each in filled], accuracy, color=BLUE, linewidth=1)
    curve.scatter(
        [np.mean(confidence[bins == each]) for each in filled],
        accuracy,
        s=10 + 300 * share,
        color=BLUE,
        label=f"texts (by area); calibration error {measures.ece:.3f}",
    )
    low = max(0.0, 1 / len(classes) - 0.05)
    curve.set_xlim(low, 1.02)
    curve.set_ylim(min(low, *accuracy), 1.02)
    curve.set_xlabel("probability of the label")
    curve.set_ylabel("how often it is right")
    curve.legend(frameon=False, loc="upper left")
    _draw_confusion(matrix, measures, classes, f"accuracy {measures.accuracy:.3f}")
    save(figure, path)


def _panels() -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels: Any = figure.subplots(1, 2)
    style(panels[0])
    return figure, panels


def _draw_confusion(axes: Any, measures: Measures, classes: tuple[str, ...], title: str) -> None:
    """Shares of each class's texts, row by row."""
    counts = measures.confusion
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [safe(name[:20]) for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=45 if len(names) > 4 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("labelled as")
    axes.set_ylabel("is")
    axes.set_title(title, fontsize=10)
    if len(names) > _NUMBERED:
        return
    for row, column in np.ndindex(*counts.shape):
        text = f"{counts[row, column]:,}\n{shares[row, column]:.0%}"
        colour = "white" if shares[row, column] > 0.6 else BLACK
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
