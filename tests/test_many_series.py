"""Several series in one table: reading, one model for all, forecasts of new ones, what bad tables get."""

import json
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

import rnncli
from rnncli.cli import run
from rnncli.errors import DataError
from rnncli.forecast import combination, compare, linear, network, slices, weights
from rnncli.forecast.data import dataset
from rnncli.forecast.defaults import for_series
from rnncli.forecast.long import read_many
from rnncli.forecast.panel import Panel
from rnncli.forecast.scoring import fit_on
from rnncli.forecast.series import Series
from rnncli.tables import table_of
from rnncli.training.events import Progress

QUICK = ("--id", "shop", "--horizon", 6, "--cell", "gru", "--units", 4, "--window", 24, "--epochs", 2)
SIZES = {"north": 90, "south": 70, "east": 50, "west": 40}


def sales(name: str, size: int) -> np.ndarray:
    time = np.arange(size)
    level = 50 * (1 + list(SIZES).index(name))
    return level * (1 + 0.01 * time + 0.3 * np.sin(2 * np.pi * time / 12))


def rows() -> list[str]:
    """Rows of four shops that open in different months."""
    return [
        f"{name},{2001 + (start + month) // 12}-{(start + month) % 12 + 1:02d},{value:.2f}"
        for start, (name, size) in enumerate(SIZES.items())
        for month, value in enumerate(sales(name, size))
    ]


def csv(lines: list[str]) -> str:
    return "shop,month,sold\n" + "".join(f"{line}\n" for line in lines)


@pytest.fixture
def shops(tmp_path: Path) -> Path:
    path = tmp_path / "shops.csv"
    path.write_text(csv(rows()))
    return path


def read(text: str, **more) -> list[Series]:
    return read_many(table_of(text.encode(), "shops"), "shop", **more)[0]


def test_each_series_has_its_own_start_length_and_stamps() -> None:
    members = read(csv(rows()))
    assert [(each.id, len(each.values)) for each in members] == list(SIZES.items())
    assert [each.stamp(0) for each in members] == ["2001-01", "2001-02", "2001-03", "2001-04"]
    np.testing.assert_allclose(members[1].values, sales("south", 70).round(2))
    assert members[3].clock is not None
    assert members[3].clock.seasons == (12,)


def test_rows_may_be_shuffled_and_gaps_are_those_of_the_series() -> None:
    lines = rows()
    del lines[100]
    shuffled = np.random.default_rng(0).permutation(lines).tolist()
    members, notes = read_many(table_of(csv(shuffled).encode(), "shops"), "shop")
    by_name = {each.id: each for each in members}
    assert by_name["south"].filled.nonzero()[0].tolist() == [10]
    assert not by_name["north"].filled.any()
    assert notes == ["missing values or time steps, filled (linear), in 1 of 4 series"]
    np.testing.assert_allclose(by_name["north"].values, sales("north", 90).round(2))


