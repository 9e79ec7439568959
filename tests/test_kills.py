"""Trainings that are killed, in steps, evaluations, saves and removals, and go on: they end as if never killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from samples import monthly_sales

from rnncli.training.restoring import STATE, open_checkpoint

TASKS = {
    "forecast": [
        "forecast",
        "train",
        "series.csv",
        "--cell",
        "gru",
        "--units",
        "24",
        "--horizon",
        "3",
        "--patience",
        "0",
    ],
    "charlm": ["charlm", "train", "text.txt", "--units", "32", "--layers", "1", "--embedding", "8"],
    "sentiment": ["sentiment", "train", "labels.csv", "--units", "16", "--embedding", "8", "--patience", "0"],
}
FEW = {"forecast": (1, 300), "charlm": (1, 100), "sentiment": (1, 60)}  # kills, and epochs that are enough for them
MANY = {"forecast": (50, 9_000), "charlm": (50, 4_000), "sentiment": (50, 2_000)}


def environment() -> dict[str, str]:
    """As users have it; on one device, as how many share a batch is measured, and would round two runs apart."""
    return {**{name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}, "JAX_NUM_CPU_DEVICES": "1"}


def written(place: Path) -> Path:
    (place / "series.csv").write_text(monthly_sales(120))
    (place / "text.txt").write_text("The quick brown fox jumps over the lazy dog; the dog sleeps.\n" * 60)
    words = [("good", "pos"), ("bad", "neg"), ("fine", "pos"), ("dull", "neg")]
    rows = [f"a {word} film of {index},{label}\n" for index in range(40) for word, label in words]
    (place / "labels.csv").write_text("text,label\n" + "".join(rows))
    return place


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def trained(task: str, place: Path, folder: Path, epochs: int, kills: int) -> int:
    """Train in processes that are killed at random moments, until so many were, and one comes to its end."""
    command = [sys.executable, "-m", "rnncli", *TASKS[task], "--epochs", str(epochs), "-q", "--resume"]
    command += ["--checkpoint", str(folder), "--save-every"]
    draw, struck = np.random.default_rng(0), 0
    while struck < kills:
        before = names(folder)
        process = subprocess.Popen(
            [*command, "0.05"],
            env=environment(),
            cwd=place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        while process.poll() is None and not names(folder) - before - {".lock"}:  # until it begins to save
            time.sleep(0.002)
        time.sleep(draw.choice([0.0, draw.uniform(0, 0.02), draw.uniform(0, 0.4)]))
        process.kill()
        said = process.communicate()[1]
        assert process.returncode == -signal.SIGKILL, f"it ended before it was killed {kills} times: {said}"
        struck += 1
    done = subprocess.run([*command, "9"], env=environment(), cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return struck


def arrays(task: str, folder: Path) -> dict[str, np.ndarray]:
    opened = open_checkpoint(folder, task, [])
    found = {}
    for item in opened.saved:
        opened.read(item)
        found |= {f"{item}/{name}": np.asarray(leaf) for name, leaf in opened._items[item].items()}
    return found


@pytest.mark.parametrize("much", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
@pytest.mark.parametrize("task", TASKS)
def test_killed_and_resumed_equals_never_killed_bit_for_bit(task: str, much: dict, tmp_path: Path) -> None:
    place, (kills, epochs) = written(tmp_path), much[task]
    assert trained(task, place, tmp_path / "killed", epochs, kills) == kills
    trained(task, place, tmp_path / "never", epochs, 0)
    one, other = arrays(task, tmp_path / "killed"), arrays(task, tmp_path / "never")
    assert one.keys() == other.keys()
    assert any(name.startswith(f"{STATE}/opt_state") for name in one)
    for name, leaf in one.items():
        np.testing.assert_array_equal(leaf, other[name], err_msg=name)
    metadata = [open_checkpoint(tmp_path / name, task, []).metadata for name in ("killed", "never")]
    assert metadata[0] == metadata[1]
    assert len(names(tmp_path / "killed")) == 1
