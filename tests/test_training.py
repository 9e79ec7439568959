"""The training loop on problems small enough to know the answer, and its checkpoints."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from samples import restored

from rnncli.nn.dropout import dropout_mask
from rnncli.nn.layers import Dense
from rnncli.training import parallel
from rnncli.training.batches import Shuffled
from rnncli.training.checkpoint import CheckpointWriter
from rnncli.training.loop import Plan, Report, TrainState, evaluation, fit, initial_state
from rnncli.training.optimizer import make_optimizer
from rnncli.training.settings import Saving

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
    read = restored(tmp_path / "run", "test", "state", start(model, optimizer))
    assert_equal(read, middle.state)
    assert_equal(reports(read, chunk=3)[-1].state, whole[-1].state)


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
