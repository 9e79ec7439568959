"""How a training's progress is shown: as a line with a bar on a terminal, as plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from rnncli.training.events import Progress

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

_PLAIN_EVERY = 5.0  # seconds between progress lines where stderr is no terminal
_SHORTEST_BAR, _LONGEST_BAR = 8, 40  # characters
_ECHO = 3  # characters at the right that stay free: Ctrl-C writes there, and must not break the line


def parts_of(event: Progress, left: str = "") -> dict[str, str]:
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


class Meter(Protocol):
    """Shows how far a training is."""

    def advance(self, event: Progress) -> None:
        """The training stands so."""
        ...

    def close(self) -> None:
        """Nothing follows."""
        ...


class Bar:
    """A line with a bar, on a terminal."""

    def __init__(self, label: str, say: Callable[[str], None]):
        from rich.live import Live
        from rich.text import Text

        self._label, self._clock, self._parts, self._share, self._text = label, _Clock(), {}, 0.0, Text
        self.console = rich_console()
        self._live = Live(console=self.console, refresh_per_second=4, transient=True, get_renderable=self._line)

    def advance(self, event: Progress) -> None:
        """The training stands so."""
        self._parts = parts_of(event, self._clock.left(event.epoch, event.epochs))
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
        """Nothing follows."""
        self._live.stop()


class Lines:
    """A plain line every few seconds, elsewhere."""

    def __init__(self, label: str, say: Callable[[str], None]):
        self._label, self._say, self._clock = label, say, _Clock()
        self._last = time.monotonic()

    def advance(self, event: Progress) -> None:
        """The training stands so."""
        left = self._clock.left(event.epoch, event.epochs)
        now = time.monotonic()
        if now - self._last >= _PLAIN_EVERY and event.epoch < event.epochs:
            self._last = now
            self._say(f"{self._label}: {fitting(parts_of(event, left), 1_000)}")

    def close(self) -> None:
        """Nothing follows."""


def rich_console() -> "RichConsole":
    """Rich on stderr; user text is never read as markup."""
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
