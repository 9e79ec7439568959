"""Forecasts of rows as they come, and further ahead than a model was trained for."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rnncli
from rnncli.errors import DataError, ParameterError
from rnncli.forecast.follow import follow

ROWS = [f"{2000 + month // 12}-{month % 12 + 1:02d},{100 + month + 10 * (month % 12)}" for month in range(75)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("follow")
    past = folder / "past.csv"
    past.write_text("month,sold\n" + "\n".join(ROWS[:70]) + "\n")
    rnncli.forecast.fit(past, horizon=3, checkpoint=folder / "model")
    return folder


def test_a_forecast_follows_each_row_before_the_next_one_comes(saved: Path) -> None:
    """And it is the one that predict makes of all rows until then. What is no row is told and left out."""
    command = [sys.executable, "-m", "rnncli", "forecast", "predict", str(saved / "past.csv"), "--follow"]
    running = subprocess.Popen(
        [*command, "--checkpoint", str(saved / "model"), "--quantiles", "0.9"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    with running as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        model = rnncli.load(saved / "model")
        for number in range(70, 73):
            process.stdin.write(f"{ROWS[number]}\n")
            process.stdin.flush()
            if number == 70:
                assert process.stdout.readline() == "origin,step,month,forecast,q90\n"
            table = pd.DataFrame([row.split(",") for row in ROWS[: number + 1]], columns=["month", "sold"])
            for step, (time, value) in enumerate(model.predict(table).rows(), 1):
                origin, row_step, row_time, forecast, _ = process.stdout.readline().split(",")
                assert (origin, int(row_step), row_time) == (ROWS[number][:7], step, time)
                assert float(forecast) == pytest.approx(value, rel=1e-3)
        process.stdin.write("2006-02,what\n2006-02,1,2\n")
        process.stdin.close()
        assert process.stdout.read() == ""
        told = process.stderr.read()
        assert process.wait() == 0
    assert "row 4: 'what' in column 'sold' is not a number: left out" in told
    assert "row 5: it has 3 cells, the header 2: left out" in told


def test_rows_may_begin_with_their_header_and_name_their_series(monkeypatch: pytest.MonkeyPatch, saved: Path) -> None:
    """Each row brings a forecast of its own series only."""
    lines = "shop,month,sold\n" + "".join(f"{shop},{row}\n" for row in ROWS[:5] for shop in "ab")
    monkeypatch.setattr(
        "rnncli.forecast.follow.read_blocks", lambda *_: iter([lines[:50].encode(), lines[50:].encode()])
    )
    model = rnncli.load(saved / "model")
    found = list(follow(model, "-", lambda _: None, id="shop"))
    assert [each.series.id for row in found for each in row] == ["a", "b"] * 4  # of one row there is no forecast
    assert [len(each.series.values) for row in found for each in row] == [2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_beyond_the_horizon_forecasts_follow_forecasts(strategy: str) -> None:
    time = np.arange(120)
    values = 50 + 10 * np.sin(time * np.pi / 6)
    model = rnncli.forecast.fit(values, horizon=4, season=12, cell="linear", strategy=strategy, window=24)
    far = model.predict(horizon=30)
    np.testing.assert_allclose(far.values, 50 + 10 * np.sin(np.arange(120, 150) * np.pi / 6), atol=0.5)
    assert far.times[-1] == "150"
    # the first steps are the same; the others are forecasts of what was forecast
    np.testing.assert_array_equal(far.values[:4], model.predict().values)
    longer = model.predict(np.concatenate([values, far.values[:4]]))
    np.testing.assert_allclose(far.values[4:8], longer.values, rtol=1e-5)
    reach = far.quantiles(0.9) - far.values
    assert (np.diff(reach) >= -1e-12).all()


def test_past_covariates_are_not_known_so_far_ahead() -> None:
    table = pd.DataFrame({"y": np.arange(60) % 7 * 1.5, "x": np.arange(60) % 5})
    model = rnncli.forecast.fit(table, target="y", past_covariates="x", horizon=3)
    assert len(model.predict(horizon=2).values) == 2
    with pytest.raises(ParameterError, match="would need 'x' to be forecast"):
        model.predict(horizon=4)


def test_rows_before_the_first_forecast_are_kept(monkeypatch: pytest.MonkeyPatch, saved: Path) -> None:
    """A constant beginning has no forecast yet; semicolons, and a point in the place of a decimal comma."""
    lines = "month;sold\n" + "".join(f"2001-{month:02d};{1.5 if month < 4 else month}\n" for month in range(1, 8))
    monkeypatch.setattr("rnncli.forecast.follow.read_blocks", lambda *_: iter([lines.replace(".", ",").encode()]))
    told: list[str] = []
    found = list(follow(rnncli.load(saved / "model"), "-", told.append))
    assert [len(row[0].series.values) for row in found] == [4, 5, 6, 7]
    assert found[-1][0].series.values.tolist() == [1.5, 1.5, 1.5, 4, 5, 6, 7]
    assert any("no forecast yet: column 'sold' is constant" in text for text in told)


def test_rows_that_spoil_a_series_are_left_out_from_the_first_on(monkeypatch: pytest.MonkeyPatch, saved: Path) -> None:
    """A stamp that is there already, and a total, in a table in another encoding that has not had a forecast yet."""
    rows = [ROWS[0], ROWS[1], ROWS[1], ROWS[2], "Total,99", *ROWS[3:9]]
    lines = "month,sold\n" + "".join(f"{row}\n" for row in rows)
    monkeypatch.setattr("rnncli.files._pieces", lambda _: iter([lines.encode("utf-16")]))
    told: list[str] = []
    found = list(follow(rnncli.load(saved / "model"), "-", told.append, encoding="utf-16"))
    assert len(found[-1][0].series.values) == 9
    assert [text for text in told if text.endswith(": left out")] == [
        f"warning: row 3: column 'month' has the time '{ROWS[1][:7]}' twice (1 such); keep one row of each: left out",
        "warning: row 5: 'Total' in column 'month' is no time: left out",
    ]


@pytest.mark.parametrize("past", [True, False])
def test_rows_are_read_as_the_table_that_they_make_would_be(
    past: bool, monkeypatch: pytest.MonkeyPatch, saved: Path, tmp_path: Path
) -> None:
    """Blank columns, what Excel writes before the header, points between thousands that a later row tells."""
    begun = "sep=;\nmonth;sold;;\n"
    cells = [f"{2000 + month // 12}-{month % 12 + 1:02d};1.{month:03d};;\n" for month in range(20)]
    more = "2001-09;950,5;;\n"
    path = tmp_path / "table.csv"
    path.write_text(begun + "".join(cells))
    given = more if past else begun + "".join(cells) + more
    monkeypatch.setattr("rnncli.forecast.follow.read_blocks", lambda *_: iter([given.encode()]))
    told: list[str] = []
    found = list(follow(rnncli.load(saved / "model"), str(path) if past else "-", told.append))
    assert found[-1][0].series.values.tolist() == [*range(1000, 1020), 950.5]
    assert not any("left out" in text and "few" not in text for text in told)


def test_the_past_may_begin_with_a_p_and_with_a_comment(
    monkeypatch: pytest.MonkeyPatch, saved: Path, tmp_path: Path
) -> None:
    past = tmp_path / "past.csv"
    past.write_text("# exported, yesterday\nPeriod;sold\n" + "".join(row.replace(",", ";") + "\n" for row in ROWS[:40]))
    rows = ROWS[40].replace(",", ";") + "\n"
    monkeypatch.setattr("rnncli.forecast.follow.read_blocks", lambda *_: iter([rows.encode()]))
    found = list(follow(rnncli.load(saved / "model"), str(past), print, time_column="Period"))
    assert [len(row[0].series.values) for row in found] == [41]


def test_a_row_says_what_one_of_its_time_did_not_know(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The past ends in the covariates of the steps ahead."""
    promo = np.arange(80) % 4 == 1
    sold = 10 + np.arange(80) % 7 + 20.0 * promo
    table = pd.DataFrame({"step": np.arange(80), "sold": sold, "promo": promo * 1})
    table.loc[70:, "sold"] = np.nan
    path = tmp_path / "past.csv"
    table.to_csv(path, index=False)
    model = rnncli.forecast.fit(path, target="sold", future_covariates="promo", horizon=4)
    rows = "".join(f"{step},{sold[step]},\n" for step in range(70, 73))
    monkeypatch.setattr("rnncli.forecast.follow.read_blocks", lambda *_: iter([rows.encode()]))
    told: list[str] = []
    found = list(follow(model, str(path), told.append))
    assert told == []
    assert [len(row[0].series.values) for row in found] == [71, 72, 73]
    np.testing.assert_allclose(found[-1][0].values, sold[73:77], atol=1.5)


def test_a_past_that_is_not_utf_8_is_told(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "past.csv"
    path.write_bytes("Monat,Umsätze\n2000-01,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"is not UTF-8: byte 0xe4 at offset 9 \(line 1\); name its `encoding`"):
        next(follow(rnncli.load(saved / "model"), str(path), print))
