"""The systems of the lecture. `systems.toml` beside this file has them as data, with their sources.

`forecast compare` and `rnncli lecture` read it here. Only the standard library is imported.
"""

import difflib
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnncli.errors import ParameterError

WINDOW = 50  # steps of the past in the part on time series


@dataclass(frozen=True, kw_only=True)
class System:
    """A system of the lecture."""

    name: str
    slide: str  # where it stands
    reported: str  # what the slide says
    measured: str  # what rnncli reaches
    command: str = ""  # what trains it

    def arguments(self) -> list[str]:
        """The command as a list, without the program's name."""
        return shlex.split(self.command)[1:]


@dataclass(frozen=True, kw_only=True)
class ForecastSystem(System):
    """A system of the part on time series; its command follows from its settings."""

    published: str  # what the published notebooks print
    horizon: int = 10
    settings: Mapping[str, Any] = field(default_factory=dict)  # of a network, over the preset
    baseline: str = ""  # the name of the baseline that it is, instead of a network
    trained_on: int | None = None  # steps of the series that a recursive model is trained on, if others
    preset: str = "lecture"

    def __post_init__(self) -> None:
        object.__setattr__(self, "command", self._command())

    def _command(self) -> str:
        if self.trained_on is not None:  # on data that no option of `forecast train` makes
            return f"rnncli lecture --run '{self.name}'"
        settings = {"horizon": self.horizon} if self.horizon != 10 else {}
        settings |= {"cell": "linear", "strategy": "direct"} if self.baseline else self.settings
        parts = ["rnncli forecast"] + ([f"--preset {self.preset}"] if self.preset != "default" else [])
        for name, value in settings.items():
            option = f"--{name.replace('_', '-')}"
            parts.append(option if value is True else f"{option} {value}")
        return " ".join(parts)


def _read() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads((Path(__file__).parent / "systems.toml").read_text(encoding="utf-8"))


_READ = _read()
FORECAST = tuple(ForecastSystem(**entry) for entry in _READ["forecast"])
SYSTEMS: tuple[System, ...] = (*FORECAST, *(System(**entry) for entry in _READ["text"]))


def system_of(name: str) -> System:
    """The system with that name, whatever its letters' case. Raises ParameterError: there is none."""
    named = {system.name.lower(): system for system in SYSTEMS}
    near = difflib.get_close_matches(name.lower(), named, n=1, cutoff=0.3)
    if name.lower() not in named:
        advice = f"did you mean '{named[near[0]].name}'?" if near else "`rnncli lecture` lists them"
        raise ParameterError(f"`run`: the lecture has no system '{name}'; {advice}")
    return named[name.lower()]
