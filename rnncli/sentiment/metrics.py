"""How good predictions are, and how far their probabilities can be believed."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

_BINS = 15
_SPREAD = 0.35  # of the logarithm of a temperature, before anything is known
_TEMPERATURES = np.log([0.05, 20.0])


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean −ln p of the labels `[n]`, in nats, from logits `[n, C]`; of labels `[n, C]`, over texts and classes."""
    if labels.ndim == 2:
        return float(np.logaddexp(0, np.where(labels > 0, -logits, logits).astype(float)).mean())
    from scipy.special import log_softmax  # as all of SciPy and scikit-learn here: not loaded to predict

    return float(-log_softmax(logits.astype(float), axis=1)[np.arange(len(labels)), labels].mean())


def accuracy_of(scores: np.ndarray, labels: np.ndarray, border: float = 0.0) -> float:
    """How often the label with the greatest score `[n, C]` is right; of labels `[n, C]`, how often all of them are.

    A class is then given where its score is above the `border`: 0 of logits, a half of probabilities.
    """
    right = (scores.argmax(1) == labels) if labels.ndim == 1 else ((scores > border) == (labels > 0)).all(1)
    return float(right.mean())


def probabilities(logits: np.ndarray, temperature: float, *, several: bool = False) -> np.ndarray:
    """softmax(logits / temperature), `[n, C]`, float64; where a text has `several` labels, the logistic function."""
    scaled = logits.astype(float) / temperature
    if several:
        return 0.5 + 0.5 * np.tanh(0.5 * scaled)
    odds = np.exp(scaled - scaled.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that makes the log loss least (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Its logarithm is held near 0, as by a normal distribution around it, so that a dozen texts that happen to be
    labelled right do not make a network sure of everything.
    """
    from scipy.optimize import minimize_scalar

    def penalised(log: float) -> float:
        return log_loss(logits / np.exp(log), labels) + (log / _SPREAD) ** 2 / (2 * len(labels))

    result: Any = minimize_scalar(penalised, bounds=tuple(_TEMPERATURES), method="bounded")
    return float(np.exp(result.x))


def calibration_error(probability: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error (ECE): |accuracy − mean probability| over 15 equal bins of the latter, by their size.

    `probability` is that of the predicted class, `right` whether it is the text's; both `[n]`.
    """
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    gaps = [abs(np.sum(right[bins == index]) - np.sum(probability[bins == index])) for index in range(_BINS)]
    return float(sum(gaps) / len(right))


def loss_of(probability: np.ndarray, labels: np.ndarray) -> float:
    """Mean −ln p of the labels `[n]`, in nats, from probabilities `[n, C]`; of labels `[n, C]`, over all of them."""
    if labels.ndim == 2:
        likelihood = np.where(labels > 0, probability, 1 - probability)
    else:
        likelihood = probability[np.arange(len(labels)), labels]
    likelihood = np.maximum(likelihood, np.finfo(float).tiny)
    return float(np.maximum(0.0, -np.log(likelihood).mean()))  # and not −0; what is no number stays none


@dataclass(frozen=True)
class Measures:
    """How predictions compare with the true labels."""

    texts: int
    accuracy: float
    loss: float  # nats
    ece: float
    precision: np.ndarray  # of each class, `[C]`, as are the next three
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray  # how many texts are of the class
    # `[C, C]`: texts of a class (row) that were taken for another (column); where a text has several labels
    # `[C, 2, 2]`: of each class, texts that are not of it or are (row), and did not get it or did (column)
    confusion: np.ndarray

    def as_dict(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """The same as JSON types; F1, precision and recall are means over the classes, whatever their size (macro).

        A class that no text has, and that none was taken for, counts for no mean.
        """
        predicted = self.confusion[:, :, 1].sum(1) if self.confusion.ndim == 3 else self.confusion.sum(0)
        there = (self.support > 0) | (predicted > 0)
        columns = {"precision": self.precision, "recall": self.recall, "f1": self.f1, "texts": self.support}
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return {
            "accuracy": self.accuracy,
            "f1": _mean(self.f1[there]),
            "precision": _mean(self.precision[there]),
            "recall": _mean(self.recall[there]),
            "loss": self.loss,
            "ece": self.ece,
            "texts": self.texts,
            "classes": {name: dict(zip(columns, row, strict=True)) for name, row in zip(classes, rows, strict=True)},
            "confusion_matrix": self.confusion.tolist(),
        }


def _mean(values: np.ndarray) -> float:
    """The mean; 0 of none."""
    return float(values.mean()) if len(values) else 0.0


def measure(probability: np.ndarray, labels: np.ndarray) -> Measures:
    """Measures of probabilities `[n, C]` against labels `[n]`; of labels `[n, C]`, each class above a half is given.

    A class that is never predicted has precision 0; one that no text is of, recall 0.
    """
    from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix, precision_recall_fscore_support

    texts, classes = probability.shape[0], range(probability.shape[1])
    several = labels.ndim == 2
    predicted = (probability > 0.5).astype(int) if several else probability.argmax(1)
    undefined: Any = 0.0
    by_class = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=undefined)
    precision, recall, f1, support = map(np.asarray, by_class)
    return Measures(
        texts=texts,
        accuracy=accuracy_of(probability, labels, border=0.5),
        loss=loss_of(probability, labels),
        ece=_ece(probability, predicted, labels),
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
        confusion=(multilabel_confusion_matrix if several else confusion_matrix)(labels, predicted, labels=classes),
    )


def _ece(probability: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> float:
    """Of the label, or of each answer whether a text is of a class."""
    if labels.ndim == 2:
        return calibration_error(np.maximum(probability, 1 - probability).ravel(), (predicted == labels).ravel())
    return calibration_error(probability.max(1), predicted == labels)


class Evaluation(NamedTuple):
    """How good a model is on labelled texts."""

    measures: dict[str, Measures]  # of each system
    probability: np.ndarray  # the network's, [n, C]
    labels: np.ndarray  # of the texts, as numbers of classes, [n]
