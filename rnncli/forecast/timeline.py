"""The time axis of a picture: where the steps of a series lie on it, and what stands below."""

from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.forecast.series import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Timeline:
    """A series' steps as places on the axis: days where the calendar is known, else years, or numbers of rows."""

    def __init__(self, series: Series):
        self._series = series
        self._moments = None if series.clock is None else series.clock.moments
        first, second = series.stamp(0), series.stamp(1)
        counts = first.isdecimal() and second.isdecimal() and int(second) == int(first) + 1
        self._first = int(first) if counts else 0

    def at(self, first: float, end: float) -> np.ndarray:
        """The places of the steps `first`, `first + 1`, … before `end`; half steps lie half-way between two."""
        return self.of(np.arange(first, end))

    def of(self, steps: Any) -> np.ndarray:
        """The places of steps, counted from the first value."""
        steps = np.asarray(steps, float)
        if self._moments is None:
            return steps + self._first
        from matplotlib.dates import date2num

        before = np.floor(steps).astype(np.int64)
        low, high = (np.asarray(date2num(self._moments(places)), float) for places in (before, before + 1))
        return low + (steps - before) * (high - low)

    def shade(self, axes: "Axes", first: int, end: int, colour: str) -> None:
        """Colour the ground under some steps."""
        left, right = self.of([first - 0.5, end - 0.5])
        axes.axvspan(left, right, color=colour, alpha=0.07, linewidth=0)

    def label(self, axes: "Axes", most: int = 9) -> None:
        """Dates below the axis, or the data's own stamps, as many as can be read."""
        if self._moments is not None:
            from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

            locator = AutoDateLocator(minticks=min(3, most), maxticks=most)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
            return
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        series = self._series

        def stamp(place: float, _: int) -> str:
            return series.stamp(round(place) - self._first) if place >= self._first else ""

        axes.xaxis.set_major_locator(MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(stamp))
