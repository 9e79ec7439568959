"""Texts with their labels, collected as they come."""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnncli.sentiment.kept import Chosen, Kept


@dataclass(frozen=True)
class Labelled:
    """Texts and the labels that they have."""

    texts: Sequence[str]
    kinds: list[tuple[str, ...]]  # the sets of labels that there are
    labels: np.ndarray  # int32 `[n]`, which of them each text has
    several: bool  # whether texts have several labels, or none
    name: str  # of the source, for messages
    numbers: range  # of the records there, from 0 on

    @property
    def sets(self) -> list[tuple[str, ...]]:
        """All labels of each text."""
        return [self.kinds[kind] for kind in self.labels]

    @property
    def label_names(self) -> set[str]:
        """The labels that there are."""
        return {name for kind in self.kinds for name in kind}

    def __len__(self) -> int:
        return len(self.texts)

    def share(self, some: slice) -> "Labelled":
        """Some of the texts."""
        rows = np.arange(len(self))[some]
        return replace(self, texts=Chosen(self.texts, rows), labels=self.labels[rows], numbers=self.numbers[some])

    def first_with(self, kinds: Collection[int]) -> int:
        """The first text that has one of some sets of labels."""
        return int(np.isin(self.labels, list(kinds)).argmax())

    def record_with(self, kinds: Collection[int]) -> int:
        """The number of its record, from 1 on."""
        return self.numbers[self.first_with(kinds)] + 1


def collected(
    records: Iterable[tuple[str, Any]],
    name: str,
    kinds_of: Callable[[Sequence[Any]], list[tuple[str, ...]] | None] = lambda cells: None,
) -> Labelled:
    """Texts as they come, each with what stands where its labels stand.

    `kinds_of` gives the labels that each such thing means; None where it is one label by itself.
    """
    cells: dict[Any, int] = {}  # and their numbers, in the order in which they are met
    labels = array("i")

    def texts() -> Iterator[str]:
        for text, cell in records:
            labels.append(cells.setdefault(cell, len(cells)))
            yield text

    kept, several = Kept(texts()), kinds_of(list(cells))
    kinds = [(cell,) for cell in cells] if several is None else several
    return Labelled(kept, kinds, np.array(labels, np.int32), several is not None, name, range(len(labels)))
