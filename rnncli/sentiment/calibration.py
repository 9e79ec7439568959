"""What the validation texts decide besides: temperatures of probabilities, thresholds of classes, the best system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np

from rnncli.sentiment.metrics import fit_temperature, loss_of, probabilities
from rnncli.sentiment.settings import System


@dataclass(frozen=True)
class Calibration:
    """A temperature for each system, the thresholds of its classes, and the system that labels best."""

    temperatures: dict[str, float]
    thresholds: Mapping[str, Sequence[float]] = field(default_factory=dict)  # of an earlier version: none
    best: str = "model"  # by the log loss of the validation texts, which is steadier than their accuracy

    def as_dict(self) -> dict[str, Any]:
        """As JSON types, entries of a checkpoint's metadata."""
        return {"temperatures": self.temperatures, "thresholds": self.thresholds, "best_system": self.best}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Calibration":
        """From what `as_dict` gives. Raises KeyError, TypeError, ValueError: it is something else."""
        temperatures = {system: float(stored["temperatures"][system]) for system in get_args(System)}
        best, thresholds = stored.get("best_system", "model"), dict(stored.get("thresholds", {}))
        if best not in temperatures:
            raise ValueError(f"the system {best!r}")
        if not all(1e-6 < each < 1e6 for each in temperatures.values()):
            raise ValueError(f"the temperatures {temperatures}")
        return cls(temperatures, thresholds, best)

    def probabilities(self, logits: Mapping[str, np.ndarray], *, several: bool = False) -> dict[str, np.ndarray]:
        """From the logits `[n, C]` of the network, the baseline, or both of these, the probabilities of each system.

        Where a text has `several` labels, each class has one of its own.
        """
        temperatures = {"both": self.temperatures.get("both", 1.0)}  # the others are divided already
        scaled = _scaled(logits, self.temperatures)
        return {
            name: probabilities(divided, temperatures.get(name, 1.0), several=several)
            for name, divided in scaled.items()
        }


UNCALIBRATED = Calibration(dict.fromkeys(get_args(System), 1.0))


def fit_calibration(logits: Mapping[str, np.ndarray], labels: np.ndarray) -> Calibration:
    """The temperatures with which the log loss of the validation texts is least, and what follows from them."""
    temperatures = {name: fit_temperature(raw, labels) for name, raw in logits.items()}
    if len(logits) == 2:
        temperatures["both"] = fit_temperature(_scaled(logits, temperatures)["both"], labels)
    found = Calibration(temperatures).probabilities(logits, several=labels.ndim == 2)
    losses = {name: loss_of(each, labels) for name, each in found.items()}
    thresholds = {name: best_thresholds(each, labels) for name, each in found.items()}
    return Calibration(temperatures, thresholds, min(losses, key=lambda name: losses[name]))


def best_thresholds(probability: np.ndarray, labels: np.ndarray) -> list[float]:
    """For each class the threshold of its probability `[n, C]` with which its F1 is best on texts of these labels.

    It lies halfway between the probabilities of two texts; of a class that no text has, it is 1.
    """
    found = []
    for index, column in enumerate(probability.T):
        order = np.argsort(-column, kind="stable")
        inside = labels[:, index] > 0 if labels.ndim == 2 else labels == index
        ranked, right = column[order], np.cumsum(inside[order])
        f1 = 2 * right / (np.arange(1, len(ranked) + 1) + max(1, right[-1]))
        f1[:-1][ranked[:-1] == ranked[1:]] = -1  # no threshold parts texts with the same probability
        last = int(f1.argmax())
        below = ranked[last + 1] if last + 1 < len(ranked) else 0.0
        found.append(float((ranked[last] + below) / 2) if right[-1] else 1.0)
    return found


def _scaled(logits: Mapping[str, np.ndarray], temperatures: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The logits of each system over its temperature, and with two systems their mean, "both"."""
    scaled = {name: raw / temperatures[name] for name, raw in logits.items()}
    return scaled | ({"both": (scaled["model"] + scaled["ngram"]) / 2} if len(scaled) == 2 else {})
