"""Settings: one declaration each, from which options, helps, checks and documents follow."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from rnncli.charlm.settings import CharlmSettings
from rnncli.cli import app
from rnncli.errors import ParameterError, as_options
from rnncli.forecast.settings import ForecastSettings
from rnncli.options import VerbCommand
from rnncli.sentiment.settings import SentimentSettings
from rnncli.settings import COUNT, RATE, Bounds, Chosen, Settings, distributed, setting, settings_of

TASKS = [ForecastSettings, CharlmSettings, SentimentSettings]


@dataclass(frozen=True, kw_only=True)
class Basic(Settings):
    """The basics."""

    presets: ClassVar = {"small": {"units": 4, "share": 0.5}, "tiny": {"units": 4}}
    units: int = setting(8, "Units of a layer.", COUNT, by_data="series: 64")
    share: float = setting(0.25, "A share.", RATE)
    kind: str = setting("a", "A kind.", choose_from=lambda: ("a", "b"))
    where: Path | None = setting(None, "A file.", metavar="FILE", shown="nowhere")


@dataclass(frozen=True, kw_only=True)
class Special(Basic):
    """The special."""

    units: int = 16
    deep: bool = setting(False, "Whether it is deep.")


def test_a_subclass_changes_a_default_and_keeps_the_rest_of_the_declaration() -> None:
    basic, special = settings_of(Basic)["units"], settings_of(Special)["units"]
    assert (special.default, special.help, special.bounds, special.group) == (16, basic.help, COUNT, "The basics")
    assert settings_of(Special)["deep"].group == "The special"
    assert Special().units == 16


def test_the_help_of_a_default_derives_from_presets_and_data() -> None:
    words = {name: declared.default_help for name, declared in settings_of(Basic).items()}
    assert words == {
        "units": "8; small, tiny: 4; series: 64",
        "share": "0.25; small: 0.5",
        "kind": "a",
        "where": "nowhere",
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"units": 0}, "`units`: 0 is not at least 1"),
        ({"units": 2.5}, "`units`: 2.5 is not a whole number"),
        ({"units": "8"}, "`units`: '8' is not a number"),
        ({"units": True}, "`units`: True is not a number"),
        ({"share": 1}, "`share`: 1 is not at least 0 and below 1"),
        ({"share": math.nan}, "`share`: nan is not"),
        ({"kind": "c"}, "`kind`: 'c' is not one of 'a', 'b'"),
        ({"unit": 3}, "there is no setting `unit`; did you mean `units`?"),
    ],
)
def test_wrong_values_are_refused_by_name(wrong: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message.replace("?", r"\?")):
        Chosen(Special, wrong).over()
    assert as_options(message).startswith(("--", "there is no setting --unit"))


@pytest.mark.parametrize(
    "wrong", [{"stateful": [False]}, {"stateful": "yes"}, {"tied": {}}, {"units": {}}, {"cell": []}]
)
def test_what_a_checkpoint_says_is_of_the_type_of_the_setting(wrong: dict) -> None:
    with pytest.raises(ParameterError, match=f"`{next(iter(wrong))}`"):
        CharlmSettings(**wrong)


def test_what_a_run_sets_is_of_its_type_too() -> None:
    with pytest.raises(ParameterError, match="`sentences` {} is not true or false"):
        SentimentSettings(sentences={})  # pyright: ignore[reportArgumentType]


def test_values_take_their_usual_form() -> None:
    made = Special(units=np.int64(3), share=0, where="file.txt")  # pyright: ignore
    assert (type(made.units), type(made.share), made.where) == (int, float, Path("file.txt"))
    assert made.as_dict() == {"units": 3, "share": 0.0, "kind": "a", "where": "file.txt", "deep": False}


def test_what_was_chosen_wins_over_later_defaults_and_these_over_earlier_ones() -> None:
    chosen = Chosen(Special, {"units": 5})
    assert chosen.over({"units": 1, "share": 0.1}, {"share": 0.2}) == Special(units=5, share=0.2)
    assert dict(chosen.replaced(kind="b").without("units")) == {"kind": "b"}
    basic, rest = distributed({"units": 2, "deep": True}, [Basic], Special)
    assert (basic, dict(rest)) == (Basic(units=2), {"deep": True})


@given(value=st.floats(), low=st.floats(-5, 5), width=st.floats(0, 5), open_low=st.booleans(), open_high=st.booleans())
def test_bounds_hold_what_they_say(value: float, low: float, width: float, open_low: bool, open_high: bool) -> None:
    bounds = Bounds(low, low + width, open_low, open_high)
    inside = (low < value or (low == value and not open_low)) and (
        value < low + width or (value == low + width and not open_high)
    )
    assert (value in bounds) == inside
    assert str(bounds).split()[0] == ("above" if open_low else "at")


def verbs() -> dict[str, Any]:
    """All verbs by their whole name."""
    found, groups = {}, typer.main.get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
    for name, group in groups.items():
        commands = getattr(group, "commands", None)
        found |= {f"{name} {verb}": command for verb, command in commands.items()} if commands else {name: group}
    return found


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_every_setting_of_every_verb_is_declared_whole(verb: str) -> None:
    command = verbs()[verb]
    assert isinstance(command, VerbCommand)
    assert command.examples
    for parameter in command.params:
        declared = command.settings[parameter.name]
        assert declared.help.rstrip()[-1] in ".:", parameter.name
        assert declared.positional or declared.base is bool or declared.default_help or declared.default in (None, ())
        says_what = declared.metavar or declared.bounds or declared.choices or declared.base is bool
        assert says_what, f"{parameter.name} has neither a unit nor bounds nor choices"
        assert parameter.help == declared.help


@pytest.mark.parametrize("cls", TASKS)
def test_the_config_of_a_document_holds_every_setting_under_its_name(cls: type[Settings]) -> None:
    verb = {ForecastSettings: "forecast", CharlmSettings: "charlm", SentimentSettings: "sentiment"}[cls]
    config = cls().as_dict()
    assert set(settings_of(cls)) <= set(config)
    offered = {parameter.name for parameter in verbs()[f"{verb} train"].params}
    assert set(settings_of(cls)) <= offered, "a setting that nobody can choose"
    # what decides a run is in the configuration; the rest says where its data is, where results go and where to compute
    elsewhere = {
        "checkpoint",
        "resume",
        "overwrite",
        "save_every",
        "detect_anomaly",
        "log",
        "tensorboard",
        "profile",
        "sample_every",
        "json",
        "quiet",
        "output",
    }
    elsewhere |= {"mesh", "distributed", "coordinator", "num_processes", "process_id"}
    elsewhere |= {"label_separator", "sweep", "seeds", "budget", "jobs"}
    elsewhere |= {"config", "print_config", "plot", "device", "preset", "data_dir", "quantiles", "conformal", "alert"}
    sources = {"series", "id", "target", "time_column", "fill", "text", "data", "validation", "test"}
    sources |= {
        "from_model",
        "replay",
        "future",
        "past_covariates",
        "future_covariates",
        "static",
        "calendar",
        "holidays",
        "multivariate",
        "encoding",
    }
    assert offered - set(config) <= elsewhere | sources | {"text_column", "label_column"}


@pytest.mark.parametrize("cls", TASKS)
def test_presets_name_settings_and_are_allowed(cls: type[Settings]) -> None:
    for values in cls.presets.values():
        assert Chosen(cls, values).keys() <= settings_of(cls).keys()


@pytest.mark.parametrize("cls", TASKS)
def test_settings_come_back_from_their_documents(cls: type[Settings]) -> None:
    made = dataclasses.replace(cls(), seed=7, dropout=0.125)  # pyright: ignore
    assert cls(**made.as_dict()) == made


def test_options_are_declared_in_one_file() -> None:
    package = Path(__file__).parents[1] / "rnncli"
    files = [path.name for path in package.rglob("*.py") if "typer.Option" in path.read_text(encoding="utf-8")]
    assert files == ["options.py"]
