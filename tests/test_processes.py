"""Several processes, on one machine, that train as one."""

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from samples import monthly_sales

from rnncli.cli import run
from rnncli.training import processes as among
from rnncli.training.restoring import STATE, open_checkpoint

WITHIN = 60.0  # seconds in which all end when one has died
CHARLM = ["charlm", "train", "text.txt", "--units", "8", "--layers", "1", "--embedding", "4", "--batch-size", "8"]
CHARLM += ["--window", "16", "--recurrent-dropout", "0.1", "--precision", "float32", "-q"]
FORECAST = ["forecast", "train", "series.csv", "--cell", "gru", "--units", "8", "--horizon", "3", "--epochs", "2", "-q"]
FORECAST += ["--batch-size", "8", "--precision", "float32", "--system", "network"]
SENTIMENT = ["sentiment", "train", "labels.csv", "--units", "8", "--embedding", "4", "--batch-size", "8", "-q"]
SENTIMENT += ["--epochs", "2", "--precision", "float32"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("processes")
    (place / "text.txt").write_text("The quick brown fox jumps over the lazy dog; the dog sleeps.\n" * 60)
    (place / "series.csv").write_text(monthly_sales(120))
    words = [("good", "pos"), ("bad", "neg"), ("fine", "pos"), ("dull", "neg")]
    rows = [f"a {word} film of {index},{label}\n" for index in range(40) for word, label in words]
    (place / "labels.csv").write_text("text,label\n" + "".join(rows))
    return place


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def begun(arguments: Sequence[object], place: Path, devices: int = 1, **more: str) -> subprocess.Popen:
    """The command in a process of its own that has so many devices."""
    environment = {**os.environ, "RNNCLI_JOIN_SECONDS": "60", **more}
    if "XLA_FLAGS" not in more:
        environment["JAX_NUM_CPU_DEVICES"] = str(devices)
    command = [sys.executable, "-m", "rnncli", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=place, env=environment)


def all_begun(count: int, arguments: Sequence[object], place: Path, devices: int = 1) -> list[subprocess.Popen]:
    """The command in several processes that know of each other."""
    group = ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", count]
    return [begun([*arguments, *group, "--process-id", number], place, devices) for number in range(count)]


def group(port: int, count: int, number: int) -> list[object]:
    return ["--coordinator", f"127.0.0.1:{port}", "--num-processes", count, "--process-id", number]


def ended(processes: Sequence[subprocess.Popen], seconds: float = 240) -> list[tuple[int, str, str]]:
    """Code, stdout and stderr of each."""
    end, found = time.monotonic() + seconds, []
    try:
        for process in processes:
            out, err = process.communicate(timeout=max(1.0, end - time.monotonic()))
            found.append((process.returncode, out, err))
    finally:
        for process in processes:
            process.kill()
    return found


def trained(count: int, devices: int, place: Path, *arguments: object) -> str:
    """The output of the first of so many processes; the others have none."""
    if count == 1 and devices <= jax.device_count():
        return trained_here(place, *arguments)
    if count == 1:
        results = ended([begun(arguments, place, devices)])
    else:
        results = ended(all_begun(count, arguments, place, devices))
    assert [code for code, _, _ in results] == [0] * count, results
    assert [out + err for _, out, err in results[1:]] == [""] * (count - 1)
    return results[0][1]


def trained_here(place: Path, *arguments: object) -> str:
    """The same in this process, on some of its devices: those that `--mesh` names."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.chdir(place), contextlib.redirect_stdout(out):
        assert run([str(argument) for argument in arguments]) == 0
    out.seek(0)
    return out.read()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.isdigit()} if folder.exists() else set()


def losses(path: Path) -> np.ndarray:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return np.array([[line["train"], (line["validation"] or {"loss": 0})["loss"]] for line in lines])


def best(folder: Path, task: str = "charlm", item: str = "best") -> dict[str, np.ndarray]:
    checkpoint = open_checkpoint(folder, task, [item])
    return {name: np.asarray(each) for name, each in checkpoint._items[item].items()}


def test_the_batch_decides_the_result_whatever_processes_and_devices_share_it(place: Path) -> None:
    grids = {(1, 4): ["--mesh", "data=4"], (2, 2): [], (4, 1): []}
    for (count, devices), mesh in grids.items():
        name = f"{count}x{devices}"
        out = trained(
            count, devices, place, *CHARLM, *mesh, "--epochs", 8, "--checkpoint", name, "--log", f"{name}.log"
        )
        assert out.startswith("part,protocol,loss")
    one, *others = (losses(place / f"{count}x{devices}.log") for count, devices in grids)
    assert len(one) == 8
    for other in others:
        np.testing.assert_allclose(other, one, atol=1e-5)

    # saved by four, it goes on in one; saved by one, in two
    trained(1, 4, place, *CHARLM, "--mesh", "data=4", "--epochs", 9, "--checkpoint", "4x1", "--resume")
    trained(2, 2, place, *CHARLM, "--epochs", 9, "--checkpoint", "1x4", "--resume")
    for name, array in best(place / "4x1").items():
        np.testing.assert_allclose(array, best(place / "1x4")[name], atol=1e-5, err_msg=name)
    sampled = trained(1, 1, place, "charlm", "sample", "--checkpoint", "4x1", "--length", 20)
    assert len(sampled) == 20


@pytest.mark.parametrize(("task", "arguments"), [("forecast", FORECAST), ("sentiment", SENTIMENT)])
def test_the_other_tasks_are_trained_so_too(task: str, arguments: list[str], place: Path) -> None:
    two = trained(2, 1, place, *arguments, "--checkpoint", f"{task}-2")
    one = trained(1, 2, place, *arguments, "--mesh", "data=2", "--checkpoint", f"{task}-1")
    assert two.splitlines()[0] == one.splitlines()[0]
    ours, theirs = (best(place / f"{task}-{count}", task, STATE) for count in (2, 1))
    for name, array in ours.items():
        if name.startswith("params"):
            np.testing.assert_allclose(array, theirs[name], atol=1e-5, err_msg=name)


def test_a_forecast_without_a_network_is_made_by_all_and_printed_by_one(place: Path) -> None:
    arguments = ["forecast", "series.csv", "--cell", "linear", "--horizon", "3", "-q"]
    assert trained(2, 1, place, *arguments) == trained(1, 1, place, *arguments)


LARGE = [*CHARLM, "--units", 64]


@pytest.mark.parametrize(("count", "devices"), [(1, 4), pytest.param(2, 2, marks=pytest.mark.slow)])
def test_large_arrays_are_cut_among_devices_and_processes(count: int, devices: int, place: Path) -> None:
    for processes, each, mesh, name in ((1, 1, "data=1", "whole"), (count, devices, "data=2,model=2", "cut")):
        how = ["--mesh", mesh, "--epochs", 1, "--checkpoint", f"{count}-{name}"]
        trained(processes, each, place, *LARGE, *how)
    whole = best(place / f"{count}-whole")
    for leaf, array in best(place / f"{count}-cut").items():
        np.testing.assert_allclose(array, whole[leaf], atol=1e-5, err_msg=leaf)


SLOW = pytest.mark.slow  # as the same devices train them in one process or two above


@pytest.mark.parametrize(
    "arguments",
    [CHARLM, pytest.param(FORECAST, marks=SLOW), pytest.param(SENTIMENT, marks=SLOW)],
    ids=["charlm", "forecast", "sentiment"],
)
def test_forced_devices_train(arguments: list[str], place: Path) -> None:
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    how = ["--epochs", "1", "--mesh", "data=8", "--checkpoint", f"eight-{arguments[0]}"]
    ((code, out, err),) = ended([begun([*arguments, *how], place, XLA_FLAGS=flags)])
    assert (code, err) == (0, "")
    assert out


ONE_IS_KILLED = {"kills": 1, "epochs": 16, "count": 2}
TEN_ARE_KILLED = {"kills": 10, "epochs": 300, "count": 4}


@pytest.mark.parametrize(
    "how", [ONE_IS_KILLED, pytest.param(TEN_ARE_KILLED, marks=pytest.mark.slow)], ids=["one", "ten"]
)
def test_where_one_dies_the_others_end_and_all_go_on(how: dict, place: Path, tmp_path: Path) -> None:
    count, draw = how["count"], np.random.default_rng(0)
    command = [*CHARLM, "--epochs", how["epochs"], "--save-every", "0.5", "--checkpoint"]
    killed, never = tmp_path / "killed", tmp_path / "never"
    unharmed: list[subprocess.Popen] = []
    for _ in range(how["kills"]):
        before = names(killed)
        processes = all_begun(count, [*command, killed, "--resume"], place)
        while names(killed) <= before:  # until it has saved once more
            assert processes[0].poll() is None
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 1))
        victim = int(draw.integers(count))
        processes[victim].send_signal(signal.SIGKILL)
        since = time.monotonic()
        unharmed = unharmed or all_begun(count, [*command, never], place)  # while the others find out
        results = ended(processes)
        assert time.monotonic() - since < WITHIN
        for number, (code, out, err) in enumerate(results):
            if number == victim:
                continue
            assert (code, out) == (1, ""), err
            assert err.startswith("error: ")
            assert err.count("\n") == 1
            assert f"process {victim}" in err
    trained(count, 1, place, *command, killed, "--resume")
    assert [code for code, _, _ in ended(unharmed)] == [0] * count
    for item in ("best", STATE):
        ours, theirs = best(killed, item=item), best(never, item=item)
        assert ours.keys() == theirs.keys()
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def two_that_have_saved(folder: Path, place: Path) -> list[subprocess.Popen]:
    """Two processes in the midst of a long training."""
    processes = all_begun(2, [*CHARLM, "--epochs", 4000, "--checkpoint", folder, "--save-every", "1"], place)
    while not names(folder):
        assert processes[0].poll() is None
        time.sleep(0.1)
    return processes


@pytest.mark.slow  # half a minute of waiting
def test_one_that_is_silent_ends_all(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "frozen"
    processes = two_that_have_saved(folder, place)
    processes[0].send_signal(signal.SIGSTOP)
    since = time.monotonic()
    ((code, out, err),) = ended(processes[1:])
    assert time.monotonic() - since < WITHIN
    assert (code, out) == (1, "")
    assert re.fullmatch(r"error: process 0, the coordinator at [\d.:]+, is silent; what was saved is whole.*\n", err)
    processes[0].kill()
    processes[0].communicate()


def test_processes_that_differ_are_told_in_what(place: Path) -> None:
    port, others = free_port(), place / "others.txt"
    others.write_text((place / "text.txt").read_text().replace("fox", "cat"))
    seeds = [begun([*CHARLM, "--seed", number, *group(port, 2, number)], place) for number in range(2)]
    assert ended(seeds) == [
        (2, "", "error: processes 0 and 1 differ in --seed: 0 and 1; give all the same\n"),
        (2, "", ""),
    ]
    port, other = free_port(), [*CHARLM[:2], "others.txt", *CHARLM[3:]]
    ((code, out, err), second) = ended(
        [begun([*which, *group(port, 2, n)], place) for n, which in enumerate([CHARLM, other])]
    )
    assert (code, out, second) == (2, "", (2, "", ""))
    assert err == "error: processes 0 and 1 read different data; let all read the same\n"


def test_a_signal_to_one_saves_and_ends_all(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stopped"
    processes = two_that_have_saved(folder, place)
    processes[1].terminate()
    results = ended(processes)
    assert [code for code, _, _ in results] == [143, 143]
    assert "saved; go on with --resume" in results[0][2]
    assert results[1][2] == ""


def test_bad_input_is_one_line_of_the_first_process(place: Path) -> None:
    grid = all_begun(2, [*CHARLM, "--checkpoint", "a", "--mesh", "data=8"], place)
    batch = all_begun(2, [*CHARLM, "--checkpoint", "b", "--batch-size", "9"], place)
    port = free_port()
    missing = [*CHARLM[:2], "missing.txt", *CHARLM[3:]]
    text = [begun([*CHARLM, *group(port, 2, 0)], place), begun([*missing, *group(port, 2, 1)], place)]
    told = "error: --mesh data=8 has 8 devices, there are 2 in 2 processes, and each has to be in it\n"
    assert ended(grid) == [(2, "", told), (2, "", "")]
    told = "error: a batch of 9 cannot be shared equally by 2 devices; choose --batch-size 8 or 10\n"
    assert ended(batch) == [(2, "", told), (2, "", "")]
    told = "error: process 1 of 2: no such file: 'missing.txt'\n"
    assert ended(text) == [(1, "", told), (1, "", "")]


def test_processes_that_do_not_find_each_other_say_so(place: Path) -> None:
    nobody, alone, same, soon = free_port(), free_port(), free_port(), {"RNNCLI_JOIN_SECONDS": "2"}
    with socket.socket() as taken, socket.socket() as another:  # which is no coordinator
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        another.bind(("127.0.0.1", 0))
        another.listen()
        there = another.getsockname()[1]
        lonely = [
            begun([*CHARLM, *group(port, 2, 0)], place),
            begun([*CHARLM, *group(nobody, 2, 1)], place, **soon),
            begun([*CHARLM, *group(alone, 2, 0)], place, **soon),
            begun([*CHARLM, *group(there, 2, 1)], place, **soon),
        ]
        later = {"RNNCLI_JOIN_SECONDS": "5"}  # all of these begin at once
        twins = [begun([*CHARLM, *group(same, 2, number)], place, **later) for number in (0, 1, 1)]
        refused, unreachable, waiting, deceived, (first, _, said), *others = ended([*lonely, *twins])
    told = f"error: cannot listen at port {port} of --coordinator 127.0.0.1:{port}: Address already in use\n"
    assert refused == (1, "", told)
    told = f"error: process 1: no coordinator at 127.0.0.1:{nobody} within 2 s: Connection refused\n"
    assert unreachable == (1, "", told)
    assert waiting == (1, "", f"error: not all of the 2 processes came to 127.0.0.1:{alone} within 2 s\n")
    assert deceived == (1, "", f"error: not all of the 2 processes came to 127.0.0.1:{there} within 2 s\n")
    assert (first, said) == (1, "error: two of the 2 processes have the same --process-id; give each its own\n")
    assert [(code, err) for code, _, err in others] == [(1, ""), (1, "")]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--num-processes", 2], "--coordinator, --num-processes and --process-id go together: give all three"),
        (group(1, 2, 2), "--process-id 2 is not below --num-processes 2; they begin at 0"),
        (
            ["--coordinator", "here", *group(1, 2, 0)[2:]],
            "--coordinator 'here' is not HOST:PORT, with a port from 1 to 65535",
        ),
        (group(99999, 2, 0), "--coordinator '127.0.0.1:99999' is not HOST:PORT, with a port from 1 to 65535"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: list[object], told: str, place: Path, rnncli: Callable[..., Any]
) -> None:
    result = rnncli("charlm", "train", place / "text.txt", *options)
    assert (result.code, result.err) == (2, f"error: {told}\n")


def test_one_that_lingers_while_the_coordinator_goes_keeps_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    codes: list[int] = []
    ending = among.Group(1, 2, "", 2, tmp_path / "words", joined=True)
    monkeypatch.setattr(among, "_groups", [ending])
    monkeypatch.setattr(among, "_tell", lambda group, ended: {**ended, "code": 143})
    monkeypatch.setattr(among.os, "_exit", codes.append)
    # JAX's own thread finds the coordinator gone while this one waits
    monkeypatch.setattr(among.time, "sleep", lambda _: among.leave(ending, "process 0 is gone", to_all=True))
    assert among.end(143, "") == 143
    assert codes == [143]


def test_an_exchange_that_fails_while_the_watch_ends_all_has_nothing_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(among.time, "sleep", slept.append)
    monkeypatch.setattr(among, "leave", lambda *given, **more: pytest.fail("it said something else"))
    ending = among.Group(0, 2, "", 2, Path("nowhere"), over=True)
    monkeypatch.setattr(among, "_groups", [ending])
    among.heed(ValueError("Gloo all-reduce failed: Connection closed by peer"))
    assert sum(slept) > among._LINGER  # until the process is ended
