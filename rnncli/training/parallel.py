"""How many devices of one machine share a batch fastest.

On a CPU a device is a core: small products, one after the other, leave all but one of them idle. Whether more are
faster depends on the machine and on the sizes of network and batch, so it is measured: some steps on copies of the
state, before a training that is long enough to gain from it. The answer is kept on the disk, and in the run's own
state, as a run that goes on must round as it did.
"""

import json
import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rnncli.training.devices import cache_folder, computing_devices, own_device

_LEAST_ROWS = 8  # sequences that a device should have
_WORTH_MEASURING = 20.0  # seconds that a training would take on one device; a shorter one is over before it is known
_GAIN = 0.95  # of the time; for less, more devices are not worth their trouble
_ROUNDS = 3
_SHARE = 10  # times the steps of the measurement, at least: those of a training that it is made for
_ROUND = 0.2  # seconds, at least

# run(devices, steps): train so many steps on a copy of the state, and wait for the end
Trial = Callable[[int, int], None]


def possible(batch: int) -> list[int]:
    """The numbers of devices that could share a batch equally: 1, 2, 4, …"""
    most = min(len(computing_devices()), batch // _LEAST_ROWS)
    if own_device() is not computing_devices()[0]:  # of another process than the first of several
        most = 1
    return [1] + [count for count in (2**power for power in range(1, 16)) if count <= most and batch % count == 0]


def fastest(batch: int, what: Any, steps: int, run: Trial) -> int:
    """The number of devices with which a training of `steps` steps, of `batch` sequences each, is fastest.

    `what` says, as JSON, what is trained: the answer for the same on this machine is remembered. `run` trains a little.
    """
    counts = possible(batch)
    if len(counts) == 1:
        return 1
    name = _name([what, batch, counts])
    if (known := _remembered().get(name)) in counts:
        return known
    run(1, 1)  # compiles
    single = _seconds(run, 1, 1)
    if single * steps < _WORTH_MEASURING or steps < _SHARE * _ROUNDS * len(counts):
        return 1
    for count in counts[1:]:
        run(count, 1)
    times = _times(run, counts, max(1, round(_ROUND / single)))
    best = min(counts, key=lambda count: times[count] * (1 if count == 1 else 1 / _GAIN))
    _remember({**_remembered(), name: best})
    return best


def one_program_gains(seeds: int, batch: int, what: Any, steps: int, run: Trial) -> bool:
    """Whether all seeds are faster in one program, `run(0, …)`, than one by one on so many devices, `run(devices, …)`.

    Each has `steps` steps of `batch` sequences. `what` says, as JSON, what is trained: the answer is remembered. Where
    all is over soon, one program more is not worth compiling.
    """
    counts = possible(batch)
    name = _name([what, batch, counts, "seeds", seeds])
    if (known := _remembered().get(name)) in (0, 1):
        return known == 1
    run(1, 1)  # compiles
    single = _seconds(run, 1, 1)
    if single * steps * seeds < _WORTH_MEASURING:
        return False
    for each in (0, *counts[1:]):
        run(each, 1)
    times = _times(run, [0, *counts], max(1, round(_ROUND / single)))
    found = times.pop(0) < min(times.values()) * seeds * _GAIN
    _remember({**_remembered(), name: int(found)})
    return found


def _times(run: Trial, counts: list[int], steps: int) -> dict[int, float]:
    """The least seconds of some rounds, by turns."""
    times = {count: float("inf") for count in counts}
    for _ in range(_ROUNDS):
        for count in counts:
            times[count] = min(times[count], _seconds(run, count, steps))
    return times


def _seconds(run: Trial, count: int, steps: int) -> float:
    begun = time.perf_counter()
    run(count, steps)
    return time.perf_counter() - begun


def _name(what: Any) -> str:
    """What a measurement on this machine is remembered by."""
    return f"{zlib.crc32(json.dumps([what, computing_devices()[0].device_kind]).encode()):08x}"


def _file() -> Path:
    return cache_folder() / "devices.json"


def _remembered() -> dict[str, int]:
    try:
        stored = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, RuntimeError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _remember(known: dict[str, int]) -> None:
    """Writes to a temporary file and renames it; does nothing where there is no place for it."""
    with suppress(OSError, RuntimeError):
        temporary = _file().with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(known), encoding="utf-8")
        temporary.replace(_file())
