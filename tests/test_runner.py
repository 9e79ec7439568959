"""The conductor of trainings, with a task from outside the package."""

import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from samples import restored
from tagger import Network, Tagger

from rnncli.errors import CheckpointError, Interrupted, ParameterError, RnncliError
from rnncli.nn.initial import with_parameters
from rnncli.training import runner
from rnncli.training.checkpoint import save_model
from rnncli.training.events import Diverged, Evaluated, Finished, Note, Progress, Saved, Stopped, follow
from rnncli.training.runner import run
from rnncli.training.settings import Saving, Training
from rnncli.training.stored import read_metadata


def settings(**changes) -> Training:
    return Training(**{"epochs": 3, "learning_rate": 0.01, **changes})


def equal(one, other) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_task_is_trained_saved_loaded_and_scored(tmp_path: Path) -> None:
    events = list(run(Tagger(settings(epochs=20)), Saving(checkpoint=tmp_path / "tags")))
    kinds = [type(event) for event in events]
    assert kinds[-1] is Finished
    assert kinds.count(Evaluated) == 20
    assert kinds.count(Saved) >= 2
    result = events[-1].result
    assert result.scored.scores["validation"]["model"]["accuracy"] > 0.8
    assert [point["epoch"] for point in result.history] == list(range(1, 21))
    losses = [point["validation"] for point in result.history]
    assert result.best_epoch == 1 + int(np.argmin(losses))
    metadata = read_metadata(tmp_path / "tags", "tagger")
    assert (metadata["letters"], metadata["config"]) == (26, settings(epochs=20).as_dict())
    assert metadata["scores"] == result.scored.scores
    task = Tagger(settings())
    equal(restored(tmp_path / "tags", "tagger", "best", nnx.state(task.model, nnx.Param)), result.params)


