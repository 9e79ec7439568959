"""Long runs: memory and the time of a step stay as they were near the beginning."""

import gc
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tagger import Tagger
from test_runner import settings

import rnncli
from rnncli.charlm.drawing import Drawing
from rnncli.training.events import Progress
from rnncli.training.runner import run

psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.slow
MEGABYTES = 40  # that memory may grow by


def resident() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def test_50_000_steps() -> None:
    task = Tagger(settings(epochs=5_000, schedule="constant"))
    times, memory, last = [], [], time.perf_counter()
    for event in run(task):
        if isinstance(event, Progress):
            now = time.perf_counter()
            times.append(now - last)
            last = now
            if event.step % 5_000 == 0:
                memory.append(resident())
    assert len(times) >= 5_000
    assert memory[-1] - memory[1] < MEGABYTES, memory
    quarter = len(times) // 4
    assert statistics.median(times[-quarter:]) < 1.3 * statistics.median(times[quarter : 2 * quarter])


def test_ten_million_characters() -> None:
    model = rnncli.charlm.fit("the quick brown fox jumps over the lazy dog. " * 60, units=16, layers=1, epochs=1)
    tokens, _ = model.vocabulary.encode("the")
    drawn, memory, times, last = 0, [], [], time.perf_counter()
    for block in model.stream(tokens, 160_000, Drawing(), samples=64, seed=1):
        drawn += block.size
        now = time.perf_counter()
        times.append((now - last) / block.size)
        last = now
        if len(times) % 5 == 0:
            memory.append(resident())
    assert drawn == 64 * 160_000
    assert memory[-1] - memory[1] < MEGABYTES, memory
    quarter = len(times) // 4
    assert statistics.median(times[-quarter:]) < 1.5 * statistics.median(times[quarter : 2 * quarter])


def test_a_text_that_is_ten_times_as_long_takes_no_more_memory(tmp_path: Path) -> None:
    """Of its own: pages of the mapped text are the system's, which takes them back."""
    found = {}
    for megabytes in (20, 200):
        path = tmp_path / f"{megabytes}.txt"
        path.write_bytes(b"the quick brown fox jumps over the lazy dog; " * (megabytes * 10**6 // 45))
        command = [sys.executable, "-m", "rnncli", "charlm", "train", path, "--preset", "small", "--checkpoint"]
        process = subprocess.Popen([*command, tmp_path / f"{megabytes}"], stderr=subprocess.DEVNULL)
        end, most = time.monotonic() + 60, 0
        while time.monotonic() < end and process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            most = max(most, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")))
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.wait()
        found[megabytes] = most / 2**10
    assert found[200] < found[20] + MEGABYTES, found
