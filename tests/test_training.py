"""The training loop on problems small enough to know the answer, and its checkpoints."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rnncli.errors import CheckpointError
from rnncli.nn.dropout import dropout_mask
from rnncli.nn.layers import Dense
from rnncli.training import parallel
from rnncli.training.batches import Shuffled
from rnncli.training.checkpoint import CheckpointWriter, restore, resumable
from rnncli.training.loop import Plan, Report, TrainState, evaluation, fit, initial_state
from rnncli.training.optimizer import make_optimizer
from rnncli.training.settings import Saving
from rnncli.training.stored import read_metadata

EXAMPLES, BATCH = 50, 16
X = jax.random.normal(jax.random.key(0), (EXAMPLES, 3))
DATA = {"x": X, "y": X @ jnp.array([[1.0], [-2.0], [0.5]]) + 3.0}


def objective(model, carry, data, indices, key):
    """Least squares, with noise on the inputs and a carry that counts, so that every part of the state matters."""
    x = data["x"][indices] * (1 + 0.01 * dropout_mask(key, 0.5, (len(indices), 3)))
    losses = jnp.square(model(x) - data["y"][indices])[:, 0]
    return (losses * (1 + 1e-3 * carry)).mean(), carry + losses


def evaluate(model, data):
    return {"loss": jnp.square(model(data["x"]) - data["y"]).mean()}


def batches(chunk: int = 200, seed: int = 0) -> Shuffled:
    return Shuffled(EXAMPLES, BATCH, seed, chunk=chunk)


def problem(epochs: int = 6, patience: int | None = None, seed: int = 0) -> tuple[nnx.Module, object, Plan]:
    plan = Plan(batches().steps_per_epoch, epochs, patience, seed)
    return Dense(3, 1, rngs=nnx.Rngs(0)), make_optimizer(0.1, plan.steps, schedule="cosine", warmup=0.1, clip=1.0), plan


def start(model, optimizer) -> TrainState:
    return initial_state(model, optimizer, carry=jnp.zeros(BATCH))


def reports(state: TrainState | None = None, chunk: int = 200, devices: int | None = None, **changes) -> list[Report]:
    model, optimizer, plan = problem(**changes)
    state = start(model, optimizer) if state is None else state
    measure = evaluation(model, evaluate, DATA)
    kept = []
    order = batches(chunk, plan.seed)
    for report in fit(model, optimizer, objective, measure, DATA, order, plan, state, devices):
        kept.append(report._replace(state=jax.tree.map(jnp.copy, report.state)))
    return kept


def assert_equal(one: TrainState, other: TrainState) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_training_solves_least_squares() -> None:
    last = reports(epochs=60)[-1]
    assert last.finished
    assert last.metrics is not None
    assert last.metrics["loss"] < 1e-3


@pytest.mark.parametrize("chunk", [1, 3, 200])
def test_the_number_of_steps_a_dispatch_changes_nothing(chunk: int) -> None:
    assert_equal(reports(chunk=chunk)[-1].state, reports()[-1].state)


def test_devices_that_share_a_batch_change_nothing_but_the_rounding() -> None:
    one, two = (reports(devices=count)[-1].state for count in (1, 2))
    assert (int(one.devices), int(two.devices)) == (1, 2)
    two = two._replace(devices=one.devices)
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6), one, two)


def test_the_measurement_of_devices_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(parallel, "_WORTH_MEASURING", 0.0)
    monkeypatch.setattr(parallel, "_SHARE", 0)
    chosen = reports()[-1].state
    assert list(tmp_path.rglob("devices.json")), "there was a measurement"
    assert_equal(chosen, reports(devices=int(chosen.devices))[-1].state)


def test_a_run_goes_on_with_as_many_devices_as_it_had() -> None:
    whole = reports(chunk=3, devices=2)
    assert_equal(reports(whole[len(whole) // 2].state, chunk=3)[-1].state, whole[-1].state)


@pytest.mark.parametrize("devices", [1, 2])
def test_resumed_equals_never_interrupted_bit_for_bit(tmp_path: Path, devices: int) -> None:
    whole = reports(chunk=3, devices=devices)
    middle = whole[len(whole) // 2]
    assert middle.step % batches().steps_per_epoch, "it should stop within an epoch"
    writer = CheckpointWriter(Saving(checkpoint=tmp_path / "run"))
    writer.save({"task": "test"}, state=middle.state)
    writer.close()
    model, optimizer, _ = problem()
    restored = restore(tmp_path / "run", "test", "state", start(model, optimizer))
    assert_equal(restored, middle.state)
    assert_equal(reports(restored, chunk=3)[-1].state, whole[-1].state)


def test_every_example_is_seen_in_every_epoch_in_another_order() -> None:
    first, second = (batches().order(epoch).ravel() for epoch in (0, 1))
    assert len(first) == 64
    assert set(first) == set(second) == set(range(EXAMPLES))
    assert not np.array_equal(first, second)


def test_the_best_epoch_is_kept_and_patience_stops() -> None:
    def worse_and_worse(params):
        return {
            "loss": float(jnp.square(params["kernel"][...]).sum())
        }  # grows from a small start: the first epoch is best

    model, optimizer, plan = problem(epochs=50, patience=3)
    state = start(model, optimizer)
    state = state._replace(best_loss=jnp.array(1e-9))
    kept = list(fit(model, optimizer, objective, worse_and_worse, DATA, batches(), plan, state))
    assert kept[-1].finished
    assert kept[-1].epoch == 3
    np.testing.assert_array_equal(kept[-1].state.best_params["kernel"][...], model.kernel[...])


def test_resuming_after_early_stopping_trains_no_further() -> None:
    patient = {"epochs": 50, "patience": 2, "seed": 3}
    kept = reports(start(*problem()[:2])._replace(best_loss=jnp.array(0.0)), **patient)
    assert kept[-1].epoch == 2
    assert reports(kept[-1].state, **patient) == []


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    def broken(model, carry, data, indices, key):
        return model(data["x"][indices]).mean() * jnp.nan, carry

    model, optimizer, plan = problem()
    measure = evaluation(model, evaluate, DATA)
    kept = list(fit(model, optimizer, broken, measure, DATA, batches(), plan, start(model, optimizer)))
    assert len(kept) == 1
    assert kept[0].finished


def test_clipping_bounds_the_first_step() -> None:
    params, huge = {"w": jnp.zeros(4)}, {"w": jnp.full(4, 1e6)}
    clipped = make_optimizer(1.0, 10, clip=1.0)
    seen = clipped.update(huge, clipped.init(params), params)[1][1][0].mu["w"]
    np.testing.assert_allclose(jnp.linalg.norm(seen), 0.1, rtol=1e-5)  # Adam's first moment: a tenth of norm 1


def test_a_checkpoint_moves_with_its_folder(tmp_path: Path) -> None:
    writer = CheckpointWriter(Saving(checkpoint=tmp_path / "here"))
    tree = {"kernel": jnp.arange(6.0).reshape(2, 3), "count": jnp.array(7, jnp.int32)}
    writer.save({"task": "test", "note": "ä"}, best=tree)
    writer.save({"task": "test", "note": "ö"}, best=jax.tree.map(lambda leaf: leaf + 1, tree))
    writer.close()
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert read_metadata(tmp_path / "there", "test")["note"] == "ö"
    restored = restore(tmp_path / "there", "test", "best", tree)
    jax.tree.map(np.testing.assert_array_equal, restored, jax.tree.map(lambda leaf: leaf + 1, tree))
    assert len([path for path in (tmp_path / "there").iterdir() if path.name.isdigit()]) == 1


def saved(folder: Path) -> Path:
    writer = CheckpointWriter(Saving(checkpoint=folder))
    writer.save({"task": "test"}, best={"kernel": jnp.ones((2, 3))})
    writer.close()
    return folder


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="already holds a checkpoint; go on with `resume`"):
        CheckpointWriter(Saving(checkpoint=saved(tmp_path / "run")))
    CheckpointWriter(Saving(checkpoint=tmp_path / "run", overwrite=True)).close()
    other = tmp_path / "photos"
    (other / "7").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="no checkpoint folder: it holds '7'"):
        CheckpointWriter(Saving(checkpoint=other, overwrite=True))
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="is a file"):
        CheckpointWriter(Saving(checkpoint=tmp_path / "file"))


def test_a_log_in_the_folder_and_a_removal_cut_short_do_no_harm(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run")
    (folder / "log.jsonl").touch()
    (folder / "0" / "best").mkdir(parents=True)  # what a kill leaves of a step that was being removed
    assert read_metadata(folder, "test")["task"] == "test"
    CheckpointWriter(Saving(checkpoint=folder, resume=True)).close()
    assert sorted(path.name for path in folder.iterdir()) == ["1", "log.jsonl"]


def test_evaluations_within_an_epoch() -> None:
    model, optimizer, plan = problem(epochs=2)
    plan = plan._replace(evaluate_every=3)
    measure = evaluation(model, evaluate, DATA)
    evaluated = [
        report.step
        for report in fit(model, optimizer, objective, measure, DATA, batches(2), plan, start(model, optimizer))
        if report.metrics
    ]
    assert evaluated == [3, 4, 7, 8]


def test_what_is_missing_or_damaged_is_told_in_one_line(tmp_path: Path) -> None:
    like = {"kernel": jnp.ones((2, 3))}
    with pytest.raises(CheckpointError, match="no checkpoint in .*; make one with 'rnncli test train"):
        read_metadata(tmp_path / "nowhere", "test")
    folder = saved(tmp_path / "run")
    with pytest.raises(CheckpointError, match="holds a checkpoint of test, not of charlm"):
        read_metadata(folder, "charlm")
    with pytest.raises(CheckpointError, match="has no state to go on from"):
        restore(folder, "test", "state", like)
    with pytest.raises(CheckpointError, match="damaged"):
        restore(folder, "test", "best", {"kernel": jnp.ones((3, 3))})
    metadata = next(folder.glob("*/_CHECKPOINT_METADATA"))
    content = json.loads(metadata.read_text())
    content["custom_metadata"]["schema"] = 99
    metadata.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="newer rnncli"):
        read_metadata(folder, "test")
    content["custom_metadata"]["schema"] = 1
    metadata.write_text(json.dumps(content))
    assert read_metadata(folder, "test")["schema"] == 1, "its model can be used"
    with pytest.raises(CheckpointError, match="earlier rnncli"):
        resumable(folder, "test", {})
    metadata.write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        read_metadata(folder, "test")


def test_a_truncated_file_is_told_in_one_line_or_was_not_needed(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole")
    wanted = {"kernel": jnp.ones((2, 3))}
    refused = 0
    for number, file in enumerate(sorted(path for path in whole.rglob("*") if path.is_file())):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder)
        (folder / file.relative_to(whole)).write_bytes(b"")
        try:
            read_metadata(folder, "test")
            restored = restore(folder, "test", "best", wanted)
        except CheckpointError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(restored["kernel"], wanted["kernel"])
    assert refused >= 3
