"""What people see on stderr: messages, tables, and the events of a training as a bar or as plain lines.

Rich is loaded where it draws. User text is never read as markup.
"""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from rnncli.errors import RnncliError, as_options
from rnncli.output import Output, discard, json_text
from rnncli.training.devices import CompileClock, use_device
from rnncli.training.events import Diverged, Evaluated, Event, Finished, Listener, Note, Progress, Stopped
from rnncli.training.settings import Computing, Device

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

_PLAIN_EVERY = 5.0  # seconds between progress lines where stderr is no terminal


class Console:
    """Everything on stderr; silent when quiet. As a context manager it ends what it draws.

    Making one checks where the output goes and chooses the device: it is how a verb begins.
    """

    def __init__(self, output: Output, device: Device | Computing | None = None):
        """`device` is None where nothing is computed."""
        output.check()
        self.output, self.quiet = output, output.quiet
        self.clock = CompileClock()
        if device is not None:
            self.clock.start()
            use_device(device.device)
        self._progress: _Meter | None = None

    def __enter__(self) -> "Console":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_progress()

    def say(self, text: str) -> None:
        """A line for the user; parameters in it are shown as options."""
        if self.quiet:
            return
        try:
            if isinstance(self._progress, _Bar):
                self._progress.say(as_options(text))
            else:
                print(as_options(text), file=sys.stderr, flush=True)
        except BrokenPipeError:
            self._be_quiet()

    def table(self, title: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, style_row: int = -1) -> None:
        """A table for people; the first column is text, the others are figures. `style_row` stands out."""
        if self.quiet:
            return
        from rich import box
        from rich.table import Table

        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
        for index, name in enumerate(header):
            table.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
        for index, row in enumerate(rows):
            table.add_row(*row, style="bold" if index == style_row else None)
        try:
            _rich().print(table)
            sys.stderr.flush()
        except BrokenPipeError:
            self._be_quiet()

    def plot(self, draw: Callable[[Path], None]) -> None:
        """Draw the picture that was asked for, if one was."""
        path: Path | None = getattr(self.output, "plot", None)
        if path is not None:
            draw(path)
            self.say(f"plot in '{path}'")

    def show_scores(self, csv: Callable[[], str], document: Callable[[], dict[str, Any]]) -> None:
        """Write scores as a JSON document or as CSV."""
        if self.output.json:
            self.output.write_document(document(), self.clock)
        else:
            self.output.write_scores(csv())

    def listener(self, label: str = "training", *others: Listener) -> Listener:
        """A function that shows the events of a training under a label, and passes them on to `others`."""

        def on_event(event: Event) -> None:
            self._show(event, label)
            for other in others:
                other(event)

        return on_event

    def _show(self, event: Event, label: str) -> None:
        if isinstance(event, Note):
            self.say(event.text)
        elif isinstance(event, Diverged):
            best = "the best epoch before is kept"
            self.say(f"warning: the loss is not a number after step {event.step}; {best}; {event.advice}")
        elif isinstance(event, Finished | Stopped):
            self._end_progress()
        elif isinstance(event, Progress) and not self.quiet:
            if self._progress is None:
                meter = _Bar if sys.stderr.isatty() else _Lines
                self._progress = meter(label, event.epochs, self.say)
            self._progress.advance(event.epoch, _detail(event))

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress.close()
            self._progress = None

    def _be_quiet(self) -> None:
        """Whoever read stderr has gone: let the work go on."""
        self.quiet = True
        discard(sys.stderr)


def _detail(event: Progress) -> str:
    """The epoch, the losses and the speed."""
    parts = [f"epoch {min(int(event.epoch) + 1, event.epochs)} of {event.epochs}", f"loss {event.train_loss:.4g}"]
    if event.validation is not None:
        parts.append(f"validation {event.criterion} {event.validation['loss']:.4g}")
        if "accuracy" in event.validation:
            parts.append(f"accuracy {event.validation['accuracy']:.3f}")
    return ", ".join([*parts, f"{event.rate:,.0f} {event.unit}/s"])


class _Meter(Protocol):
    """Shows how far a training is."""

    def advance(self, epoch: float, detail: str) -> None:
        """So many epochs are done."""
        ...

    def close(self) -> None:
        """Nothing follows."""
        ...


class _Bar:
    """A progress bar, on a terminal."""

    def __init__(self, label: str, epochs: int, say: Callable[[str], None]):
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=_rich(), refresh_per_second=4, transient=True)
        self._task = self._progress.add_task(label, total=epochs, detail="")
        self._begun = False

    def advance(self, epoch: float, detail: str) -> None:
        if not self._begun:  # what was done before, by a training that goes on, says nothing of its speed
            self._progress.start()
            self._progress.reset(self._task, completed=epoch, detail=detail)  # pyright: ignore[reportArgumentType]
            self._begun = True
        self._progress.update(self._task, completed=epoch, detail=detail)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(text)

    def close(self) -> None:
        self._progress.stop()


class _Lines:
    """A plain line every few seconds, elsewhere."""

    def __init__(self, label: str, epochs: int, say: Callable[[str], None]):
        self._label, self._epochs, self._say = label, epochs, say
        self._begun = self._last = time.monotonic()
        self._first: float | None = None  # what was done before, where a training goes on

    def advance(self, epoch: float, detail: str) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first, self._begun = epoch, now
        if now - self._last >= _PLAIN_EVERY and epoch < self._epochs:
            self._last = now
            done = epoch - self._first
            left = f", {(now - self._begun) * (self._epochs - epoch) / done:.0f} s left" if done > 0 else ""
            self._say(f"{self._label}: {epoch / self._epochs:.0%}, {detail}{left}")

    def close(self) -> None:
        pass


def _rich() -> "RichConsole":
    from rich.console import Console as RichConsole

    terminal = sys.stderr.isatty()
    return RichConsole(
        file=sys.stderr,
        markup=False,
        emoji=False,
        highlight=False,
        force_terminal=terminal,  # FORCE_COLOR would write control codes into pipes
        width=None if terminal else 120,
    )


def log_to(path: Path | None) -> Listener:
    """A listener that appends the losses to a file as JSON Lines; it listens to nothing without a file.

    Raises RnncliError: the file cannot be written.
    """
    if path is not None:
        from rnncli.files import check_writable

        check_writable(path)

    def on_event(event: Event) -> None:
        if path is None or not isinstance(event, Progress):
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
