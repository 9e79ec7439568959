"""Settings from the environment, from files and from a project, and how they are told."""

import json
import os
import tomllib
from pathlib import Path

import pytest

SERIES = "y\n" + "\n".join(str(10 + step % 7 + step // 7) for step in range(60)) + "\n"


@pytest.fixture
def series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A series in the working folder, which has nothing else."""
    monkeypatch.chdir(tmp_path)
    for name in [each for each in os.environ if each.startswith("RNNCLI_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "series.csv"
    path.write_text(SERIES)
    return path


def steps(found) -> int:
    assert found.code == 0, found.err
    return len(found.rows) - 1


def test_an_option_goes_over_the_environment_over_a_file_over_the_project(rnncli, series, monkeypatch) -> None:
    def call(*more: str) -> int:
        return steps(rnncli("forecast", series, "-q", *more))

    assert call() == 6  # a tenth of the series
    Path("pyproject.toml").write_text("[tool.rnncli]\nhorizon = 1\n[tool.rnncli.charlm]\nunits = 3\n")
    assert call() == 1
    Path("pyproject.toml").write_text("[tool.rnncli]\nhorizon = 1\n[tool.rnncli.forecast]\nhorizon = 2\n")
    assert call() == 2
    Path("pyproject.toml").write_text(
        "[tool.rnncli.forecast]\nhorizon = 2\n[tool.rnncli.forecast.train]\nhorizon = 3\n"
    )
    assert call() == 3
    Path("own.toml").write_text("horizon = 4\n")
    assert call("--config", "own.toml") == 4
    monkeypatch.setenv("RNNCLI_HORIZON", "5")
    assert call("--config", "own.toml") == 5
    assert call("--config", "own.toml", "--horizon", "7") == 7


def test_the_document_of_a_run_repeats_it(rnncli, series) -> None:
    Path("own.toml").write_text("horizon = 2\n")
    described = ("--horizon", 3, "--cell", "gru", "--units", 4, "--epochs", 2, "--window", 14, "--quantiles", "0.9")
    first = rnncli("forecast", series, *described, "--json", "-q")
    Path("run.json").write_text(first.out)
    again = rnncli("forecast", "--config", "run.json", "--json", "-q")
    one, two = json.loads(first.out), json.loads(again.out)
    assert two["config"] == one["config"]
    assert two["forecast"] == one["forecast"]
    assert "q90" in two["forecast"][0]
    # another verb takes what it has of it
    assert rnncli("forecast", "backtest", series, "--config", "run.json", "--origins", 2, "-q").code == 0
    # what a command cannot do without may stand there, too
    past = rnncli("forecast", "backtest", series, "--horizon", 3, "--origins", 2, "--json", "-q")
    Path("past.json").write_text(past.out)
    assert rnncli("forecast", "backtest", "--config", "past.json", "-q").code == 0
    nothing = rnncli("forecast", "backtest", "--config", "own.toml", "-q")
    assert (nothing.code, nothing.err) == (2, "error: 'own.toml' has no 'series': name SERIES\n")


def test_the_document_says_what_a_training_began_with(rnncli, series, tmp_path: Path) -> None:
    Path("text.txt").write_text("the quick brown fox. " * 60)
    small = ("--units", 4, "--layers", 1, "--epochs", 1, "-q")
    assert rnncli("charlm", "train", "text.txt", *small, "--checkpoint", "a").code == 0
    more = ("--from", "a", "--replay", "text.txt", "--checkpoint", "b", "--json")
    document = json.loads(rnncli("charlm", "train", "text.txt", *small, *more).out)
    assert document["config"]["from_model"] == "a"
    assert document["config"]["replay"] == "text.txt"


@pytest.mark.parametrize("verb", [("charlm", "train"), ("sentiment", "train"), ("forecast", "predict"), ("lecture",)])
def test_every_verb_can_be_configured(rnncli, series, verb: tuple[str, ...]) -> None:
    found = rnncli(*verb, *(["x.csv"] if verb[-1] == "predict" else []), "--print-config")
    assert found.code == 0
    assert found.err == ""
    tomllib.loads(found.out)


def test_the_configuration_says_where_each_value_comes_from_and_is_a_file(rnncli, series, monkeypatch) -> None:
    monkeypatch.setenv("RNNCLI_LAYER_NORM", "yes")
    Path("own.toml").write_text('units = 7\n"batch-size" = 5\nseason = 7\n')
    found = rnncli("forecast", series, "--preset", "lecture", "--config", "own.toml", "--epochs", 3, "--print-config")
    lines = found.out.splitlines()
    for line in (
        "epochs = 3  # option",
        "units = 7  # 'own.toml'",
        "batch-size = 5  # 'own.toml'",
        "layer-norm = true  # RNNCLI_LAYER_NORM in the environment",
        '# schedule = "constant"  # preset lecture',
        "# layers = 2  # default: 2; series, many: 1",
    ):
        assert line in lines
    assert found.err == ""
    monkeypatch.delenv("RNNCLI_LAYER_NORM")
    Path("again.toml").write_text(found.out)
    again = rnncli("forecast", "--config", "again.toml", "--print-config")

    def values(text: str) -> dict[str, object]:
        return tomllib.loads(text)

    assert values(again.out) == values(found.out)
    assert values(found.out)["series"] == str(series)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.toml", "horizn = 3", "'c.toml': there is no setting 'horizn'; did you mean 'horizon'?"),
        ("c.toml", "horizon = 0", "'c.toml': --horizon: 0 is not at least 1"),
        ("c.toml", 'horizon = "many"', "'c.toml': --horizon: 'many' is not a number"),
        ("c.toml", "horizon =", "'c.toml' is no TOML"),
        ("c.toml", "[forecast]\nhorizon = 3", "'c.toml': [forecast] is a table"),
        ("c.toml", "layer-norm = 1", "--layer-norm is 1, and can be true or false"),
        ("c.json", '{"horizon": 3', "'c.json' is no JSON"),
        ("c.json", '{"config": {"horizon": 0}}', "'c.json': --horizon: 0 is not at least 1"),
        ("c.toml", None, "cannot read --config 'c.toml': No such file"),
    ],
)
def test_a_bad_file_is_one_line(rnncli, series, name: str, text: str | None, message: str) -> None:
    if text is not None:
        Path(name).write_text(text)
    found = rnncli("forecast", series, "--config", name)
    assert (found.code in (1, 2), found.out) == (True, "")
    assert message in found.err
    assert found.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RNNCLI_HORIZON", "2.5", "RNNCLI_HORIZON in the environment: '2.5' is not a whole number"),
        ("RNNCLI_LAYER_NORM", "maybe", "RNNCLI_LAYER_NORM in the environment: 'maybe' is not true or false"),
        ("RNNCLI_CELL", "grue", "RNNCLI_CELL in the environment: --cell: 'grue' is not one of"),
    ],
)
def test_a_bad_variable_is_one_line(rnncli, series, monkeypatch, name: str, value: str, message: str) -> None:
    monkeypatch.setenv(name, value)
    found = rnncli("forecast", series)
    assert (found.code, found.out) == (2, "")
    assert message in found.err


def test_resume_needs_nothing_else(rnncli, series) -> None:
    """Configuration and data come from the checkpoint; what is said anew is compared."""
    described = ("--horizon", 3, "--cell", "gru", "--units", 4, "--epochs", 2, "--window", 14)
    first = rnncli("forecast", series, *described, "--checkpoint", "model", "-q")
    again = rnncli("forecast", "--resume", "--checkpoint", "model", "-q")
    assert again.out == first.out
    other = rnncli("forecast", "--resume", "--checkpoint", "model", "--units", 5, "-q")
    assert (other.code, other.out) == (1, "")
    assert "another configuration: --units 4 → 5" in other.err
    Path("book.txt").write_text("to be or not to be, that is the question. " * 20)
    text = rnncli("charlm", "train", "book.txt", "--units", 4, "--epochs", 1, "--window", 8, "-q")
    assert rnncli("charlm", "train", "--resume", "-q").out == text.out
