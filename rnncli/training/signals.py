"""Ctrl-C and SIGTERM while training: finish the dispatch under way, let the caller save, then stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rnncli import interrupts

_own = threading.local()  # `heeded`: the stops of this thread's trainings, the innermost last


class Stop:
    """The signal that has come, if one has."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._can_save = False

    @property
    def can_save(self) -> bool:
        """Whether there is something that a signal should not lose; set by the caller."""
        return self._can_save

    @can_save.setter
    def can_save(self, value: bool) -> None:
        if value != self._can_save:
            self._can_save = value
            interrupts.saving(1 if value else -1)


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Within the block a first signal only sets the `Stop` that is yielded; a second one acts at once.

    As long as there is nothing to save, the first one acts at once, too. Other threads than the main one hear nothing.
    """
    stop = Stop()
    heeded = _heeded()
    heeded.append(stop)
    try:
        if threading.current_thread() is threading.main_thread():
            with _noted(stop):
                yield stop
        else:
            yield stop
    finally:
        heeded.remove(stop)
        stop.can_save = False


def ask_to_stop() -> None:
    """Let this thread's training that is under way stop as SIGTERM would."""
    if _heeded():
        _heeded()[-1].signal = signal.SIGTERM


def stopping() -> bool:
    """Whether a training of this thread has been told to stop."""
    return any(stop.signal is not None for stop in _heeded())


def _heeded() -> list[Stop]:
    if not hasattr(_own, "heeded"):
        _own.heeded = []
    return _own.heeded


@contextmanager
def _noted(stop: Stop) -> Iterator[None]:
    known = {code: signal.getsignal(code) for code in (signal.SIGINT, signal.SIGTERM)}
    # one that is ignored stays so; one that was not installed from Python could not be put back
    previous = {code: handler for code, handler in known.items() if handler not in (None, signal.SIG_IGN)}

    def note(code: int, frame: FrameType | None) -> None:
        for each, handler in previous.items():
            signal.signal(each, handler)
        handler = previous[signal.Signals(code)]
        if not stop.can_save and callable(handler):
            handler(code, frame)
        stop.signal = code

    for code in previous:
        signal.signal(code, note)
    try:
        yield
    finally:
        for code, handler in previous.items():
            signal.signal(code, handler)
