"""Sweeps: every choice, several seeds, the best by validation; stopped and resumed; searches within a time."""

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from samples import monthly_sales

from rnncli.durable import holder_of
from rnncli.errors import ParameterError
from rnncli.sentiment.settings import SEARCH, SentimentSettings, idle
from rnncli.sweep.outcomes import Trial
from rnncli.sweep.settings import Sweeping
from rnncli.sweep.show import distinct
from rnncli.training.stored import stored

QUICK = ["--layers", 1, "--epochs", 1, "--window", 20, "--batch-size", 4]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("swept") / "fox.txt"
    path.write_text("The quick brown fox jumps over the lazy dog.\n" * 30)
    return path


def test_the_best_of_a_sweep_is_kept_and_each_training_is_what_it_is_alone(rnncli, text: Path, tmp_path: Path) -> None:
    best, plot = tmp_path / "best", tmp_path / "sweep.svg"
    sweep = ["charlm", "train", text, *QUICK, "--sweep", "units=4,12", "--seeds", 2, "--checkpoint", best]
    result = rnncli(*sweep, "--json", "--plot", plot)
    assert result.code == 0, result.err
    document = json.loads(result.out)
    rows = document["sweep"]["rows"]
    assert [row["values"]["units"] for row in rows] == [12, 4]  # the best first
    assert all(len(row["figures"]) == 2 and row["std"] == pytest.approx(np.std(row["figures"], ddof=1)) for row in rows)
    assert rows[0]["mean"] < rows[1]["mean"]
    alone = rnncli(
        "charlm", "train", text, *QUICK, "--units", 12, "--seed", 1, "--checkpoint", tmp_path / "a", "--json"
    )
    figure = json.loads(alone.out)["scores"]["validation"]["carried"]["loss"]
    assert figure == pytest.approx(rows[0]["figures"][1], rel=1e-5), "seeds in one program round otherwise"
    assert document["sweep"]["best"] == {"units": 12, "seed": int(rows[0]["figures"][1] < rows[0]["figures"][0])}
    assert document["scores"]["validation"]["carried"]["loss"] == min(rows[0]["figures"])
    assert "units 12" in plot.read_text()
    measured = rnncli("charlm", "evaluate", "--checkpoint", best, "--json")
    assert json.loads(measured.out)["scores"]["validation"]["carried"]["loss"] == pytest.approx(min(rows[0]["figures"]))
    listed = rnncli("models", "list", tmp_path, "--json").out
    assert len([each for each in json.loads(listed)["models"] if ".sweep/" in each["model"]]) == 4

    refused = rnncli(*sweep)
    assert (refused.code, "already holds" in refused.err) == (1, True)
    runs = tmp_path / "best.sweep"
    shutil.rmtree(runs / "units=4,seed=0")
    begun = {path.name: stored(path)["history"] for path in runs.iterdir()}
    resumed = rnncli(*sweep, "--json", "--resume")
    again = [row["figures"] for row in json.loads(resumed.out)["sweep"]["rows"]]
    assert again[0] == rows[0]["figures"]
    assert again[1] == pytest.approx(rows[1]["figures"], rel=1e-5)
    assert {name: stored(runs / name)["history"] for name in begun} == begun
    assert (runs / "units=4,seed=0").is_dir()
    other = text.parent / "other.txt"
    other.write_text("Another text, which is not the same.\n" * 40)
    changed = rnncli(*sweep[:2], other, *sweep[3:], "--resume")
    assert (changed.code, "was trained on other data" in changed.err) == (2, True), "figures of another text"
    gone = rnncli(*sweep[:2], "no such file", *sweep[3:], "--overwrite")
    assert (gone.code, len(list(runs.iterdir()))) == (2, 4), "a slip of the pen costs no training"
    (best / "notes.txt").write_text("mine")
    table = rnncli(*sweep, "--resume")
    assert (best / "notes.txt").read_text() == "mine"
    assert len([path for path in best.iterdir() if path.name.isdigit()]) == 1
    assert table.rows[0] == ["units", "validation_loss", "validation_loss_std", "seeds", "epochs", "seconds"]
    assert [row[0] for row in table.rows[1:]] == ["12", "4"]
    assert f"kept in '{best}'" in table.err


def test_a_search_trains_the_better_half_on_until_one_is_left(rnncli, text: Path, tmp_path: Path) -> None:
    common = ["charlm", "train", text, *QUICK, "--epochs", 4, "--units", 4, "--sweep", "learning_rate=0.0001,0.01"]
    found = rnncli(*common, "--budget", "10m", "--json", "--checkpoint", tmp_path / "best")
    rows = json.loads(found.out)["sweep"]["rows"]
    assert [(row["values"]["learning_rate"], row["epochs"]) for row in rows] == [(0.01, 4), (0.0001, 2)]
    assert stored(tmp_path / "best")["config"]["epochs"] == 4
    begun = time.monotonic()
    short = rnncli(*common, "--epochs", 100_000, "--budget", "4s", "--checkpoint", tmp_path / "short", "-q")
    assert time.monotonic() - begun < 40
    assert (short.code, short.out.count("\n")) == (0, 3), short.err
    nothing = rnncli(*common, "--budget", "0.000001s", "--checkpoint", tmp_path / "none")
    assert (nothing.code, "too short for a single evaluation" in nothing.err) == (1, True)
    assert not (tmp_path / "none").exists()