BAD = {
    "one row": (["a,2001-01,1", "a,2001-02,2", "b,2001-01,3"], "series 'b' has only one row"),
    "the same time twice": (
        ["a,2001-01,1", "a,2001-02,2", "b,2001-01,3", "b,2001-01,4"],
        "series 'b' has the time '2001-01' twice in column 'month'",
    ),
    "another step": (
        ["a,2001-01,1", "a,2001-02,2", "a,2001-03,1", "b,2001-01,3", "b,2001-04,4", "b,2001-07,4"],
        "series 'b' has steps of 3 months in column 'month', the others of 1",
    ),
    "no values": (["a,2001-01,1", "a,2001-02,2", "b,2001-01,", "b,2001-02,"], "series 'b' has no values"),
    "no name": (["a,2001-01,1", "a,2001-02,2", ",2001-01,4"], "column 'shop', row 3: the cell is empty"),
    "all constant": (["a,2001-01,1", "a,2001-02,1", "b,2001-01,3", "b,2001-02,3"], "constant in each series"),
    "a gap": (["a,2001-01,1", "a,2001-03,2", "b,2001-01,3", "b,2001-02,3"], "'sold, a' has 1 missing value"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_tables_are_told_in_one_line_with_the_series(rnncli, tmp_path: Path, kind: str) -> None:
    lines, message = BAD[kind]
    path = tmp_path / "bad.csv"
    path.write_text(csv(lines))
    result = rnncli("forecast", path, "--id", "shop", "--fill", "none" if kind == "a gap" else "linear")
    assert (result.code, result.out) == (1, "")
    assert message in result.err.splitlines()[-1]
    assert "Traceback" not in result.err


def test_one_model_forecasts_every_series_and_predicts_the_same(rnncli, shops: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    trained = rnncli("forecast", shops, *QUICK, "--checkpoint", folder)
    assert trained.code == 0, trained.err
    assert trained.rows[0] == ["shop", "month", "forecast"]
    assert [row[0] for row in trained.rows[1::6]] == list(SIZES)
    assert trained.rows[1][1] == "2008-07"
    for name, size in SIZES.items():
        got = [float(row[2]) for row in trained.rows[1:] if row[0] == name]
        np.testing.assert_allclose(got, sales(name, size + 6)[size:], rtol=0.15)
    predicted = rnncli("forecast", "predict", shops, "--checkpoint", folder, "--quantiles", "0.9,0.1")
    assert [row[:3] for row in predicted.rows] == trained.rows
    assert predicted.rows[0][3:] == ["q10", "q90"]
    assert all(float(row[3]) <= float(row[2]) <= float(row[4]) for row in predicted.rows[1:])


def test_a_series_that_training_never_saw_is_forecast_by_itself(rnncli, shops: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert rnncli("forecast", shops, *QUICK, "--checkpoint", folder, "-q").code == 0
    lines = [line.replace("north", "new") for line in rows() if line.startswith("north")]
    new = tmp_path / "new.csv"
    new.write_text(csv(lines))
    alone = rnncli("forecast", "predict", new, "--checkpoint", folder)
    assert alone.code == 0
    np.testing.assert_allclose([float(row[2]) for row in alone.rows[1:]], sales("north", 96)[90:], rtol=0.1)
    # in the company of others it is the same, and short ones are told
    new.write_text(csv([*lines, *(line.replace("west", "young") for line in rows()[-40:][:5])]))
    both = rnncli("forecast", "predict", new, "--checkpoint", folder)
    assert both.rows[:7] == alone.rows
    assert len(both.rows) == 13
    assert "young: 5 rows are too few" in both.err


def test_the_document_has_each_series_and_means_over_them(rnncli, shops: Path) -> None:
    document = json.loads(rnncli("forecast", shops, *QUICK, "--json", "-q").out)
    assert set(document["series"]) == set(SIZES)
    for system in ("model", "network", "seasonal_naive"):
        each = [systems[system]["mae"] for systems in document["series"].values()]
        assert document["scores"]["test"][system]["mae"] == pytest.approx(np.mean(each))
    assert document["config"]["id"] == "shop"
    assert [row["shop"] for row in document["forecast"][::6]] == list(SIZES)


def test_the_order_and_the_names_of_series_change_nothing(tmp_path: Path) -> None:
    chosen = {"id": "shop", "horizon": 6}
    path = tmp_path / "a.csv"
    path.write_text(csv(rows()))
    plain = rnncli.forecast.fit(path, **chosen).predict_all()
    renamed = [f"x{line}" for line in reversed(rows())]
    path.write_text(csv(renamed))
    other = {each.series.id: each for each in rnncli.forecast.fit(path, **chosen).predict_all()}
    for each in plain:
        np.testing.assert_allclose(other[f"x{each.series.id}"].values, each.values, rtol=1e-6)


def test_the_unit_of_a_series_changes_nothing_for_any(tmp_path: Path) -> None:
    members = read(csv(rows()))
    from dataclasses import replace

    times = [replace(each, values=each.values * (1e6 if index == 1 else 1.0)) for index, each in enumerate(members)]
    maps = []
    for series in (members, times):
        settings = for_series({"horizon": 6, "window": 24}, [len(each.values) for each in series], 12)
        data = dataset(Panel.of(series), settings)
        maps.append(fit_on(data, settings)(data.parts["test"]) / data.scale[data.parts["test"].series][:, None])
    np.testing.assert_allclose(maps[1], maps[0], rtol=1e-6)


def test_short_histories_are_masked_and_not_padded() -> None:
    import jax.numpy as jnp
    from flax import nnx

    from rnncli.forecast.model import Forecaster
    from rnncli.forecast.settings import ForecastSettings

    for normalize in ("last", "mean", "median", "shift"):
        settings = ForecastSettings(
            window=24, horizon=3, cell="gru", strategy="direct", patch=6, layers=1, units=5, normalize=normalize
        )
        model = Forecaster(settings, rngs=nnx.Rngs(0))
        values = np.random.default_rng(0).normal(size=(2, 24)).astype(np.float32)
        known = np.arange(24) >= 12
        filled = np.where(known, values, 1e6)
        got = model(jnp.asarray(filled), jnp.asarray(np.stack([known, known])))
        short = Forecaster(ForecastSettings(**{**settings.as_dict(), "window": 12}), rngs=nnx.Rngs(0))
        wanted = short(jnp.asarray(values[:, 12:]))
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_constant_series_and_zeros_spoil_nothing(rnncli, tmp_path: Path) -> None:
    lines = rows()
    months = [line.split(",")[1] for line in lines if line.startswith("north")]
    lines += [f"closed,{month},7" for month in months]
    lines += [f"rare,{month},{12 if index % 9 == 0 else 0}" for index, month in enumerate(months)]
    path = tmp_path / "mixed.csv"
    path.write_text(csv(lines))
    result = rnncli("forecast", path, "--id", "shop", "--horizon", 6, "--quantiles", "0.1,0.9")
    assert result.code == 0, result.err
    assert "Warning" not in result.err
    table = {
        name: np.array([row[2:] for row in result.rows[1:] if row[0] == name], float) for name in (*SIZES, "closed")
    }
    np.testing.assert_allclose(table["closed"], 7.0, rtol=0.01)
    for name, size in SIZES.items():
        np.testing.assert_allclose(table[name][:, 0], sales(name, size + 6)[size:], rtol=0.1)
    assert all(np.isfinite(float(cell)) for row in result.rows[1:] for cell in row[2:])


def test_the_hour_that_daylight_saving_repeats_is_taken_once_of_each_series() -> None:
    utc = pd.date_range("2023-10-28", periods=60, freq="h", tz="UTC")
    stamps = utc.tz_convert("Europe/Berlin").strftime("%Y-%m-%d %H:%M")
    lines = [f"{id},{stamp},{step}" for id in "ab" for step, stamp in enumerate(stamps)]
    members = read("shop,time,sold\n" + "\n".join(lines))
    assert [len(each.values) for each in members] == [59, 59]


def test_how_much_is_computed_at_a_time_changes_nothing(shops: Path, monkeypatch) -> None:
    def fitted() -> list[float]:
        heard: list[float] = []

        def hear(event: object) -> None:
            if isinstance(event, Progress) and event.validation:
                heard.append(event.validation["loss"])

        model = rnncli.forecast.fit(
            str(shops), id="shop", horizon=6, cell="gru", units=4, window=24, epochs=1, on_event=hear
        )
        scores = model.scores["test"]
        return [*heard, *(scores[name]["mae"] for name in ("model", "network", "linear", "damped"))]

    whole = fitted()
    jax.clear_caches()  # of programs in which there were many at a time
    for module, name in ((slices, "_MOST_EVALUATED"), (linear, "_CHUNK"), (weights, "_CHUNK"), (network, "_MANY")):
        monkeypatch.setattr(module, name, 5)
    monkeypatch.setattr(network, "_FEW", 3)
    assert len(whole) > 4
    assert fitted() == pytest.approx(whole, rel=1e-4)


def test_of_very_many_series_each_has_fewer_rolling_origins(monkeypatch) -> None:
    panel = Panel.of(read(csv(rows())) * 20)
    first, last = panel.starts[:-1] + 10, panel.starts[1:]
    many = combination.rolling_origins(panel, first, last, 3, 12)
    monkeypatch.setattr(combination, "_MOST_OF_MANY", 6 * 80)
    few = combination.rolling_origins(panel, first, last, 3, 12)
    assert len(few) < len(many) / 2
    assert np.bincount(few.series).min() >= 4  # they fall on all phases of the season, and so may be some more than 6


def test_a_series_that_a_system_cannot_forecast_costs_that_system_its_figures_alone(tmp_path: Path, capsys) -> None:
    path = tmp_path / "short.csv"
    lengths = {"a": 90, "b": 80, "c": 70, "d": 16, "e": 12, "f": 9}
    table = [(name, *each) for name, length in lengths.items() for each in monthly(length)]
    path.write_text("id,month,y\n" + "".join(f"{name},{month},{value}\n" for name, month, value in table))
    assert run(["forecast", str(path), "--id", "id", "--horizon", "3", "--cell", "linear", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scores"]["test"]["linear"]["mae"] is None
    assert document["scores"]["test"]["model"]["mae"] > 0
    assert len(document["forecast"]) == 3 * len(lengths)


def monthly(length: int) -> list[tuple[str, float]]:
    """Stamps and values of so many months."""
    return [(f"{2001 + m // 12}-{m % 12 + 1:02d}", 50 + 10 * np.sin(m / 2) + m % 5) for m in range(length)]


def test_what_is_unknown_for_a_seed_is_unknown_in_the_mean() -> None:
    runs = [{"mse": 1.0, "mape": None, "by_step": [1.0, None]}, {"mse": 2.0, "mape": 3.0, "by_step": [4.0, None]}]
    assert compare._mean(runs) == {"mse": 1.5, "mape": None, "by_step": [2.5, None]}


def test_shares_of_several_targets_are_merged_byte_for_byte(tmp_path: Path, capsys) -> None:
    path, model = tmp_path / "both.csv", str(tmp_path / "model")
    rows = [f"s{number},{month},{value},{value + number}\n" for number in range(5) for month, value in monthly(48)]
    path.write_text("id,month,a,b\n" + "".join(rows))
    how = ["--id", "id", "--target", "a,b", "--horizon", "2", "--cell", "linear", "-q"]
    assert run(["forecast", str(path), *how, "--checkpoint", model]) == 0
    capsys.readouterr()
    parts = []
    for shard in range(3):
        parts.append(str(tmp_path / str(shard)))
        predict = ["forecast", "predict", str(path), "--checkpoint", model, "--shard", f"{shard}/3"]
        assert run([*predict, "--output", parts[-1]]) == 0
    assert run(["forecast", "predict", str(path), "--checkpoint", model]) == 0
    whole = capsys.readouterr().out
    assert run(["merge", *parts, "--by", "id"]) == 0
    assert capsys.readouterr().out == whole


def test_one_stamp_far_off_takes_no_memory() -> None:
    stamps = ["1970-01-01 00:00:00"] + [f"2024-01-01 00:00:{second:02d}" for second in range(60)]
    text = "id,time,y\n" + "".join(f"{name},{stamp},{place}\n" for name in "ab" for place, stamp in enumerate(stamps))
    with pytest.raises(DataError, match="series 'a' leaves out 1704067199 of 1704067260 steps"):
        read_many(table_of(text.encode(), "it"), "id")


def test_the_first_windows_may_have_no_logarithms(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(linear, "_CHUNK", 20)
    path = tmp_path / "signs.csv"
    table = [(name, *each, sign) for name, sign in (("a", -1), ("b", 1)) for each in monthly(90)]
    path.write_text("id,month,y\n" + "".join(f"{name},{month},{sign * value}\n" for name, month, value, sign in table))
    assert run(["forecast", str(path), "--id", "id", "--horizon", "3", "--cell", "linear", "-q"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 7
