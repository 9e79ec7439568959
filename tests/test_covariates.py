"""Covariates and several targets: what they add, what the calendar tells, what bad tables get."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies

import rnncli
from rnncli.errors import ParameterError
from rnncli.forecast import calendar
from rnncli.forecast.clock import read_clock
from rnncli.forecast.covariates import Covariates, Encoding, encode, learn
from rnncli.forecast.data import naive_errors
from rnncli.forecast.effects import effects_of
from rnncli.forecast.origins import Origins
from rnncli.forecast.panel import Panel
from rnncli.forecast.source import SeriesSource

AHEAD = 7
KNOWN = ("--future-covariates", "promo,price,event")


def shop(days: int = 200, seed: int = 0) -> pd.DataFrame:
    """Daily sales of a shop: a week, promotions that add 30, a price, fairs that add 50, noise of 1."""
    draw = np.random.default_rng(seed)
    dates = pd.date_range("2023-01-02", periods=days)
    promo, fair = draw.random(days) < 0.2, draw.random(days) < 0.08
    promo[-3], fair[-5] = True, True
    price = 10 + draw.normal(size=days)
    week = np.array([0, 2, 3, 4, 8, 15, 10])[dates.day_of_week]
    sales = 100 + week + 30 * promo - 5 * (price - 10) + 50 * fair + draw.normal(size=days)
    return pd.DataFrame(
        {
            "date": dates.strftime("%Y-%m-%d"),
            "sales": sales.round(1).astype(str),
            "promo": promo.astype(int),
            "price": price.round(2),
            "event": np.where(fair, "fair", ""),
        }
    )


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    """The past; the future without sales; both in one table; only dates and sales; only dates and covariates."""
    data = shop()
    past, future = data[:-AHEAD], data[-AHEAD:]
    both = data.copy()
    both.loc[len(past) :, "sales"] = ""
    named = {
        "past": past,
        "future": future.drop(columns="sales"),
        "both": both,
        "bare": past[["date", "sales"]],
        "beside": data.drop(columns="sales"),
    }
    for name, table in named.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    return {name: tmp_path / f"{name}.csv" for name in named}


def truth() -> np.ndarray:
    return shop()["sales"][-AHEAD:].astype(float).to_numpy()


def values_of(rows: list[list[str]]) -> np.ndarray:
    return np.array([float(row[-1]) for row in rows[1:]])


def test_future_covariates_reach_every_forecast(rnncli, tables: dict[str, Path], tmp_path: Path) -> None:
    """Noise of 1 is what is left; the horizon is what the future covariates say."""
    plain = rnncli("forecast", tables["past"], "--target", "sales", "--horizon", AHEAD, "-q")
    saved = ("--checkpoint", tmp_path / "model")
    told = rnncli("forecast", tables["past"], "--target", "sales", *KNOWN, "--future", tables["future"], *saved)
    assert [row[0] for row in told.rows] == ["date", *shop()["date"][-AHEAD:]]
    assert np.abs(values_of(plain.rows) - truth()).max() > 20
    assert np.abs(values_of(told.rows) - truth()).max() < 6
    assert "3 numbers a step" in told.err
    # it is the same, wherever the future stands; and the saved model forecasts the same
    for other in (
        (tables["both"], "--target", "sales", *KNOWN),
        (tables["bare"], *KNOWN, "--future", tables["beside"]),
        ("predict", tables["past"], "--future", tables["future"], *saved),
        ("predict", tables["both"], *saved),
    ):
        assert rnncli("forecast", *other, "-q").out == told.out


def test_baselines_stay_what_they_are(rnncli, tables: dict[str, Path]) -> None:
    """The seasonal naive forecast knows no covariates; those that forecast what these leave are better."""
    told = rnncli("forecast", tables["both"], "--target", "sales", *KNOWN, "--json", "-q")
    plain = rnncli("forecast", tables["past"], "--target", "sales", "--horizon", AHEAD, "--json", "-q")
    told, plain = (json.loads(each.out)["scores"]["test"] for each in (told, plain))
    assert told["seasonal_naive"] == plain["seasonal_naive"]
    for name in ("linear", "theta", "damped", "holt_winters", "model"):
        assert told[name]["mae"] < 0.5 * plain[name]["mae"]


@pytest.mark.parametrize("strategy", ["direct", "recursive", "encoder-decoder", "seq2seq"])
def test_each_strategy_has_covariates(tables: dict[str, Path], strategy: str, tmp_path: Path) -> None:
    sizes = {"cell": "gru", "units": 4, "epochs": 2, "window": 14, "patch": 1 if strategy == "seq2seq" else 7}
    columns = {"target": "sales", "future_covariates": "promo,price,event"}
    past = {} if strategy == "recursive" else {"past_covariates": "visitors"}
    table = pd.read_csv(tables["both"])
    table["visitors"] = np.arange(len(table)) % 9
    model = rnncli.forecast.fit(table, strategy=strategy, **sizes, **columns, **past)
    assert model.predict().values.shape == (AHEAD,)
    model.save(tmp_path / "model")
    again = rnncli.load(tmp_path / "model").predict(table)
    np.testing.assert_array_equal(again.values, model.predict().values)
    # a network reads them: other covariates ahead, another forecast of the network
    assert model.combination is not None
    assert model.combination.network is not None


@pytest.mark.slow
def test_a_network_learns_what_no_sum_of_effects_says() -> None:
    """The covariate turns the sign of what follows: no regression on it explains that."""
    draw = np.random.default_rng(0)
    wave = draw.normal(size=900)
    turn = draw.integers(0, 2, 900) * 2 - 1
    values = np.zeros(900)
    values[1:] = wave[:-1] * turn[1:]  # what was, times a sign that is known ahead
    table = pd.DataFrame({"y": values + 0.01 * draw.normal(size=900), "wave": wave, "turn": turn}).round(4)
    columns = {"target": "y", "past_covariates": "wave", "future_covariates": "turn"}
    table.loc[899, "y"] = np.nan
    sizes = {"cell": "gru", "units": 16, "window": 4, "patch": 1, "season": 1, "epochs": 40, "normalize": "none"}
    model = rnncli.forecast.fit(table, **columns, **sizes, learning_rate=0.01, system="network")
    scores = model.scores["test"]
    assert scores["model"]["mae"] < 0.5 * scores["linear"]["mae"]


def test_past_covariates_lead(rnncli, tmp_path: Path) -> None:
    """What another column says days before is found by the linear maps."""
    draw = np.random.default_rng(0)
    lead = draw.normal(size=408).cumsum()
    table = pd.DataFrame({"y": lead[:400] + 0.1 * draw.normal(size=400), "x": lead[8:]}).round(3)
    path = tmp_path / "lead.csv"
    table.to_csv(path, index=False)
    errors = []
    for more in ((), ("--past-covariates", "x")):
        found = rnncli("forecast", path, "--target", "y", "--horizon", 8, "--season", 1, "--json", "-q", *more)
        errors.append(json.loads(found.out)["scores"]["test"]["model"]["mae"])
    assert errors[1] < 0.3 * errors[0]


def test_several_targets_have_a_forecast_each(rnncli, tmp_path: Path) -> None:
    time = np.arange(80)
    table = pd.DataFrame({"month": pd.date_range("2010-01-01", periods=80, freq="MS").strftime("%Y-%m")})
    table["a"] = (10 + np.sin(time * np.pi / 6)).round(3)
    table["b"] = (500 + time + 20 * np.cos(time * np.pi / 6)).round(2)
    path = tmp_path / "two.csv"
    table.to_csv(path, index=False)
    saved = ("--checkpoint", tmp_path / "model")
    found = rnncli("forecast", path, "--target", "a,b", "--horizon", 3, *saved)
    assert found.rows[0] == ["target", "month", "forecast"]
    assert [row[:2] for row in found.rows[1:]] == [[n, m] for n in "ab" for m in ("2016-09", "2016-10", "2016-11")]
    after = 500 + np.arange(80, 83) + 20 * np.cos(np.arange(80, 83) * np.pi / 6)
    np.testing.assert_allclose(values_of(found.rows)[3:], after, rtol=0.01)
    assert rnncli("forecast", "predict", path, *saved).out == found.out
    document = json.loads(rnncli("forecast", path, "--target", "a,b", "--horizon", 3, "--json", "-q").out)
    assert list(document["series"]) == ["a", "b"]
    assert document["config"]["target"] == "a,b"


@pytest.mark.slow
def test_jointly_a_network_sees_the_other_targets() -> None:
    """b is what a was: joint, that is seen; shared, it is not."""
    draw = np.random.default_rng(0)
    a = draw.normal(size=500)
    table = pd.DataFrame({"a": a, "b": np.concatenate([[0.0], a[:-1]])}).round(4)
    sizes = {"cell": "gru", "units": 16, "window": 4, "patch": 1, "horizon": 1, "season": 1, "epochs": 30}
    more = {"normalize": "none", "learning_rate": 0.01, "linear_skip": False, "system": "network", "batch_size": 32}
    errors = {}
    for how in ("shared", "joint"):
        model = rnncli.forecast.fit(table, target="a,b", multivariate=how, **sizes, **more)
        assert model.result is not None
        errors[how] = model.result.scored.details.by_series[1]["model"]["mae"]
    assert errors["joint"] < 0.2
    assert errors["shared"] > 0.5


@pytest.mark.slow
def test_a_static_column_tells_series_apart(tmp_path: Path) -> None:
    """Two kinds of series, whose next value only their kind says."""
    draw = np.random.default_rng(0)
    kinds = {"up": 1.0, "down": -1.0}
    rows = [
        {"id": f"{kind}{number}", "kind": kind, "y": round(sign * (step % 7) + 0.05 * draw.normal(), 3)}
        for kind, sign in kinds.items()
        for number in range(3)
        for step in range(60)
    ]
    columns = {"id": "id", "target": "y", "static": "kind"}
    sizes = {"cell": "gru", "units": 8, "window": 1, "patch": 1, "horizon": 1, "season": 1, "epochs": 60}
    more = {"normalize": "none", "learning_rate": 0.01, "linear_skip": False, "system": "network", "batch_size": 32}
    model = rnncli.forecast.fit(pd.DataFrame(rows), **columns, **sizes, **more)
    assert model.scores["test"]["model"]["mae"] < 0.7 * model.scores["test"]["linear"]["mae"]
    model.save(tmp_path / "model")
    notes = []
    unknown = pd.DataFrame(rows).replace({"up": "sideways"})
    rnncli.load(tmp_path / "model").predict_all(unknown, on_event=lambda note: notes.append(note.text))
    assert any("'sideways', unknown to the training" in note for note in notes)


def panel_of(values: np.ndarray, known: np.ndarray) -> Panel:
    names = tuple(f"c{index}" for index in range(known.shape[1]))
    encoding = Encoding(calendar=names)  # one column each
    covariates = Covariates(np.zeros((len(values), 0)), known, np.array([0, len(known)]), np.zeros((1, 0)), encoding)
    whole = np.array([0, len(values)])
    return Panel(values, np.zeros(len(values), bool), whole, "time", covariates=covariates)


@settings(max_examples=25, deadline=None)
@given(
    seed=strategies.integers(0, 1000),
    scale=strategies.sampled_from([1e-3, 1.0, 1e6]),
    shift=strategies.sampled_from([0.0, 1e7]),
)
def test_effects_are_found_and_put_back(seed: int, scale: float, shift: float) -> None:
    """Law: what is taken off and put back changes nothing; β is found in any unit, on any level."""
    draw = np.random.default_rng(seed)
    known = draw.normal(size=(210, 2))
    beta = np.array([3.0, -2.0])
    rest = 5 * np.sin(np.arange(210) * 2 * np.pi / 12) + draw.normal(size=210).cumsum() * 0.1
    values = scale * (rest + known @ beta) + shift
    panel = panel_of(values[:200], known)
    ends = np.array([200])
    effects = effects_of(panel, ends, 12, naive_errors(panel, np.array([12]), ends))
    assert effects is not None
    assert not effects.log
    np.testing.assert_allclose(effects.beta[0], scale * beta, rtol=0.1)
    origins = Origins(panel, np.array([0]), np.array([150]), ends)
    left = effects.removed(panel).values[150:155][None]
    np.testing.assert_allclose(effects.restored(left, origins)[0], values[150:155], rtol=1e-9, atol=1e-9 * scale)


def test_effects_that_are_shares_are_taken_off_logarithms() -> None:
    draw = np.random.default_rng(0)
    known = draw.integers(0, 2, (230, 1)).astype(float)
    level = np.exp(0.02 * np.arange(230)) * 100
    panel = panel_of(level[:200] * np.exp(0.3 * known[:200, 0] + 0.01 * draw.normal(size=200)), known)
    effects = effects_of(panel, np.array([200]), 1, np.array([10.0]))
    assert effects is not None
    assert effects.log
    assert effects.beta[0, 0] == pytest.approx(0.3, abs=0.02)


def test_noise_is_no_effect() -> None:
    draw = np.random.default_rng(0)
    found = [
        effects_of(panel_of(draw.normal(size=60), draw.normal(size=(70, 5))), np.array([60]), 1, np.ones(1))
        for _ in range(40)
    ]
    assert sum(each is None for each in found) >= 30


def test_the_calendar_tells_what_the_dates_are() -> None:
    reading = read_clock([f"2024-02-{day:02d}" for day in range(26, 30)])
    assert reading is not None
    clock = reading[1]
    weekdays = calendar.features(clock, 5, ["weekday"], None)
    assert weekdays.argmax(1).tolist() == [0, 0, 1, 2, 3]  # Monday has no column
    assert weekdays.sum(1).tolist() == [0, 1, 1, 1, 1]
    assert calendar.features(clock, 5, ["monthday"], None)[:, 2].tolist() == [0, 0, 0, 1, 0]
    year = calendar.features(clock, 366 * 4, ["yearday"], None)
    np.testing.assert_allclose(year[0], year[1461 - 1], atol=0.05)  # four years later
    for notation, step in (("2024-01", "workdays"), ("2024Q1", "workdays"), ("2024-W01", "yearday")):
        stamps = {
            "2024-01": ["2024-01", "2024-02"],
            "2024Q1": ["2024Q1", "2024Q2"],
            "2024-W01": ["2024-W01", "2024-W02"],
        }
        reading = read_clock(stamps[notation])
        assert reading is not None
        assert calendar.names_for(reading[1], "auto", None) == [step]
        features = calendar.features(reading[1], 2, [step], None)
        if notation == "2024-01":  # 23 working days of 31, 21 of 29
            np.testing.assert_allclose(features[:, 0], [23 - 31 * 5 / 7, 21 - 29 * 5 / 7])
        if notation == "2024Q1":
            np.testing.assert_allclose(features[:, 0], [65 - 91 * 5 / 7, 65 - 91 * 5 / 7])


def test_holidays_are_days_of_a_country() -> None:
    pytest.importorskip("holidays")
    reading = read_clock([f"2023-12-{day}" for day in range(22, 29)])
    assert reading is not None
    assert calendar.features(reading[1], 7, ["holiday"], "DE")[:, 0].tolist() == [0, 0, 0, 1, 1, 0, 0]
    with pytest.raises(ParameterError, match="'XX' are not known"):
        calendar.features(reading[1], 7, ["holiday"], "XX")


def test_a_backtest_knows_the_covariates_of_its_origins(rnncli, tables: dict[str, Path]) -> None:
    common = ("--target", "sales", "--horizon", 5, "--origins", 4, "-q")
    plain = rnncli("forecast", "backtest", tables["past"], *common)
    told = rnncli("forecast", "backtest", tables["past"], *common, *KNOWN, "--calendar", "weekday")
    errors = [np.abs([float(row[3]) - float(row[4]) for row in each.rows[1:]]).mean() for each in (plain, told)]
    assert errors[1] < 0.5 * errors[0]


def test_texts_numbers_and_gaps_become_covariates() -> None:
    notes: list[str] = []
    table = shop(60)
    table.loc[5, "price"] = np.nan
    table.loc[55:, "sales"] = ""
    model = rnncli.forecast.fit(
        table,
        target="sales",
        future_covariates="price,event",
        on_event=lambda event: notes.append(getattr(event, "text", "")),
    )
    encoding = Encoding.from_dict(json.loads(json.dumps(model.metadata["series"]["covariates"])))
    assert [(each.name, each.categories) for each in encoding.known] == [("price", ()), ("event", ("fair",))]
    assert any("'price' had missing values, filled" in note for note in notes)
    assert encoding.columns() == {"future_covariates": "price,event"}


BAD = [
    (("past", *KNOWN), "column 'promo' ends with the last value, and --horizon is 7; give 7 rows more with --future"),
    (("past", *KNOWN, "--future", "short"), "ends 3 steps after the last value, and --horizon is 7; give 4 rows more"),
    (("past", *KNOWN, "--future", "gap"), "column 'promo' has no value at 2023-07-16, a step ahead; fill the gap"),
    (("past", *KNOWN, "--future", "twice"), "the table of the --future has '2023-07-18' twice"),
    (
        ("past", *KNOWN, "--future", "german"),
        "has the time '14.07.2023' where the series has '2023-07-13'; write both in",
    ),
    (("past", "--future-covariates", "prize", "--future", "future"), "the table of the --future has no column 'prize'"),
    (("past", "--future", "future"), "is given without --future-covariates"),
    (("past", "--future-covariates", "sales"), "--future-covariates 'sales' is the --target already"),
    (("past", "--past-covariates", "prise"), "no column 'prise'; did you mean 'price'"),
    (("past", "--past-covariates", "date"), "column 'date' is the time of the series"),
    (("past", "--static", "promo"), "'0' and '1': it is not static"),
    (("past", "--multivariate", "joint"), "--multivariate joint is for several targets"),
    (("past", "--calendar", "minute"), "'minute' is not one of none, auto, hour"),
    (("past", "--calendar", "hour"), "--calendar hour says nothing of steps of one day"),
    (("past", "--past-covariates", "price", "--strategy", "recursive", "--cell", "gru"), "would have to forecast"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[each[1][:40] for each in BAD])
def test_what_cannot_be_used_is_one_line(
    rnncli, tables, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    future = pd.read_csv(tables["future"])
    for name, table in (
        ("short", future[:3]),
        ("gap", future.drop(index=2)),
        ("twice", pd.concat([future, future[4:5]])),
        ("german", future.assign(date=pd.to_datetime(future["date"]).dt.strftime("%d.%m.%Y"))),
    ):
        tables[name] = tmp_path / f"{name}.csv"
        table.to_csv(tables[name], index=False)
    series, *more = (tables.get(each, each) for each in arguments)
    found = rnncli("forecast", series, "--target", "sales", "--horizon", AHEAD, *more)
    assert found.code in (1, 2)
    assert found.out == ""
    errors = [line for line in found.err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert message in errors[0]


def test_the_id_of_a_series_whose_covariates_end_is_named(rnncli, tmp_path: Path) -> None:
    rows = [f"{id},{2000 + step},{step + 1},{step % 3}" for id in ("a", "b") for step in range(30)]
    rows += ["a,2030,,1", "a,2031,,2", "b,2030,,1"]
    path = tmp_path / "ids.csv"
    path.write_text("id,year,y,x\n" + "\n".join(rows) + "\n")
    found = rnncli("forecast", path, "--id", "id", "--target", "y", "--future-covariates", "x", "--horizon", 2)
    assert found.code == 1
    assert "series 'b': column 'x' ends 1 steps after the last value, and --horizon is 2" in found.err


def test_no_covariates_change_nothing() -> None:
    assert not SeriesSource().covariates
    assert learn([], (), (), ()).sizes == (0, 0, 0)


def test_a_shorter_horizon_needs_no_more_covariates_than_its_own(rnncli, tables, tmp_path: Path) -> None:
    saved = ("--checkpoint", tmp_path / "model")
    whole = rnncli("forecast", tables["both"], "--target", "sales", *KNOWN, *saved, "-q")
    pd.read_csv(tables["future"])[:2].to_csv(tmp_path / "two.csv", index=False)
    two = rnncli("forecast", "predict", tables["past"], "--future", tmp_path / "two.csv", "--horizon", 2, *saved)
    assert two.rows == whole.rows[:3]
    assert "too few" not in two.err
    # and covariates may stand in the other table alone, which may know of further series
    alone = rnncli("forecast", "predict", tables["bare"], "--future", tables["beside"], *saved)
    assert alone.out == whole.out


def test_a_gap_in_a_past_covariate_does_not_know_what_comes_after_it() -> None:
    table = shop(60)
    table["survey"] = np.where(np.arange(60) % 7 == 0, np.arange(60) * 1.0, np.nan)
    model = rnncli.forecast.fit(table, target="sales", past_covariates="survey", horizon=2)
    assert model.result is not None
    covariates = model.result.task.dataset.panel.covariates  # pyright: ignore[reportAttributeAccessIssue]
    changes = np.flatnonzero(np.diff(covariates.past[:, 0]) != 0) + 1
    assert (changes % 7 == 0).all()


def test_no_output_of_seq2seq_sees_a_later_covariate() -> None:
    import jax
    from flax import nnx

    from rnncli.forecast.covariates import Sizes
    from rnncli.forecast.model import Beside, Forecaster
    from rnncli.forecast.settings import ForecastSettings
    from rnncli.forecast.strategies import STRATEGIES, SequenceToSequence

    chosen = ForecastSettings(window=12, horizon=2, units=4, layers=1, loss_from=4, normalize="shift", cell="gru")
    network = Forecaster(chosen, Sizes(past=1, known=0, static=0), rngs=nnx.Rngs(0))
    strategy = STRATEGIES["seq2seq"]
    assert isinstance(strategy, SequenceToSequence)
    x, past = jax.random.normal(jax.random.key(0), (2, 3, 12))
    none = np.zeros((3, 2, 0)), np.zeros((3, 0))
    before = strategy.every_step(network, x, None, Beside(past[..., None], *none))
    after = strategy.every_step(network, x, None, Beside(past.at[:, 8].add(5.0)[..., None], *none))
    np.testing.assert_array_equal(before[:8], after[:8])
    assert np.abs(before[8:] - after[8:]).max() > 1e-3


def test_a_notation_is_that_of_the_whole_column() -> None:
    rows = [
        f"{id};{2000 + step};{step + 1};{text}" for id, text in (("a", "1,234"), ("b", "3,4")) for step in range(20)
    ]
    from rnncli.forecast.reading import read
    from rnncli.tables import table_of

    table = table_of(("id;year;y;x\n" + "\n".join(rows)).encode(), "rows")
    members = read(table, SeriesSource(id="id", target="y", past_covariates="x"), lambda _: None)
    encoding = learn(members, ["x"], (), ())
    told = encode(members, encoding, lambda _: None).past[:, 0] * encoding.past[0].std + encoding.past[0].mean
    np.testing.assert_allclose(told[[0, -1]], [1.234, 3.4])


def test_logarithms_are_refused_where_there_are_none(rnncli, tmp_path: Path) -> None:
    path = tmp_path / "zero.csv"
    path.write_text("y\n" + "\n".join(str(step % 5) for step in range(60)))
    found = rnncli("forecast", path, "--transform", "log", "--system", "network")
    assert (found.code, found.out) == (1, "")
    assert "--transform log: 'y' has the value 0" in found.err


def test_business_days_have_weekdays_whatever_day_they_begin_with() -> None:
    for first in ("2024-03-01", "2024-03-04"):  # a Friday, a Monday
        days = pd.bdate_range(first, periods=12).strftime("%Y-%m-%d")
        reading = read_clock(list(days))
        assert reading is not None
        assert calendar.names_for(reading[1], "auto", "de") == ["weekday", "yearday", "holiday"]


def test_joint_targets_are_predicted_together(rnncli, tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    pd.DataFrame({"a": np.arange(60) % 7, "b": np.arange(60) % 5}).to_csv(path, index=False)
    sizes = ("--cell", "gru", "--units", 4, "--epochs", 1, "--window", 14, "--horizon", 2)
    saved = ("--checkpoint", tmp_path / "model")
    trained = rnncli("forecast", path, "--target", "a,b", "--multivariate", "joint", *sizes, *saved, "-q")
    assert rnncli("forecast", "predict", path, *saved).out == trained.out
    one = rnncli("forecast", "predict", path, "--target", "a", *saved)
    assert (one.code, one.out) == (1, "")
    assert "the model sees its targets together: --target has to be a,b" in one.err
