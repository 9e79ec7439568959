"""Throughput of a training over cores and processes, and a model of its cost that is fitted to it.

    python tests/benchmarks/scaling.py path/to/input.txt [--units 128 256 512] [--rounds 3]

Each run is `rnncli charlm train` with 64 windows of 64 characters a step, in float32, every process kept to a core of
its own (`taskset`); the rate is that of the steps after the first report, which compiles. Configurations take turns;
the median of the rounds counts. The model of a step's time, with P processes, is

    t = c(64 / P) + α · 2 (P − 1) + bytes · 2 (P − 1) / P / bandwidth

c being the time that one core takes for its share of the batch, and the rest a ring's exchange of the gradients. α and
the bandwidth are fitted by least squares to the runs of several processes that have a core each. Where processes share
a core, c counts as often as they are.
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

BATCH, WINDOW = 64, 64
GPUS, HOSTS = 8, 64


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
        rows.append([2 * 1, weights(units) * 4 * 2 * 1 / 2])
        rest.append(time[TWO, units] - time[HALF, units])
    (latency, per_byte), *_ = np.linalg.lstsq(np.array(rows), np.array(rest), rcond=None)
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


if __name__ == "__main__":
    main()
