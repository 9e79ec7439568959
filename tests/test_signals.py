"""Ctrl-C and SIGTERM at any moment: an exit code, no traceback, nothing lost, within seconds."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rnncli.training.signals import ask_to_stop, stop_requests

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells by /proc when a process listens")
WITHIN = 10.0  # seconds


def listens(process: subprocess.Popen) -> bool:
    """Whether the process has a handler for SIGTERM."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return False
    caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def begun(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "rnncli", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not listens(process):
        assert process.poll() is None
        time.sleep(0.001)
    return process


def ended(process: subprocess.Popen, code: int) -> str:
    """What the process said after it was sent a signal; it has ended in time with that code."""
    since = time.monotonic()
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert time.monotonic() - since < WITHIN
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    return out + err


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "fox.txt"
    path.write_text("The quick brown fox jumps over the lazy dog.\n" * 200)
    return path


MOMENTS = [0.0, 0.15, 0.7, 2.0, 3.5]
ALL_MOMENTS = [index / 8 for index in range(60)]


@pytest.mark.parametrize("moments", [MOMENTS, pytest.param(ALL_MOMENTS, marks=pytest.mark.slow)], ids=["some", "many"])
def test_a_signal_at_any_moment_ends_a_training(text: Path, tmp_path: Path, moments: list[float]) -> None:
    for index, moment in enumerate(moments):
        number, folder = (signal.SIGINT, signal.SIGTERM)[index % 2], tmp_path / str(index)
        process = begun("charlm", "train", text, "--units", 32, "--epochs", 100_000, "--checkpoint", folder)
        time.sleep(moment)
        process.send_signal(number)
        said = ended(process, 128 + number)
        steps = [path for path in folder.glob("*") if path.name.isdigit()]
        assert bool(steps) == said.rstrip().endswith("saved; go on with --resume")
        assert not list(folder.glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_what_trains_nothing(text: Path, tmp_path: Path, number: int) -> None:
    with begun("sentiment", "predict", "-", "--checkpoint", tmp_path) as process:
        time.sleep(0.4)
        process.send_signal(number)
        ended(process, 128 + number)


def test_a_second_signal_ends_at_once(text: Path, tmp_path: Path) -> None:
    process = begun(
        "charlm", "train", text, "--units", 2048, "--batch-size", 64, "--epochs", 9, "--checkpoint", tmp_path / "m"
    )
    time.sleep(6)  # within a dispatch of many seconds, or the compilation before it
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    since = time.monotonic()
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    ended(process, 130)
    assert time.monotonic() - since < 2


def test_the_library_hears_signals_in_the_main_thread_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    heard = []

    def elsewhere() -> None:
        with stop_requests() as stop:
            ask_to_stop()
            heard.append(stop.signal)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    with stop_requests() as stop:
        stop.can_save = True
        signal.raise_signal(signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
    assert heard == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) == before


def test_ctrl_c_acts_at_once_where_there_is_nothing_to_save() -> None:
    with pytest.raises(KeyboardInterrupt), stop_requests():
        signal.raise_signal(signal.SIGINT)
    with stop_requests() as stop:
        os.kill(os.getpid(), signal.SIGTERM)  # has no handler outside: it is noted
        time.sleep(0.05)
        assert stop.signal == signal.SIGTERM
