"""How many devices share a batch."""

from pathlib import Path

import pytest

from rnncli.training import parallel
from rnncli.training.parallel import fastest, possible


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


class Machine:
    """A trial that takes so long a step on so many devices, by a clock of its own."""

    def __init__(self, seconds: dict[int, float], monkeypatch: pytest.MonkeyPatch):
        self.seconds, self.now = seconds, 0.0
        self.asked: set[int] = set()
        monkeypatch.setattr(parallel.time, "perf_counter", lambda: self.now)

    def __call__(self, devices: int, steps: int) -> None:
        self.asked.add(devices)
        self.now += self.seconds[devices] * steps


@pytest.mark.parametrize(("batch", "counts"), [(1, [1]), (15, [1]), (16, [1, 2]), (17, [1]), (64, [1, 2])])
def test_possible_are_equal_parts_that_are_not_too_small(batch: int, counts: list[int]) -> None:
    assert possible(batch) == counts  # on two devices


@pytest.mark.parametrize(("two", "best"), [(0.01, 2), (0.03, 1), (0.0199, 1)])
def test_the_fastest_is_measured_once_and_remembered(two: float, best: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Machine({1: 0.02, 2: two}, monkeypatch)
    assert fastest(16, "a network", 10_000, trial) == best
    assert trial.asked == {1, 2}
    again = Machine({1: 0.02, 2: two}, monkeypatch)
    assert fastest(16, "a network", 10_000, again) == best
    assert again.asked == set()


@pytest.mark.parametrize(("seconds", "steps"), [(0.001, 10_000), (15.0, 3)])
def test_a_training_that_is_hardly_longer_than_the_measurement_goes_without(
    seconds: float, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Machine({1: seconds, 2: seconds / 2}, monkeypatch)
    assert fastest(16, "a network", steps, trial) == 1
    assert trial.asked == {1}


def test_what_is_remembered_may_be_damaged_or_have_no_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Machine({1: 0.02, 2: 0.01}, monkeypatch)
    assert fastest(16, "a network", 10_000, trial) == 2
    (kept,) = folder.rglob("devices.json")
    kept.write_text("{")
    assert fastest(16, "a network", 10_000, trial) == 2
    monkeypatch.setattr(parallel, "cache_folder", lambda: folder / "missing")
    assert fastest(16, "a network", 10_000, trial) == 2
