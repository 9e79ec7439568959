"""Backtests and intervals: what an origin knows, what is printed, how much of the truth intervals hold."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnncli.forecast.backtest import backtest
from rnncli.forecast.intervals import Intervals
from rnncli.forecast.origins import Origins
from rnncli.forecast.panel import Panel
from rnncli.forecast.settings import ForecastSettings
from rnncli.forecast.source import SeriesSource
from rnncli.forecast.verb_settings import Backtesting
from rnncli.settings import Chosen


def noisy(size: int = 150) -> np.ndarray:
    time = np.arange(size)
    return 100 + 0.5 * time + 20 * np.sin(2 * np.pi * time / 12) + np.random.default_rng(3).normal(0, 3, size)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    path = tmp_path / "series.csv"
    lines = [f"{2001 + month // 12}-{month % 12 + 1:02d},{value:.3f}\n" for month, value in enumerate(noisy())]
    path.write_text("month,sold\n" + "".join(lines))
    return path


def run(values: np.ndarray, **plan):
    chosen = Chosen(ForecastSettings, {"horizon": 6, "season": 12})
    return backtest(values, SeriesSource(), chosen, Backtesting(**plan))


def test_a_row_for_each_origin_and_step(rnncli, series: Path) -> None:
    result = rnncli("forecast", "backtest", series, "--horizon", 3, "--origins", 4, "--stride", 2, "--quantiles", "0.9")
    assert result.code == 0, result.err
    assert result.rows[0] == ["origin", "step", "month", "actual", "forecast", "q90"]
    assert len(result.rows) == 1 + 4 * 3
    assert [row[0] for row in result.rows[1::3]] == ["2012-09", "2012-11", "2013-01", "2013-03"]
    assert result.rows[-1][:3] == ["2013-03", "3", "2013-06"]
    np.testing.assert_allclose(float(result.rows[-1][3]), noisy()[-1], atol=1e-3)


def test_the_document_has_every_system_over_all_origins(rnncli, series: Path) -> None:
    options = ("--horizon", 3, "--origins", 5, "--stride", 1)
    document = json.loads(rnncli("forecast", "backtest", series, *options, "--json", "-q").out)
    table = rnncli("forecast", "backtest", series, *options, "-q").rows[1:]
    errors = [abs(float(row[3]) - float(row[4])) for row in table]
    scores = document["scores"]["backtest"]
    assert scores["model"]["mae"] == pytest.approx(np.mean(errors), rel=1e-2)
    assert {"coverage", "crps"} <= set(scores["model"])
    assert {"linear", "theta", "seasonal_naive", "naive"} <= set(scores)
    assert (document["config"]["origins"], document["config"]["stride"]) == (5, 1)
    assert len(document["mae_by_origin"]) == 5


@pytest.mark.parametrize("refit", ["never", "2"])
def test_a_forecast_knows_nothing_after_its_origin(refit: str) -> None:
    values = noisy()
    changed = values.copy()
    changed[-12:] += 500.0  # from the third origin on
    one, other = (run(each, origins=4, stride=6, refit=refit) for each in (values, changed))
    assert one.origins.lengths.tolist() == [126, 132, 138, 144]
    np.testing.assert_array_equal(one.forecast[:3], other.forecast[:3])
    assert not np.allclose(one.forecast[3], other.forecast[3])


@pytest.mark.parametrize("fill", ["linear", "zero"])
def test_filled_values_tell_no_origin_what_came_after_them(fill: str) -> None:
    values = noisy()
    values[120:134] = np.nan
    values[134:] += 500.0
    told: list[str] = []
    chosen = Chosen(ForecastSettings, {"horizon": 6, "season": 12})

    def at(values: np.ndarray) -> Any:
        source = SeriesSource(fill=fill)  # pyright: ignore[reportArgumentType]
        return backtest(values, source, chosen, Backtesting(origins=4, stride=6), lambda event: told.append(str(event)))

    found = at(values)
    assert found.origins.lengths.tolist() == [120, 120, 138, 144]  # and not 126 and 132, in the gap
    assert any("2 of 4 origins: the values before were missing" in text for text in told)
    other = values.copy()
    other[134:] -= 800.0
    np.testing.assert_array_equal(found.forecast[:2], at(other).forecast[:2])
    assert np.isfinite(found.by_origin[2:]).all()


def test_intervals_of_several_fits_are_scored_each_by_its_own() -> None:
    found = run(noisy(), origins=6, refit="2")
    truth = found.actual
    low, high = found.quantile(0.1), found.quantile(0.9)
    inside = ((truth >= low) & (truth <= high)).mean()
    assert found.scores["model"]["coverage"] == pytest.approx(inside)


def test_refitting_changes_what_later_origins_forecast() -> None:
    once, often = run(noisy(), origins=4, refit="never"), run(noisy(), origins=4, refit="1")
    np.testing.assert_allclose(once.forecast[0], often.forecast[0], rtol=1e-12)
    assert not np.allclose(once.forecast[3], often.forecast[3])


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--origins", "200"], 1, "the series has 150 rows: too few for 200 origins"),
        (["--refit", "0"], 2, "'0' is neither never nor a number of origins"),
        (["--quantiles", "0.1,1.5"], 2, "1.5 is not between 0 and 1"),
        (["--quantiles", "few"], 2, "'few' is no list of numbers"),
        (["--origins", "0"], 2, "0 is not at least 1"),
    ],
)
def test_bad_arguments(rnncli, series: Path, options: list[str], code: int, message: str) -> None:
    result = rnncli("forecast", "backtest", series, *options)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert "Traceback" not in result.err


def exact_origins(size: int, horizon: int) -> Origins:
    values = np.arange(float(size + horizon)) + 100.0
    panel = Panel(values, np.zeros(len(values), bool), np.array([0, len(values)]), "time")
    ends = np.arange(10, size)
    return Origins(panel, np.zeros(len(ends), int), ends, np.full(len(ends), len(values)))


def test_intervals_hold_their_share_of_errors_that_grow() -> None:
    origins, generator = exact_origins(600, 4), np.random.default_rng(0)
    steps = np.array([1.0, 2.0, 3.0, 4.0])
    forecast = origins.future(4) + generator.normal(size=(len(origins), 4)) * steps
    intervals = Intervals.of(forecast, origins, np.ones(1), 12)
    np.testing.assert_allclose(intervals.growth / intervals.growth[0], steps, rtol=0.1)
    new = origins.future(4) + generator.normal(size=(len(origins), 4)) * steps
    for share in (0.5, 0.8, 0.95):
        inside = np.abs(new - origins.future(4)) <= intervals.reach(share, origins)
        assert inside.mean() == pytest.approx(share, abs=0.03)
        normal = intervals.reach(share, origins, conformal=False)
        np.testing.assert_allclose(normal, intervals.reach(share, origins), rtol=0.1)
    assert intervals.scores(new, origins)["coverage"] == pytest.approx(0.8, abs=0.03)


def test_quantiles_never_cross_and_the_median_is_the_forecast() -> None:
    origins = exact_origins(60, 3)
    forecast = origins.future(3) + np.random.default_rng(1).normal(size=(len(origins), 3))
    intervals = Intervals.of(forecast, origins, np.ones(1), 6)
    levels = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99]
    quantiles = np.stack([intervals.quantile(level, forecast, origins) for level in levels])
    assert (np.diff(quantiles, axis=0) >= 0).all()
    np.testing.assert_array_equal(quantiles[3], forecast)
    back = Intervals.from_dict(json.loads(json.dumps(intervals.as_dict())))
    np.testing.assert_array_equal(back.quantile(0.9, forecast, origins), quantiles[5])


def test_what_is_missed_widens_intervals_by_the_square_root_at_one_horizon() -> None:
    origins = exact_origins(60, 3)
    forecast = origins.future(3) + 1.0
    intervals = Intervals.of(forecast, origins, np.ones(1), 6)
    last = origins.select(np.array([-1]))
    sizes = intervals.sizes[0] * intervals.growth
    missed = intervals.missed(last.future(3) + 4 * sizes, last)
    assert missed[0] == pytest.approx(2.0, rel=0.05)
    assert intervals.missed(last.future(3), last)[0] == 1.0
