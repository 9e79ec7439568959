"""Time columns: what is understood, and how it goes on in its own notation."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnncli.errors import DataError
from rnncli.forecast.clock import read_clock


@pytest.mark.parametrize(
    ("stamps", "step", "seasons", "following"),
    [
        (["1949-01", "1949-02", "1949-03"], "month", (12,), ["1949-04", "1949-05"]),
        (["1960-11", "1960-12"], "month", (12,), ["1961-01", "1961-02"]),
        (["1-11", "1-12", "2-01"], "month", (12,), ["2-02", "2-03"]),
        (["2020-W52", "2020-W53", "2021-W01"], "week", (52,), ["2021-W02", "2021-W03"]),
        (["2024W01", "2024W03", "2024W05"], "2 weeks", (), ["2024W07", "2024W09"]),
        (["1704067200", "1704070800", "1704074400"], "hour", (24, 168), ["1704078000", "1704081600"]),
        (["1704067200000", "1704153600000"], "day", (7, 365), ["1704240000000", "1704326400000"]),
        (["2020-01-31", "2020-02-29", "2020-03-31"], "month", (12,), ["2020-04-30", "2020-05-31"]),
        (["2020-01-15", "2020-04-15", "2020-07-15"], "quarter", (4,), ["2020-10-15", "2021-01-15"]),
        (["1999Q3", "1999Q4", "2000Q1"], "quarter", (4,), ["2000Q2", "2000Q3"]),
        (["1981-02-27", "1981-02-28"], "day", (7, 365), ["1981-03-01", "1981-03-02"]),
        (["2002-01-01 00:00:00", "2002-01-08 00:00:00"], "7 days", (52,), ["2002-01-15 00:00:00"]),
        (["2016-07-01 22:00:00", "2016-07-01 23:00:00"], "hour", (24, 168), ["2016-07-02 00:00:00"]),
        (["2016-07-01T23:30Z", "2016-07-01T23:45Z"], "15 minutes", (4, 96, 672), ["2016-07-02T00:00Z"]),
        (["30.12.2020", "31.12.2020"], "day", (7, 365), ["01.01.2021"]),
        (["12/30/2020", "12/31/2020"], "day", (7, 365), ["01/01/2021"]),
        (["Nov 1999", "Dec 1999"], "month", (12,), ["Jan 2000"]),
        (["2024-02-0" + str(d) for d in (1, 2, 5, 6, 7, 8, 9)], "business day", (5, 260), ["2024-02-12"]),
        (["1821", "1822", "1823"], "unit", (), ["1824"]),
        (["10", "20", "40"], "10 units", (), ["50"]),
        (["1956", "1956.08333333333", "1956.16666666667"], "month", (12,), ["1956.25", "1956.33333333333"]),
        (["1990.25", "1990.5"], "quarter", (4,), ["1990.75", "1991"]),
        (["1700.5", "1701.5", "1702.5"], "year", (), ["1703.5"]),
        (["1990.125", "1990.375"], "quarter", (4,), ["1990.625", "1990.875"]),
        (["1950Q4", "1951Q4"], "year", (), ["1952Q4"]),
        (["20240130", "20240131"], "day", (7, 365), ["20240201"]),
        (["202411", "202412"], "month", (12,), ["202501"]),
        (["30-12-2020", "31-12-2020"], "day", (7, 365), ["01-01-2021"]),
        (["31 January 2024", "29 February 2024"], "month", (12,), ["31 March 2024"]),
        (["01/11/2015", "01/12/2015", "01/01/2016"], "month", (12,), ["01/02/2016"]),
        (["2024-03-30T12:00:00+01:00", "2024-03-31T12:00:00+01:00"], "day", (7, 365), ["2024-04-01T12:00:00+01:00"]),
        # days by the clock on the wall, though offsets change; as they were written, with zeros or without
        (["2024-03-31T00:00+0100", "2024-04-01T00:00+0200"], "day", (7, 365), ["2024-04-02T00:00+0200"]),
        (["2024-01-01 00:00:00.5+01:00", "2024-01-01 01:00:00.5+01:00"], "hour", (24, 168), []),
        (["9/30/2024", "10/1/2024"], "day", (7, 365), ["10/2/2024"]),
        (["9/30/2024 23:00", "10/1/2024 0:00"], "hour", (24, 168), ["10/1/2024 1:00"]),
        (["2024-01-01T23:00:00.000Z", "2024-01-02T00:00:00.000Z"], "hour", (24, 168), ["2024-01-02T01:00:00.000Z"]),
        # the last business day of each month, and the first
        (["2024-02-29", "2024-03-29", "2024-04-30", "2024-05-31"], "month", (12,), ["2024-06-28", "2024-07-31"]),
        (["2024-06-03", "2024-07-01", "2024-08-01"], "month", (12,), ["2024-09-02", "2024-10-01"]),
        (["9999-01-01", "9999-01-02"], "day", (7, 365), ["9999-01-03"]),
        (["1600-01-01", "1600-01-02"], "day", (7, 365), ["1600-01-03"]),
    ],
)  # fmt: skip
def test_times_go_on(stamps: list[str], step: str, seasons: tuple[int, ...], following: list[str]) -> None:
    found = read_clock(stamps)
    assert found is not None
    positions, clock = found
    assert (clock.step, clock.seasons) == (step, seasons)
    assert [clock.stamp(int(position)) for position in positions] == stamps
    last = int(positions[-1])
    assert [clock.stamp(last + ahead + 1) for ahead in range(len(following))] == following


@pytest.mark.parametrize(
    ("stamps", "step", "written"),
    [
        # places with offsets of their own share the last one, and no instant changes
        (
            ["2024-03-31T00:00+0100", "2024-03-31T00:00-0500", "2024-04-01T00:00+0100"],
            "6 hours",
            "2024-03-31T06:00+0100",
        ),
        (["2024-01-01 00:00:00.0", "2024-01-01 00:00:00.25"], "0.25 seconds", "2024-01-01 00:00:00.25"),
        (
            ["2024-01-01 00:00:00.0", "2024-01-01 00:00:00.5", "2024-01-01 00:00:01.0"],
            "0.5 seconds",
            "2024-01-01 00:00:00.5",
        ),
        (["Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"], "day", "2024-01-02"),
    ],
)
def test_times_that_are_not_written_back_are_the_same_times(stamps: list[str], step: str, written: str) -> None:
    found = read_clock(stamps)
    assert found is not None
    assert (found[1].step, found[1].stamp(1)) == (step, written)


def test_what_is_no_time() -> None:
    assert read_clock(["a", "b", "c"]) is None
    assert read_clock(["0.5", "0.25"]) is None


def test_a_bad_stamp_among_good_ones_is_named() -> None:
    with pytest.raises(DataError, match="row 3: 'Marhc' is no time like '1949-02'"):
        read_clock(["1949-01", "1949-02", "Marhc", "1949-04"])


def test_offsets_may_change_with_the_clocks() -> None:
    stamps = ["2024-03-31 00:00:00+01:00", "2024-03-31 01:00:00+01:00", "2024-03-31 03:00:00+02:00"]
    found = read_clock(stamps)
    assert found is not None
    positions, clock = found
    assert positions.tolist() == [0, 1, 2]
    assert clock.stamp(3) == "2024-03-31 04:00:00+02:00"


def test_an_ambiguous_order_of_day_and_month_is_said() -> None:
    found = read_clock([f"01/{month % 12 + 1:02d}/{2015 + month // 12}" for month in range(18)])
    assert found is not None
    assert "'01/01/2015' was read as %d/%m/%Y" in found[1].note


def test_a_forecast_beyond_the_calendar_is_told() -> None:
    found = read_clock(["9999-12-30", "9999-12-31"])
    assert found is not None
    with pytest.raises(DataError, match="runs out of the calendar"):
        found[1].stamp(10**9)


def test_irregular_steps_are_named() -> None:
    with pytest.raises(DataError, match="'2020-01-01 02:20:00' follows '2020-01-01 02:00:00'"):
        read_clock([f"2020-01-01 0{hour}:00:00" for hour in range(3)] + ["2020-01-01 02:20:00"])


@given(
    start=st.datetimes(min_value=pd.Timestamp("1700-01-01"), max_value=pd.Timestamp("2200-01-01")),
    width=st.sampled_from(["1min", "15min", "1h", "1D", "7D"]),
    count=st.integers(3, 30),
)
@settings(max_examples=40, deadline=None)
def test_regular_stamps_survive_the_round_trip(start: pd.Timestamp, width: str, count: int) -> None:
    times = pd.date_range(pd.Timestamp(start).floor("s"), periods=count + 5, freq=width)
    stamps = [time.strftime("%Y-%m-%d %H:%M:%S") for time in times]
    found = read_clock(stamps[:count])
    assert found is not None
    positions, clock = found
    assert positions.tolist() == list(range(count))
    assert [clock.stamp(position) for position in range(count + 5)] == stamps


def test_dates_in_words_are_the_last_resort() -> None:
    stamps = ["Monday, 1st of January 2024", "2nd January 2024", "January 3rd, 2024", "4. January 2024"]
    reading = read_clock(stamps)
    assert reading is not None
    positions, clock = reading
    assert positions.tolist() == [0, 1, 2, 3]
    assert (clock.stamp(4), clock.step) == ("2024-01-05", "day")
    assert clock.note == "'Monday, 1st of January 2024' was read as 2024-01-01"
    for vague in (["January", "February"], ["Monday", "Tuesday"], ["a", "b"], ["may", "june"]):
        assert read_clock(vague) is None
