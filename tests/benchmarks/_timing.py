"""What the scripts beside this one share: programs that take turns, whole processes, peak memory, tables."""

import importlib.util
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple

OURS = "rnncli"  # what the names of this project's programs begin with
TORCH_LAYERS = {"simple": "RNN", "lstm": "LSTM", "gru": "GRU"}  # in torch.nn
Program = Callable[[], object]  # one round of work
Factories = dict[str, Callable[[], Program]]  # how each program is made ready; a process may want only one of them


def installed(package: str) -> bool:
    """Whether a peer is there; it is not imported."""
    return importlib.util.find_spec(package) is not None


def torch_modes() -> dict[str, tuple[int, bool]]:
    """The modes in which torch is timed: its threads, and whether under bfloat16 autocast. None without torch."""
    threads = sorted({1, os.cpu_count() or 1}) if installed("torch") else []
    return {
        f"torch {'bfloat16' if bfloat16 else 'float32'}, {count} thread{'s' * (count > 1)}": (count, bfloat16)
        for count in threads
        for bfloat16 in (False, True)
    }


def torch_device() -> str:
    """Where torch computes: on an NVIDIA GPU if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


class Missing(Exception):
    """The processor lacks what a program needs."""


def probed(program: Program) -> Program:
    """The program, if it runs here: only a round shows whether the processor has what a mode needs.

    Raises:
        Missing: it does not.
    """
    try:
        program()
    except RuntimeError as error:
        reason = str(error).strip() or type(error).__name__
        raise Missing(reason.splitlines()[0].split(". ")[0]) from error
    return program


def no_evaluation(params: object) -> dict[str, float]:
    """What a training is told instead of validation metrics, where those are not to be timed."""
    return {"loss": 0.0}


def alternate(programs: Mapping[str, Program], repeats: int, warmup: int = 1) -> dict[str, float]:
    """Median seconds of a round of each program. They take turns, so that a slow minute of the machine hits all."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for repeat in range(warmup + repeats):
        for name, program in programs.items():
            begun = time.perf_counter()
            program()
            if repeat >= warmup:
                times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(measured) for name, measured in times.items()}


@contextmanager
def apart(factories: Factories) -> Iterator[dict[str, Program]]:
    """The programs made ready, each package's in a process of its own, so that none lives with another's settings.

    One that the processor cannot run is left out, and named.
    """
    context = multiprocessing.get_context("spawn")
    kinds = {name: name.replace(",", " ").split()[0] for name in factories}
    connections: dict[str, Connection] = {}
    workers, missing = [], {}

    def wait(kind: str) -> dict[str, str]:
        try:
            return connections[kind].recv()
        except EOFError:
            raise SystemExit(f"the process of {kind} failed, with what it said above") from None

    def run(name: str) -> None:
        connections[kinds[name]].send(name)
        wait(kinds[name])

    for kind in dict.fromkeys(kinds.values()):
        connections[kind], there = context.Pipe()
        given = {name: make for name, make in factories.items() if kinds[name] == kind}
        workers.append(context.Process(target=_serve, args=(there, given), daemon=True))
        workers[-1].start()
        there.close()
        missing |= wait(kind)  # one after the other

    for name, reason in missing.items():
        print(f"{name} is left out: {reason}", flush=True)
    try:
        yield {name: partial(run, name) for name in factories if name not in missing}
    finally:
        for connection in connections.values():
            connection.close()
        for worker in workers:
            worker.join()


def _serve(connection: Connection, factories: Factories) -> None:
    """Say which programs are missing here, and why; run those whose names come, and answer when they are done."""
    programs, missing = {}, {}
    for name, make in factories.items():
        try:
            programs[name] = make()
        except Missing as error:
            missing[name] = str(error)
    connection.send(missing)
    with suppress(EOFError):
        while True:
            programs[connection.recv()]()
            connection.send({})


def compare(title: str, medians: Mapping[str, float], size: float, unit: str) -> None:
    """Print how many `unit`s a second each program does, `size` of them in a round, and our best over the peers'."""
    rates = {name: size / seconds for name, seconds in medians.items()}
    print(f"{title}:")
    for name, rate in rates.items():
        print(f"  {name}: {rate:,.0f} {unit}s/s")
    ours = [name for name in rates if name.startswith(OURS)]
    best = max(ours, key=rates.__getitem__)
    for peer in ("torch", "keras"):
        modes = [name for name in rates if name.startswith(peer)]
        if modes:
            name = max(modes, key=rates.__getitem__)
            print(f"  {best} is {rates[best] / rates[name]:.2f} times {name}")
    sys.stdout.flush()


class Finished(NamedTuple):
    """A process that came to its end."""

    output: str
    peak: int  # bytes of resident memory, at most


def run_process(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Finished:
    """Run a whole process. Its peak counts what this one had when it was started, so import little here.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)[:200]} ended with {process.returncode}")
        output.seek(0)
        return Finished(output.read(), _bytes(usage.ru_maxrss))


def rnncli_command(*arguments: str) -> list[str]:
    """The command line of this interpreter's rnncli."""
    return [sys.executable, "-m", "rnncli", *arguments]


def with_cache(folder: str) -> dict[str, str]:
    """The environment in which a user would have `folder` for a cache, compiled programs among the rest."""
    inherited = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    return inherited | {"XDG_CACHE_HOME": folder}


def peak_memory() -> int:
    """The most bytes of resident memory that this process has had."""
    return _bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _bytes(maxrss: int) -> int:
    return maxrss if sys.platform == "darwin" else 1024 * maxrss


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns side by side, the first to the left, the others to the right."""
    lines = [columns, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        first, *others = (text.rjust(width) for text, width in zip(line, widths, strict=True))
        print("  ".join([line[0].ljust(len(first)), *others]))
    sys.stdout.flush()
