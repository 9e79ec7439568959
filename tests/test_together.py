"""Several seeds in one program: each is what it is alone, with a folder, an end and errors of its own."""

import json
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from samples import monthly_sales
from tagger import Tagger
from test_runner import settings

from rnncli.charlm.api import task_of as charlm_task
from rnncli.charlm.settings import CharlmSettings, TextSource
from rnncli.errors import Interrupted, RnncliError
from rnncli.settings import Chosen
from rnncli.sweep import trials
from rnncli.training import parallel, together
from rnncli.training.events import Evaluated, Finished, Stopped, follow
from rnncli.training.runner import run
from rnncli.training.settings import NOT_SAVED, Saving
from rnncli.training.stored import read_metadata
from rnncli.training.together import Together

SEEDS = [3, 4]


def close(one, other) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5), one, other)


def trained(tasks, savings=None) -> dict[int, list]:
    heard: dict[int, list] = {number: [] for number in range(len(tasks))}
    program = Together(tasks[0], [task.settings.seed for task in tasks])
    for number, what in program.run(tasks, savings or [NOT_SAVED] * len(tasks)):
        heard[number].append(what)
    return heard


def test_each_seed_equals_the_one_that_is_trained_alone() -> None:
    tasks, losses = [Tagger(settings(seed=seed, epochs=4)) for seed in SEEDS], set()
    for task, events in zip(tasks, trained(tasks).values(), strict=True):
        alone = follow(run(Tagger(task.settings)))
        result = events[-1].result
        close(result.params, alone.params)
        assert result.best_epoch == alone.best_epoch
        found = [point["validation"] for point in result.history]
        assert found == pytest.approx([point["validation"] for point in alone.history], rel=1e-5)
        losses.add(found[-1])
    assert len(losses) == len(SEEDS)


def test_states_that_are_handed_on_and_masks_are_each_seed_s_own() -> None:
    quick = {"layers": 1, "units": 8, "window": 10, "batch_size": 4, "epochs": 2, "dropout": 0.4}

    def task(seed: int):
        chosen = Chosen(CharlmSettings, {**quick, "seed": seed})
        return charlm_task("the quick brown fox jumps over the lazy dog. " * 12, TextSource(), chosen)

    tasks = [task(seed) for seed in SEEDS[:2]]
    for number, events in trained(tasks).items():
        close(events[-1].result.params, follow(run(task(SEEDS[number]))).params)


def test_one_that_loses_patience_ends_alone_and_the_others_go_on() -> None:
    def tasks() -> list[Tagger]:
        return [Tagger(settings(seed=seed, epochs=12, patience=1, learning_rate=0.08)) for seed in range(3, 6)]

    alone = [len(follow(run(task)).history) for task in tasks()]
    assert len(set(alone)) > 1, "all ended at once: the test shows nothing"
    heard = trained(tasks())
    assert [sum(isinstance(event, Evaluated) for event in events) for events in heard.values()] == alone


def test_a_stop_saves_all_and_they_go_on_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def savings(**more) -> list[Saving]:
        return [Saving(checkpoint=tmp_path / f"seed {seed}", **more) for seed in SEEDS]

    tasks = [Tagger(settings(seed=seed, epochs=8)) for seed in SEEDS]
    evaluations, heard = 0, []
    program = Together(tasks[0], SEEDS)
    with pytest.raises(Interrupted, match="stopped at epoch 2.0 of 8; saved"):
        for number, what in program.run(tasks, savings()):
            heard.append((number, type(what)))
            evaluations += isinstance(what, Evaluated)
            if evaluations == 3:
                signal.raise_signal(signal.SIGTERM)
                evaluations += 1
    assert [number for number, kind in heard if kind is Stopped] == [0, 1]
    monkeypatch.setattr(together.Run, "train", lambda self: pytest.fail("trained alone"))
    resumed = trained(tasks, savings(resume=True))
    monkeypatch.undo()
    whole = trained([Tagger(task.settings) for task in tasks])
    for number, events in resumed.items():
        jax.tree.map(np.testing.assert_array_equal, events[-1].result.params, whole[number][-1].result.params)
        assert read_metadata(tmp_path / f"seed {SEEDS[number]}", "tagger")["history"] == events[-1].result.history


