"""How many devices share a batch."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rnncli.training import parallel
from rnncli.training.parallel import fastest, possible


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def machine(seconds: dict[int, float], asked: list[int]) -> Callable[[int, int], None]:
    """A trial that takes so long a step on so many devices."""

    def run(devices: int, steps: int) -> None:
        asked.append(devices)
        time.sleep(seconds[devices] * steps)

    return run


@pytest.mark.parametrize(("batch", "counts"), [(1, [1]), (15, [1]), (16, [1, 2]), (17, [1]), (64, [1, 2])])
def test_possible_are_equal_parts_that_are_not_too_small(batch: int, counts: list[int]) -> None:
    assert possible(batch) == counts  # on two devices


@pytest.mark.parametrize(("two", "best"), [(0.01, 2), (0.03, 1), (0.0199, 1)])
def test_the_fastest_is_measured_once_and_remembered(two: float, best: int) -> None:
    asked: list[int] = []
    assert fastest(16, "a network", 10_000, machine({1: 0.02, 2: two}, asked)) == best
    assert set(asked) == {1, 2}
    asked.clear()
    assert fastest(16, "a network", 10_000, machine({1: 0.02, 2: two}, asked)) == best
    assert asked == []
    fastest(16, "another network", 10, machine({1: 0.001, 2: 0.001}, asked))
    assert set(asked) == {1}, "a short training is not worth the measurement"


def test_what_is_remembered_may_be_damaged_or_have_no_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = machine({1: 0.02, 2: 0.01}, [])
    assert fastest(16, "a network", 10_000, trial) == 2
    (kept,) = folder.rglob("devices.json")
    kept.write_text("{")
    assert fastest(16, "a network", 10_000, trial) == 2
    monkeypatch.setattr(parallel, "cache_folder", lambda: folder / "missing")
    assert fastest(16, "a network", 10_000, trial) == 2
