"""Help for people: groups, examples that run, and what is offered where a name is misspelt."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from samples import monthly_sales

from rnncli.cli import app, run

GROUPS = typer.main.get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
SLOW = {
    "rnncli forecast compare --seeds 3 --json",
    "rnncli forecast compare sales.csv --horizon 3",
    "rnncli forecast sales.csv --sweep cell=gru,lstm --sweep window=24,36 --checkpoint best",
    "rnncli charlm train book.txt --sweep units=64,128 --seeds 2 --checkpoint swept",
    "rnncli sentiment reviews.csv --sweep encoder=rnn,bag --budget 30s --checkpoint searched",
}


def verbs() -> dict[str, Any]:
    found = {}
    for name, group in GROUPS.items():
        commands = getattr(group, "commands", None)
        found |= {f"{name} {verb}": command for verb, command in commands.items()} if commands else {name: group}
    return found


EXAMPLES = [(verb, example) for verb, command in verbs().items() for example in command.examples]
ENDLESS = {"serve"}  # tests/test_serve.py runs it
EXAMPLES = [(verb, example) for verb, example in EXAMPLES if verb not in ENDLESS]
TRAINING = ("train", "compare")  # verbs that make what the others use


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples name, and small models where they look for them."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "sales.csv").write_text(monthly_sales(96))
    (folder / "book.txt").write_text("The quick brown fox. It jumps over the lazy dog.\n" * 30)
    (folder / "essay.txt").write_text("A quick dog: it jumps.\n" * 5)
    texts = [
        f"{word} film {number},{label}\n" for number in range(20) for word, label in (("good", "pos"), ("bad", "neg"))
    ]
    for name in ("reviews.csv", "others.csv"):
        (folder / name).write_text("text,label\n" + "".join(texts))
    (folder / "comments.txt").write_text("what a film\nno\n")
    for part in range(2):
        (folder / f"part-{part}.txt").write_text(f"pos\t0.{part}\n")
        (folder / f"store-{part}.csv").write_text(f"store,date,forecast\n{part},2024-01,1\n{part},2024-02,2\n")
    quick = ["--units", "4", "--epochs", "1", "-q"]
    models = {"checkpoints/forecast": ["forecast", str(folder / "sales.csv"), "--horizon", "2"]}
    models["checkpoints/charlm"] = ["charlm", "train", str(folder / "book.txt")]
    models["checkpoints/sentiment"] = ["sentiment", str(folder / "reviews.csv")]
    for model, command in models.items():
        assert run([*command, *quick, "--checkpoint", str(folder / model)]) == 0
    shutil.copytree(folder / "checkpoints/forecast", folder / "model")
    return folder


@pytest.mark.parametrize(
    ("verb", "example"),
    [pytest.param(*each, marks=pytest.mark.slow) if each[1] in SLOW else each for each in EXAMPLES],
)
def test_every_example_of_every_help_runs(
    shell, rnncli, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, example: str
) -> None:
    here = tmp_path / "here"
    shutil.copytree(place, here)
    if verb.endswith(TRAINING):  # briefly, into new folders
        if "--from" not in example and "--resume" not in example:
            shutil.rmtree(here / "checkpoints")
            shutil.rmtree(here / "model")
        brief = "--epochs 1" if "compare" in verb else "--epochs 1 --units 4"
        example = re.sub(r"(rnncli [^|]*?)( \||$)", rf"\1 {brief}\2", example, count=1)
    if "|" in example:
        piped = shell(example, cwd=here)
        code, out, err = piped.returncode, piped.stdout, piped.stderr
    else:
        monkeypatch.chdir(here)
        result = rnncli(*shlex.split(example)[1:])
        code, out, err = result.code, result.out, result.err
    assert code == 0, err
    assert "error:" not in err
    assert out or "--output" in example


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_help_is_short_to_ask_for_and_laid_out_in_groups(rnncli, verb: str) -> None:
    long, short = (rnncli(*verb.split(), option) for option in ("--help", "-h"))
    assert long.out == short.out
    assert max(map(len, long.out.splitlines())) <= 80 or "rnncli" in max(long.out.splitlines(), key=len)
    sections = [
        line[:-1] for line in long.out.splitlines() if line.endswith(":") and not line.startswith((" ", "Usage"))
    ]
    assert sections[-1] == "Examples"
    assert {"Output", "Help"} <= set(sections)
    assert ("Computing" in sections) == (not verb.startswith(("models", "schema", "merge")))
    assert "(default)" not in long.out
    for example in verbs()[verb].examples:
        assert f"  {example}\n" in long.out, "an example that cannot be copied"
        assert shlex.split(example)


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_a_group_of_options_fits_a_screen(rnncli, verb: str) -> None:
    lines = rnncli(*verb.split(), "--help").out.splitlines()
    lengths, current = {}, ""
    for line in lines:
        if line.endswith(":") and not line.startswith(" "):
            current = line
        lengths[current] = lengths.get(current, 0) + 1
    assert max(lengths.values()) <= 46, lengths


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forecast", "traim"], "there is no verb and no file 'traim'; did you mean 'train'?"),
        (["sentiment", "prdict", "a film"], "there is no verb and no file 'prdict'; did you mean 'predict'?"),
        (["charlm", "smaple"], "Did you mean 'sample'?"),
        (["forcast"], "Did you mean 'forecast'?"),
        (["forecast", "--epoch", "3"], "--epochs"),
        (["lecture", "--run", "seq2seq lstn"], "did you mean 'seq2seq LSTM'?"),
    ],
)
def test_what_is_misspelt_gets_the_nearest(rnncli, arguments: list[str], message: str) -> None:
    result = rnncli(*arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1
