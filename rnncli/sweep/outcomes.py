"""The trainings of a sweep, and what came of them: read from their checkpoints."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnncli.settings import Chosen
from rnncli.training.stored import saved_steps, stored

Figures = Sequence[tuple[str, str, str]]  # part, system, metric: the first that there is decides


@dataclass(frozen=True)
class Trial:
    """One training."""

    values: Mapping[str, Any]  # of the settings that differ
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """What it is called, in tables and as a folder."""
        return ",".join(f"{name}={value}" for name, value in {**self.values, "seed": self.seed}.items())

    def figure(self, figures: Figures) -> tuple[float, str, float] | None:
        """The figure on validation data that decides, what it is, and the epochs behind it; the less the better.

        None where nothing was saved, or nothing of it is a figure.
        """
        if not saved_steps(self.folder):
            return None
        metadata = stored(self.folder)
        history = [point for point in metadata["history"] if point.get("validation") is not None]
        epochs = max((point["epoch"] for point in history), default=0.0)
        for part, system, metric in figures:
            value = metadata.get("scores", {}).get(part, {}).get(system, {}).get(metric)
            if value is not None and math.isfinite(value):
                return value, f"{part} {metric}", epochs
        part, _, metric = figures[0]
        losses = [point["validation"] for point in history if math.isfinite(point["validation"])]
        # of a training that has not ended; the error of one that forecasts is measured otherwise
        return (min(losses), f"{part} {metric}", epochs) if losses and metric == "loss" else None

    def is_whole(self, chosen: Chosen[Any]) -> bool:
        """Whether it came to its end with what was chosen."""
        if not saved_steps(self.folder):
            return False
        metadata = stored(self.folder)
        config = metadata["config"]
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}
        same = all(name == "precision" or str(config.get(name)) == str(value) for name, value in plain.items())
        return "scores" in metadata and same


@dataclass
class Outcome:
    """What came of the trainings with the same values, one for each seed."""

    values: dict[str, Any]
    figures: list[float] = field(default_factory=list)  # on validation data
    epochs: float = 0.0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Over the seeds; infinite where there is none."""
        return statistics.fmean(self.figures) if self.figures else math.inf

    @property
    def deviation(self) -> float | None:
        """Over the seeds, of a sample."""
        return statistics.stdev(self.figures) if len(self.figures) > 1 else None


@dataclass(frozen=True)
class Swept:
    """A sweep that came to its end: outcomes, the best first, and the training whose model was kept."""

    outcomes: list[Outcome]
    best: Trial
    metadata: dict[str, Any]  # of the best's checkpoint
    metric: str
    folder: Path | None  # where it is kept
    seconds: float
    whole: bool  # whether all that was to be trained was
