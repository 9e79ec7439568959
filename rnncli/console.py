"""What people see on stderr: messages, tables, and the events of a training as a bar or as plain lines.

Rich is loaded where it draws. User text is never read as markup.
"""

import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from rnncli.errors import as_options
from rnncli.output import Output, discard
from rnncli.training.devices import CompileClock, use_device
from rnncli.training.events import Diverged, Doing, Event, Finished, Listener, Note, Progress, Saved, Stopped
from rnncli.training.settings import Computing, Device

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.table import Table

_PLAIN_EVERY = 5.0  # seconds between progress lines where stderr is no terminal
_SILENT = 3.0  # seconds after which a command that tells nothing says what it does
_SHORTEST_BAR, _LONGEST_BAR = 8, 40  # characters
_ECHO = 3  # characters at the right that stay free: Ctrl-C writes there, and must not break the line


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
        self._timer: threading.Timer | None = None

    def __enter__(self) -> "Console":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._not_doing()
        self._end_progress()

    def doing(self, text: str) -> None:
        """Say what is done now if that takes more than a few seconds."""
        self._not_doing()
        if not self.quiet:
            self._timer = threading.Timer(_SILENT, self.say, [f"{text} …"])
            self._timer.daemon = True
            self._timer.start()

    def _not_doing(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

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
            _print(table)
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
        if isinstance(event, Doing):
            self._end_progress()
            self.doing(event.text)
            return
        if not isinstance(event, Saved):
            self._not_doing()
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
                self._progress = meter(label, self.say)
            self._progress.advance(event)

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress.close()
            self._progress = None

    def _be_quiet(self) -> None:
        """Whoever read stderr has gone: let the work go on."""
        self.quiet = True
        discard(sys.stderr)


def _parts(event: Progress, left: str = "") -> dict[str, str]:
    """What is told of a training, by what it is; "short" is the rate where there is little room."""
    parts = {"share": f"{event.epoch / event.epochs:.0%}", "loss": f"loss {event.train_loss:.4g}"}
    parts |= {"rate": f"{event.rate:,.0f} {event.unit}/s", "short": _short(event.rate)}
    if left:
        parts["left"] = left
    if event.validation is not None:
        parts["validation"] = f"validation {event.criterion} {event.validation['loss']:.4g}"
        if "accuracy" in event.validation:
            parts["accuracy"] = f"accuracy {event.validation['accuracy']:.3f}"
    parts["epoch"] = f"epoch {min(int(event.epoch) + 1, event.epochs)} of {event.epochs}"
    return parts


def _short(rate: float) -> str:
    if rate >= 1e6:
        return f"{rate / 1e6:.1f}M/s"
    return f"{rate / 1e3:.0f}k/s" if rate >= 1e4 else f"{rate:.0f}/s"


_ORDER = ("share", "epoch", "loss", "validation", "accuracy", "rate", "left")  # from left to right
_KEPT_LONGEST = ("share", "loss", "rate", "left", "validation", "epoch", "accuracy")  # the others go first
_NEEDED = 4  # of these


def fitting(parts: Mapping[str, str], width: int) -> str:
    """The parts that a line of so many characters has room for, in their order.

    The share done, the loss, the rate and the time left stay, in a shorter form where there is room for no other.
    """

    def line(names: Collection[str]) -> str:
        return ", ".join(parts[name] for name in _ORDER if name in names and name in parts)

    names = list(_KEPT_LONGEST)
    while len(line(names)) > width and len(names) > _NEEDED:
        names.pop()
    whole = line(names)
    if len(whole) <= width:
        return whole
    return " ".join({**parts, "rate": parts["short"]}[name] for name in _ORDER if name in names and name in parts)


class _Clock:
    """How long a training will still take, from what it did since it was first seen."""

    def __init__(self) -> None:
        self._begun: tuple[float, float] | None = None

    def left(self, epoch: float, epochs: int) -> str:
        """As in "3:05 left"; nothing at first."""
        now = time.monotonic()
        if self._begun is None:  # what was done before, by a training that goes on, says nothing of its speed
            self._begun = now, epoch
        begun, first = self._begun
        if epoch <= first:
            return ""
        minutes, seconds = divmod(round((now - begun) * (epochs - epoch) / (epoch - first)), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{f'{hours}:{minutes:02}' if hours else minutes}:{seconds:02} left"


class _Meter(Protocol):
    """Shows how far a training is."""

    def advance(self, event: Progress) -> None:
        """The training stands so."""
        ...

    def close(self) -> None:
        """Nothing follows."""
        ...


class _Bar:
    """A line with a bar, on a terminal."""

    def __init__(self, label: str, say: Callable[[str], None]):
        from rich.live import Live
        from rich.text import Text

        self._label, self._clock, self._parts, self._share, self._text = label, _Clock(), {}, 0.0, Text
        self.console = _rich()
        self._live = Live(console=self.console, refresh_per_second=4, transient=True, get_renderable=self._line)

    def advance(self, event: Progress) -> None:
        self._parts = _parts(event, self._clock.left(event.epoch, event.epochs))
        self._share = min(1.0, event.epoch / event.epochs)
        self._live.start()  # does nothing from the second time on

    def _line(self) -> Any:
        width = self.console.width - _ECHO
        text = fitting(self._parts, width)
        room = min(_LONGEST_BAR, width - len(text) - 2)
        label = f"{self._label}  " if room - len(self._label) - 2 >= _SHORTEST_BAR else ""
        line = self._text(no_wrap=True, overflow="ellipsis")
        room -= len(label)
        if room >= _SHORTEST_BAR:
            done = round(self._share * room)
            line.append(label)
            line.append("━" * done, "green").append("━" * (room - done), "bright_black").append("  ")
        return line.append(text)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self.console.print(text)

    def close(self) -> None:
        self._live.stop()


class _Lines:
    """A plain line every few seconds, elsewhere."""

    def __init__(self, label: str, say: Callable[[str], None]):
        self._label, self._say, self._clock = label, say, _Clock()
        self._last = time.monotonic()

    def advance(self, event: Progress) -> None:
        left = self._clock.left(event.epoch, event.epochs)
        now = time.monotonic()
        if now - self._last >= _PLAIN_EVERY and event.epoch < event.epochs:
            self._last = now
            self._say(f"{self._label}: {fitting(_parts(event, left), 1_000)}")

    def close(self) -> None:
        pass


def _print(table: "Table") -> None:
    """Print a table; where no terminal shows it, without the blanks at its lines' ends."""
    rich = _rich()
    if rich.is_terminal:
        rich.print(table)
    else:
        with rich.capture() as captured:
            rich.print(table)
        lines = captured.get().splitlines()
        print(*(line.rstrip() for line in lines), sep="\n", file=sys.stderr)
    sys.stderr.flush()


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
