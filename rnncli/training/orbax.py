"""What keeps Orbax quiet, and its paths and errors plain."""

import logging
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from absl import logging as absl_logging

from rnncli.errors import CheckpointError

_PLAIN = re.compile(r"[\w /.,:;@=+~-]*", re.ASCII)  # paths that Orbax and TensorStore take as they are
_LONGEST = 200  # characters of a reason


@contextmanager
def plain_path(folder: Path) -> Iterator[str]:
    """The folder's absolute path; where that has characters that Orbax reads as a pattern, one that links to it."""
    path = str(folder.absolute())
    if _PLAIN.fullmatch(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="rnncli-") as temporary:
        if not _PLAIN.fullmatch(temporary):
            raise CheckpointError(f"cannot use '{folder}' below TMPDIR '{temporary}': both have unusual characters")
        link = Path(temporary) / "checkpoint"
        link.symlink_to(path)
        yield str(link)


class _WithoutEchoes:
    """A hook that leaves out what Orbax' event loop drops when it is closed, which may be long after a failure."""

    def __init__(self, hook: Callable[[Any], Any]):
        self._hook = hook

    def __call__(self, raised: Any) -> None:
        if "Event loop is closed" not in str(raised.exc_value):
            self._hook(raised)


_lock, _depth, _restore = threading.Lock(), 0, ExitStack()  # of the threads in `quiet`, how many there are


@contextmanager
def quiet() -> Iterator[None]:
    """Orbax raises what matters, and spills it over warnings and logs as well.

    Several threads may be in here at once: the last one that leaves puts all back.
    """
    global _depth
    with _lock:
        _depth += 1
        if _depth == 1:
            _silence()
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                _restore.close()


def _silence() -> None:
    if not isinstance(sys.unraisablehook, _WithoutEchoes):
        sys.unraisablehook = _WithoutEchoes(sys.unraisablehook)
    _restore.callback(setattr, sys, "unraisablehook", sys.unraisablehook)
    _restore.callback(absl_logging.set_verbosity, absl_logging.get_verbosity())
    _restore.callback(logging.disable, logging.root.manager.disable)
    _restore.enter_context(warnings.catch_warnings())
    absl_logging.set_verbosity(absl_logging.FATAL)
    sys.unraisablehook = lambda _: None
    logging.disable(max(logging.ERROR, logging.root.manager.disable))
    warnings.simplefilter("ignore")


def reason_of(error: BaseException) -> str:
    """Why something failed, in a line: it stands at the end of a chain of causes."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    known = (os.strerror(code) for code in (28, 122, 27, 30, 13, 5))  # full, quota, size, read-only, permission, device
    return next((each for each in known if each in text), (text.splitlines() or [type(error).__name__])[0][:_LONGEST])