def test_those_that_stand_at_different_steps_go_on_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    savings = [Saving(checkpoint=tmp_path / f"seed {seed}", resume=True) for seed in SEEDS[:2]]
    follow(run(Tagger(settings(seed=SEEDS[0], epochs=2, schedule="constant")), savings[0]))
    tasks = [Tagger(settings(seed=seed, epochs=4, schedule="constant")) for seed in SEEDS[:2]]
    monkeypatch.setattr(together.Together, "_fit", lambda *_: pytest.fail("trained together"))
    heard = trained(tasks, savings)
    monkeypatch.undo()
    for task, events in zip(tasks, heard.values(), strict=True):
        close(events[-1].result.params, follow(run(Tagger(task.settings))).params)
        assert events[-1].result.history[-1]["epoch"] == 4


def test_what_ends_one_is_told_of_it_alone(tmp_path: Path) -> None:
    wild = [Tagger(settings(seed=seed, learning_rate=1e30, clip=0.0, schedule="constant")) for seed in SEEDS[:2]]
    wild[1].has_prior = True  # its untrained network is kept
    heard = trained(wild)
    assert isinstance(heard[0][-1], RnncliError)
    assert "not a number after step" in str(heard[0][-1])
    assert isinstance(heard[1][-1], Finished)


def test_one_program_is_chosen_where_it_was_measured_to_be_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "cache_folder", lambda: tmp_path)
    task = Tagger(settings())
    assert not Together(task, SEEDS).gains(), "over before another program is compiled"
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(parallel, "_WORTH_MEASURING", 0)
    for times, found in (({0: 0.8, 1: 0.6, 2: 0.5}, True), ({0: 0.8, 1: 0.5, 2: 0.4}, False)):
        monkeypatch.setattr(parallel, "_times", lambda run, counts, steps, times=times: dict(times))
        assert Together(task, SEEDS).gains() is found
        monkeypatch.setattr(parallel, "_times", lambda *_: pytest.fail("measured again"))
        assert Together(task, SEEDS).gains() is found
        (tmp_path / "devices.json").unlink()
    assert not Together(task, SEEDS[:1]).gains()
    task.batches.steady = False
    assert not Together(task, SEEDS).gains(), "seeds see batches of different lengths"


@pytest.mark.parametrize("gain", [True, False])
def test_a_sweep_takes_one_program_for_the_seeds_where_that_gains(
    rnncli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gain: bool
) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(monthly_sales(60))
    runs = []
    one, alone = Together.run, trials.run
    monkeypatch.setattr(Together, "gains", lambda self: gain)
    monkeypatch.setattr(Together, "run", lambda self, *given: runs.append("together") or one(self, *given))
    monkeypatch.setattr(trials, "run", lambda *given: runs.append("alone") or alone(*given))
    common = ["forecast", path, "--cell", "gru", "--units", 4, "--window", 8, "--horizon", 2, "--epochs", 2, "--json"]
    document = json.loads(rnncli(*common, "--sweep", "layers=1", "--seeds", 2).out)
    assert runs == (["together"] if gain else ["alone"] * 2)
    figures = {row["values"]["layers"]: row["figures"] for row in document["sweep"]["rows"]}
    single = json.loads(rnncli(*common, "--seed", 1, "--checkpoint", tmp_path / "m").out)
    assert figures[1][1] == pytest.approx(single["scores"]["validation"]["model"]["mase"], rel=1e-4)


def test_a_seed_that_has_ended_is_saved_though_the_others_are_stopped(tmp_path: Path) -> None:
    tasks = [Tagger(settings(seed=seed, epochs=12, patience=1, learning_rate=0.08)) for seed in range(6)]
    savings = [Saving(checkpoint=tmp_path / str(number)) for number in range(6)]
    seen: dict[int, float] = {}
    told = False
    with pytest.raises(Interrupted, match="saved; go on with `resume`"):
        for number, what in Together(tasks[0], range(6)).run(tasks, savings):
            if isinstance(what, Evaluated):
                seen[number] = what.epoch
                if not told and max(seen.values()) - min(seen.values()) > 1:
                    told = True
                    signal.raise_signal(signal.SIGTERM)
    assert all(read_metadata(tmp_path / str(number), "tagger")["history"] for number in range(6))
