"""Ctrl-C and SIGTERM while training: finish the dispatch under way, let the caller save, then stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rnncli import interrupts

_heeded: "list[Stop]" = []  # the innermost last


class Stop:
    """The signal that has come, if one has."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.can_save = False  # set by the caller once there is something that a signal should not lose


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Within the block a first signal only sets the `Stop` that is yielded; a second one acts at once.

    As long as there is nothing to save, the first one acts at once, too. Other threads than the main one hear nothing.
    """
    stop = Stop()
    _heeded.append(stop)
    try:
        if threading.current_thread() is threading.main_thread():
            with _noted(stop):
                yield stop
        else:
            yield stop
    finally:
        _heeded.remove(stop)


def ask_to_stop() -> None:
    """Let the training that is under way stop as SIGTERM would."""
    if _heeded:
        _heeded[-1].signal = signal.SIGTERM


@contextmanager
def _noted(stop: Stop) -> Iterator[None]:
    previous = {code: signal.getsignal(code) for code in (signal.SIGINT, signal.SIGTERM)}

    def note(code: int, frame: FrameType | None) -> None:
        for known, handler in previous.items():
            signal.signal(known, handler)
        handler = previous[signal.Signals(code)]
        if not stop.can_save and callable(handler):
            handler(code, frame)
        stop.signal = code

    for code in previous:
        signal.signal(code, note)
    interrupts.saving(1)
    try:
        yield
    finally:
        interrupts.saving(-1)
        for code, handler in previous.items():
            signal.signal(code, handler)
