"""Ctrl-C and SIGTERM, heard from the first moment of the command line to the last.

A first signal ends the command in order: what it had begun to write goes, what was trained is saved (see
`training.signals`). A second one ends the process at once, and so does a first one that nothing can hear, ten seconds
later: a handler of Python's waits for the end of what a library computes, so a thread listens, too.

Only the standard library is imported here, and little of it: this is the first module that is loaded.
"""

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 10.0  # seconds from a first signal to the end of the process, where nobody says that more are needed
_SHOW_CURSOR = "\x1b[?25h"  # a progress bar may have hidden it

_heard: list[int] = []  # signals, in their order
_state = {"orderly": False, "saving": 0}  # whether a command runs that may clean up; how many are saving


class Stop(KeyboardInterrupt):
    """A signal has come."""


def listen() -> None:
    """Hear both signals, from now on until the process ends."""
    for code in _SIGNALS:
        if signal.getsignal(code) is not signal.SIG_IGN:  # as of Ctrl-C in what a shell's script began with &
            signal.signal(code, _hear)
    if not hasattr(signal, "set_wakeup_fd") or threading.current_thread() is not threading.main_thread():
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(read,), daemon=True).start()


def orderly(running: bool) -> None:
    """From now on a signal unwinds what runs (True), or ends the process (False): nothing is there to clean up."""
    _state["orderly"] = running


def saving(by: int) -> None:
    """As much time as it takes may pass between a signal and the end: 1, somebody is to save first; -1, has saved."""
    _state["saving"] += by


def exit_code() -> int | None:
    """The exit code that a signal asks for; None if none has come."""
    return 128 + _heard[0] if _heard else None


def leave(code: int) -> None:
    """End the process with what was written; libraries' threads and their last words end with it."""
    orderly(False)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            continue
        except OSError as error:
            code = code or 1
            if stream is sys.stdout and sys.stderr is not None:
                with suppress(OSError):
                    print(f"error: cannot write to stdout: {error.strerror}", file=sys.stderr, flush=True)
    if "multiprocessing.resource_tracker" in sys.modules:  # what processes shared is theirs to give back
        with suppress(Exception):
            atexit._run_exitfuncs()
    os._exit(code)


def _hear(code: int, frame: FrameType | None) -> None:
    _heard.append(code)
    if not _state["orderly"] or _importing(frame):
        _end(code)
    raise Stop


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being loaded: an exception could be lost, or leave half a module."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _watch(read: int) -> None:
    """End the process at a second signal, or some time after a first one that did not end it."""
    first: int | None = None
    while True:
        for code in os.read(read, 1):
            if code not in _SIGNALS:
                continue
            if first is not None:
                _end(first)
            first = code
            timer = threading.Timer(_PATIENCE, _end_unless_saving, [code])
            timer.daemon = True
            timer.start()


def _end_unless_saving(code: int) -> None:
    if not _state["saving"]:
        _end(code)


def _end(code: int) -> None:
    with suppress(OSError, ValueError, AttributeError):
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR.encode())
    os._exit(128 + code)