@pytest.mark.slow  # the tasks of the package are killed in test_kills.py
def test_killed_and_resumed_equals_never_killed_bit_for_bit(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("tagger.py"))]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with subprocess.Popen([*command, str(killed), "60", "0.01"], stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not list(killed.glob("[0-9]*/_CHECKPOINT_METADATA")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None, "the training came to its end before it was killed"
        process.kill()
    done = [
        subprocess.run([*command, str(folder), "60", "9"], capture_output=True, text=True, check=True).stdout
        for folder in (killed, whole)
    ]
    assert done[0] == done[1]
    task = Tagger(settings())
    like = runner.initial_state(task.model, task.optimizer, task.carry)
    equal(*(restored(folder, "tagger", "state", like) for folder in (killed, whole)))


class SignalAt:
    """Stands for the operating system: a signal comes after so many reports."""

    def __init__(self, reports: int):
        self.left = reports

    @property
    def signal(self) -> int | None:
        self.left -= 1
        return 15 if self.left < 0 else None

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass


def stopped_after(reports: int, folder: Path | None, monkeypatch: pytest.MonkeyPatch, **changes) -> list:
    monkeypatch.setattr(runner, "stop_requests", lambda: SignalAt(reports))
    task, events = Tagger(settings(**changes)), []
    task.batches.chunk = 2  # of the 10 steps of an epoch
    with pytest.raises(Interrupted) as error:
        follow(run(task, Saving(checkpoint=folder)), events.append)
    assert error.value.exit_code == 143
    return [*events, error.value]


def test_what_was_learnt_before_the_first_evaluation_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *events, error = stopped_after(3, tmp_path / "tags", monkeypatch)
    assert not any(isinstance(event, Evaluated) for event in events)
    assert "epoch 0.8 of 3; saved; go on with `resume`" in str(error)
    task = Tagger(settings())
    saved = restored(tmp_path / "tags", "tagger", "best", nnx.state(task.model, nnx.Param))
    untrained = task.evaluate(nnx.state(task.model, nnx.Param))["loss"]
    assert task.evaluate(saved)["loss"] < untrained - 0.01
    state = runner.initial_state(task.model, task.optimizer, task.carry)
    assert int(restored(tmp_path / "tags", "tagger", "state", state).best_step) == 0, "a resumed training knows nothing"


def test_a_stop_that_came_after_a_better_evaluation_keeps_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped_after(7, tmp_path / "tags", monkeypatch, learning_rate=0.5)
    task = Tagger(settings())
    like = nnx.state(task.model, nnx.Param)
    state = runner.initial_state(task.model, task.optimizer, task.carry)
    best = restored(tmp_path / "tags", "tagger", "best", like)
    assert task.evaluate(best)["loss"] <= float(restored(tmp_path / "tags", "tagger", "state", state).best_loss) + 1e-6


def test_without_a_folder_a_stop_says_that_nothing_was_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    *events, error = stopped_after(1, None, monkeypatch)
    assert isinstance(events[-1], Stopped)
    assert "nothing was saved: no `checkpoint` was given" in str(error)


def test_nothing_to_resume_is_told_and_another_configuration_is_refused(tmp_path: Path) -> None:
    saving = Saving(checkpoint=tmp_path / "tags", resume=True)
    events: list = []
    first = follow(run(Tagger(settings()), saving), events.append)
    assert isinstance(events[0], Note)
    assert "nothing to resume" in events[0].text
    again = follow(run(Tagger(settings()), saving))
    equal(again.params, first.params)
    with pytest.raises(CheckpointError, match=r"another configuration: `batch_size` 32 → 16"):
        follow(run(Tagger(settings(batch_size=16)), saving))
    with pytest.raises(ParameterError, match="`resume` goes on with a checkpoint, `overwrite` replaces it"):
        Saving(checkpoint=tmp_path, resume=True, overwrite=True)


def test_a_loss_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    wild = {"learning_rate": 1e30, "clip": 0.0, "schedule": "constant"}
    with pytest.raises(RnncliError, match=r"not a number after step \d+; lower `learning_rate` \(now 1e\+30\)"):
        follow(run(Tagger(settings(**wild))))
    task = Tagger(settings(**wild))
    task.has_prior = True
    events: list = []
    result = follow(run(task), events.append)
    assert any(isinstance(event, Diverged) for event in events)
    assert result.untrained_is_best


class Fragile(nnx.Module):
    """Divides by zero where a batch has one certain word."""

    def __init__(self, word: np.ndarray):
        self.word = tuple(word.tolist())

    def __call__(self, letters, hidden):
        there = (letters == jnp.array(self.word)[:, None]).all(0).any()
        return hidden / jnp.where(there, 0.0, 1.0)


class FragileNetwork(Network):
    def __init__(self, *, word: np.ndarray, rngs: nnx.Rngs):
        super().__init__(rngs=rngs)
        self.fragile = Fragile(word)

    def __call__(self, letters, key=None):
        return self.output(self.fragile(letters, self.stack(self.embedding(letters), key=key)[0]))


def test_the_module_is_named_where_a_loss_that_is_no_number_comes_from() -> None:
    task = Tagger(settings())
    seventh = task.batches.order(0)[6][0]
    task.model = FragileNetwork(word=np.asarray(task.data["letters"])[:, seventh], rngs=nnx.Rngs(0))
    with pytest.raises(RnncliError, match=r"at step 7, first in fragile \(Fragile\); lower `learning_rate`"):
        follow(run(task, Saving(detect_anomaly=True)))
    wild = {"learning_rate": 1e30, "clip": 0.0, "schedule": "constant"}
    with pytest.raises(RnncliError, match=r"at step \d+, (as the parameter|first in|in the loss)"):
        follow(run(Tagger(settings(**wild)), Saving(detect_anomaly=True)))


def test_progress_counts_examples(tmp_path: Path) -> None:
    events = [event for event in run(Tagger(settings())) if isinstance(event, Progress)]
    assert events[-1].epoch == events[-1].epochs == 3
    assert {(event.unit, event.criterion) for event in events} == {("words", "loss")}
    assert all(event.rate > 0 for event in events)


@pytest.mark.parametrize("name", ["m[2]", "back\\slash", "p[1]/star*/m", "caf\u00e9", "ck\udcff"])
def test_a_checkpoint_can_be_read_wherever_it_stands(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    model = Network(rngs=nnx.Rngs(0))
    params = nnx.state(model, nnx.Param)
    save_model(folder, {"task": "tagger"}, best=params)
    other = Network(rngs=nnx.Rngs(1))
    read = with_parameters(other, restored(folder, "tagger", "best", nnx.state(other, nnx.Param)))
    equal(nnx.state(read, nnx.Param), params)
