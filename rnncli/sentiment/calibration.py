"""Probabilities that can be believed: temperatures, fitted on the validation texts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rnncli.sentiment.metrics import fit_temperature, probabilities


@dataclass(frozen=True)
class Calibration:
    """A temperature for each system."""

    temperatures: dict[str, float]

    def probabilities(self, logits: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """From the logits `[n, C]` of the network, the baseline, or both of these, the probabilities of each system."""
        temperatures = {"both": self.temperatures.get("both", 1.0)}  # the others are divided already
        scaled = _scaled(logits, self.temperatures)
        return {name: probabilities(divided, temperatures.get(name, 1.0)) for name, divided in scaled.items()}


def fit_calibration(logits: Mapping[str, np.ndarray], labels: np.ndarray) -> Calibration:
    """The temperatures with which the log loss of the validation texts is least."""
    temperatures = {name: fit_temperature(raw, labels) for name, raw in logits.items()}
    if len(logits) == 2:
        temperatures["both"] = fit_temperature(_scaled(logits, temperatures)["both"], labels)
    return Calibration(temperatures)


def _scaled(logits: Mapping[str, np.ndarray], temperatures: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The logits of each system over its temperature, and with two systems their mean, "both"."""
    scaled = {name: raw / temperatures[name] for name, raw in logits.items()}
    return scaled | ({"both": (scaled["model"] + scaled["ngram"]) / 2} if len(scaled) == 2 else {})
