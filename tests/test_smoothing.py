"""Exponential smoothing against plain loops, and the combination against its rule."""

import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnncli as library
from rnncli.forecast import smoothing
from rnncli.forecast.combination import baseline_systems, forecast_each, rolling_origins, smoothing_systems
from rnncli.forecast.origins import Origins
from rnncli.forecast.panel import Panel
from rnncli.forecast.weights import weigh

METHODS = [smoothing.theta, smoothing.damped, smoothing.holt_winters]


def panel(*series: np.ndarray) -> Panel:
    values = np.concatenate(series).astype(np.float64)
    return Panel(values, np.zeros(len(values), bool), np.cumsum([0, *map(len, series)]), "time")


def at(series: np.ndarray, *ends: int) -> Origins:
    of = panel(series)
    places = np.array(ends or (len(series),))
    return Origins(of, np.zeros(len(places), int), places, np.full(len(places), len(series)))


def monthly(size: int = 120) -> np.ndarray:
    time = np.arange(size)
    noise = np.random.default_rng(0).normal(size=size)
    return 100 + time + 20 * np.sin(2 * np.pi * time / 12) + noise


def loop(values: np.ndarray, alpha: float, beta: float, phi: float, level: float, trend: float) -> tuple:
    """The recurrence of the module's docstring without a season, as it stands there."""
    l, b, squares = level, trend, 0.0  # noqa: E741
    for y in values:
        error = y - (l + phi * b)
        l, b = l + phi * b + alpha * error, phi * b + alpha * beta * error  # noqa: E741
        squares += error**2
    return l, b, squares


def test_a_damped_trend_is_the_recurrence_with_the_parameters_of_least_squares() -> None:
    values = np.cumsum(np.random.default_rng(1).normal(size=50)) + np.arange(50)
    grid, trend = smoothing._DAMPED, (values[4] - values[0]) / 4
    runs = []
    for alpha, beta, phi, _ in zip(*grid, strict=True):
        begun = trend if phi > 0 else 0.0
        runs.append((*loop(values, alpha, beta, phi, values[0] - phi * begun, begun), phi))
    level, slope, _, phi = min(runs, key=lambda run: run[2])
    wanted = [level + slope * sum(phi**step for step in range(1, ahead + 1)) for ahead in range(1, 8)]
    np.testing.assert_allclose(smoothing.damped(at(values), 7, 1)[0], wanted, rtol=1e-10)


