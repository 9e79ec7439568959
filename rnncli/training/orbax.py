"""What keeps Orbax quiet, and its paths and errors plain."""

import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def quiet() -> Iterator[None]:
    """Orbax raises what matters, and spills it over warnings and logs as well."""
    if not isinstance(sys.unraisablehook, _WithoutEchoes):
        sys.unraisablehook = _WithoutEchoes(sys.unraisablehook)
    hook, verbosity = sys.unraisablehook, absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.FATAL)
    sys.unraisablehook = lambda _: None
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        absl_logging.set_verbosity(verbosity)
        sys.unraisablehook = hook


def reason_of(error: BaseException) -> str:
    """Why something failed, in a line: it stands at the end of a chain of causes."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    known = (os.strerror(code) for code in (28, 122, 27, 30, 13, 5))  # full, quota, size, read-only, permission, device
    return next((each for each in known if each in text), (text.splitlines() or [type(error).__name__])[0][:_LONGEST])
