"""`sentiment train`: where texts, training, disk and screen meet."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from rnncli.console import Messages
from rnncli.sentiment.calibration import Calibration, System, fit_calibration
from rnncli.sentiment.config import TASK
from rnncli.sentiment.data import PARTS
from rnncli.sentiment.fit import Fitting, prepare, train
from rnncli.sentiment.hub import Sentences
from rnncli.sentiment.metrics import Measures, measure
from rnncli.sentiment.model import empty_network
from rnncli.sentiment.ngram import as_arrays
from rnncli.sentiment.prepare import Prepared
from rnncli.sentiment.score import Scorer
from rnncli.sentiment.text import Ragged
from rnncli.training.checkpoint import CheckpointWriter, Saving, restore, resumable
from rnncli.training.loop import Report
from rnncli.training.watch import Pace, not_a_number, watch

Scores = dict[str, dict[str, Measures]]  # part → system → measures


@dataclass(frozen=True)
class Outcome:
    """What training gave."""

    prepared: Prepared
    fitting: Fitting
    scores: Scores
    calibration: Calibration
    steps_per_second: float

    def document(self, checkpoint: Path) -> dict[str, Any]:
        """The JSON document of `sentiment train --json`."""
        classes = self.prepared.data.classes
        return {
            "command": "sentiment train",
            "config": {**self.prepared.config.as_dict(), **self.prepared.data.sources},
            "classes": list(classes),
            "scores": as_dicts(self.scores, classes),
            "checkpoint": str(checkpoint),
            "steps_per_second": round(self.steps_per_second, 2),
            "best_epoch": self.fitting.best_epoch,
            "devices": int(self.fitting.state.devices),
            "temperatures": self.calibration.temperatures,
            "history": self.fitting.history,
        }


def as_dicts(scores: Scores, classes: tuple[str, ...]) -> dict[str, Any]:
    """Scores as JSON types."""
    return {part: {name: each.as_dict(classes) for name, each in systems.items()} for part, systems in scores.items()}


def run_training(prepared: Prepared, messages: Messages, *, saving: Saving, save_every: float = 15.0) -> Outcome:
    """Train, save while training goes on, calibrate and score the best epoch.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the checkpoint holds what was reached.
        RnncliError: the loss was no number from the start.
    """
    config, data = prepared.config, prepared.data
    validation, labels = prepared.texts["validation"], data.parts["validation"].labels
    fitting = prepare(
        config,
        prepared.texts["train"],
        data.parts["train"].labels,
        len(data.classes),
        prepared.vocabulary,
        prepared.vectors,
    )
    about = _about(prepared)
    if saving.resume:
        metadata = resumable(saving.folder, TASK, _metadata(fitting, about), "DATA", messages.say)
        if metadata is not None:
            fitting.state = restore(saving.folder, TASK, "state", fitting.state)
            fitting.history = list(metadata["history"])
    writer = CheckpointWriter(saving)
    ngram = as_arrays(prepared.ngram)

    def save(**more: Any) -> None:
        metadata = _metadata(fitting, about) | more
        writer.save(metadata, best=fitting.best_params, state=fitting.state, ngram=ngram)

    before, training_begun = int(fitting.state.step), time.monotonic()
    _train(fitting, validation, labels, messages, save, save_every)
    spent = time.monotonic() - training_begun
    scorer = Scorer(empty_network(config, prepared.vocabulary.size, len(data.classes)), config.max_words)
    logits = {
        part: {"model": scorer.logits(fitting.best_params, prepared.texts[part]), "ngram": prepared.ngram_logits[part]}
        for part in PARTS[1:]
        if part in data.parts
    }
    calibration = fit_calibration(logits["validation"], labels)
    scores = {
        part: {
            system: measure(probability, data.parts[part].labels)
            for system, probability in calibration.probabilities(each).items()
        }
        for part, each in logits.items()
    }
    save(temperatures=calibration.temperatures, scores=as_dicts(scores, data.classes))
    writer.close()
    steps = int(fitting.state.step) - before
    return Outcome(prepared, fitting, scores, calibration, steps / spent)


def _about(prepared: Prepared) -> dict[str, Any]:
    """What a checkpoint says of the data, the vocabulary and the baseline."""
    data = prepared.data
    return {
        "classes": list(data.classes),
        "vocabulary": list(prepared.vocabulary.words),
        "data": data.digest(),
        "ngrams": len(prepared.ngram.keys),
        "temperatures": dict.fromkeys(get_args(System), 1.0),  # until training ends
    }


def _metadata(fitting: Fitting, about: dict[str, Any]) -> dict[str, Any]:
    return {"task": TASK, "config": fitting.config.as_dict(), "history": fitting.history, **about}


def _train(
    fitting: Fitting,
    validation: Ragged | Sentences,
    labels: np.ndarray,
    messages: Messages,
    save: Callable[[], None],
    save_every: float,
) -> None:
    pace, config = Pace(int(fitting.state.step)), fitting.config

    def detail(report: Report) -> str:
        said = f"epoch {min(int(report.epoch) + 1, config.epochs)} of {config.epochs}, loss {report.train_loss:.3f}"
        if fitting.history:
            last = fitting.history[-1]
            said += f", validation {last['validation']:.3f}, accuracy {last['accuracy']:.3f}"
        return f"{said}, {pace.steps_per_second(report) * fitting.batches.batch:,.0f} texts/s"

    last = watch(
        train(fitting, validation, labels),
        epochs=config.epochs,
        messages=messages,
        label="training",
        detail=detail,
        save=save,
        save_every=save_every,
    )
    if last is not None and not math.isfinite(last.train_loss):
        not_a_number(last.step, config.learning_rate, config.clip, messages, kept=int(fitting.state.best_step) > 0)
