"""What a training tells while it runs: frozen values, to whoever listens."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnncli.training.task import Result

Metrics = dict[str, float]


@dataclass(frozen=True)
class Note:
    """A sentence for the user: what was found in the data, or a warning."""

    text: str


@dataclass(frozen=True)
class Doing:
    """Something begins that may take a while, and tells nothing before its end."""

    text: str  # as in "reading the text"


@dataclass(frozen=True)
class Progress:
    """Training left the device for a moment."""

    step: int
    epoch: float  # epochs done
    epochs: int  # of the whole training
    seconds: float  # since it began
    train_loss: float  # mean over the steps of this epoch so far
    validation: Metrics | None  # of the last evaluation; None before the first
    criterion: str  # what the entry "loss" of `validation` is called
    rate: float  # examples a second
    unit: str  # what an example is, in the plural


@dataclass(frozen=True)
class Evaluated(Progress):
    """The same, right after an evaluation on validation data."""

    params: Any  # the current parameters; they live until the next event


@dataclass(frozen=True)
class Saved:
    """A checkpoint was written."""

    folder: Path
    step: int


@dataclass(frozen=True)
class Stopped:
    """A signal ended the training early; `errors.Interrupted` follows."""

    signal: int
    step: int
    saved: bool


@dataclass(frozen=True)
class Diverged:
    """The loss is no number any more; the best parameters before are kept."""

    step: int
    advice: str


@dataclass(frozen=True)
class Finished:
    """Training came to its end and was scored."""

    result: "Result"


Event = Note | Doing | Progress | Saved | Stopped | Diverged | Finished
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listens to nothing."""


def silent(label: str) -> Listener:
    """Nobody listens to the training of that label."""
    return ignore


def follow(events: Iterable[Event], on_event: Listener = ignore) -> "Result":
    """Pass all events of a training on; return its result."""
    result = None
    for event in events:
        on_event(event)
        if isinstance(event, Finished):
            result = event.result
    assert result is not None, "a training that raises nothing finishes"
    return result
