"""Data that several test files write down."""

import numpy as np


def monthly_sales(months: int) -> str:
    """A table of so many months from 1950 on, with a trend and a season."""
    steps = np.arange(months)
    values = 100 + steps + 20 * np.sin(2 * np.pi * steps / 12)
    rows = [f"{1950 + month // 12}-{month % 12 + 1:02d},{values[month]:.1f}\n" for month in steps]
    return "Month,Sales\n" + "".join(rows)
