"""Trainings in processes of their own, each with its share of the cores."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from typing import Any, TypeVar

from rnncli.errors import Interrupted
from rnncli.training.devices import use_device
from rnncli.training.settings import DeviceChoice
from rnncli.training.signals import stop_requests

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
    with stop_requests() as stop, ProcessPoolExecutor(jobs, spawn, _begin, (shares, device)) as pool:
        stop.can_save = True  # the processes will
        running = {pool.submit(_run, function, item): item for item in items}
        pending = set(running)
        while pending:
            done, pending = wait(pending, _POLL, FIRST_COMPLETED)
            if stop.signal is not None:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    if process.pid is not None:
                        os.kill(process.pid, signal.SIGTERM)  # which saves what was trained
                pool.shutdown(wait=True)
                raise Interrupted(stop.signal, "stopped; go on with `resume`")
            for future in done:
                yield running[future], future.result()


def _begin(shares: Any, device: DeviceChoice) -> None:
    """Take a share of the cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one tells the others
    share = shares.get()
    if share:
        os.sched_setaffinity(0, share)
    use_device(device)


def _run(function: Callable[[Item], Any], item: Item) -> Any:
    try:
        return function(item)
    except Interrupted as error:  # an exception with two arguments would not come back
        raise RuntimeError(str(error)) from None
