"""How much likelier a feature is in texts of one class than in the others: naive Bayes' log-count ratios.

    r = ln (p / |p|) / (q / |q|),  p, q = α + how many texts of the class, and of the others, have the feature

Wang & Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification".
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.sentiment.text import Ragged

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def targets(classes: int, *, several: bool = False) -> range:
    """The classes that a linear model tells from all others: of two, the second is enough.

    Where a text has `several` labels, each is told from its absence.
    """
    return range(1, 2) if classes == 2 and not several else range(classes)


def of_class(labels: np.ndarray, target: int) -> np.ndarray:
    """Which texts are of a class, from their labels `[n]` or `[n, C]`."""
    return labels[:, target] > 0 if labels.ndim == 2 else labels == target


def indicators(columns: np.ndarray, starts: np.ndarray, width: int) -> "csr_matrix":
    """Which features each text has: ones at `columns[starts[i] : starts[i + 1]]` of row i, `[texts, width]`."""
    from scipy.sparse import csr_matrix  # not loaded where the network alone predicts

    ones = np.ones(len(columns), np.float32)
    matrix = csr_matrix((ones, columns, starts), shape=(len(starts) - 1, width), copy=True)
    matrix.sum_duplicates()  # which sorts in place, hence the copy
    matrix.data[:] = 1
    return matrix


def ratio_of(features: "csr_matrix", inside: np.ndarray, smoothing: float = 1.0) -> np.ndarray:
    """r with α = `smoothing` of each feature, float32 `[width]`, for the class of the texts where `inside` is true."""
    return _ratio(_texts_with(features, inside), _texts_with(features, ~inside), smoothing)


def _texts_with(features: "csr_matrix", rows: np.ndarray) -> np.ndarray:
    """How many of some texts have each feature, float64 `[width]`."""
    return np.asarray(features[np.flatnonzero(rows)].sum(0), float).ravel()


def _ratio(ours: np.ndarray, others: np.ndarray, smoothing: float) -> np.ndarray:
    ours, others = smoothing + ours, smoothing + others
    return np.log(ours / ours.sum() / (others / others.sum())).astype(np.float32)


def log_count_ratios(
    texts: Ragged, labels: np.ndarray, symbols: int, classes: int, smoothing: float = 1.0
) -> np.ndarray:
    """r of each token that a word can have, a column for each of `targets`: float32 `[symbols, k]`."""
    from scipy.sparse import csr_matrix

    wanted = targets(classes, several=labels.ndim == 2)
    ours, everywhere, first = np.zeros((len(wanted), symbols)), np.zeros(symbols), 0
    for block in texts.blocks():
        features = indicators(block.flat, block.starts, symbols).astype(float)
        own = labels[first : first + len(block)]
        inside = csr_matrix(np.stack([of_class(own, target) for target in wanted]), dtype=float)
        own_counts: Any = inside @ features
        ours += own_counts.toarray()
        everywhere += np.asarray(features.sum(0)).ravel()
        first += len(block)
    return np.stack([_ratio(row, everywhere - row, smoothing) for row in ours], 1)
