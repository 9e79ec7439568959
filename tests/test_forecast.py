"""The maths of forecasting: data, baselines, metrics, models."""

from dataclasses import replace

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rnncli.errors import DataError, ParameterError
from rnncli.forecast import baselines
from rnncli.forecast.data import Dataset, check_trainable, dataset
from rnncli.forecast.defaults import for_lecture, for_series, part_sizes
from rnncli.forecast.metrics import scores
from rnncli.forecast.model import Forecaster
from rnncli.forecast.network import NetworkForecaster
from rnncli.forecast.normalize import window_statistics
from rnncli.forecast.panel import Panel, lecture_panel, lecture_series
from rnncli.forecast.scoring import fit_on
from rnncli.forecast.season import choose_season
from rnncli.forecast.series import Series
from rnncli.forecast.settings import ForecastSettings
from rnncli.forecast.strategies import STRATEGIES
from rnncli.forecast.task import ForecastTask
from rnncli.nn.dropout import DropoutKey


def make_series(values: np.ndarray) -> Series:
    values = np.asarray(values, np.float64)
    missing = np.isnan(values)
    return Series("y", np.where(missing, 0.0, values), missing, None, None, 4, ())


def split(values: np.ndarray, **chosen) -> tuple[ForecastSettings, Dataset]:
    series = make_series(values)
    settings = for_series({"system": "network", **chosen}, len(values), chosen.get("season", 1))
    return settings, dataset(Panel.of([series]), settings)


def lecture_dataset(window: int, horizon: int) -> Dataset:
    return dataset(lecture_panel(window + horizon), for_lecture({"window": window, "horizon": horizon}))


def mse(forecast: np.ndarray, data: Dataset, part: str = "validation") -> float:
    return float(np.square(forecast - data.truth(part)).mean())


def test_the_lectures_data_is_that_of_the_notebook() -> None:
    one, ten = lecture_dataset(50, 1), lecture_dataset(50, 10)
    assert mse(baselines.naive(one.parts["validation"], 1), one) == pytest.approx(0.020211367, abs=5e-9)
    assert mse(baselines.naive(ten.parts["validation"], 10), ten) == pytest.approx(0.257, abs=5e-4)
    assert [len(ten.parts[part]) for part in ("train", "validation", "test")] == [7000, 2000, 1000]
    assert lecture_series(3, 20).dtype == np.float32


def test_the_closed_form_linear_model_has_the_exact_least_squares_error() -> None:
    for horizon, wanted in ((1, 0.00293), (10, 0.0155)):
        data = lecture_dataset(50, horizon)
        linear = fit_on(data, for_lecture({"horizon": horizon}))
        assert mse(linear(data.parts["validation"]), data) == pytest.approx(wanted, rel=5e-3)


def test_parts_follow_each_other_in_time_and_share_no_target() -> None:
    settings, data = split(np.sin(np.arange(200.0)), horizon=6, window=10)
    targets = {part: origins.ends[:, None] + np.arange(6) for part, origins in data.parts.items()}
    assert targets["train"].max() < targets["validation"].min()
    assert targets["validation"].max() < targets["test"].min()
    assert targets["test"].max() == 199
    assert targets["test"].min() == 200 - 18  # a tenth, in whole horizons
    assert (np.diff(data.parts["test"].ends) == 1).all()
    assert settings.window == 10


def test_filled_values_are_neither_scored_nor_the_end_of_a_window() -> None:
    values = np.sin(np.arange(200.0))
    values[190:193] = np.nan
    _, data = split(values, horizon=6, window=10)
    ends = data.parts["test"].ends
    assert not set(ends - 1) & {190, 191, 192}
    assert {189, 193} <= set(ends - 1)
    places = ends[:, None] + np.arange(6)
    np.testing.assert_array_equal(np.isnan(data.truth("test")), np.isin(places, [190, 191, 192]))


def test_a_short_series_is_told_how_many_rows_and_which_window() -> None:
    values = np.arange(40.0)
    settings, data = split(values, horizon=5, window=30)
    with pytest.raises(
        DataError, match=r"40 rows are too few for a network: `window` 30 and `horizon` 5.* need 50; use"
    ):
        check_trainable(data, settings)
    settings, data = split(values, horizon=5, window=20)
    check_trainable(data, settings)
    settings, data = split(values, horizon=20)
    with pytest.raises(DataError, match="use `horizon` 9"):
        check_trainable(data, settings)


def test_baselines_on_a_line_and_on_a_season() -> None:
    _, line = split(3.0 + 2.0 * np.arange(100), horizon=4, window=8)
    test = line.parts["test"]
    np.testing.assert_allclose(baselines.drift(test, 4), line.truth("test"))
    np.testing.assert_allclose(baselines.naive(test, 4), line.truth("test") - 2.0 * np.arange(1, 5))
    settings, wave = split(np.tile([1.0, 5.0, 2.0], 40), horizon=7, window=8, season=3, normalize="last", cell="linear")
    test = wave.parts["test"]
    np.testing.assert_array_equal(baselines.seasonal_naive(test, 7, 3), wave.truth("test"))
    np.testing.assert_allclose(fit_on(wave, settings)(test), wave.truth("test"), atol=0.02)
    fed_back = ForecastTask(replace(settings, strategy="recursive"), wave)
    recursive = NetworkForecaster.of(fed_back.model, wave.scaling)(test)
    np.testing.assert_allclose(recursive, wave.truth("test"), atol=0.05)


