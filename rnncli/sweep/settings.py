"""What a sweep is told, and the choices that follow from it."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnncli.configuration import named, parsed
from rnncli.errors import ParameterError
from rnncli.settings import COUNT, Setting, Settings, check, setting, settings_of

_TIME = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}  # in seconds


def _time(text: str) -> str:
    """Raises ValueError: it is no time like 90s, 10m, 1.5h."""
    match = _TIME.fullmatch(text)
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"{text!r} is no time like 90s, 10m or 1.5h")
    return text


@dataclass(frozen=True, kw_only=True)
class Sweeping(Settings):
    """Sweeps."""

    sweep: tuple[str, ...] = setting(
        (),
        "Train with each of these values; of several sweeps, with every combination. The best by validation is kept.",
        None,
        "NAME=A,B",
    )
    seeds: int = setting(1, "Train each N times, from --seed on, and show mean and deviation.", COUNT)
    budget: str | None = setting(
        None,
        "Search within a time: the better half of all is trained on, twice as long, until one is left.",
        None,
        "10m",
        convert=_time,
        shown="train all in full",
    )
    jobs: int = setting(1, "Trainings at once, each in a process with its share of the cores.", COUNT)

    @property
    def asked_for(self) -> bool:
        """Whether there is more than one training."""
        return bool(self.sweep) or self.seeds > 1 or self.budget is not None

    @property
    def seconds(self) -> float | None:
        """The time that there is."""
        match = _TIME.fullmatch(self.budget or "")
        return None if match is None else float(match[1]) * _UNITS[match[2]]

    def choices(self, cls: type[Settings], search: Mapping[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
        """Every combination of the values; those of `search` where a time is given and no sweep.

        Raises ParameterError: there is no such setting, or a value is not allowed.
        """
        known = settings_of(cls)
        axes = dict(_axis(text, known) for text in self.sweep)
        if len(axes) < len(self.sweep):
            raise ParameterError("`sweep` names a setting twice; give all of its values at once, as in units=64,128")
        if "seed" in axes or ("epochs" in axes and self.budget is not None):
            other = "`seeds` N trains with several seeds" if "seed" in axes else "`budget` decides about epochs"
            raise ParameterError(f"`sweep` {'seed' if 'seed' in axes else 'epochs'}: {other}")
        if self.budget is not None and not axes:
            axes = dict(search)
        return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _axis(text: str, known: Mapping[str, Setting]) -> tuple[str, tuple[Any, ...]]:
    """A setting and its values, as in "units=64,128"."""
    key, equals, values = text.partition("=")
    if not equals or not key.strip():
        raise ParameterError(f"`sweep` {text!r} is not like units=64,128")
    declared = known[named(key.strip().lstrip("-"), known, "`sweep`")]
    found = tuple(check(declared, parsed(declared, value.strip(), "`sweep`")) for value in values.split(","))
    return declared.name, tuple(dict.fromkeys(found))
