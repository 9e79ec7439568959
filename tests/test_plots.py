"""Pictures: in files, and drawn in the terminal from the same description."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import monthly_sales

from rnncli.forecast.clock import read_clock
from rnncli.forecast.series import Series
from rnncli.forecast.timeline import Timeline
from rnncli.plots import canvas, draw_curves
from rnncli.terminal import drawn

BRAILLE = [chr(code) for code in range(0x2801, 0x2900)]  # but for the empty one


def dots(text: str) -> list[tuple[int, int]]:
    """Line and column of each character that has dots."""
    lines = [line.partition("┤")[2] or line.partition("│")[2] for line in text.splitlines()]
    return [(row, column) for row, line in enumerate(lines) for column, char in enumerate(line) if char in BRAILLE]


def test_a_line_is_where_its_values_are_and_ticks_have_their_labels() -> None:
    figure, axes = canvas(8, 4)
    axes.plot([0, 10], [0, 100], label="rising $")
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 100)
    axes.set_ylabel("height")
    axes.set_xlabel("time")
    text = drawn(figure, 60)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 60
    marks = dots(text)
    assert min(marks, key=lambda mark: mark[1])[0] == 14  # the first row has the label, the line begins at the bottom
    assert min(mark[0] for mark in marks) == 1
    assert [line.split("┤")[0].strip() for line in lines if "┤" in line] == ["100", "80", "60", "40", "20", "0"]
    assert lines[15].count("┬") == len(lines[16].split()) == 6
    assert lines[-1] == "⠒⠒ rising $"


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    width=st.integers(40, 200),
    missing=st.booleans(),
)
def test_any_curve_fits_any_terminal(values: list[float], width: int, missing: bool) -> None:
    figure, axes = canvas(8, 4)
    axes.plot([*values, float("nan")] if missing else values, marker="o")
    text = drawn(figure, width)
    assert max(map(len, text.splitlines())) <= width
    assert dots(text)


def test_bars_are_as_long_as_their_values() -> None:
    figure, axes = canvas(8, 4)
    axes.barh([0, 1], [1, 4])
    axes.set_yticks([0, 1], ["good", "bad"])
    axes.invert_yaxis()
    axes.set_xlim(0, 4)
    good, bad, *_ = drawn(figure, 60).splitlines()
    assert (good.split()[0], good.split()[-1], bad.split()[0], bad.split()[-1]) == ("good", "1", "bad", "4")
    assert bad.count("█") == pytest.approx(4 * good.count("█"), abs=4)


def test_one_epoch_is_drawn_as_points() -> None:
    _, axes = canvas(8, 4)
    draw_curves(axes, [{"epoch": 1.0, "train": 2.0, "validation": 1.5}], 1.0, "loss")
    assert all(line.get_marker() == "o" and line.get_linestyle() == "None" for line in axes.lines)
    assert len(axes.get_legend().get_texts()) == 3


@pytest.mark.parametrize(
    ("stamps", "labels"),
    [
        ([f"20{year:02}-{month:02}" for year in range(20, 24) for month in range(1, 13)], {"2021", "2023"}),
        ([f"2024-03-{day:02} {hour:02}:00" for day in range(1, 4) for hour in range(24)], {"02", "Mar"}),
        ([str(year) for year in range(1900, 1950)], {"1900", "1910"}),
        (None, {"10", "20"}),
    ],
)
def test_an_axis_of_time_has_dates_or_the_datas_own_stamps(stamps: list[str] | None, labels: set[str]) -> None:
    clock = None if stamps is None else read_clock(stamps)[1]  # pyright: ignore
    size = len(stamps or range(50))
    series = Series("y", np.arange(size, dtype=float), np.zeros(size, bool), "t", clock, 3, ())
    line = Timeline(series)
    places = line.at(0, size + 5)
    assert (np.diff(places) > 0).all()
    np.testing.assert_allclose(line.of([0.5, 3.5]), (places[[0, 3]] + places[[1, 4]]) / 2)
    figure, axes = canvas(10, 4)
    axes.plot(places[:size], series.values)
    line.label(axes)
    figure.draw_without_rendering()
    assert labels <= {label.get_text() for label in axes.get_xticklabels()}


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plots") / "sales.csv"
    path.write_text(monthly_sales(96))
    return path


def test_a_dash_draws_in_the_terminal_and_leaves_stdout_to_the_data(rnncli, sales: Path) -> None:
    plain, plotted = (rnncli("forecast", sales, "--horizon", 3, *more) for more in ([], ["--plot", "-"]))
    assert plotted.out == plain.out
    assert dots(plotted.err) and not dots(plain.err)
    assert "80 % interval" in plotted.err
    assert rnncli("forecast", sales, "--horizon", 3, "--plot", "-", "-q").err == ""


@pytest.mark.slow
def test_a_comparison_is_drawn(rnncli, sales: Path, tmp_path: Path) -> None:
    plot = tmp_path / "compared.svg"
    result = rnncli("forecast", "compare", sales, "--horizon", 2, "--epochs", 1, "--plot", plot)
    assert (result.code, "<svg" in plot.read_text()) == (0, True)
