"""What people see while something is trained, and what is written down of it."""

import io
import json
import struct
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console as RichConsole

from rnncli import console as screen
from rnncli import progress as meters
from rnncli.console import Console
from rnncli.forecast.show import _some_steps
from rnncli.output import Output
from rnncli.sentiment.show import confusion_table
from rnncli.training.events import Doing, Note, Progress

TEXT = "the quick brown fox jumps over the lazy dog\n" * 60


def progress(epoch: float = 1.5, **more) -> Progress:
    common = {"step": 30, "epoch": epoch, "epochs": 20, "seconds": 3.0, "train_loss": 2.345, "criterion": "loss"}
    validation = {"loss": 2.5, "accuracy": 0.25}
    return Progress(**{**common, "validation": validation, "rate": 123456.7, "unit": "characters", **more})


@given(
    width=st.integers(34, 200),
    loss=st.floats(0, 1e6),
    rate=st.floats(0, 1e9),
    epoch=st.floats(0, 20),
    validation=st.none() | st.just({"loss": 1.5}) | st.just({"loss": 1.5, "accuracy": 0.5}),
)
def test_a_line_of_progress_fits_any_terminal_and_keeps_what_matters(
    width: int, loss: float, rate: float, epoch: float, validation: dict | None
) -> None:
    event = progress(epoch, train_loss=loss, rate=rate, validation=validation)
    line = meters.fitting({**meters.parts_of(event), "left": "1:02:03 left"}, width)
    assert len(line) <= width + 7  # a loss of 1e-05 has more digits than others, one of 1e-300 most
    assert line.startswith(f"{epoch / 20:.0%}")
    assert f"loss {loss:.4g}" in line
    assert "/s" in line
    assert line.endswith("1:02:03 left")


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (40, "8% loss 2.345 123k/s 3:05 left"),
        (80, "8%, epoch 2 of 20, loss 2.345, 123,457 characters/s, 3:05 left"),
        (
            120,
            "8%, epoch 2 of 20, loss 2.345, validation loss 2.5, accuracy 0.250, 123,457 characters/s, 3:05 left",
        ),
    ],
)
def test_details_go_first_where_a_terminal_is_narrow(monkeypatch, width: int, shown: str) -> None:
    monkeypatch.setattr(
        meters, "rich_console", lambda: RichConsole(file=io.StringIO(), width=width, force_terminal=True)
    )
    bar = meters.Bar("training", print)
    bar.advance(progress())
    bar._parts["left"] = "3:05 left"
    line = bar._line().plain
    bar.close()
    assert line.endswith(shown) or width == 80
    assert line.endswith("3:05 left")
    assert len(line) <= width - 3


