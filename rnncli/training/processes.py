"""Several processes that train as one: how they find each other, agree, and end together.

JAX connects them and exchanges the gradients; every process runs the same program on its own rows of each batch. What
is here is what JAX leaves open: that decisions by the clock or by a signal are made by all at the same step, and that
none is left waiting for one that is gone. Each process tells every second that it is alive; the first one watches the
others. What ends one ends all, with a line that says which it was.
"""

import json
import os
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnncli.errors import LONGEST, CheckpointError, ParameterError, as_options, printable

_BEAT = 1.0  # seconds between two signs of life
_SILENT = 30.0  # seconds without one, after which a process is taken for dead …
_SUSPECTED = 6.0  # … and where an exchange with somebody has failed
_LINGER = 3.0  # seconds that the first process waits for the others to hear why all end
_SEEN = 10.0  # seconds after which a file system shows to all what one has written
_DAY = 24 * 3600 * 1000  # milliseconds
_SHOW_CURSOR = "\r\x1b[2K\x1b[?25h"  # in the place of a bar that was being drawn
_ALIVE, WHO, _ENDED, _SUSPECT, _SAME = "rnncli/alive/", "rnncli/who/", "rnncli/ended", "rnncli/suspect", "rnncli/same/"


@dataclass
class Group:
    """The processes that this one belongs to."""

    number: int
    count: int
    coordinator: str
    err: int  # a copy of stderr, as that of C++ goes elsewhere
    words: Path  # where it goes
    patience: float = 60.0  # seconds to find each other
    client: Any = None
    heard: float = 0.0  # when the coordinator last answered
    saves: bool = False  # what is trained
    turns: int = 0  # of agreeing
    over: bool = False  # the end is known, and said …
    code: int | None = None  # … and with which exit code
    joined: bool = False

    @property
    def advice(self) -> str:
        """What to do where one is gone."""
        return "what was saved is whole: run all again with `resume`" if self.saves else "run all again"


_groups: list[Group] = []


def first() -> bool:
    """Whether this is the process that prints and writes: the only one, or the first of several."""
    return not _groups or _groups[0].number == 0


def count() -> int:
    """How many processes there are."""
    return _groups[0].count if _groups else 1


def belong_to(group: Group) -> None:
    """From now on this process is one of several."""
    _groups.append(group)


def belongs_to() -> Group | None:
    """The processes that this one is one of; None alone."""
    return _groups[0] if _groups else None


def watch(group: Group) -> None:
    """Tell that this process lives, and look whether all do."""
    beats, seen = 0, {}
    while not group.over:
        with suppress(Exception):  # where the coordinator is gone, JAX ends this process
            beats += 1
            group.client.key_value_set(f"{_ALIVE}{group.number}", str(beats), allow_overwrite=True)
            group.heard = time.monotonic()
            ended = _read(group, _ENDED)
            if group.number == 0 and ended is None:
                ended = _dead(group, seen)
            if ended is not None and not group.over:
                time.sleep(_BEAT if group.number == 0 else 0)  # what this process itself has to say comes first
                leave(group, ended["message"], code=ended["code"], to_all=ended["death"])
        time.sleep(_BEAT)


def watch_first(group: Group) -> None:
    """End where the coordinator is there and answers no more: whoever asks it then waits for ever."""
    while group.number and not group.over:
        time.sleep(_BEAT)
        if group.heard and time.monotonic() - group.heard > _SILENT:
            leave(group, f"process 0, the coordinator at {group.coordinator}, is silent; {group.advice}", to_all=True)


def _dead(group: Group, seen: dict[str, tuple[str, float]]) -> dict[str, Any] | None:
    """What ends all, where one has given no sign for long; `seen` is what was seen of each, and when."""
    now = time.monotonic()
    for name, beat in group.client.key_value_dir_get(_ALIVE):
        if name not in seen or seen[name][0] != beat:
            seen[name] = beat, now
    patience = _SUSPECTED if _read(group, _SUSPECT) else _SILENT
    for name, (_, when) in seen.items():
        if now - when > patience:
            number = name.rpartition("/")[2]
            who = group.client.key_value_try_get(f"{WHO}{number}")
            message = f"process {number} ({who}) is gone; {group.advice}"
            return _tell(group, {"message": message, "code": 1, "death": True})
    return None


def _tell(group: Group, ended: dict[str, Any]) -> dict[str, Any]:
    """Let all know what ends them; what was told first stands."""
    with suppress(Exception):
        group.client.key_value_set(_ENDED, json.dumps(ended))
    return _read(group, _ENDED) or ended


def _read(group: Group, key: str) -> Any:
    try:
        return json.loads(group.client.key_value_try_get(key))
    except Exception:  # JAX's, where it is not there
        return None


def leave(group: Group, message: str, *, code: int = 1, to_all: bool = False) -> None:
    """End this process with a line, which the first one writes, or each: the death of another explains its end."""
    if group.code is not None:  # it is about to end, and the coordinator was faster
        code = group.code
    if not group.over:
        group.over = True
        with suppress(Exception):
            sys.stdout.flush()
        if message and (group.number == 0 or to_all):
            line = _SHOW_CURSOR if os.isatty(group.err) else ""
            line += f"error: {printable(as_options(' '.join(message.split())), LONGEST)}\n"
            with suppress(OSError):
                os.write(group.err, line.encode("utf-8", "backslashreplace"))
        if group.number == 0 and group.joined:
            time.sleep(_LINGER)
    with suppress(OSError):
        group.words.unlink()
    os._exit(code)