def test_a_choice_that_is_not_possible_is_told_and_the_others_go_on(rnncli, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(monthly_sales(96))
    sweep = ["--sweep", "strategy=direct,seq2seq", "--cell", "linear", "--horizon", 2, "--epochs", 1]
    result = rnncli("forecast", path, *sweep)
    assert result.code == 0, result.err
    rows = {row[0]: row[1] for row in result.rows[1:]}
    assert math.isfinite(float(rows["direct"])) and rows["seq2seq"] == ""
    assert "strategy seq2seq: " in result.err
    assert [each.name for each in tmp_path.iterdir()] == ["sales.csv"]  # nothing was to be saved
    none = rnncli("forecast", path, "--sweep", "strategy=seq2seq", "--cell", "linear", "--horizon", 2)
    assert (none.code, "no training of the sweep came to anything" in none.err) == (2, True)


@pytest.mark.slow
def test_trainings_in_processes_of_their_own_are_the_same(rnncli, text: Path, tmp_path: Path) -> None:
    sweep = ["charlm", "train", text, *QUICK, "--sweep", "units=4,6", "--json"]
    one, two = (
        json.loads(rnncli(*sweep, "--jobs", jobs, "--checkpoint", tmp_path / str(jobs)).out)["sweep"]["rows"]
        for jobs in (1, 2)
    )
    assert [row["mean"] for row in one] == pytest.approx([row["mean"] for row in two], rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sweep", "units"], "--sweep 'units' is not like units=64,128"),
        (["--sweep", "unit=1,2"], "there is no setting 'unit'; did you mean 'units'?"),
        (["--sweep", "units=1,x"], "'x' is not a whole number"),
        (["--sweep", "cell=gru,rnn"], "--cell: 'rnn' is not one of"),
        (["--sweep", "units=0,1"], "--units: 0 is not at least 1"),
        (["--sweep", "units=1", "--sweep", "units=2"], "names a setting twice"),
        (["--sweep", "seed=1,2"], "--seeds N trains with several seeds"),
        (["--sweep", "epochs=1,2", "--budget", "1m"], "--budget decides about epochs"),
        (["--seeds", "2", "--log", "x.jsonl"], "--log is for one training"),
        (["--seeds", "2", "--sample-every", "1"], "--sample-every is for one training"),
        (["--budget", "soon"], "'soon' is no time like 90s"),
        (["--seeds", "0"], "0 is not at least 1"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_the_work(
    rnncli, text: Path, options: list[str], message: str
) -> None:
    result = rnncli("charlm", "train", text, "--checkpoint", text.parent / "never", *options)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_a_sweep_is_refused_where_it_would_replace_or_repeat_something(rnncli, text: Path, tmp_path: Path) -> None:
    alone = ["charlm", "train", text, *QUICK, "--units", 4, "--checkpoint", tmp_path / "m"]
    assert rnncli(*alone).code == 0
    resumed = rnncli(*alone, "--seeds", 2, "--resume")
    assert (resumed.code, "holds a model of no sweep" in resumed.err) == (1, True)
    piped = rnncli("charlm", "train", "-", "--seeds", 2, "--checkpoint", tmp_path / "n")
    assert (piped.code, "save it in a file" in piped.err) == (2, True)
    alert = rnncli("forecast", text, "--seeds", 2, "--alert", 1)
    assert (alert.code, "--alert is for one training" in alert.err) == (2, True)


def test_the_folder_of_a_training_stays_below_that_of_the_sweep() -> None:
    place = Path("sweep")
    for value in ("../../x", "/etc/passwd", "a" * 400, "ü/ö", ""):
        folder = Trial.of(0, 1, {"embeddings": value}, place).folder
        assert folder.parent == place
        assert len(folder.name.encode()) < 250
    names = {Trial.of(0, 1, {"embeddings": value}, place).folder for value in ("a" * 400, "a" * 401)}
    assert len(names) == 2


@pytest.mark.slow
def test_sigterm_ends_all_processes_and_a_sweep_goes_on(text: Path, tmp_path: Path) -> None:
    sweep = ["charlm", "train", str(text), "--units", "4", "--sweep", "layers=1,2,3", "--epochs", "100000"]
    sweep += ["--jobs", "2"]
    command = [sys.executable, "-m", "rnncli", *sweep, "--checkpoint", str(tmp_path / "m"), "--save-every", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            if len(list((tmp_path / "m.sweep").glob("*/*/_CHECKPOINT_METADATA"))) >= 2:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
        assert process.stderr is not None
        assert process.stderr.read().splitlines()[-1].endswith("stopped; go on with --resume")
    folders = sorted((tmp_path / "m.sweep").iterdir())
    assert [path.name for path in folders] == ["layers=1,seed=0", "layers=2,seed=0"]
    for folder in folders:
        assert holder_of(folder) is None, "a process goes on by itself"
        assert not list(folder.glob(".*"))


def test_choices_are_all_combinations_and_of_a_search_without_names_those_of_the_task() -> None:
    both = Sweeping(sweep=("units=1,2", "encoder=rnn,bag"))
    choices = both.choices(SentimentSettings, SEARCH)
    assert choices == [{"units": units, "encoder": kind} for units in (1, 2) for kind in ("rnn", "bag")]
    assert len(Sweeping(budget="1h").choices(SentimentSettings, SEARCH)) == math.prod(map(len, SEARCH.values()))
    bags = distinct(both.choices(SentimentSettings, SEARCH), {}, idle)
    assert bags == [{"units": 1, "encoder": "rnn"}, {"units": 1, "encoder": "bag"}, {"units": 2, "encoder": "rnn"}]
    assert Sweeping(seeds=3).choices(SentimentSettings, SEARCH) == [{}]
    assert Sweeping(budget="1.5m").seconds == 90
    with pytest.raises(ParameterError, match="no setting 'unitz'"):
        Sweeping(sweep=("unitz=1",)).choices(SentimentSettings, SEARCH)
