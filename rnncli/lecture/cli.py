"""`rnncli lecture`. Everything heavy is imported inside it."""

from dataclasses import dataclass

import typer

from rnncli.options import verb
from rnncli.output import Output
from rnncli.settings import Settings, setting
from rnncli.training.settings import Device

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True, kw_only=True)
class Lecture(Settings):
    """The lecture."""

    run: str | None = setting(None, "Train or run the system with this name.", metavar="NAME", shown="list them all")


@verb(app, examples=["rnncli lecture", "rnncli lecture --run 'linear, 1 step'"])
def lecture(wanted: Lecture, output: Output, device: Device) -> None:
    """List the systems of the lecture: where each stands, what was reported and measured, the command that trains it.

    stdout is the list as CSV. With --run, it is what the system's own command prints.
    """
    from rnncli.lecture import show
    from rnncli.lecture.systems import system_of

    if wanted.run is not None:
        raise typer.Exit(show.run_system(system_of(wanted.run), output, device))
    show.show_systems(output, device)
