"""What people see on stderr: messages, tables, and the events of a training.

Rich is loaded where it draws.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rnncli.errors import LONGEST, as_options, printable
from rnncli.output import TERMINAL, Output, discard
from rnncli.progress import Bar, Lines, Meter, rich_console
from rnncli.training import processes
from rnncli.training.devices import CompileClock, use_machine
from rnncli.training.events import Diverged, Doing, Event, Finished, Listener, Note, Progress, Saved, Stopped
from rnncli.training.settings import Computing, Device

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_SILENT = 3.0  # seconds after which a command that tells nothing says what it does


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
            use_machine(device)
            if not processes.first():  # another one shows and writes
                self.output, self.quiet = replace(output, output=None, **_no_plot(output)), True
        self._progress: Meter | None = None
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
        self._not_doing()
        text = printable(as_options(text), None if "\n" in text else LONGEST)
        try:
            if isinstance(self._progress, Bar):
                self._progress.say(text)
            else:
                print(text, file=sys.stderr, flush=True)
        except BrokenPipeError:
            self._be_quiet()

    def table(self, title: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, style_row: int = -1) -> None:
        """A table for people; the first column is text, the others are figures. `style_row` stands out.

        Where it is too wide, the columns that do not fit follow in a table of their own.
        """
        if self.quiet:
            return
        from rich import box
        from rich.table import Table
        from rich.text import Text

        lines = [[*map(printable, row)] for row in rows]

        def part(columns: Sequence[int]) -> Table:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            for index in (0, *columns):
                table.add_column(printable(header[index]), justify="right" if index else "left", overflow="fold")
            for index, row in enumerate(lines):
                table.add_row(*(row[each] for each in (0, *columns)), style="bold" if index == style_row else None)
            return table

        try:
            _print(Text(printable(title), style="italic"))
            left = [*range(1, len(header))]
            while left:
                fitting = next((count for count in range(len(left), 1, -1) if _fits(part(left[:count]))), 1)
                _print(part(left[:fitting]))
                left = left[fitting:]
        except BrokenPipeError:
            self._be_quiet()

    def plot(self, draw: Callable[[Path], None]) -> None:
        """Draw the picture that was asked for, if one was."""
        path: Path | None = getattr(self.output, "plot", None)
        if path is not None and not (path == TERMINAL and self.quiet):
            draw(path)
            if path != TERMINAL:
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
                meter = Bar if sys.stderr.isatty() else Lines
                self._progress = meter(printable(label), self.say)
            self._progress.advance(event)

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress.close()
            self._progress = None

    def _be_quiet(self) -> None:
        """Whoever read stderr has gone: let the work go on."""
        self.quiet = True
        discard(sys.stderr)


def _no_plot(output: Output) -> dict[str, None]:
    return {"plot": None} if hasattr(output, "plot") else {}


def _fits(table: "Table") -> bool:
    """Whether a table can be shown without a word, or a number, in parts."""
    from rich.measure import Measurement

    rich = rich_console()
    return Measurement.get(rich, rich.options.update(max_width=10_000), table).minimum <= rich.width


def _print(table: "Table | Text") -> None:
    """Print a table; where no terminal shows it, without the blanks at its lines' ends."""
    rich = rich_console()
    if rich.is_terminal:
        rich.print(table)
    else:
        with rich.capture() as captured:
            rich.print(table)
        lines = captured.get().splitlines()
        print(*(line.rstrip() for line in lines), sep="\n", file=sys.stderr)
    sys.stderr.flush()
