"""What a task tells the runner, and what it gets back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import optax
from jax import Array

from rnncli.nn.dropout import DropoutKey
from rnncli.training.events import Metrics
from rnncli.training.loop import Params, Plan

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]  # part of the data → system → metric → figure


class Scored(NamedTuple):
    """What scoring gives."""

    scores: Scores  # JSON types
    metadata: Mapping[str, Any] = {}  # what prediction needs besides, JSON types
    details: Any = None  # what the task's own tables and plots show
    params: Params | None = None  # what predicts, where the model was fitted anew, to all the data


class Task(Protocol):
    """A network to train on data. Any object with these attributes and methods is one.

    Attributes:
        name: of the command, as a checkpoint records it.
        settings: of the run; what a checkpoint and a document have as `config`.
        model: the untrained network. Training leaves it alone.
        optimizer: what minimises, as `training.optimizer.optimizer_of` makes it.
        plan: how long to train; of zero epochs where nothing is trained by steps.
        batches: gives the batches from a step on.
        data: arrays that every loss is given beside its batch, on the device.
        carry: arrays `[B, …]` handed from batch to batch, zero in the beginning; () for none.
        examples: how many examples a step has.
        unit: what an example is, in the plural.
        criterion: what the evaluation's "loss" is called.
        source: how the command line names the data, as JSON types: what a training that goes on is not told again.
        has_prior: whether the untrained network is worth keeping, as it starts from a solution.
    """

    name: str
    settings: Any  # a `Training`, of the task's own class
    model: Any  # an `nnx.Module`
    optimizer: optax.GradientTransformation
    plan: Plan
    batches: Any  # a `batches.Batches`
    data: Any
    carry: Any
    examples: int
    unit: str
    criterion: str
    source: Any  # a dict
    has_prior: bool

    def loss(self, model: Any, carry: Any, data: Any, batch: Any, key: DropoutKey) -> tuple[Array, Any]:
        """The mean loss of a batch, and the carry for the next one; runs in a compiled loop."""
        ...

    def evaluate(self, params: Params) -> Metrics:
        """Metrics on validation data; the least "loss" decides which parameters are kept."""
        ...

    def score(self, params: Params, epochs: float) -> Scored:
        """Figures of the kept parameters, which were trained for so many epochs, on every part of the data."""
        ...

    def metadata(self) -> dict[str, Any]:
        """What prediction needs besides settings and parameters, as JSON types.

        The entry "data" is a digest of the data: a training goes on with the same data only.
        """
        ...

    def arrays(self) -> dict[str, Any]:
        """Further pytrees of arrays that a checkpoint holds, by name."""
        ...


@dataclass(frozen=True)
class Result:
    """A training that came to its end."""

    task: Task
    params: Params  # the best
    metadata: dict[str, Any]  # of the checkpoint, where there is one
    history: list[dict[str, float]]  # epoch, train, validation and further metrics of each evaluation
    scored: Scored
    best_epoch: float
    devices: int  # that shared each batch
    seconds: float
    steps_per_second: float

    @property
    def untrained_is_best(self) -> bool:
        """Whether no evaluation was better than that of the untrained network."""
        return self.best_epoch == 0

    def notes(self) -> list[str]:
        """What is worth knowing of the training, in sentences."""
        if not self.task.plan.epochs:
            return []
        best = f"best epoch {self.best_epoch:g} of {self.task.plan.epochs} by validation {self.task.criterion}"
        notes = [f"{best}; {self.seconds:.0f} s"]
        if self.untrained_is_best and not self.task.has_prior:
            advice = "lower `learning_rate`, or train longer"
            notes.append(f"warning: no epoch was better than the untrained network; {advice}")
        return notes

    def document(self, command: str, checkpoint: Path | None, **more: Any) -> dict[str, Any]:
        """The JSON document of a training; `config` among `more` is added to the settings."""
        begun = {name: value for name, value in self.task.source.items() if name in ("from_model", "replay")}
        return {
            "command": command,
            "config": self.task.settings.as_dict() | more.pop("config", {}) | begun,
            "scores": self.scored.scores,
            "checkpoint": None if checkpoint is None else str(checkpoint),
            "seconds": round(self.seconds, 3),
            "steps_per_second": round(self.steps_per_second, 2),
            "best_epoch": self.best_epoch,
            "devices": self.devices,
            "history": self.history,
            **more,
        }
