"""A share of the work: which records a process answers, where many share them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, TypeVar

from rnncli.settings import Settings, setting

Item = TypeVar("Item")


def _share(text: str) -> str:
    """Raises ValueError: it is no share."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and len(text) < 20 and int(index) < int(count)):
        raise ValueError(f"{text!r} is not I/N with I from 0 to N - 1")
    return text


@dataclass(frozen=True, kw_only=True)
class Sharding(Settings):
    """The share."""

    shard: str | None = setting(
        None,
        "Answer records I, I + N, … alone, counted from 0; merge joins what all print.",
        None,
        "I/N",
        shown="all",
        convert=_share,
    )

    @property
    def slice(self) -> slice:
        """The records, of a sequence of them."""
        if self.shard is None:
            return slice(None)
        index, _, count = self.shard.partition("/")
        return slice(int(index), None, int(count))

    def of(self, items: Sequence[Any]) -> Any:
        """The share of a sequence."""
        return items[self.slice]

    def of_groups(self, groups: Iterable[list[Item]]) -> Iterator[list[Item]]:
        """The share of records that come in groups."""
        if self.shard is None:
            yield from groups
            return
        share, first = self.slice, 0
        for group in groups:
            kept = group[(share.start - first) % share.step :: share.step]
            first += len(group)
            if kept:
                yield kept


ALL = Sharding()


def in_turn(parts: Sequence[Iterable[Item]]) -> Iterator[Item]:
    """A record of each part in turn: the reverse of sharing them out.

    Raises ValueError: the parts are not those of one whole, as one has too few records or too many.
    """
    turns, ended = [iter(part) for part in parts], 0
    nothing = object()
    for number, turn in enumerate(cycle(turns)):
        found = next(turn, nothing)
        if found is nothing:
            ended += 1
            if ended == len(turns):
                return
        elif ended:
            raise ValueError(f"part {number % len(turns)} has a record more than the part before it")
        else:
            yield found  # pyright: ignore[reportReturnType]
