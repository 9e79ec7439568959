"""The README's examples do what they show, and its two commands stand as the continuous integration runs them."""

import re
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+\.\d+|-?\d+(?![\w-])")


def examples() -> list[tuple[str, str]]:
    """Commands of the `console` blocks, in order, each with the output that is shown for it."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines(keepends=True)
            shown = 1
            while shown < len(lines) and lines[shown].startswith("> "):  # the shell asks for the rest of a command
                shown += 1
            command = "".join([lines[0], *(line.removeprefix("> ") for line in lines[1:shown])]).rstrip("\n")
            output = "".join(lines[shown:])
            found.append((command, output))
    return found


def test_there_are_examples() -> None:
    assert len(examples()) >= 5


def test_the_examples_print_what_they_show(shell, own_compiler, tmp_path: Path, shared_data: Path) -> None:
    shutil.copy(shared_data / "series/airline-passengers.csv", tmp_path)
    shutil.copy(shared_data / "tinyshakespeare/input.txt", tmp_path)
    for part in ("train", "test"):
        shutil.copy(shared_data / f"sst2/stsa.binary.{part}", tmp_path)
    for command, wanted in examples():
        result = shell(command, cwd=tmp_path, env=own_compiler)
        assert result.returncode == 0, (command, result.stderr)
        same_but_for_rounding(command, wanted, result.stdout)


def test_the_library_example_runs(tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    shutil.copy(shared_data / "series/airline-passengers.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    shown = [line.partition("  # ")[2] for line in example.splitlines() if line.startswith("print(")]
    assert capsys.readouterr().out.splitlines() == shown


def test_the_readme_is_short() -> None:
    assert len(README.encode()) <= 9_000


def same_but_for_rounding(command: str, wanted: str, got: str) -> None:
    """The text to the letter, numbers within a hundredth: processors round differently, and training amplifies it."""
    assert NUMBER.sub("#", got) == NUMBER.sub("#", wanted), command
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (got, wanted)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-2), command


VERBS = {
    "forecast": ("train", "predict", "compare", "backtest"),
    "charlm": ("train", "sample", "evaluate"),
    "sentiment": ("train", "predict", "evaluate"),
}


GROUPS = ["forecast", "sentiment", *(f"{name} {verb}" for name, verbs in VERBS.items() for verb in verbs)]


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_of_the_readme_exists(rnncli, group: str) -> None:
    text = rnncli(*group.split(), "--help").out
    name = group.split()[0]
    used = {
        option
        for line in README.splitlines()
        if (found := re.search(rf"rnncli ({name}(?: (?:{'|'.join(VERBS[name])}))?)", line)) and found[1] == group
        for option in re.findall(r"(?<!\S)--[a-z-]+", line)
    }
    assert used <= set(re.findall(r"--[a-z-]+", text))


def test_the_integration_runs_the_readmes_test_command() -> None:
    lines = [line for line in README.splitlines() if ".venv-test/bin/python -m pytest" in line]
    assert len(lines) == 1
    assert "grep -F '.venv-test/bin/python -m pytest' README.md" in (ROOT / ".ci/run").read_text()


def test_the_nightly_script_forecasts_compares_and_alerts(shell, tmp_path: Path) -> None:
    """Two nights: the second one tells how the first one's forecast went. The third is a disaster."""
    text = (ROOT / ".github" / "NIGHTLY.md").read_text()
    script = re.search(r"```sh\n#!/bin/sh\n(.*?)```", text, re.DOTALL)
    assert script is not None
    week = [10, 12, 13, 14, 20, 30, 5]

    def night(days: int, *, last: int = 0) -> int:
        """The exit code of a night after so many days, the last ones of which were disasters."""
        rows = []
        for day in range(days):
            value = 900 + 50 * (day % 2) if day >= days - last else week[day % 7] + day % 3
            rows.append(f"{date(2024, 1, 1) + timedelta(day)},{value}")
        (tmp_path / "sales.csv").write_text("date,sold\n" + "\n".join(rows) + "\n")
        return shell(script[1], cwd=tmp_path).returncode

    assert night(84) == 0
    assert (tmp_path / "forecast.csv").read_text().startswith("date,forecast,q10,q90\n2024-03-25,")
    assert not (tmp_path / "nightly.log").read_text()
    assert night(85) == 0
    assert (tmp_path / "nightly.log").read_text().startswith("last.csv: 1 came, mean error ")
    assert night(86, last=5) == 3
    assert "is above --alert 1.5" in (tmp_path / "nightly.log").read_text()
    assert (tmp_path / "forecast.csv").read_text().count("\n") == 8
