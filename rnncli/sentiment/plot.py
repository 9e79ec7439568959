"""Pictures of a classifier: how training went, which classes it confuses, how far it can be believed."""

from pathlib import Path
from typing import Any

import numpy as np

from rnncli.plots import BLACK, BLUE, GREY, draw_curves, panels, safe, save, style
from rnncli.sentiment.metrics import Evaluation, Measures
from rnncli.training.task import Result

_BINS = 15
_NUMBERED = 12  # classes whose confusions are written into the matrix


def plot_training(result: Result, part: str, measures: Measures, classes: tuple[str, ...], path: Path) -> None:
    """Losses over the epochs, and the confusion matrix of a part's texts."""
    figure, (curves, matrix) = panels(10, 4.5, columns=2)
    draw_curves(curves, result.history, result.best_epoch, "log loss", " (nats)")
    _draw_confusion(matrix, measures, classes, f"{part}: accuracy {measures.accuracy:.3f}")
    save(figure, path)


def plot_evaluation(evaluation: Evaluation, classes: tuple[str, ...], path: Path) -> None:
    """The reliability of the network's probabilities, and the confusion matrix."""
    probability, labels, measures = evaluation.probability, evaluation.labels, evaluation.measures["model"]
    figure, (curve, matrix) = panels(10, 4.5, columns=2)
    style(curve)
    if labels.ndim == 2:  # each answer whether a text is of a class
        probability, labels = np.stack([1 - probability.ravel(), probability.ravel()], 1), labels.ravel()
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
    low = max(0.0, 1 / probability.shape[1] - 0.05)
    curve.set_xlim(low, 1.02)
    curve.set_ylim(min(low, *accuracy), 1.02)
    curve.set_xlabel("probability of the label")
    curve.set_ylabel("how often it is right")
    curve.legend(frameon=False, loc="upper left")
    _draw_confusion(matrix, measures, classes, f"accuracy {measures.accuracy:.3f}")
    save(figure, path)


def _draw_confusion(axes: Any, measures: Measures, classes: tuple[str, ...], title: str) -> None:
    """Shares of each class's texts, row by row; where a text has several labels, each class's F1."""
    counts = measures.confusion
    if counts.ndim == 3:
        style(axes)
        axes.barh(range(len(classes)), measures.f1, color=BLUE)
        axes.set_yticks(range(len(classes)), [safe(name[:20]) for name in classes])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("F1")
        axes.set_title(title, fontsize=10)
        return
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
