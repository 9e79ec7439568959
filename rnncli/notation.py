"""Numbers as people and other programs write them."""

import re
from collections.abc import Sequence

_COMMA = re.compile(r"^([+-]?\d+),(\d+)$")
_GROUPED = {  # numbers with separators between thousands, or with a decimal comma
    "1,234.5": re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?"),
    "1.234,5": re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+|[+-]?\d{1,3}(\.\d{3}){2,}"),
    "1 234.5": re.compile(r"[+-]?\d{1,3}([ \u00a0\u202f']\d{3})+(\.\d+)?"),
    "1 234,5": re.compile(r"[+-]?\d{1,3}([ \u00a0\u202f']\d{3})+,\d+"),
}


def is_number(cell: str) -> bool:
    """Whether a cell can be read as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def decimal_points(row: list[str], separator: str) -> list[str]:
    """Cells of a row as other programs write them: where ';' separates, ',' is the decimal point."""
    return [_COMMA.sub(r"\1.\2", cell) for cell in row] if separator == ";" else row


def plain_numbers(column: Sequence[str]) -> tuple[list[str], str]:
    """A column with its numbers as programs write them, and the notation that was read; "" if there was no other.

    A notation is read where it fits every cell that is no number already: "1,234" is a thousand, "1.234,5" too.
    """
    odd = [cell for cell in column if cell and not is_number(cell) and any(map(str.isdigit, cell))]
    for notation, pattern in _GROUPED.items() if odd else ():
        if all(pattern.fullmatch(cell) for cell in odd):
            comma = notation.endswith(",5")
            between = str.maketrans(
                {**dict.fromkeys(". \u00a0\u202f'", ""), ",": "."} if comma else dict.fromkeys(", \u00a0\u202f'", "")
            )
            found = set(odd)
            return [cell.translate(between) if cell in found else cell for cell in column], notation
    return list(column), ""
