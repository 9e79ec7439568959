"""A dialogue with a language model: each line continues the text, and the model continues the line."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from rnncli.charlm.api import Model
from rnncli.charlm.drawing import Drawing, Extent
from rnncli.charlm.stops import Sample
from rnncli.configuration import parsed
from rnncli.errors import DataError, ParameterError
from rnncli.output import Output
from rnncli.settings import Settings, check, settings_of

HELP = """each line continues the text, and the model goes on from there
:temperature 0.7 changes how it is drawn, as do :top-k, :top-p, :min-p,
:repetition-penalty, :length, :seed, :stop; :reset forgets the text
Ctrl-C stops the model, Ctrl-D ends"""
_PART = 64  # symbols that are drawn at once, so that Ctrl-C is heard
_REMEMBERED = 20_000  # symbols of the text that are read again for each line


class Dialogue:
    """A text that a person and a model write in turn."""

    def __init__(self, model: Model, drawing: Drawing, extent: Extent, say: Callable[[str], None]):
        self._model, self.drawing, self.extent, self._say = model, drawing, extent, say
        self._text = np.zeros(0, np.uint32)

    def run(self, output: Output) -> None:
        """Until the lines end."""
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        if terminal:
            import readline  # noqa: F401 - lines can be edited, and come back with the arrow keys

            self._say(HELP)
        with output.stream() as write:
            while True:
                try:
                    line = input("> " if terminal else "")
                except EOFError:
                    return
                except UnicodeDecodeError as error:
                    raise DataError(f"a line of standard input is not text: {error}; write UTF-8") from error
                if line.startswith(":"):
                    command, _, value = line[1:].partition(" ")
                    self._obey(command, value)
                    continue
                with suppress(KeyboardInterrupt):  # the model has said enough
                    self._continue(line, write)
                write(b"\n")

    def _continue(self, line: str, write: Callable[[bytes], None]) -> None:
        vocabulary, extent = self._model.vocabulary, self.extent
        tokens, skipped = vocabulary.encode(line, what="the line", skip_unknown=True)
        if skipped:
            self._say(f"warning: {skipped} {vocabulary.unit}s, which the model never saw, are left out")
        self._text = np.concatenate([self._text, tokens])[-_REMEMBERED:]
        sample = Sample(vocabulary, extent.stop, kept=True)
        try:
            for some in self._model.stream(self._text, extent.length, self.drawing, seed=extent.seed, most=_PART):
                write(sample.add(some[:, 0]))
                if sample.stopped:
                    break
            write(sample.end())
        finally:  # what was shown is remembered, and no more
            shown, _ = vocabulary.encode(sample.text.decode("utf-8", "surrogateescape"), skip_unknown=True)
            self._text = np.concatenate([self._text, shown])
            self.extent = replace(extent, seed=(extent.seed + 1) % 2**32)

    def _obey(self, command: str, value: str) -> None:
        """Change a setting, or forget the text."""
        name = command.lstrip("-").replace("-", "_")
        if name == "reset":
            self._text = self._text[:0]
            return
        try:
            if name in settings_of(Drawing):
                self.drawing = replace(self.drawing, **{name: _number(Drawing, name, value)})
            elif name == "stop":
                self.extent = replace(self.extent, stop=(value,) if value else ())
            elif name in ("length", "seed"):
                self.extent = replace(self.extent, **{name: _number(Extent, name, value)})
            else:
                self._say(HELP)
        except ParameterError as error:
            self._say(f"error: {error}")


def _number(cls: type[Settings], name: str, value: str) -> Any:
    """The value of a setting as somebody typed it. Raises ParameterError: it is not allowed."""
    declared = settings_of(cls)[name]
    return check(declared, parsed(declared, value, f"`{name}`"))
