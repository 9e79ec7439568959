"""Damage that is the same each time: bytes and JSON values, mutated by a number."""

import copy
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

NASTY = [
    b"\0",
    b"\r",
    b"\n",
    b'"',
    b",",
    b"\xff\xfe",
    b"\x1b[31m",
    b"9" * 400,
    b"-1",
    b"1e999",
    b"nan",
    b" " * 70,
    b"[" * 90,
]
VALUES: list[Any] = [
    None, 0, -1, 1, 3, 10**6, 10**30, -(10**30), 2**63, 0.5, 1e308, float("nan"), True, "", "16", "x", "linear",
    "\x1b[31m", "../../etc/passwd", [], [[]], [None], [1, "x"], {}, {"a": {}}, {"mean": [], "std": []}, list(range(99)),
]  # fmt: skip


def damaged(content: bytes, number: int) -> bytes:
    """The content with one to four faults."""
    draw = np.random.default_rng(number)
    data = bytearray(content)
    for _ in range(draw.integers(1, 5)):
        size = len(data)
        first = int(draw.integers(size + 1))
        kind = draw.integers(7)
        if kind == 0 and size:
            data[first % size] ^= 1 << int(draw.integers(8))
        elif kind == 1:
            del data[first:]
        elif kind == 2:
            del data[:first]
        elif kind == 3:
            data[first:first] = NASTY[draw.integers(len(NASTY))]
        elif kind == 4 and size:
            last = min(size, first + int(draw.integers(1, 40)))
            data[first:last] = draw.bytes(last - first)
        elif kind == 5:
            data[first:first] = data[first : first + int(draw.integers(1, 300))]
        else:
            del data[first : first + int(draw.integers(1, 60))]
    return bytes(data)


def changed(document: Any, number: int) -> Any:
    """The JSON document with one or two values replaced, removed or nested."""
    draw = np.random.default_rng(number)
    document = json.loads(json.dumps(document))
    for _ in range(draw.integers(1, 3)):
        places = list(_places(document))
        holder, key = places[draw.integers(len(places))]
        kind = draw.integers(8)
        if kind == 0 and isinstance(holder, dict):
            del holder[key]
        elif kind == 1:
            holder[key] = [holder[key]]
        elif kind == 2:
            holder[key] = str(holder[key])
        else:
            holder[key] = copy.deepcopy(VALUES[draw.integers(len(VALUES))])
    return document


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value in a document, as what holds it and the key there; of a long list, the first ones."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:5]) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raises TimeoutError where the block takes longer."""

    def late(*_: Any) -> None:
        raise TimeoutError(f"not done in {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
