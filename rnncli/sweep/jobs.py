"""Trainings in processes of their own, each with its share of the cores."""

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import FrameType
from typing import Any, TypeVar

from rnncli.errors import Interrupted, RnncliError
from rnncli.training.devices import use_device
from rnncli.training.settings import DeviceChoice
from rnncli.training.signals import stop_requests, stopping

Item = TypeVar("Item")
_POLL = 0.3  # seconds between two looks at whether somebody wants to stop


def in_processes(
    function: Callable[[Item], Any], items: Sequence[Item], jobs: int, device: DeviceChoice
) -> Iterator[tuple[Item, Any]]:
    """Each item with what the function makes of it, as it ends; the function can be sent to another process.

    Raises Interrupted: Ctrl-C or SIGTERM came; the processes were told, and have ended.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    spawn = multiprocessing.get_context("spawn")  # a fork would take JAX's threads along
    shares = spawn.Queue()
    for job in range(jobs):
        shares.put(cores[job::jobs])
    left = iter(items)
    with stop_requests() as stop, ProcessPoolExecutor(jobs, spawn, _begin, (shares, device)) as pool:
        stop.can_save = True  # the processes will
        # no more than run at once: what waits in the executor's own queue could not be taken back
        running = {pool.submit(_run, function, item): item for item in itertools.islice(left, jobs)}
        while running:
            done, _ = wait(running, _POLL, FIRST_COMPLETED)
            if stop.signal is not None:
                for process in multiprocessing.active_children():
                    if process.pid is not None:
                        os.kill(process.pid, signal.SIGTERM)  # which saves what was trained
                pool.shutdown(wait=True, cancel_futures=True)
                raise Interrupted(stop.signal, "stopped; go on with `resume`")
            for future in done:
                item = running.pop(future)
                try:
                    yield item, future.result()
                except BrokenProcessPool as error:
                    raise RnncliError(
                        f"a process of the sweep has ended by itself; is there memory for `jobs` {jobs} at once?"
                    ) from error
                running |= {pool.submit(_run, function, item): item for item in itertools.islice(left, 1)}


def _begin(shares: Any, device: DeviceChoice) -> None:
    """Take a share of the cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one tells the others
    signal.signal(signal.SIGTERM, _end)
    share = shares.get()
    if share:
        os.sched_setaffinity(0, share)
    use_device(device)


def _end(code: int, _: FrameType | None) -> None:
    """End the process; of a training that is stopping already, somebody else than the first process told it, too."""
    if not stopping():
        os._exit(128 + code)


def _run(function: Callable[[Item], Any], item: Item) -> Any:
    try:
        return function(item)
    except Interrupted as error:  # an exception with two arguments would not come back
        raise RuntimeError(str(error)) from None