def agreed(*numbers: int) -> list[int]:
    """The greatest of each number over all processes, which call this at the same place of the program."""
    return [max(each) for each in zip(*_gathered(numbers), strict=True)]


def of_first(numbers: Sequence[float]) -> list[float]:
    """The first process's numbers, bit for bit; the others', computed elsewhere, may be rounded in another way."""
    import numpy as np

    bits = np.array(numbers, np.float64).view(np.int32)
    return np.array(_gathered(bits.tolist())[0], np.int32).view(np.float64).tolist()


def check_same(settings: Mapping[str, Any], data: str) -> None:
    """Raises ParameterError: processes have not the same settings, JSON types by their names, or the same data."""
    if not _groups:
        return
    group, told = _groups[0], json.dumps([settings, data], sort_keys=True, default=str)
    group.client.key_value_set(f"{_SAME}{group.number}", told, allow_overwrite=True)
    sign = zlib.crc32(told.encode()) & 0x7FFFFFFF
    if agreed(sign, -sign) == [sign, -sign]:
        return
    first, *others = (json.loads(group.client.key_value_try_get(f"{_SAME}{number}")) for number in range(group.count))
    number, other = next((number, each) for number, each in enumerate(others, 1) if each != first)
    (ours, _), (theirs, _) = first, other
    for name in ours:
        if ours[name] != theirs.get(name):
            values = f"{ours[name]} and {theirs.get(name)}"
            raise ParameterError(f"processes 0 and {number} differ in `{name}`: {values}; give all the same")
    raise ParameterError(f"processes 0 and {number} read different data; let all read the same")


def check_shared(mark: Path) -> None:
    """Raises CheckpointError: a folder that the first process makes there, for a moment, another does not see."""
    if not _groups:
        return
    number, end = _groups[0].number, time.monotonic() + _SEEN
    if number == 0:
        mark.mkdir(exist_ok=True)
    wait()
    while not (seen := mark.is_dir()) and time.monotonic() < end:
        time.sleep(0.1)
    (blind,) = agreed(0 if seen else number)
    if number == 0:
        mark.rmdir()
    if blind:
        where = f"the folder '{mark.parent}' of process 0"
        raise CheckpointError(f"process {blind} does not see {where}: it has to be on a file system that all see")


def wait() -> None:
    """Wait until all processes come to this place, however long the others take to come there."""
    if _groups:
        group = _groups[0]
        group.turns += 1
        group.client.wait_at_barrier(f"rnncli/turn/{group.turns}", _DAY)


def _gathered(numbers: Sequence[int]) -> list[list[int]]:
    """The numbers of each process."""
    if not _groups:
        return [list(numbers)]
    import numpy as np
    from jax.experimental import multihost_utils

    wait()  # the exchange itself is given up after half a minute
    try:
        gathered = multihost_utils.process_allgather(np.array(numbers, np.int32))
    except Exception:  # of several kinds
        wait_for_the_end()
        raise
    return gathered.reshape(count(), -1).tolist()


def end(code: int, message: str) -> int:
    """The end of the command in this process: with code 0 wait for the others, else end them, too.

    `message` is what was said of an error. Returns the exit code.
    """
    if not _groups:
        return code
    group = _groups[0]
    if not group.joined or group.over:
        return code
    if code in (0, 3):
        import jax

        agreed(0)  # all have done their work
        group.over = True
        with suppress(Exception):
            jax.distributed.shutdown()
    else:
        message = message or ("a signal stopped it" if code > 128 else "it failed")
        where = f"process {group.number} of {group.count}: " if group.number else ""
        told = _tell(group, {"message": f"{where}{message}", "code": code, "death": False})
        if group.number:
            code = told["code"]  # the first one says why
        group.code, group.over = code, True
        time.sleep(_LINGER)
    with suppress(OSError):
        group.words.unlink()
    return code


def heed(error: Exception) -> None:
    """Wait for the end, if the error is that of an exchange with a process that is gone."""
    if "JaxRuntimeError" in type(error).__name__ or any(word in str(error) for word in ("Gloo", "NCCL", "UNKNOWN:")):
        wait_for_the_end(str(error).partition("\n")[0])


def wait_for_the_end(reason: str = "") -> None:
    """An exchange with another process failed: that one is gone, and the watch will say which. Does nothing alone."""
    if not _groups:
        return
    group = _groups[0]
    if group.over:  # the watch has said why, and is about to end this process: there is nothing to add
        time.sleep(2 * _LINGER)
        return
    with suppress(Exception):
        group.client.key_value_set(_SUSPECT, "1")
    time.sleep(2 * _SILENT)
    failure = f"an exchange between processes failed{f' ({reason})' if reason else ''}, and all seem to be there"
    leave(group, f"{failure}; {group.advice}", to_all=True)
