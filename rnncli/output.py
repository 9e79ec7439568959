"""The data of a command: on stdout, or in a file that appears once it is whole. CSV, JSON and text."""

import csv
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rnncli.errors import ClosedPipe, ParameterError, RnncliError
from rnncli.settings import Settings, setting

if TYPE_CHECKING:
    from rnncli.training.devices import CompileClock

TERMINAL = Path("-")  # where a plot is drawn on stderr
_PLOT_FORMATS = {".png", ".pdf", ".svg"}


@dataclass(frozen=True, kw_only=True)
class Output(Settings):
    """Output."""

    json: bool = setting(False, "Print JSON: one document; of predict and sample, one a line.")
    quiet: bool = setting(False, "Say nothing but errors.", names="--quiet -q")
    output: Path | None = setting(None, "Write the data to FILE instead of stdout.", None, "FILE", names="--output -o")

    def check(self) -> None:
        """Refuse, before any work, what could not be written after it.

        Raises RnncliError, ParameterError: a file cannot be written, or a plot's name has an unknown ending.
        """
        from rnncli.files import check_writable

        plot: Path | None = getattr(self, "plot", None)
        plot = None if plot == TERMINAL else plot
        for path in (self.output, plot):
            if path is not None:
                check_writable(path)
        if plot is not None and plot.suffix.lower() not in _PLOT_FORMATS:
            raise ParameterError(f"`plot` {plot}: the name must end in {', '.join(sorted(_PLOT_FORMATS))}")

    def write(self, text: str) -> None:
        """Write the command's data at once."""
        with self.stream() as write:
            write(encoded(text))

    def write_document(self, document: Mapping[str, Any], clock: "CompileClock") -> None:
        """Write a JSON document, with the time that compilation took until now."""
        self.write(json_text({**document, "compile_seconds": round(clock.seconds, 3)}))

    def write_scores(self, text: str) -> None:
        """Write a table of scores as CSV. On a terminal where people were shown it, it would only repeat that."""
        if self.output is not None or self.quiet or not stdout_is_terminal():
            self.write(text)

    @contextmanager
    def stream(self) -> Iterator[Callable[[bytes], None]]:
        """Write the data as it comes: flushed to stdout each time, or into a file that appears once it is whole."""
        if self.output is None:
            yield _to_stdout
            return
        from rnncli.files import whole_file

        with whole_file(self.output) as temporary, temporary.open("wb") as file:

            def write(data: bytes) -> None:
                file.write(data)

            yield write


@dataclass(frozen=True, kw_only=True)
class PlotOutput(Output):
    """Output."""

    plot: Path | None = setting(
        None, "Draw the result into FILE (PNG, PDF or SVG), or, for -, in the terminal.", metavar="FILE.png"
    )


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


def csv_text(*rows: Sequence[Any], separator: str = ",") -> str:
    """Rows as CSV, lines ending in a newline."""
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def scores_csv(scores: Mapping[str, Mapping[str, Mapping[str, Any]]], system: str, metrics: Sequence[str]) -> str:
    """Scores as CSV, a row for each part and system; `system` is the name of their column. Figures have six digits."""
    rows = [
        (part, name, *(cell(values[metric]) for metric in metrics))
        for part, systems in scores.items()
        for name, values in systems.items()
    ]
    return csv_text(("part", system, *metrics), *rows)


def cell(value: Any) -> Any:
    """A value as a table for programs has it: numbers with six digits, nothing where there is none."""
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value


def json_text(document: Any) -> str:
    """One JSON document on one line. A number that JSON does not know (NaN, infinity) becomes null."""
    try:
        return json.dumps(_plain(document), ensure_ascii=False, allow_nan=False) + "\n"
    except RecursionError as error:
        raise RnncliError("a record is nested too deeply to be written as JSON; flatten it") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def encoded(text: str) -> bytes:
    """As UTF-8; what that cannot hold, half a surrogate pair, becomes a question mark."""
    return text.encode("utf-8", "replace")


def stdout_is_terminal() -> bool:
    """Whether a person, not a program, reads the data."""
    return sys.stdout.isatty()


def discard(stream: TextIO) -> None:
    """Let what is still to be flushed when Python ends go to /dev/null."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _to_stdout(data: bytes) -> None:
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        discard(sys.stdout)
        raise ClosedPipe from error
    except OSError as error:
        raise RnncliError(f"cannot write to stdout: {error.strerror}") from error
