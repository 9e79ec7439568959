"""The trainings of a sweep, and what came of them: read from their checkpoints."""

import hashlib
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rnncli.training.stored import saved_steps, stored

Figures = Sequence[tuple[str, str, str]]  # part, system, metric: the first that there is decides


_LONGEST = 150  # of a folder's name, in characters


@dataclass(frozen=True)
class Trial:
    """One training."""

    number: int  # of its choice of values
    values: Mapping[str, Any]  # of the settings that differ
    seed: int
    folder: Path

    @classmethod
    def of(cls, number: int, seed: int, values: Mapping[str, Any], place: Path) -> "Trial":
        """The training with these values, in a folder that is named after them."""
        found = cls(number, values, seed, place)
        name = quote(found.name, safe=" ,=+-._")
        if len(name) > _LONGEST:
            name = f"{name[:_LONGEST]}-{hashlib.sha256(found.name.encode()).hexdigest()[:12]}"
        return replace(found, folder=place / name)

    @property
    def choice(self) -> str:
        """The values of the settings that differ."""
        return ",".join(f"{name}={value}" for name, value in self.values.items())

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.choice},seed={self.seed}".lstrip(",")

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


@dataclass
class Outcome:
    """What came of the trainings with the same values, one for each seed."""

    values: dict[str, Any]
    figures: dict[int, float] = field(default_factory=dict)  # on validation data, by seed
    epochs: float = 0.0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Over the seeds; infinite where there is none."""
        return statistics.fmean(self.figures.values()) if self.figures else math.inf

    @property
    def deviation(self) -> float | None:
        """Over the seeds, of a sample."""
        return statistics.stdev(self.figures.values()) if len(self.figures) > 1 else None


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
