"""What can be wrong from the outside. Each message is one line: what is wrong, the value, what to do.

RnncliError            exit code 1
├── DataError          a file, a table or a series is at fault
├── CheckpointError    a checkpoint is missing, damaged, or does not fit
├── ClosedPipe         whoever read stdout has gone; exit code 0, nothing to say
├── Alarm              the work is done, but a figure is worse than `alert` allows; exit code 3
├── ParameterError     parameters are wrong, or contradict each other or the data; exit code 2
└── Interrupted        a signal stopped the work after what was trained had been saved; exit code 130 or 143

Messages name parameters in backticks, as in "`window` 30". The command line shows them as its options.
"""

import re

_PARAMETER = re.compile(r"`([a-z_]+)`")
# controls, and signs that turn the direction of writing around; half surrogates cannot be written
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST = 600  # characters of a message, as a terminal shows it
_POSITIONAL = ("series", "text", "data")
_OTHERWISE = {"from_model": "from"}  # options that Python has a word of its own for


class RnncliError(Exception):
    """An error that a user can act on; the command line prints it as one line and exits with `exit_code`."""

    exit_code = 1


class DataError(RnncliError):
    """What was read cannot be used."""


class CheckpointError(RnncliError):
    """A checkpoint cannot be read or written, or does not fit."""


class ParameterError(RnncliError):
    """A parameter is wrong, or parameters do not go together."""

    exit_code = 2


class ClosedPipe(RnncliError):
    """The reader of stdout has seen enough (`| head`)."""

    exit_code = 0


class Alarm(RnncliError):
    """The work was done, and a figure of it is worse than the user allows."""

    exit_code = 3


class Interrupted(RnncliError):
    """Stopped by a signal."""

    def __init__(self, signal_number: int, message: str):
        super().__init__(message)
        self.exit_code = 128 + signal_number


class DamageWarning(UserWarning):
    """Something that was saved is damaged, and could be done without."""


def printable(text: str, most: int | None = None) -> str:
    """The text with control characters escaped, as a terminal would obey them; a longer one than `most` without middle.

    Newlines and tabs stay.
    """
    shown = _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    if most is None or len(shown) <= most:
        return shown
    return f"{shown[: most * 2 // 3]} … {shown[-most // 3 :]}"


def as_options(message: str) -> str:
    """The message with the options of the command line in the place of parameters: "--window 30"."""

    def option(match: re.Match[str]) -> str:
        name = _OTHERWISE.get(match[1], match[1])
        return name.upper() if name in _POSITIONAL else f"--{name.replace('_', '-')}"

    return _PARAMETER.sub(option, message)
