"""Ctrl-C and SIGTERM while training: finish the dispatch under way, let the caller save, then stop."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """The signal that has come, if one has."""

    def __init__(self) -> None:
        self.signal: int | None = None


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Within the block a first signal only sets the `Stop` that is yielded; a second one acts at once."""
    stop = Stop()
    previous = {code: signal.getsignal(code) for code in (signal.SIGINT, signal.SIGTERM)}

    def note(code: int, _: FrameType | None) -> None:
        stop.signal = code
        for known, handler in previous.items():
            signal.signal(known, handler)

    for code in previous:
        signal.signal(code, note)
    try:
        yield stop
    finally:
        for code, handler in previous.items():
            signal.signal(code, handler)
