"""Where a training is written down: the losses as JSON Lines or for TensorBoard, and a trace of what it computes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnncli.errors import ParameterError, RnncliError
from rnncli.files import check_writable
from rnncli.output import json_text
from rnncli.training import processes
from rnncli.training.events import Evaluated, Event, Finished, Listener, Progress, Stopped
from rnncli.training.settings import Log

_TRACED = 3  # dispatches of a training that a trace holds, the compilation before them included


@contextmanager
def logged(log: Log) -> Iterator[Listener]:
    """A listener that writes down what was asked for.

    Raises RnncliError: a file or folder cannot be written. ParameterError: a library is not installed.
    """
    with ExitStack() as stack:
        listeners: list[Listener] = []
        if not processes.first():
            log = replace(log, log=None, tensorboard=None, profile=None)
        if log.log is not None:
            listeners.append(_to_lines(log.log))
        if log.tensorboard is not None:
            listeners.append(_to_tensorboard(log.tensorboard, stack.callback))
        if log.profile is not None:
            listeners.append(_to_trace(log.profile, stack.callback))

        def on_event(event: Event) -> None:
            for listener in listeners:
                listener(event)

        yield on_event


def _to_lines(path: Path) -> Listener:
    """Appends a line for each dispatch."""
    check_writable(path)

    def on_event(event: Event) -> None:
        if not isinstance(event, Progress):
            return
        line = {
            "step": event.step,
            "epoch": event.epoch,
            "seconds": round(event.seconds, 3),
            "train": event.train_loss,
            "validation": event.validation if isinstance(event, Evaluated) else None,
        }
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json_text(line))
        except OSError as error:
            raise RnncliError(f"cannot write '{path}': {error.strerror}") from error

    return on_event


def _to_tensorboard(folder: Path, at_end: Callable[[Callable[[], Any]], Any]) -> Listener:
    """Writes scalars: the training loss, the metrics of each evaluation, the speed."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ParameterError("`tensorboard` needs a library: pip install 'rnncli[tensorboard]'") from error
    try:
        writer: Any = SummaryWriter(str(folder))
    except OSError as error:
        raise RnncliError(f"cannot write to `tensorboard` '{folder}': {error.strerror}") from error
    at_end(writer.close)

    def on_event(event: Event) -> None:
        if isinstance(event, Progress):
            writer.add_scalar("loss/train", event.train_loss, event.step)
            writer.add_scalar(f"speed/{event.unit}_a_second", event.rate, event.step)
        if isinstance(event, Evaluated):
            for name, value in (event.validation or {}).items():
                writer.add_scalar(f"{name}/validation", value, event.step)

    return on_event


def _to_trace(folder: Path, at_end: Callable[[Callable[[], Any]], Any]) -> Listener:
    """Traces the beginning of a training, its compilation and a few dispatches, for TensorBoard, XProf or Perfetto."""
    import jax

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RnncliError(f"cannot write to `profile` '{folder}': {error.strerror}") from error
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # calls of Python would drown the rest
    jax.profiler.start_trace(str(folder), profiler_options=options)
    dispatches, running = 0, True

    def stop() -> None:
        nonlocal running
        if running:
            running = False
            jax.profiler.stop_trace()

    at_end(stop)

    def on_event(event: Event) -> None:
        nonlocal dispatches
        dispatches += isinstance(event, Progress)
        if dispatches >= _TRACED or isinstance(event, Finished | Stopped):
            stop()

    return on_event
