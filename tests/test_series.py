"""From a table to a regular series."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnncli.errors import DataError, ParameterError
from rnncli.forecast.long import read_many
from rnncli.forecast.reading import read
from rnncli.forecast.series import read_series
from rnncli.forecast.source import SeriesSource


def table(**columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns)


MONTHS = [f"1950-0{month}" for month in range(1, 8)]


def test_the_only_numeric_column_is_the_target() -> None:
    series = read_series(table(Month=MONTHS, note=list("abcdefg"), y=list("1234567")))
    assert (series.name, series.time_name) == ("y", "Month")
    assert series.values.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert series.stamp(7) == "1950-08"


def test_row_numbers_are_neither_target_nor_better_than_a_time_column() -> None:
    rows = [str(row) for row in range(1, 5)]
    assert read_series(table(rownames=rows, x=list("3141"))).time_name == "rownames"
    years = ["1956", "1956.25", "1956.5", "1956.75"]
    assert read_series(table(rownames=rows, time=years, value=list("3141"))).time_name == "time"


def test_without_a_time_column_rows_are_counted() -> None:
    series = read_series(table(x=["2.5", "3.5", "1.0"]))
    assert series.clock is None
    assert series.stamp(3) == "4"


def test_rows_are_sorted_and_it_is_said() -> None:
    series = read_series(table(Month=["1950-02", "1950-01", "1950-03"], y=list("213")))
    assert series.values.tolist() == [1, 2, 3]
    assert "sorted" in series.notes[0]


@pytest.mark.parametrize(
    ("fill", "wanted"),
    [("linear", [1, 2, 3, 4, 5]), ("previous", [1, 1, 3, 3, 5]), ("zero", [1, 0, 3, 0, 5])],
)
def test_gaps_are_filled_and_named(fill: str, wanted: list[float]) -> None:
    gaps = table(Month=["1950-01", "1950-03", "1950-04", "1950-05"], y=["1", "3", "NA", "5"])
    series = read_series(gaps, fill=fill)
    assert series.values.tolist() == wanted
    assert "1 time step of one month was missing (1950-02): filled" in series.notes[1]


def test_a_gap_at_the_start_takes_the_first_value() -> None:
    for fill in ("linear", "previous"):
        assert read_series(table(x=["", "1", "2"]), fill=fill).values.tolist() == [1, 1, 2]


def test_missing_values_at_the_end_are_the_future() -> None:
    series = read_series(table(Month=MONTHS, y=["1", "2", "3", "4", "5", "", ""]))
    assert len(series.values) == 5
    assert series.stamp(5) == "1950-06"
    assert "ends in 2 missing values" in series.notes[0]


def test_missing_steps_and_missing_values_are_both_named() -> None:
    series = read_series(table(Month=["1950-01", "1950-02", "1950-04", "1950-05"], y=["1", "", "3", "4"]))
    assert "1 missing value (1950-02)" in series.notes[0]
    assert "1 time step of one month was missing (1950-03)" in series.notes[1]
    assert series.filled.tolist() == [False, True, True, False, False]


def test_a_time_column_that_cannot_be_read_is_an_error_with_what_is_known() -> None:
    unread = table(Date=["", "first", "second"], y=list("123"))
    message = (
        r"column 'Date', row 2: 'first' is no time; known are stamps like 2024-01-31, .*; name another `time_column`"
    )
    with pytest.raises(DataError, match=message):
        read_series(unread)
    with pytest.raises(DataError, match=message):
        read_series(unread, time_column="Date")
    with pytest.raises(DataError, match=message):
        read_many(unread.assign(id=["a", "a", "a"]), "id")
    counted = read_series(unread, time_column="none")
    assert counted.clock is None
    assert counted.stamp(3) == "4"


def test_comments_totals_and_the_signs_of_spreadsheets(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("# exported yesterday\n# by hand\nMonth,y\n2024-01,1\n2024-02,#N/A\n# odd\n2024-03,5\nTotal,6\n")
    notes: list[str] = []
    (series,) = read(path, SeriesSource(), notes.append)
    assert (series.values.tolist(), series.name, series.time_name) == ([1, 3, 5], "y", "Month")
    assert "the last row, 'Total', is left out" in notes
    path.write_text("# Month,y\n2024-01,1\n2024-02,2\n2024-03,5\n")
    (series,) = read(path, SeriesSource(), notes.append)
    assert (series.values.tolist(), series.name) == ([1, 2, 5], "y")


def test_a_series_that_is_called_total_keeps_its_last_value(tmp_path: Path) -> None:
    path = tmp_path / "regions.csv"
    rows = [f"{region},2024-{month:02d},{month + 1}\n" for region in ("North", "Total") for month in range(1, 7)]
    path.write_text("region,month,sold\n" + "".join(rows))
    members = read(path, SeriesSource(id="region"), lambda _: None)
    assert [len(each.values) for each in members] == [6, 6]


def test_days_with_a_time_zone_are_days_of_that_place() -> None:
    index = pd.date_range("2024-03-20", periods=30, tz="Europe/Berlin")
    (series,) = read(pd.Series(np.arange(30.0), index), SeriesSource(), lambda _: None)
    assert series.clock is not None
    assert (series.clock.step, series.stamp(29), len(series.values)) == ("day", "2024-04-18", 30)


def test_an_hour_that_comes_twice_without_a_value_is_missing(recwarn: pytest.WarningsRecorder) -> None:
    hours = ["00:00", "01:00", "02:00", "02:00", "03:00", "04:00"]
    table = pd.DataFrame({"t": [f"2024-10-27 {hour}" for hour in hours], "y": ["1", "2", "", "", "5", "6"]})
    (series,) = read(table, SeriesSource(), lambda _: None)
    assert series.values.tolist() == [1, 2, 3.5, 5, 6]
    assert not recwarn.list


def test_another_encoding_is_read_where_it_is_named_and_guessed_where_it_is_not(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    rows = "".join(f"2024-{month:02d},{month * month}\n" for month in range(1, 13))
    path.write_bytes(
        f"Monat,Umsätze größerer Städte in Österreich über die Jahre für Käufer\n{rows * 3}".encode("cp1252")
    )
    with pytest.raises(DataError, match=r"is not UTF-8: byte 0xe4 at offset 9 \(line 1\); name its `encoding`"):
        read(path, SeriesSource(), print)
    path.write_bytes(f"Monat,Umsätze\n{rows}".encode("cp1252"))
    (series,) = read(path, SeriesSource(encoding="cp1252", time_column="Monat"), print)
    assert (series.name, len(series.values)) == ("Umsätze", 12)
    with pytest.raises(DataError, match=r"is not ASCII: byte 0xe4 at offset 9; name its `encoding`"):
        read(path, SeriesSource(encoding="ascii"), print)
    with pytest.raises(ParameterError, match="'klingon' is no text encoding"):
        SeriesSource(encoding="klingon")


def test_row_numbers_are_forecast_where_there_is_nothing_else() -> None:
    assert read_series(table(Month=MONTHS[:3], n=["5", "3", "9"])).name == "n"


def test_digits_are_those_of_the_input() -> None:
    assert read_series(table(x=["0.00123456", "1.5"])).digits == 6
    assert read_series(table(x=["112", "118"])).digits == 4


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"Month": MONTHS[:3], "y": ["1", "two", "3"]}, {}, "column 'y', row 2: 'two' is not a number"),
        ({"x": ["1", "inf", "3"]}, {}, "row 2: 'inf' is infinite"),
        ({"x": ["1", "1e300", "3"]}, {}, "row 2: 1e300 is too large"),
        ({"x": ["1e-170", "2e-170"]}, {}, "too little to compute with"),
        ({"x": ["1_000", "2", "3"]}, {}, "'1_000' is not a number"),
        ({"year": ["1950", "x", "1952"], "y": list("123")}, {}, "row 2: 'x' is no time like '1950'"),
        ({"x": ["", "NA", "nan"]}, {}, "has no values: all 3 are missing"),
        ({"x": ["4", "4", "4"]}, {}, "constant: every value is 4"),
        ({"x": ["4"]}, {}, "only one row"),
        ({"x": ["1", "", "3"]}, {"fill": "none"}, r"1 missing value \(row 2\); choose a `fill`"),
        (
            {"Month": ["1950-01", "1950-03", "1950-04", "1950-05"], "y": list("1345")},
            {"fill": "none"},
            r"1 time step missing: 1950-02; choose",
        ),
        ({"Month": ["1950-01", "1950-01"], "y": list("13")}, {}, "has the time '1950-01' twice"),
        ({"Month": MONTHS[:2], "a": list("12"), "b": list("34")}, {}, "choose one with `target`: 'a', 'b'"),
        (
            {"Month": MONTHS[:2], "word": ["x", "y"]},
            {},
            "no column of numbers to forecast: 'word' has 'x'; write numbers alone",
        ),
        ({"Month": MONTHS[:2], "Passengers": list("12")}, {"target": "Pasengers"}, "did you mean 'Passengers'"),
        ({"Month": MONTHS[:2], "y": list("12")}, {"time_column": "Mont"}, "no column 'Mont'; did you mean 'Month'"),
        (
            {"Month": MONTHS[:2], "y": ["a", "b"]},
            {"time_column": "y", "target": "Month"},
            "column 'y', row 1: 'a' is no time",
        ),
        ({"ds": list("1212"), "unique_id": list("aabb"), "y": list("1234")}, {}, "by column 'unique_id'"),
    ],
)
def test_what_cannot_be_forecast_is_told(columns: dict, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_series(table(**columns), **options)
    assert "\n" not in str(caught.value)


def test_real_series(shared_data) -> None:
    from rnncli.tables import read_table

    series = read_series(read_table(str(shared_data / "series/daily-min-temperatures.csv")))
    assert len(series.values) == 3652  # ten years, with the two days that the file leaves out
    assert "(1984-12-31, 1988-12-31)" in series.notes[0]
    gas = read_series(read_table(str(shared_data / "series/gas.csv")))
    assert [gas.stamp(476), gas.stamp(477)] == ["1995.66666666667", "1995.75"]
    assert np.isfinite(gas.values).all()


def local_hours(days: list[str], freq: str = "h") -> tuple[list[str], np.ndarray]:
    """Local stamps of Berlin without their offset, and values that say the hour in UTC."""
    utc = pd.date_range(days[0], days[1], freq=freq, tz="UTC")
    return list(utc.tz_convert("Europe/Berlin").strftime("%Y-%m-%d %H:%M")), np.arange(len(utc), dtype=float)


@pytest.mark.parametrize(("freq", "times"), [("h", 1), ("30min", 2)])
def test_the_hour_that_daylight_saving_repeats_is_taken_once(freq: str, times: int) -> None:
    stamps, values = local_hours(["2023-10-27", "2023-10-31"], freq)
    series = read_series(pd.DataFrame({"time": stamps, "y": values.astype(str)}))
    assert any(f"{times} time" in note and "daylight saving ended (2023-10-29 02:00)" in note for note in series.notes)
    assert len(series.values) == len(values) - times
    first = stamps.index("2023-10-29 02:00")
    assert series.values[first] == (values[first] + values[first + times]) / 2
    assert not series.filled.any()


def test_the_hour_that_daylight_saving_leaves_out_is_a_gap() -> None:
    stamps, values = local_hours(["2023-03-25", "2023-03-28"])
    series = read_series(pd.DataFrame({"time": stamps, "y": values.astype(str)}))
    assert [series.stamp(place) for place in np.flatnonzero(series.filled)] == ["2023-03-26 02:00"]


def test_other_times_that_come_twice_are_refused() -> None:
    for day in ("2023-10-28", "2023-07-02"):  # a Saturday, and a Sunday of summer
        stamps = [f"{day} {hour:02d}:00" for hour in (0, 1, 2, 2, 3, 4, 5)]
        with pytest.raises(DataError, match=f"'{day} 02:00' twice"):
            read_series(pd.DataFrame({"time": stamps, "y": "1234567"}).assign(y=list("1234567")))
