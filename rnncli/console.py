"""What a user sees: data on stdout, and on stderr messages, tables and progress.

Rich is loaded where it draws. User text is never read as markup.
"""

import csv
import io
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from rnncli.errors import ClosedPipe, OptionError, RnncliError

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

    from rnncli.training.devices import CompileClock

_PLOT_FORMATS = {".png", ".pdf", ".svg"}
_PLAIN_EVERY = 5.0  # seconds between progress lines where stderr is no terminal


class Advance(Protocol):
    """Tell how far the work is: done out of the total, and what else there is to say."""

    def __call__(self, done: float, detail: str) -> None:
        """`done` counts in the units of the total."""
        ...


class Messages:
    """Everything on stderr; silent when quiet."""

    def __init__(self, *, quiet: bool = False):
        self.quiet = quiet

    def say(self, text: str) -> None:
        """A line for the user."""
        if self.quiet:
            return
        try:
            print(text, file=sys.stderr, flush=True)
        except BrokenPipeError:
            self._nobody_listens()

    def table(self, title: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, style_row: int = -1) -> None:
        """A table for people; the first column is text, the others are figures. `style_row` stands out."""
        if self.quiet:
            return
        from rich import box
        from rich.table import Table

        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
        for number, name in enumerate(header):
            table.add_column(name, justify="left" if number == 0 else "right", overflow="fold")
        for number, row in enumerate(rows):
            table.add_row(*row, style="bold" if number == style_row else None)
        try:
            self._rich().print(table)
            sys.stderr.flush()
        except BrokenPipeError:
            self._nobody_listens()

    def _nobody_listens(self) -> None:
        """Whoever read stderr has gone: be quiet, and let the work go on."""
        self.quiet = True
        _to_nowhere(sys.stderr)

    @contextmanager
    def progress(self, label: str, total: float) -> Iterator[Advance]:
        """A bar where stderr is a terminal, a plain line every few seconds elsewhere."""
        if self.quiet:
            yield lambda done, detail: None
        elif sys.stderr.isatty():
            with self._bar(label, total) as advance:
                yield advance
        else:
            yield self._lines(label, total)

    @contextmanager
    def _bar(self, label: str, total: float) -> Iterator[Advance]:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._rich(), refresh_per_second=4, transient=True) as progress:
            task = progress.add_task(label, total=total, detail="")
            begun = False

            def advance(done: float, detail: str) -> None:
                nonlocal begun
                if not begun:  # what was done before, by a training that goes on, says nothing of its speed
                    progress.reset(task, completed=done, detail=detail)  # pyright: ignore[reportArgumentType]
                    begun = True
                progress.update(task, completed=done, detail=detail)

            yield advance

    def _lines(self, label: str, total: float) -> Advance:
        begun = last = time.monotonic()
        first: float | None = None  # what was done before, where a training goes on

        def advance(done: float, detail: str) -> None:
            nonlocal begun, last, first
            now = time.monotonic()
            if first is None:
                first, begun = done, now
            if now - last >= _PLAIN_EVERY and done < total:
                last = now
                left = f", {(now - begun) * (total - done) / (done - first):.0f} s left" if done > first else ""
                self.say(f"{label}: {done / total:.0%}, {detail}{left}")

        return advance

    def _rich(self) -> "RichConsole":
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


@dataclass(frozen=True)
class Output:
    """Where a command's data goes, and in which form."""

    file: Path | None
    plot: Path | None
    as_json: bool
    clock: "CompileClock"

    def timed(self, document: dict[str, Any]) -> str:
        """A JSON document, with the time that compilation took until now."""
        return json_text(document | {"compile_seconds": round(self.clock.seconds, 3)})

    def check(self) -> None:
        """Refuse, before any work, what could not be written after it."""
        from rnncli.files import check_writable

        for path in (self.file, self.plot):
            if path is not None:
                check_writable(path)
        if self.plot is not None and self.plot.suffix.lower() not in _PLOT_FORMATS:
            raise OptionError(f"--plot {self.plot}: the name must end in {', '.join(sorted(_PLOT_FORMATS))}")


def figure(value: float | None) -> str:
    """A figure for people: four significant digits, no exponent where it can be done without."""
    if value is None:
        return "–"
    return significant(value, 4) if value == 0 or 1e-4 <= abs(value) < 1e9 else f"{value:.3e}"


def significant(value: float, digits: int) -> str:
    """A number with so many significant digits, written out."""
    if value == 0 or not 1e-9 < abs(value) < 1e15:
        return f"{value:.{digits}g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV, lines ending in a newline."""
    return csv_lines([header, *rows])


def csv_lines(rows: Iterable[Sequence[Any]], separator: str = ",") -> str:
    """The same without a header, or with another separator."""
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def json_text(document: Any) -> str:
    """One JSON document on one line. A number that JSON does not know (NaN, infinity) becomes null."""
    try:
        return json.dumps(_plain(document), ensure_ascii=False, allow_nan=False) + "\n"
    except RecursionError as error:
        raise RnncliError("a record is nested too deeply to be written as JSON; flatten it") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _to_nowhere(stream: TextIO) -> None:
    """Let what is still to be flushed when Python ends go to /dev/null."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def encoded(text: str) -> bytes:
    """As UTF-8; what that cannot hold, half a surrogate pair, becomes a question mark."""
    return text.encode("utf-8", "replace")


def write_data(text: str, output: Path | None) -> None:
    """The command's data at once: to stdout, or whole into a file."""
    with data_stream(output) as write:
        write(encoded(text))


@contextmanager
def data_stream(output: Path | None) -> Iterator[Callable[[bytes], None]]:
    """The command's data as it comes: flushed to stdout each time, or into a file that appears once it is whole."""
    if output is None:
        yield _to_stdout
        return
    from rnncli.files import whole_file

    with whole_file(output) as temporary, temporary.open("wb") as file:

        def write(data: bytes) -> None:
            file.write(data)

        yield write


def write_scores(text: str, output: Output, messages: Messages) -> None:
    """A table of scores as CSV. On a terminal where the same table was shown for people, it would only repeat it."""
    if output.file is not None or messages.quiet or not stdout_is_terminal():
        write_data(text, output.file)


def stdout_is_terminal() -> bool:
    """Whether a person, not a program, reads the data."""
    return sys.stdout.isatty()


def _to_stdout(data: bytes) -> None:
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        _to_nowhere(sys.stdout)
        raise ClosedPipe from error
    except OSError as error:
        raise RnncliError(f"cannot write to stdout: {error.strerror}") from error
