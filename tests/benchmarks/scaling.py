"""Throughput of a training over cores and processes, and a model of its cost that is fitted to it.

    python tests/benchmarks/scaling.py path/to/input.txt [--units 128 256 512] [--rounds 3]

Each run is `rnncli charlm train` with 64 windows of 64 characters a step, in float32, every process kept to a core of
its own (`taskset`); the rate is that of the steps after the first report, which compiles. Configurations take turns;
the median of the rounds counts. The model of a step's time, with P processes, is

    t = c(64 / P) + α · 2 (P − 1) + bytes · 2 (P − 1) / P / bandwidth

c being the time that one core takes for its share of the batch, and the rest a ring's exchange of the gradients. α and
the bandwidth are fitted by least squares to the runs of several processes that have a core each. Where processes share
a core, c counts as often as they are.

What it says of machines that are not here rests on what is assumed of them (`ELSEWHERE`): each takes 64 windows, so the
batch grows with them, and the throughput is told as a share of so many machines that need not exchange anything.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

BATCH, WINDOW = 64, 64


class Machines(NamedTuple):
    """That are assumed."""

    name: str
    number: int
    step: float | None  # seconds that one takes for its windows; None: as long as a core here
    latency: float  # seconds of one exchange between neighbours; of hosts at least what was fitted here
    bandwidth: float  # bytes a second


ELSEWHERE = [
    Machines("8 GPUs, 5 ms a step, NVLink (10 µs, 200 GB/s)", 8, 5e-3, 10e-6, 200e9),
    Machines("64 hosts like a core here, 10 Gbit/s (50 µs, 1.1 GB/s)", 64, None, 50e-6, 1.1e9),
    Machines("64 hosts of a GPU, 5 ms a step, 100 Gbit/s (20 µs, 11 GB/s)", 64, 5e-3, 20e-6, 11e9),
]


class Way(NamedTuple):
    """Of sharing the work out."""

    processes: int
    cores: int  # of each
    batch: int = BATCH


ONE, HALF, TWO_CORES, TWO, FOUR = Way(1, 1), Way(1, 1, BATCH // 2), Way(1, 2), Way(2, 1), Way(4, 1)
QUARTER = Way(1, 1, BATCH // 4)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def steps_per_second(way: Way, units: int, text: bytes) -> float:
    """The rate of one run."""
    cores = sorted(os.sched_getaffinity(0))
    steps = max(30, 20_000_000 // units**2 // 5)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "text.txt").write_bytes(text[: int(1.15 * steps * BATCH * WINDOW)])
        command = [
            "-m",
            "rnncli",
            "charlm",
            "train",
            place / "text.txt",
            "--units",
            units,
            "--layers",
            1,
            "--epochs",
            1,
        ]
        command += ["--batch-size", way.batch, "--window", WINDOW, "--precision", "float32", "-q"]
        command += ["--validation-fraction", 0.02, "--checkpoint", place / "model", "--mesh"]
        port, running = free_port(), []
        for number in range(way.processes):
            own = cores[:2] if way.cores == 2 else [cores[number % len(cores)]]
            more = [f"data={way.processes * way.cores}", "--log", place / "log.jsonl"]
            if way.processes > 1:
                more += ["--coordinator", f"127.0.0.1:{port}", "--num-processes", way.processes, "--process-id", number]
            words = ["taskset", "-c", ",".join(map(str, own)), sys.executable, *command, *more]
            running.append(subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL))
        codes = [process.wait() for process in running]
        if any(codes):
            raise SystemExit(f"{way} failed")
        lines = [json.loads(line) for line in (place / "log.jsonl").read_text().splitlines()]
    first, last = lines[0], [line for line in lines if line["validation"] is None][-1]
    return (last["step"] - first["step"]) / (last["seconds"] - first["seconds"])


def weights(units: int, symbols: int = 66) -> int:
    """Numbers of the network: embedding, GRU, dense layer."""
    embedding = 16
    return symbols * embedding + 3 * units * (embedding + units + 2) + units * symbols + symbols


def main() -> None:
    """Measure, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--units", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    text = options.text.read_bytes()
    ways = [ONE, HALF, QUARTER, TWO_CORES, TWO, FOUR]
    rates: dict[tuple[Way, int], list[float]] = {(way, units): [] for way in ways for units in options.units}
    for _ in range(options.rounds):
        for way, units in rates:
            rates[way, units].append(steps_per_second(way, units, text))
            print(f"{units} units, {way}: {rates[way, units][-1]:.2f} steps/s", file=sys.stderr)
    time = {key: 1 / statistics.median(found) for key, found in rates.items()}
    print(f"{'units':>6} {'processes':>9} {'cores':>5} {'steps/s':>8} {'of 2 cores':>10} {'model':>8} {'error':>6}")
    rows, rest = [], []
    for units in options.units:
        rows.append([2.0, weights(units) * 4e-6])  # megabytes, for numbers of like size
        rest.append(time[TWO, units] - time[HALF, units])
    (latency, per_megabyte), _ = nnls(np.array(rows), np.array(rest))
    per_byte = 1e-6 * per_megabyte
    cores = len(os.sched_getaffinity(0))

    def modelled(way: Way, units: int) -> float:
        share = {1: ONE, 2: HALF, 4: QUARTER}[way.processes * way.cores]
        others = 2 * (way.processes - 1)
        exchanged = weights(units) * 4 * others / way.processes
        return time[share, units] * max(1, way.processes / cores) + latency * others + exchanged * per_byte

    for units in options.units:
        for way in (ONE, TWO_CORES, TWO, FOUR):
            seconds, model = time[way, units], modelled(way, units)
            of_two = time[TWO_CORES, units] / seconds
            row = f"{units:6} {way.processes:9} {way.cores:5} {1 / seconds:8.2f} {of_two:10.2f}"
            print(f"{row} {1 / model:8.2f} {seconds / model - 1:6.1%}")
    print(f"latency {1e6 * latency:.0f} µs, bandwidth {1e-6 / per_byte if per_byte > 0 else float('inf'):.0f} MB/s")
    print(f"{'units':>6} {'of ideal':>8}")
    for machines in ELSEWHERE:
        for units in options.units:
            step, others = machines.step or time[ONE, units], 2 * (machines.number - 1)
            hop = machines.latency if machines.step else max(machines.latency, latency)
            exchange = hop * others + weights(units) * 4 * others / machines.number / machines.bandwidth
            print(f"{units:6} {step / (step + exchange):8.0%} {machines.name}")


if __name__ == "__main__":
    main()
