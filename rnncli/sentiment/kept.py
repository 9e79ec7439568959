"""Texts that may be more than memory holds: kept as UTF-8, one after the other, and decoded one by one."""

from array import array
from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np

from rnncli.spool import Spool


class _Rows(Sequence[str]):
    """Texts that are had by their number."""

    def __init__(self, count: int):
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """One of the texts, or a list of some."""
        rows = range(self._count)[index]
        return self._text(rows) if isinstance(rows, int) else [self._text(row) for row in rows]

    def _text(self, row: int) -> str:
        raise NotImplementedError


class Kept(_Rows):
    """All texts of a source."""

    def __init__(self, texts: Iterable[str]):
        """Takes the texts as they come."""
        spool, ends = Spool(np.uint8), array("q", [0])
        for text in texts:
            spool.put(text.encode("utf-8", "surrogatepass"))
            ends.append(len(spool))
        super().__init__(len(ends) - 1)
        self._content, self._ends = spool.array(), ends

    def _text(self, row: int) -> str:
        return self._content[self._ends[row] : self._ends[row + 1]].tobytes().decode("utf-8", "surrogatepass")


class Chosen(_Rows):
    """Some of other texts."""

    def __init__(self, texts: Sequence[str], rows: np.ndarray):
        """The texts with the numbers `rows`, in the order of these."""
        super().__init__(len(rows))
        self._texts, self._rows = texts, rows

    def _text(self, row: int) -> str:
        return self._texts[int(self._rows[row])]
