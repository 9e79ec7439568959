"""What `rnncli lecture` prints, and how it runs a system."""

import sys

from rnncli.console import Console
from rnncli.lecture.systems import SYSTEMS, ForecastSystem, System
from rnncli.output import Output, csv_text
from rnncli.training.settings import Device

_COLUMNS = ("system", "slide", "reported", "published", "measured", "command")


def show_systems(output: Output, device: Device) -> None:
    """The list for people, and as CSV or JSON."""
    with Console(output, device) as console:
        for title, systems in _by_slide().items():
            console.say(f"\n{title}")
            for system in systems:
                published = f", {system.published} published" if isinstance(system, ForecastSystem) else ""
                console.say(f"  {system.name}: {system.reported} reported{published}, {system.measured} here")
                console.say(f"    {system.command}")
        rows = [_row(system) for system in SYSTEMS]
        document = {"command": "lecture", "systems": [dict(zip(_COLUMNS, row, strict=True)) for row in rows]}
        console.show_scores(lambda: csv_text(_COLUMNS, *rows), lambda: document)


def run_system(system: System, output: Output, device: Device) -> int:
    """Run a system's command, with the same output; return its exit code."""
    if isinstance(system, ForecastSystem) and system.trained_on is not None:
        from rnncli.forecast.compare import compare_lecture
        from rnncli.forecast.settings import ForecastSettings
        from rnncli.forecast.show import show_comparison
        from rnncli.settings import Chosen

        with Console(output, device) as console:
            chosen = Chosen(ForecastSettings, {"precision": "float32"})
            show_comparison(compare_lecture(chosen, [0], console.listener, [system]), console)
        return 0
    from rnncli.cli import run

    options = [*(["--json"] if output.json else []), *(["--quiet"] if output.quiet else [])]
    options += ["--output", str(output.output)] if output.output else []
    if not output.quiet:
        print(f"$ {system.command}", file=sys.stderr)
    return run([*system.arguments(), *options, "--device", device.device])


def _by_slide() -> dict[str, list[System]]:
    """The systems of each slide, in the order of the lecture."""
    slides: dict[str, list[System]] = {}
    for system in SYSTEMS:
        slides.setdefault(system.slide, []).append(system)
    return slides


def _row(system: System) -> tuple[str, ...]:
    published = system.published if isinstance(system, ForecastSystem) else ""
    return system.name, system.slide, system.reported, published, system.measured, system.command
