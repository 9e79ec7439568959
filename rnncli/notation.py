"""Numbers as people and other programs write them."""

import re
from collections.abc import Sequence

_COMMA = re.compile(r"^([+\u2212-]?\d+),(\d+)$")
_MARKS = ". \u00a0\u202f'"  # between thousands, beside a decimal comma
_BLANK = "[ \u00a0\u202f']"
_GROUPED = {  # numbers with separators between thousands, of which the first is never 0, or with a decimal comma
    "1,234.5": re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?"),
    "1.234,5": re.compile(r"[+-]?([1-9]\d{0,2}(\.\d{3})+|\d+),\d+|[+-]?[1-9]\d{0,2}(\.\d{3}){2,}"),
    "1 234.5": re.compile(rf"[+-]?[1-9]\d{{0,2}}({_BLANK}\d{{3}})+(\.\d+)?"),
    "1 234,5": re.compile(rf"[+-]?([1-9]\d{{0,2}}({_BLANK}\d{{3}})+|\d+)(,\d+)?"),
}
_POINTS = re.compile(r"[+-]?([1-9]\d{0,2}(\.\d{3})+|\d+)(,\d+)?")  # a point between thousands, a decimal comma


def is_number(cell: str) -> bool:
    """Whether a cell can be read as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def decimal_points(cells: list[str]) -> list[str]:
    """A column of a table that ';' separates, where ',' is the decimal point.

    One with marks between thousands stays as it is: `plain_numbers` reads it, where numbers are wanted.
    """
    if not any("," in cell for cell in cells):
        return cells
    if plain_numbers(cells)[1].endswith(",5") and any(mark in cell for cell in cells for mark in _MARKS):
        return cells
    return [_COMMA.sub(r"\1.\2", cell) for cell in cells]


def plain_numbers(column: Sequence[str]) -> tuple[list[str], str]:
    """A column with its numbers as programs write them, and the notation that was read; "" if there was no other.

    A notation is read where it fits every cell that is no number already: "1,234" is a thousand, "1.234,5" too. With a
    decimal comma, a point in any cell is between thousands, or the notation does not fit.
    """
    column = [cell.replace("\u2212", "-") if "\u2212" in cell else cell for cell in column]
    odd = [cell for cell in column if cell and not is_number(cell) and any(map(str.isdigit, cell))]
    for notation, pattern in _GROUPED.items() if odd else ():
        if all(pattern.fullmatch(cell) for cell in odd):
            found, comma = set(odd), notation.endswith(",5")
            if comma:
                pointed = {cell for cell in column if "." in cell and is_number(cell)}
                if not all(notation == "1.234,5" and _POINTS.fullmatch(cell) for cell in pointed):
                    continue
                found |= pointed
            return [_plain(cell, comma=comma) if cell in found else cell for cell in column], notation
    return column, ""


def _plain(cell: str, *, comma: bool) -> str:
    """A number without what is between its thousands, with a decimal point."""
    for sign in _MARKS if comma else _MARKS.replace(".", ","):
        cell = cell.replace(sign, "")
    return cell.replace(",", ".")