def test_theta_continues_a_season_and_half_of_a_slope() -> None:
    line = smoothing.theta(at(3 + 2 * np.arange(60.0)), 5, 1)[0]
    np.testing.assert_allclose(np.diff(line), 1.0)
    assert abs(line[0] - 123) < 2
    season = np.tile([10.0, 30.0, 20.0, 40.0], 15)
    np.testing.assert_allclose(smoothing.theta(at(season), 6, 4)[0], [10, 30, 20, 40, 10, 30], rtol=1e-6)
    growth = smoothing.theta(at(np.tile([1.0, 3.0, 2.0, 4.0], 15) * 1.05 ** np.arange(60)), 6, 4, log=True)[0]
    np.testing.assert_allclose(np.diff(np.log(growth / [1, 3, 2, 4, 1, 3])), np.log(1.05) / 2, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_an_origin_sees_nothing_after_it(method) -> None:
    values = monthly()
    changed = values.copy()
    changed[100:] += 1000.0
    ends = (80, 90, 100)
    np.testing.assert_array_equal(method(at(values, *ends), 6, 12), method(at(changed, *ends), 6, 12))


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_many_series_and_origins_at_once_equal_each_by_itself(method, log: bool) -> None:
    series = [monthly(60), monthly(100)[::-1], np.abs(np.random.default_rng(2).normal(size=9)) - 0.5]
    of = panel(*series)
    ends = np.concatenate([of.starts[1:], of.starts[1:3] - 20])
    origins = Origins(of, np.array([0, 1, 2, 0, 1]), ends, ends)
    got = method(origins, 5, 12, log=log)
    for row, number in enumerate(origins.series):
        alone = method(at(series[number], int(origins.lengths[row])), 5, 12, log=log)
        np.testing.assert_allclose(got[row], alone[0], rtol=1e-9)


@given(size=st.integers(1, 40), season=st.sampled_from([1, 2, 4, 12]), seed=st.integers(0, 100))
@hypothesis.settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("method", METHODS)
def test_any_past_gives_finite_forecasts(method, size: int, season: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=size).round(1)
    for log in (False, True):
        assert np.isfinite(method(at(values), 7, season, log=log)).all()


def test_forecasts_follow_the_unit() -> None:
    values = monthly()
    for method in METHODS:
        plain = method(at(values), 6, 12)
        np.testing.assert_allclose(method(at(values * 1e6 + 1e9), 6, 12), plain * 1e6 + 1e9, rtol=1e-9)


def test_weights_follow_the_rule_and_naive_forecasts_stay_out_beside_a_seasonal_one() -> None:
    of = panel(monthly())
    origins = rolling_origins(of, np.array([84]), np.array([120]), 12, 1)
    assert origins.ends.tolist() == list(range(119, 83, -1))
    systems = {**smoothing_systems(12, 12), **baseline_systems(12, 12)}
    forecasts = forecast_each(systems, origins)
    weights = weigh(forecasts, origins, np.ones(1), 12)
    assert set(weights.systems) == set(systems) - {"naive", "drift"}
    assert sum(float(each[0]) for each in weights.systems.values()) == pytest.approx(1)
    truth = origins.future(12)
    assert np.isnan(truth[0]).sum() == 11  # of the last origin, one step is known
    by_step = np.nanmean(np.abs(forecasts["seasonal_naive"][0] - truth), axis=0)
    error = float(by_step.mean())  # every step counts alike
    assert weights.errors["seasonal_naive"][0] == pytest.approx(error)
    # 36 steps are three horizons, and so the power is 4
    ratio = weights.systems["theta"][0] / weights.systems["seasonal_naive"][0]
    assert ratio == pytest.approx((error / weights.errors["theta"][0]) ** 4)


def test_what_is_not_there_is_left_out_of_the_mean() -> None:
    of = panel(monthly(), monthly()[:30])
    origins = Origins.of_ends(of)
    rolling = rolling_origins(of, of.starts[:-1] + 20, of.starts[1:], 6, 12)
    forecasts = forecast_each(smoothing_systems(6, 12), rolling)
    weights = weigh(forecasts, rolling, np.ones(2), 6)
    named = weights.joined(forecast_each(smoothing_systems(6, 12), origins), origins.series)
    whole = weights.combined(named, origins.series)
    named["theta"][1] = np.nan
    holed = weights.combined(named, origins.series)
    np.testing.assert_array_equal(holed[0], whole[0])
    others = [name for name in named if name != "theta"]
    share = np.array([weights.systems[name][1] for name in others])
    wanted = sum(w * named[name][1] for w, name in zip(share / share.sum(), others, strict=True))
    np.testing.assert_allclose(holed[1], wanted)


def test_ets_and_arima_take_part_where_they_are_installed(tmp_path: Path) -> None:
    pytest.importorskip("statsforecast")
    values = 100 + 20 * np.sin(np.arange(96) * np.pi / 6) + np.random.default_rng(0).normal(size=96)
    model = library.forecast.fit(values, horizon=6, season=12, baselines="ets,arima")
    assert {"ets", "arima"} <= set(model.scores["test"])
    assert model.scores["test"]["ets"]["mae"] < 2
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(library.load(tmp_path / "model").predict(values).values, model.predict().values)


def test_a_system_of_a_package_that_is_missing_is_one_line(rnncli, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    path = tmp_path / "y.csv"
    path.write_text("y\n" + "\n".join(str(number % 7) for number in range(40)))
    found = rnncli("forecast", path, "--system", "ets")
    assert (found.code, found.out) == (1, "")
    assert "--baselines ets comes from statsforecast; install rnncli[classical]" in found.err
