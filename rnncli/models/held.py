"""What a checkpoint holds besides its arrays: read from its metadata alone, without JAX."""

import importlib
import math
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnncli.errors import CheckpointError
from rnncli.options import as_words, with_options
from rnncli.settings import Setting, settings_of
from rnncli.training.stored import METADATA, SUFFIX, from_latest, is_exported, metadata_in, saved_steps, stored

_SETTINGS = {"forecast": "ForecastSettings", "charlm": "CharlmSettings", "sentiment": "SentimentSettings"}
_TRAIN = {"forecast": "forecast", "charlm": "charlm train", "sentiment": "sentiment"}
_SIZES = ("classes", "vocabulary", "ids")  # what the metadata lists, and messages count


@dataclass(frozen=True)
class Figure:
    """A figure of a model's scores."""

    part: str
    system: str
    metric: str
    value: float | None

    def __str__(self) -> str:
        return f"{self.part} {self.metric} {self.value:.4g}" if self.value is not None else "–"


@dataclass(frozen=True)
class Held:
    """A checkpoint: where it is, what its metadata says, how large it is in bytes, when it was written."""

    path: Path
    metadata: Mapping[str, Any]
    size: int
    saved: float  # seconds since 1970

    @classmethod
    def of(cls, path: Path) -> "Held":
        """The checkpoint in a folder or file. Raises CheckpointError: there is none, or it is damaged."""
        if is_exported(path):
            step, metadata = path, stored(path)
        else:
            step, metadata = from_latest(path, "TASK", lambda step: (step, metadata_in(step)))
        if metadata["task"] not in _SETTINGS or not isinstance(metadata.get("config"), dict):
            raise CheckpointError(f"the checkpoint in '{path}' is damaged: it is of the task {metadata['task']!r}")
        try:
            if is_exported(path):
                return cls(path, metadata, path.stat().st_size, path.stat().st_mtime)
            files = [Path(folder, name) for folder, _, names in os.walk(step) for name in names]
            return cls(path, metadata, sum(file.stat().st_size for file in files), (step / METADATA).stat().st_mtime)
        except FileNotFoundError:  # a training that saves has replaced it
            return cls.of(path)

    @property
    def task(self) -> str:
        """The command whose model it is."""
        return self.metadata["task"]

    @property
    def config(self) -> dict[str, Any]:
        """The settings of the training."""
        return self.metadata["config"]

    @property
    def scores(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        """Part of the data → system → metric → figure; nothing of a training that has not ended."""
        return self.metadata.get("scores", {})

    @property
    def history(self) -> list[dict[str, float]]:
        """The evaluations of the training."""
        return self.metadata.get("history", [])

    @property
    def settings(self) -> dict[str, Setting]:
        """The settings of the task by name."""
        module = importlib.import_module(f"rnncli.{self.task}.settings")
        return settings_of(getattr(module, _SETTINGS[self.task]))

    @property
    def changed(self) -> dict[str, Any]:
        """The settings that are not at their defaults."""
        return {
            name: self.config[name]
            for name, each in self.settings.items()
            if name in self.config and self.config[name] != _plain(each.default)
        }

    @property
    def figure(self) -> Figure:
        """The figure that stands for the model: the last evaluation's loss of a training that has not ended."""
        for part, system, metric in importlib.import_module(f"rnncli.{self.task}.settings").MAIN_FIGURES:
            value = self.scores.get(part, {}).get(system, {}).get(metric)
            if value is not None and math.isfinite(value):
                return Figure(part, system, metric, value)
        losses = [each["validation"] for each in self.history if each.get("validation") is not None]
        return Figure("validation", "model", "loss", min(losses) if losses else None)

    @property
    def command(self) -> str:
        """The command that trains such a model again, in full: what the data decided is named, too."""
        train = importlib.import_module(f"rnncli.{self.task}.cli").train
        source = self.metadata.get("source", {})
        words = as_words(with_options(train).settings, {**self.config, **source})
        return f"rnncli {_TRAIN[self.task]} {shlex.join(words)}".rstrip()

    @property
    def sizes(self) -> dict[str, int]:
        """How many classes, words or characters, and series the model knows."""
        found = {name: self.metadata.get(name, (self.metadata.get("series") or {}).get(name)) for name in _SIZES}
        vocabulary = found["vocabulary"]
        if isinstance(vocabulary, dict):
            found["vocabulary"] = range(256) if vocabulary["kind"] == "bytes" else vocabulary["symbols"]
        return {{"ids": "series"}.get(name, name): len(each) for name, each in found.items() if each}


def figures_in(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are numbers: others are by class."""
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


def find(folder: Path) -> Iterator[Held]:
    """Every checkpoint in a folder and below it, in the order of their names; a damaged one is left out.

    Raises CheckpointError: there is no such folder.
    """
    if not folder.is_dir():
        raise CheckpointError(f"there is no folder '{folder}'; name one that has checkpoints below it")
    for place, names, files in os.walk(folder):
        names.sort()
        here = Path(place)
        paths = [here / name for name in sorted(files) if name.endswith(SUFFIX)]
        if saved_steps(here):
            names.clear()
            paths = [here]
        for path in paths:
            try:
                yield Held.of(path)
            except CheckpointError:
                continue


def _plain(value: Any) -> Any:
    """A default as JSON has it."""
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
