"""Data that several test files write down."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.training.restoring import open_checkpoint
from rnncli.training.stored import METADATA, metadata_digest


def monthly_sales(months: int) -> str:
    """A table of so many months from 1950 on, with a trend and a season."""
    steps = np.arange(months)
    values = 100 + steps + 20 * np.sin(2 * np.pi * steps / 12)
    rows = [f"{1950 + month // 12}-{month % 12 + 1:02d},{values[month]:.1f}\n" for month in steps]
    return "Month,Sales\n" + "".join(rows)


def restored(folder: Path, task: str, item: str, like: Any) -> Any:
    """An item of a checkpoint."""
    return open_checkpoint(folder, task, [item]).restore(item, like)


def forged(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the metadata of a checkpoint's only step, and sign them again, as somebody would who means harm."""
    (file,) = folder.glob(f"*/{METADATA}")
    content = json.loads(file.read_text())
    metadata = content["custom_metadata"]
    change(metadata)
    metadata["digests"]["metadata"] = metadata_digest(metadata)
    file.write_text(json.dumps(content))
