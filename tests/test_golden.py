"""What scripts rely on, frozen: option names, defaults and bounds, one document of each verb, the streams.

`GOLDEN=write python -m pytest tests/test_golden.py` writes the files anew; do so only for a change that is meant.
Figures may differ by rounding, which training amplifies; everything else is compared exactly.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from samples import monthly_sales

from rnncli.cli import app

FOLDER = Path(__file__).parent / "golden"
WRITE = os.environ.get("GOLDEN") == "write"
VOLATILE = {"seconds", "steps_per_second", "characters_per_second", "compile_seconds", "devices"}
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


def golden(name: str, got: Any) -> Any:
    """The frozen value; `got`, written down, where the files are made anew."""
    path = FOLDER / f"{name}.json"
    if WRITE:
        path.write_text(json.dumps(got, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def verbs() -> dict[str, Any]:
    """Every verb's command."""
    groups = typer.main.get_command(app).commands.items()  # pyright: ignore[reportAttributeAccessIssue]
    return {
        f"{group} {verb}": command
        for group, found in groups
        for verb, command in getattr(found, "commands", {}).items()
    }


def bounds(parameter: Any) -> str:
    """The bounds of a parameter, as its refusal of an impossible number words them."""
    for value in (-1e9, 1e12, float("nan")):
        try:
            parameter.callback(None, parameter, value)
        except typer.BadParameter as error:
            return error.message.partition("is not ")[2]
        except Exception:
            return ""
    return ""


def described(parameter: Any) -> dict[str, Any]:
    """What a script can rely on of an option or argument."""
    kind = parameter.display_type(None) or ""
    shown = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    flag = kind == "<bool>"  # whose default is a word that may change
    first = "" if flag or shown is None else str(shown).split(";")[0]
    return {
        "names": sorted([*parameter.opts, *parameter.secondary_opts]),
        "choices": kind if "|" in kind else "",
        "several": bool(parameter.multiple or parameter.nargs != 1),
        "bounds": bounds(parameter) if parameter.callback and parameter.metavar not in ("NAME",) else "",
        "default": NUMBER.sub(lambda match: f"{float(match[0]):g}", first),
    }


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_every_option_that_there_was_is_there_with_its_default_and_bounds(verb: str) -> None:
    parameters = {each.name: described(each) for each in verbs()[verb].params}
    for name, wanted in golden(f"options {verb}", parameters).items():
        assert parameters[name] == wanted, name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a series, a text and labelled texts."""
    folder = tmp_path_factory.mktemp("golden")
    (folder / "sales.csv").write_text(monthly_sales(120))
    (folder / "fox.txt").write_text("The quick brown fox jumps over the lazy dog.\nHow are you, dog?\n\n" * 60)
    draw = np.random.default_rng(0)
    lines = []
    for label, words in (("pos", ["fine", "lovely"]), ("neg", ["dull", "awful"])) * 60:
        text = [*draw.choice(["the", "film", "is", "a", "story"], draw.integers(3, 9)), draw.choice(words)]
        lines.append(f"__label__{label} {' '.join(draw.permutation(text))}\n")
    (folder / "reviews.txt").write_text("".join(lines))
    return folder


SERIES = "forecast sales.csv --epochs 2 --units 4 --window 12 --horizon 6 --checkpoint m"
TEXT = "charlm train fox.txt --epochs 2 --units 12 --layers 1 --embedding 6 --checkpoint c"
LABELS = "sentiment reviews.txt --epochs 1 --units 4 --embedding 4 --checkpoint s"
COMMANDS = {  # in this order: later ones use the checkpoints of earlier ones
    "forecast train json": f"{SERIES} --json",
    "forecast train csv": f"{SERIES} --overwrite",
    "forecast predict json": "forecast predict sales.csv --checkpoint m --json",
    "forecast predict csv": "forecast predict sales.csv --checkpoint m",
    "forecast synthetic csv": "forecast --cell linear --strategy direct",
    "forecast compare json": "forecast compare sales.csv --epochs 1 --window 12 --horizon 3 --json",
    "charlm train json": f"{TEXT} --json",
    "charlm train csv": f"{TEXT} --overwrite",
    "charlm sample json": "charlm sample --checkpoint c --length 20 --num-samples 2 --temperature 0 --json",
    "charlm sample": "charlm sample --checkpoint c --length 20 --temperature 0 --prompt The",
    "charlm evaluate json": "charlm evaluate fox.txt --checkpoint c --json",
    "charlm evaluate csv": "charlm evaluate fox.txt --checkpoint c",
    "sentiment train json": f"{LABELS} --json",
    "sentiment train csv": f"{LABELS} --overwrite",
    "sentiment predict json": "sentiment predict 'a lovely film' 'dull' --checkpoint s --system model --json",
    "sentiment predict": "sentiment predict 'a lovely film' 'dull' --checkpoint s --system model",
    "sentiment evaluate json": "sentiment evaluate reviews.txt --checkpoint s --json",
    "sentiment evaluate csv": "sentiment evaluate reviews.txt --checkpoint s",
}
SLOW = {"forecast compare json"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW and not WRITE else name for name in COMMANDS]
)
def test_the_documents_and_tables_are_what_they_were(rnncli, place: Path, monkeypatch, name: str) -> None:
    import shlex

    monkeypatch.chdir(place)
    result = rnncli(*shlex.split(COMMANDS[name]), "-q")
    assert (result.code, result.err) == (0, "")
    got: Any = result.out
    if name.endswith("json"):
        got = [json.loads(line) for line in result.out.splitlines()]
        for document in got:
            assert VOLATILE & set(document) or "command" not in document
            for key in VOLATILE & set(document):
                document[key] = 0
    same(golden(name, got), got, name)


def same(wanted: Any, got: Any, where: str) -> None:
    """Equal, but for figures, which may differ in their rounding; a document may have more keys than it had."""
    if isinstance(wanted, dict):
        assert isinstance(got, dict), where
        for key, value in wanted.items():
            assert key in got, f"{where} {key}"
            if key != "seconds":
                same(value, got[key], f"{where} {key}")
    elif isinstance(wanted, list):
        assert isinstance(got, list) and len(wanted) == len(got), where
        for number, value in enumerate(wanted):
            same(value, got[number], f"{where} {number}")
    elif isinstance(wanted, float):
        assert got == pytest.approx(wanted, rel=0.02, abs=1e-3), where
    elif isinstance(wanted, str) and isinstance(got, str) and "csv" in where:
        assert NUMBER.sub("#", got) == NUMBER.sub("#", wanted), where
        numbers = [[float(number) for number in NUMBER.findall(text)] for text in (got, wanted)]
        assert numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=1e-3), where
    elif isinstance(wanted, str) and "predict" in where:
        assert NUMBER.sub("#", got) == NUMBER.sub("#", wanted), where
    else:
        assert got == wanted, where
