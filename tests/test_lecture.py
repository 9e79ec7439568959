"""The lecture's systems: their commands, and the command that lists and runs them."""

import json

import pytest
import typer

from rnncli.cli import app
from rnncli.forecast.defaults import for_lecture
from rnncli.lecture.systems import FORECAST, SYSTEMS, system_of

COMMANDS = typer.main.get_command(app)


def parsed(arguments: list[str]) -> dict:
    """What Typer makes of a command's options, without running it."""
    group = COMMANDS.commands[arguments[0]]  # pyright: ignore[reportAttributeAccessIssue]
    verb, rest = (
        (arguments[1], arguments[2:]) if arguments[1:] and arguments[1] in group.commands else ("train", arguments[1:])
    )
    context = group.commands[verb].make_context(verb, rest)
    return {name: value for name, value in context.params.items() if value not in (None, [], ())}


@pytest.mark.parametrize(
    "system", [each for each in SYSTEMS if each.arguments()[0] != "lecture"], ids=lambda each: each.name
)
def test_the_command_of_every_system_is_one_that_rnncli_takes(system) -> None:
    parsed(system.arguments())  # or it raises


@pytest.mark.parametrize("system", [each for each in FORECAST if not each.baseline and not each.trained_on])
def test_a_command_trains_what_compare_trains(system) -> None:
    options = parsed(system.arguments())
    preset = options.pop("preset", "default")
    assert for_lecture(options, preset) == for_lecture({**system.settings, "horizon": system.horizon}, preset)


def test_the_list_names_every_system_with_its_command(rnncli) -> None:
    result = rnncli("lecture")
    assert result.rows[0] == ["system", "slide", "reported", "published", "measured", "command"]
    assert len(result.out.splitlines()) == 1 + len(SYSTEMS)
    for system in SYSTEMS:
        assert system.command in result.err
    document = json.loads(rnncli("lecture", "--json", "-q").out)
    assert [entry["system"] for entry in document["systems"]] == [system.name for system in SYSTEMS]


def test_a_system_runs_by_its_name(rnncli) -> None:
    result = rnncli("lecture", "--run", "Linear, 1 STEP")
    assert result.code == 0
    assert f"$ {system_of('linear, 1 step').command}" in result.err
    table = {(row[0], row[1]): row for row in result.rows[1:]}
    assert float(table["validation", "naive"][2]) == pytest.approx(0.020211, rel=1e-4)
    assert float(table["validation", "model"][2]) == pytest.approx(0.00293, rel=5e-3)