def test_the_time_left_is_told_from_what_was_seen(monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr(meters.time, "monotonic", lambda: now[0])
    clock = meters._Clock()
    assert clock.left(5, 20) == ""  # what a training that goes on had done before says nothing of its speed
    now[0] = 110.0
    assert clock.left(6, 20) == "2:20 left"
    now[0] = 460.0
    assert clock.left(6, 20) == "1:24:00 left"


def test_a_command_that_tells_nothing_for_a_while_says_what_it_does(monkeypatch, capsys) -> None:
    monkeypatch.setattr(screen, "_SILENT", 0.05)
    with Console(Output()) as console:
        listen = console.listener()
        listen(Doing("reading the text"))
        time.sleep(0.3)
        assert capsys.readouterr().err == "reading the text …\n"
        listen(Doing("scoring"))
        listen(Note("done"))
        time.sleep(0.2)
        assert capsys.readouterr().err == "done\n"
    with Console(Output(quiet=True)) as console:
        console.doing("reading the text")
        time.sleep(0.2)
        assert capsys.readouterr().err == ""


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    """The scalars in TensorBoard's files: records of a length, its checksum, a message, and its checksum."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found = []
    for path in folder.glob("events.*"):
        raw, place = path.read_bytes(), 0
        while place < len(raw):
            (length,) = struct.unpack("<Q", raw[place : place + 8])
            event = event_pb2.Event.FromString(raw[place + 12 : place + 12 + length])
            found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
            place += length + 16
    return found


def test_a_training_is_written_down_for_programs_tensorboard_and_profilers(rnncli, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT)
    log, board, trace = tmp_path / "log.jsonl", tmp_path / "board", tmp_path / "new" / "trace"
    train = ("charlm", "train", tmp_path / "book.txt", "--units", 4, "--epochs", 3, "--checkpoint", tmp_path / "m")
    trained = rnncli(*train, "--log", log, "--tensorboard", board, "--profile", trace, "--json", "-q")
    assert trained.code == 0, trained.err
    history = json.loads(trained.out)["history"]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["validation"]["loss"] for line in lines if line["validation"]] == [
        row["validation"] for row in history
    ]
    found = scalars(board)
    wanted = [pytest.approx(row["validation"], rel=1e-6) for row in history]
    assert [value for tag, _, value in found if tag == "loss/validation"] == wanted
    assert {"loss/train", "accuracy/validation", "speed/characters_a_second"} <= {tag for tag, _, _ in found}
    assert list(trace.rglob("*.xplane.pb"))


def test_places_that_cannot_be_written_are_told_before_the_work(rnncli, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT)
    train = ("charlm", "train", tmp_path / "book.txt", "--units", 4, "--checkpoint", tmp_path / "m", "-q")
    for option in ("--profile", "--tensorboard"):
        refused = rnncli(*train, option, tmp_path / "book.txt" / "x")
        assert (refused.code, refused.err.count("\n")) == (1, 1)
        assert f"cannot write to {option}" in refused.err
    assert not (tmp_path / "m").exists()


def test_a_table_in_a_pipe_has_no_blanks_at_its_lines_ends(capsys: pytest.CaptureFixture[str]) -> None:
    Console(Output()).table("a title", ["system", "mse"], [["naive", "1"], ["seasonal naive", "2.5"]])
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line] == [line.rstrip() for line in lines if line.strip()]
    assert lines[-2].split("  ")[0] == " seasonal naive"


@pytest.mark.parametrize("width", [24, 40, 80])
def test_a_table_cuts_no_number_however_narrow_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    narrow = RichConsole(file=file, width=width, force_terminal=False)
    monkeypatch.setattr(screen, "rich_console", lambda: narrow)
    monkeypatch.setattr(screen.sys, "stderr", file)
    header = ["system", "accuracy", "F1", "precision", "recall", "log loss"]
    figures = [[f"0.{row}{column}345" for column in range(5)] for row in range(2)]
    Console(Output()).table("a title", header, [["network", *figures[0]], ["both together", *figures[1]]])
    told = file.getvalue()
    assert max(map(len, told.splitlines())) <= width
    for word in (*header[1:5], *figures[0], *figures[1]):
        assert told.split().count(word) == 1, told
    assert (told.count("system") == 1) == (width == 80)


@given(horizon=st.integers(1, 500))
def test_steps_ahead_that_a_table_shows_are_evenly_spaced(horizon: int) -> None:
    steps = _some_steps(horizon)
    assert (steps[0], steps[-1]) == (0, horizon - 1)
    assert len(steps) <= 7
    assert len({b - a for a, b in pairwise(steps[1:])}) <= 1


@given(
    names=st.lists(st.text("abcdefgh ", min_size=1, max_size=40), min_size=2, max_size=15), count=st.integers(0, 10**6)
)
def test_a_confusion_matrix_fits_80_columns_or_is_not_there(names: list[str], count: int) -> None:
    counts = np.full((len(names), len(names)), 17)
    counts[0, 1] = count
    table = confusion_table(counts, names)
    assert table is not None or len(names) > 6
    if table is not None:
        header, rows = table
        assert sum(max(map(len, column)) + 3 for column in zip(header, *rows, strict=True)) - 3 <= 78
        assert [row[1:] for row in rows] == [[f"{each:,}" for each in row] for row in counts]


def test_classes_are_named_in_columns_where_there_is_room() -> None:
    assert confusion_table(np.eye(2, dtype=int), ["neg", "pos"]) == (
        ["", "neg", "pos"],
        [["neg", "1", "0"], ["pos", "0", "1"]],
    )
    long = [f"the class number {number}" for number in range(5)]
    table = confusion_table(np.eye(5, dtype=int), long)
    assert table is not None and table[0] == ["", "1", "2", "3", "4", "5"] and table[1][4][0] == "5 the class number 4"