def test_season_from_the_autocorrelation() -> None:
    time = np.arange(300)
    noise = np.random.default_rng(0).normal(size=300)

    def season(values: np.ndarray) -> int:
        return choose_season([make_series(values)])

    assert season(np.sin(2 * np.pi * time / 12) + 0.01 * time + 0.1 * noise) == 12
    assert season(noise) == 1
    assert season(np.cumsum(noise)) == 1
    assert season(np.arange(5.0)) == 1
    # of a day and a week, the week, if it repeats more clearly; of a season and its double, the season
    hours = np.arange(24 * 7 * 8)
    day, weekend = np.sin(2 * np.pi * hours / 24), (hours // 24 % 7 >= 5) * 2.0
    assert season(day + weekend + 0.1 * np.random.default_rng(1).normal(size=len(hours))) == 168
    assert season(np.tile([1.0, 5.0, 2.0, 3.0, 1.1, 5.1, 2.1, 3.1], 30)) == 4
    # slow cycles hide a season of the differences
    assert season(np.cumsum(np.random.default_rng(4).normal(size=60)) + np.tile([3.0, 0, -3, 0], 15)) == 4


def test_many_series_have_their_season_in_common() -> None:
    generator, time = np.random.default_rng(0), np.arange(60)
    noisy = [np.sin(2 * np.pi * (time + shift) / 12) + 1.5 * generator.normal(size=60) for shift in range(40)]
    assert choose_season([make_series(values) for values in noisy]) == 12


def test_metrics_by_hand() -> None:
    got = scores(np.array([[1.0, 2.0], [4.0, 0.0]]), np.array([[2.0, 2.0], [2.0, 1.0]]), naive_scale=0.5)
    assert got["mse"] == pytest.approx((1 + 0 + 4 + 1) / 4)
    assert got["mae"] == pytest.approx(1.0)
    assert got["rmse"] == pytest.approx(1.5**0.5)
    assert got["mase"] == pytest.approx(2.0)
    assert got["smape"] == pytest.approx((200 / 3 + 0 + 400 / 6 + 200) / 4)
    assert got["mape"] is None  # a true value is 0
    assert got["mse_by_step"] == pytest.approx([2.5, 0.5])
    assert got["mae_by_step"] == pytest.approx([1.5, 0.5])
    got = scores(np.array([[1.0, np.nan], [4.0, np.nan]]), np.array([[2.0, 2.0], [2.0, 1.0]]), 0.5)
    assert (got["mae"], got["mse_by_step"]) == (1.5, [2.5, None])
    assert got["mape"] == pytest.approx((100 + 50) / 2)


SHAPES = st.floats(-3, 3, width=32)


@given(windows=arrays(np.float64, (2, 12), elements=SHAPES), slope=st.floats(0.5, 20), shift=st.floats(-50, 50))
@hypothesis.settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("normalize", ["last", "mean", "median"])
def test_normalised_windows_do_not_know_level_and_scale(
    normalize: str, windows: np.ndarray, slope: float, shift: float
) -> None:
    level, scale = window_statistics(windows, normalize, np)
    moved_level, moved_scale = window_statistics(windows * slope + shift, normalize, np)
    told = ((scale > 0.011) & (moved_scale > 0.011)).all(1)  # below, the floor of the scale takes over
    wanted, got = (windows - level) / scale, (windows * slope + shift - moved_level) / moved_scale
    np.testing.assert_allclose(got[told], wanted[told], atol=1e-6)


ALL = [
    (cell, strategy)
    for cell in ("simple", "lstm", "gru", "wavenet", "linear")
    for strategy in ("recursive", "direct", "seq2seq", "encoder-decoder")
    if not (cell == "linear" and strategy in ("seq2seq", "encoder-decoder"))
    and not (cell == "wavenet" and strategy == "encoder-decoder")
]


@pytest.mark.parametrize("normalize", ["none", "last"])
@pytest.mark.parametrize(("cell", "strategy"), ALL)
def test_every_model_forecasts_learns_and_follows_the_level(cell: str, strategy: str, normalize: str) -> None:
    settings = ForecastSettings(
        window=12, horizon=3, cell=cell, strategy=strategy, normalize=normalize, layers=1, units=4, loss_from=6
    )
    model = Forecaster(settings, rngs=nnx.Rngs(0))
    slices = jax.random.normal(jax.random.key(0), (5, 15))
    forecast = model(slices[:, :12])
    assert forecast.shape == (5, 3)
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    loss, grads = jax.value_and_grad(
        lambda p: nnx.merge(graph, p, rest).loss(slices, DropoutKey.of_batch(jax.random.key(1), 5))
    )(params)
    assert np.isfinite(loss)
    assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(grads))
    if normalize == "last":
        np.testing.assert_allclose(model(slices[:, :12] * 2 + 7), forecast * 2 + 7, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("normalize", ["none", "last", "mean"])
@pytest.mark.parametrize("cell", ["lstm", "wavenet"])
def test_seq2seq_never_sees_its_own_future(cell: str, normalize: str) -> None:
    settings = ForecastSettings(window=20, horizon=3, cell=cell, normalize=normalize, units=4, loss_from=8)
    model, seq2seq = Forecaster(settings, rngs=nnx.Rngs(0)), STRATEGIES["seq2seq"]
    windows = jax.random.normal(jax.random.key(0), (2, 20))
    changed = windows.at[:, 13:].add(5.0)

    def each_step(windows: jax.Array) -> jax.Array:
        x, level, scale = seq2seq.normalised(model, windows)
        return seq2seq.every_step(model, x, None) * scale[None] + level[None]

    one, other = each_step(windows), each_step(changed)
    np.testing.assert_array_equal(one[8:13], other[8:13])
    assert not np.allclose(one[13:], other[13:])


def test_the_linear_path_starts_from_the_closed_form() -> None:
    settings, data = split(np.sin(np.arange(150.0) / 5) * np.arange(150.0), horizon=4, window=16)
    assert settings.linear_skip
    task = ForecastTask(settings, data)
    assert task.linear is not None
    got = NetworkForecaster.of(task.model, data.scaling)(data.parts["test"])
    np.testing.assert_allclose(got, task.linear(data.parts["test"]), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("window", [20, 21])
def test_a_convolution_ends_at_the_newest_value(window: int) -> None:
    # with nothing read out, a forecast is the value that it is told from: it has to be the last one
    settings = ForecastSettings(window=window, horizon=3, conv=True, units=4, layers=1, normalize="last", loss_from=8)
    model = Forecaster(settings, rngs=nnx.Rngs(0))
    model.readout.kernel[...] = jnp.zeros_like(model.readout.kernel[...])
    rising = jnp.arange(float(window))[None]
    np.testing.assert_allclose(
        model(rising), [[window - 1.0] * 3], atol=1e-4
    )  # each forecast is told from the last value


def test_a_recursive_model_is_fed_its_own_forecasts() -> None:
    settings = ForecastSettings(window=6, horizon=3, strategy="recursive", units=4, layers=1)
    model = Forecaster(settings, rngs=nnx.Rngs(0))
    window = jax.random.normal(jax.random.key(0), (1, 6))
    wanted = []
    for _ in range(3):
        wanted.append(model(window)[:, :1])
        window = jnp.concatenate([window[:, 1:], wanted[-1]], 1)
    np.testing.assert_allclose(
        model(jax.random.normal(jax.random.key(0), (1, 6))), jnp.concatenate(wanted, 1), atol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "linear", "strategy": "seq2seq"}, "`cell` linear knows `strategy` direct and recursive"),
        ({"cell": "wavenet", "strategy": "encoder-decoder"}, "`cell` wavenet has no state"),
        ({"bidirectional": True, "strategy": "seq2seq"}, "`bidirectional` would let"),
        ({"conv": True, "window": 3, "loss_from": 0}, "`conv_kernel` 4 is longer than `window` 3"),
        ({"layers": 0}, "`layers` 0"),
        ({"patch": 5, "strategy": "direct", "window": 4}, "`patch` 5 is longer than `window` 4"),
        ({"loss_from": 50}, "`loss_from` 50 must lie in the window of 50"),
        ({"cell": "wavenet", "dropout": 0.1}, "`dropout` needs a recurrent `cell`, not wavenet"),
        ({"linear_skip": True}, "`linear_skip` needs the whole window"),
    ],
)
def test_settings_that_contradict_each_other_are_named(options: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ForecastSettings(**options)


@given(size=st.integers(4, 600), season=st.sampled_from([1, 4, 7, 12, 52, 365]), horizon=st.integers(1, 30))
@hypothesis.settings(max_examples=60, deadline=None)
def test_the_defaults_fit_any_series(size: int, season: int, horizon: int) -> None:
    test, validation = part_sizes(size, horizon, season, 0.1, 0.1)
    assert test % horizon == 0
    assert 1 <= validation < size - test
    settings = for_series({"horizon": horizon}, size, season)
    data = dataset(Panel.of([make_series(np.sin(np.arange(size)) + np.arange(size))]), settings)
    if settings.trains:
        check_trainable(data, settings)


@pytest.mark.parametrize("season", [1, 4, 12])
def test_the_default_window_has_no_cliff(season: int) -> None:
    windows = [for_series({"horizon": 12}, size, season).window for size in range(40, 400)]
    steps = np.diff(windows)
    assert (steps >= 0).all()
    assert steps.max() <= season


def test_choices_win_over_the_preset_and_the_preset_over_the_defaults() -> None:
    settings = for_lecture({"units": 7}, "lecture")
    assert (settings.units, settings.schedule, settings.layers) == (7, "constant", 2)
