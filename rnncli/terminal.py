"""Pictures in the terminal: the lines, points, bands and bars of a figure, in braille dots and blocks.

A picture is described once, for matplotlib, with its axes, ticks and colours; here it is drawn with fewer dots. What
dots cannot tell (a confusion matrix) is left out: a table shows it.
"""

import math
import os
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rnncli.plots import BLACK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 14  # rows of axes
_SMALL = 7  # where there are many
_MANY = 3
_BLOCKS = " ▏▎▍▌▋▊▉█"
_LEGEND = "⠒⠒"


def drawn(figure: "Figure", width: int | None = None) -> str:
    """The picture as lines of text; `width` in columns, the terminal's if None."""
    if width is None:
        try:
            width = os.get_terminal_size(sys.stderr.fileno()).columns or 80  # 0 where it is not known
        except OSError:
            width = 80
    coloured = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    shown = [axes for axes in figure.axes if axes.get_visible() and not axes.images]
    height = _HEIGHT if len(shown) <= _MANY else _SMALL
    title = getattr(figure, "get_suptitle", str)()
    parts = [title] if title else []
    for axes in shown:
        draw = _bars if axes.containers else _curves
        parts.append(_plain(axes.get_title("left") or axes.get_title()))
        parts.append(draw(axes, width - 1, height, coloured=coloured))
    return "\n".join(part for part in parts if part) + "\n"


def _curves(axes: "Axes", width: int, height: int, *, coloured: bool) -> str:
    """Lines, points and bands, with ticks at the left and below, and a legend."""
    from plotille import Canvas

    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    rows = {  # of the ticks, from the top
        round((top - place) / (top - bottom) * (height - 1)): label for place, label in _ticks(axes.yaxis, bottom, top)
    }
    margin = max(map(len, rows.values()), default=0) + 1
    columns = max(10, width - margin - 1)
    canvas = Canvas(columns, height, left, bottom, right, top, mode="byte")
    for points, colour, joined in _strokes(axes):
        shade = _shade(colour) if coloured else None
        for before, after in pairwise(points) if joined else ():
            canvas.line(*_inside(before, axes), *_inside(after, axes), color=shade)
        for point in () if joined else points:
            canvas.point(*point, color=shade)
    lines = [f"{rows.get(row, ''):>{margin}}┤{line}" for row, line in enumerate(canvas.plot().split("\n"))]
    lines = [line if row in rows else line.replace("┤", "│", 1) for row, line in enumerate(lines)]
    lines += _below(axes, margin, columns)
    legend = [f"{_painted(_LEGEND, colour) if coloured else _LEGEND} {label}" for colour, label in _labels(axes)]
    name = _plain(axes.get_ylabel())
    return "\n".join(([f"{name:>{margin}}"] if name else []) + lines + legend)


def _below(axes: "Axes", margin: int, columns: int) -> list[str]:
    """The axis below, and its ticks' labels as far as they have room."""
    left, right = axes.get_xlim()
    rule, labels = ["─"] * columns, [" "] * (margin + 1 + columns)
    free = 0
    for place, label in _ticks(axes.xaxis, left, right):
        column = min(columns - 1, int((place - left) / (right - left) * columns))
        begin = min(max(0, margin + 1 + column - len(label) // 2), len(labels) - len(label))
        if begin < free:
            continue
        rule[column] = "┬"
        labels[begin : begin + len(label)] = label
        free = begin + len(label) + 1
    name = _plain(axes.get_xlabel())
    return [
        " " * margin + "└" + "".join(rule),
        "".join(labels).rstrip(),
        *([f"{name:>{margin + columns}}"] if name else []),
    ]


def _bars(axes: "Axes", width: int, height: int, *, coloured: bool) -> str:
    """Horizontal bars, a line each."""
    names = [label.get_text() for label in axes.get_yticklabels()]
    bars: list[Any] = [patch for container in axes.containers for patch in container.patches]  # pyright: ignore
    left, right = axes.get_xlim()
    scale = math.log if axes.get_xscale() == "log" else float
    margin = min(max(map(len, names), default=0), width // 2)
    room = width - margin - 10
    lines = []
    order = sorted(zip(bars, names, strict=False), key=lambda pair: pair[0].get_y(), reverse=not axes.yaxis_inverted())
    for bar, name in order:
        end = bar.get_x() + bar.get_width()
        filled = 8 * room * max(0.0, scale(end) - scale(left)) / (scale(right) - scale(left)) if end > left else 0
        text = _BLOCKS[8] * int(filled // 8) + _BLOCKS[int(filled % 8)].strip()
        text = _painted(text, bar.get_facecolor()) if coloured else text
        lines.append(f"{name[:margin]:>{margin}} {text} {end:.4g}")
    return "\n".join([*lines, f"{'':{margin}} {_plain(axes.get_xlabel())}"])


def _strokes(axes: "Axes") -> "list[tuple[list[tuple[float, float]], Any, bool]]":
    """Points, their colour, and whether they are joined: bands (their two edges) first, which lines may cover."""
    found = []
    for band in axes.collections:
        for path in band.get_paths():
            found += [(run, band.get_facecolor()[0], len(run) > 1) for run in _runs(path.vertices)]
    for line in axes.lines:
        solid = line.get_linestyle() not in ("None", "", " ")
        found += [(run, line.get_color(), solid and len(run) > 1) for run in _runs(line.get_xydata())]
    return found


def _runs(points: Any) -> list[list[tuple[float, float]]]:
    """Points that follow each other; where one is not a number, another run begins."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            runs[-1].append((float(x), float(y)))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _inside(point: tuple[float, float], axes: "Axes") -> tuple[float, float]:
    """A point that is far outside the axes, at their edge."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    return min(max(point[0], left), right), min(max(point[1], bottom), top)


def _ticks(axis: Any, low: float, high: float) -> list[tuple[float, str]]:
    """Places within the axis' limits and what stands there."""
    places = [place for place in axis.get_majorticklocs() if low <= place <= high]
    labels = axis.get_major_formatter().format_ticks(places)
    return [(place, _plain(label)) for place, label in zip(places, labels, strict=True)]


def _labels(axes: "Axes") -> list[tuple[Any, str]]:
    """Colours and words of the legend."""
    handles, labels = axes.get_legend_handles_labels()
    found = []
    for handle, label in zip(handles, labels, strict=True):
        colour = handle.get_color() if hasattr(handle, "get_color") else handle.get_facecolor()[0]  # pyright: ignore
        found.append((colour, _plain(label)))
    return found


def _plain(text: str) -> str:
    """Without what matplotlib reads as a formula."""
    return text.replace(r"\$", "\0").replace("$\\mathdefault{", "").replace("}$", "").replace("\0", "$")


def _shade(colour: Any) -> int | None:
    """A colour among the 256 of terminals; None, the terminal's own, for black."""
    from matplotlib.colors import to_hex, to_rgb

    if to_hex(colour) == BLACK:
        return None
    red, green, blue = (round(5 * part) for part in to_rgb(colour))
    return 16 + 36 * red + 6 * green + blue


def _painted(text: str, colour: Any) -> str:
    shade = _shade(colour)
    return text if shade is None else f"\x1b[38;5;{shade}m{text}\x1b[0m"
