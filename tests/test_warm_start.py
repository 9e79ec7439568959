"""Beginning with a saved model, ensembles in one program, and quantiles of a network."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from flax import nnx

import rnncli
from rnncli.errors import ParameterError
from rnncli.forecast.covariates import NO_COVARIATES
from rnncli.forecast.data import dataset
from rnncli.forecast.ensemble import Ensemble
from rnncli.forecast.model import LEVELS, Forecaster
from rnncli.forecast.panel import Panel, lecture_panel
from rnncli.forecast.settings import ForecastSettings
from rnncli.forecast.strategies import pinball
from rnncli.forecast.task import ForecastTask
from rnncli.training.batches import Replayed, Shuffled
from rnncli.training.loop import fit

SMALL = {"cell": "gru", "units": 4, "window": 24, "epochs": 2, "season": 12}


def wave(size: int, level: float = 20.0) -> np.ndarray:
    time = np.arange(size)
    return level + 5 * np.sin(time * np.pi / 6) + 0.02 * time


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warm") / "model"
    rnncli.forecast.fit(wave(100), horizon=6, **SMALL, system="network", checkpoint=folder)
    return folder


def parameters(model) -> dict[str, np.ndarray]:
    flat = nnx.to_flat_state(nnx.state(model.network, nnx.Param))
    return {".".join(map(str, path)): np.asarray(leaf[...]) for path, leaf in flat}


def test_a_training_begins_with_the_saved_parameters(saved: Path) -> None:
    """At a rate of nothing, they stay what they were, for data of another length and level."""
    again = rnncli.forecast.fit(wave(150, 900), from_model=saved, epochs=1, learning_rate=1e-12, system="network")
    assert again.settings.units == 4
    assert again.settings.window == 24
    assert again.settings.horizon == 6
    old = parameters(rnncli.load(saved))
    for name, now in parameters(again).items():
        np.testing.assert_allclose(now, old[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("horizon", [4, 9])
def test_another_horizon_keeps_the_steps_there_are(saved: Path, horizon: int) -> None:
    same = {"epochs": 1, "learning_rate": 1e-12, "system": "network"}
    again = rnncli.forecast.fit(wave(150), from_model=saved, horizon=horizon, **same)
    old, now = parameters(rnncli.load(saved)), parameters(again)
    for name in ("readout.kernel", "readout.bias", "skip.kernel", "skip.bias"):
        shared = min(horizon, 6)
        np.testing.assert_allclose(now[name][..., :shared], old[name][..., :shared], atol=1e-6)
        for step in range(shared, horizon):
            np.testing.assert_allclose(now[name][..., step], old[name][..., 5], atol=1e-6)


def test_frozen_layers_stay_and_the_readout_learns(saved: Path) -> None:
    other = np.abs(wave(200, 0)) + np.random.default_rng(0).normal(size=200)
    again = rnncli.forecast.fit(other, from_model=saved, epochs=20, freeze=True, system="network", learning_rate=0.01)
    assert again.result is not None
    assert again.result.best_epoch > 0
    old, now = parameters(rnncli.load(saved)), parameters(again)
    for name in old:
        changed = not np.array_equal(old[name], now[name])
        assert changed == (not name.startswith("stack")), name


def test_what_the_saved_model_decides_cannot_be_changed(rnncli, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text("y\n" + "\n".join(f"{value:.3f}" for value in wave(120)))
    for arguments, message in (
        (("--from", saved, "--units", 8), "--units 8: the model in --from"),
        (("--from", saved, "--window", 36), "--window 36: the model in --from"),
        (("--freeze",), "name that with --from"),
        (("--replay", path), "name that with --from"),
        (("--from", tmp_path / "none"), "no checkpoint in"),
        (("--from", saved, "--replay", tmp_path / "none.csv"), "none.csv"),
    ):
        found = rnncli("forecast", path, *arguments)
        assert found.code in (1, 2)
        assert [message in line for line in found.err.splitlines() if line.startswith("error:")] == [True]


def test_old_data_is_replayed(rnncli, saved: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text("y\n" + "\n".join(f"{value:.3f}" for value in wave(100)))
    new.write_text("y\n" + "\n".join(f"{value:.3f}" for value in 50 - wave(120)))
    common = (new, "--from", saved, "--epochs", 2, "--system", "network")
    alone = rnncli("forecast", *common)
    replayed = rnncli("forecast", *common, "--replay", old)
    assert replayed.code == alone.code == 0
    assert "replays 71 windows of 1 series" in replayed.err
    assert replayed.out != alone.out


def test_a_fifth_of_a_batch_is_old_and_resuming_sees_the_same() -> None:
    batches = Replayed(Shuffled(100, 8, seed=3), batch=10, first=500, count=40, seed=3)
    rows, steps = batches(0)
    assert (batches.batch, steps) == (10, 13)
    new, old = rows[:steps, :8], rows[:steps, 8:]
    assert set(new.ravel()) == set(range(100))
    assert (old >= 500).all()
    assert (old < 540).all()
    np.testing.assert_array_equal(batches(5)[0][: steps - 5], rows[5:steps])


def ensemble_task(size: int, seed: int = 0) -> ForecastTask:
    more = {"batch_size": 64, "epochs": 1, "learning_rate": 0.01, "clip": 0.1}
    settings = ForecastSettings(cell="gru", units=6, layers=1, ensemble=size, strategy="direct", seed=seed, **more)
    panel = lecture_panel(60)
    few = Panel.of_array(panel.values.reshape(-1, 60)[:400])
    return ForecastTask(settings, dataset(few, settings))


def test_each_network_of_an_ensemble_learns_as_if_it_were_alone() -> None:
    """Losses, gradients, clipping and Adam of three in one program equal those of each by itself."""
    together = ensemble_task(3)
    graph, stacked = nnx.split(together.model)
    one = ensemble_task(1)
    trained = trained_params(together, stacked)
    for number in range(3):
        alone = trained_params(one, of_member(one, together.model, number))
        for path, leaf in nnx.to_flat_state(alone):
            whole = dict(nnx.to_flat_state(trained))[("stacked", *path)]
            np.testing.assert_allclose(whole[...][number], leaf[...], atol=2e-5, err_msg=str(path))
    merged = nnx.merge(graph, trained)
    windows = together.data["values"][: 5 * 60].reshape(5, 60)[:, :50]
    each = [nnx.merge(nnx.graphdef(one.model), of_member(one, merged, number))(windows) for number in range(3)]
    np.testing.assert_allclose(merged(windows), np.mean(each, 0), atol=1e-5)


def of_member(one: ForecastTask, model: Ensemble, number: int):
    own = jax.tree.map(lambda array: array[number], nnx.state(model.stacked, nnx.Param))
    return nnx.from_flat_state([(path, leaf) for path, leaf in nnx.to_flat_state(own)])


def trained_params(task: ForecastTask, params):
    from rnncli.training.loop import initial_state

    model = nnx.merge(nnx.graphdef(task.model), params)
    state = initial_state(model, task.optimizer)
    reports = fit(model, task.optimizer, task.loss, task.evaluate, task.data, task.batches, task.plan, state, 1)
    return list(reports)[-1].state.params


def test_an_ensemble_is_saved_whole(tmp_path: Path) -> None:
    model = rnncli.forecast.fit(wave(100), horizon=6, **SMALL, ensemble=2, system="network")
    model.save(tmp_path / "model")
    loaded = rnncli.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(wave(100)).values, model.predict().values)
    with pytest.raises(ParameterError, match="`ensemble`"):
        rnncli.forecast.fit(wave(100), horizon=6, cell="linear", strategy="direct", ensemble=2)


def test_quantiles_of_a_network_never_cross() -> None:
    settings = ForecastSettings(cell="gru", units=8, strategy="direct", loss="pinball", horizon=5, window=20)
    model = Forecaster(settings, NO_COVARIATES, rngs=nnx.Rngs(0))
    windows = jax.random.normal(jax.random.key(0), (50, 20)) * 10
    found = model.quantiles(windows)
    assert found.shape == (50, 5, len(LEVELS))
    assert (jnp.diff(found, axis=-1) > 0).all()
    np.testing.assert_allclose(found[..., LEVELS.index(0.5)], model(windows), rtol=1e-5)


def test_the_pinball_loss_is_least_at_the_quantiles() -> None:
    draw = np.random.default_rng(0).normal(size=(4000, 1))
    right = np.quantile(draw, LEVELS)
    losses = [
        float(pinball(jnp.broadcast_to(right + shift, (4000, 1, len(LEVELS))), jnp.array(draw)).mean())
        for shift in (-0.1, 0, 0.1)
    ]
    assert losses[1] < min(losses[0], losses[2])
    distance = draw[:, :, None] - right
    by_hand = 2 * np.where(distance > 0, np.array(LEVELS) * distance, (np.array(LEVELS) - 1) * distance).mean()
    assert losses[1] == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.slow
def test_a_network_that_learns_quantiles_prints_them() -> None:
    """Noise whose size depends on the last value: the errors at rolling origins are of one size, the quantiles not."""
    draw = np.random.default_rng(0)
    values = np.zeros(1500)
    for step in range(1, 1500):
        values[step] = np.sign(values[step - 1]) * -1 + draw.normal() * (0.05 if values[step - 1] > 0 else 0.8)
    sizes = {"cell": "gru", "units": 12, "window": 4, "patch": 1, "horizon": 1, "season": 1, "epochs": 30}
    model = rnncli.forecast.fit(values, **sizes, loss="pinball", system="network", learning_rate=0.01, normalize="none")
    widths = []
    for last in (1.0, -1.0):
        past = np.where(np.arange(40) % 2 == 1, last, -last)
        ahead = model.predict(past)
        low, middle, high = (ahead.quantiles(level, conformal=False)[0] for level in (0.1, 0.5, 0.9))
        assert low < middle < high
        assert middle == pytest.approx(ahead.values[0], abs=1e-6)
        widths.append(high - low)
    assert widths[1] > 3 * widths[0]


def test_other_covariates_than_those_of_the_saved_model_are_refused(tmp_path: Path) -> None:
    table = pd.DataFrame({"y": wave(100), "x": np.arange(100) % 5, "z": np.arange(100) % 3})
    columns = {"target": "y", "horizon": 2}
    rnncli.forecast.fit(table, **SMALL, **columns, past_covariates="x", checkpoint=tmp_path / "model")
    for other in ({}, {"past_covariates": "z"}, {"past_covariates": "x", "static": "z"}):
        with pytest.raises(ParameterError, match="has other covariates: `past_covariates` x; name the same"):
            rnncli.forecast.fit(table, **columns, **other, from_model=tmp_path / "model")
    # the same ones are told in the units of the saved model
    again = rnncli.forecast.fit(table * 3, **columns, past_covariates="x", from_model=tmp_path / "model", epochs=1)
    saved = rnncli.load(tmp_path / "model")
    assert again.metadata["series"]["covariates"]["past"] == saved.metadata["series"]["covariates"]["past"]


@pytest.mark.slow
def test_a_network_of_quantiles_stays_one(saved: Path, tmp_path: Path) -> None:
    rnncli.forecast.fit(wave(100), horizon=3, **SMALL, loss="pinball", checkpoint=tmp_path / "q", system="network")
    again = rnncli.forecast.fit(wave(120), from_model=tmp_path / "q", epochs=1, horizon=5)
    assert again.settings.loss == "pinball"
    for folder, loss in ((tmp_path / "q", "mae"), (saved, "pinball")):
        with pytest.raises(ParameterError, match=f"`loss` {loss}: the model in `from_model`"):
            rnncli.forecast.fit(wave(120), from_model=folder, loss=loss)


def test_a_training_is_resumed_from_the_same_beginning_only(rnncli, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text("y\n" + "\n".join(f"{value:.3f}" for value in wave(120)))
    common = ("forecast", "--checkpoint", tmp_path / "new", "-q")
    begun = rnncli(*common, path, "--epochs", 2, "--horizon", 6, "--from", saved)
    assert rnncli(*common, "--resume").out == begun.out  # the checkpoint knows what it began with
    other = rnncli(*common, "--resume", "--replay", path)  # and another one is refused
    assert (other.code, other.out) == (1, "")
    assert "was trained on other data" in other.err
