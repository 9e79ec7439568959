"""How time and memory of a training step grow with its window, units and batch, and those of a text with its size.

    python tests/benchmarks/growth.py [window] [units] [batch] [corpus] [--cell gru --precision float32 --large]

Tables of 2 layers and a dense layer, as `training.py` has them: one size is doubled, the others are 100, 128 and 32.
Each row is a process of its own. The factor is the time of a character over that of the row before: a step's time
should grow with the window, so 1 and a little less is what to look for there, and with the batch, where it should fall
until the processor is busy; with the units it may rise up to 4. A cliff is a row that stands out.

The corpus is read and digested as `rnncli charlm train --preset small` does it, then trained on for a few dispatches by
the command's own loop, 1 MB to 100 MB of drawn letters; with `--large` 1 GB, too, which takes 4 GB of `TMPDIR` for
minutes. Its peak memory has the pages of the mapped tokens in it, which the system may take back.
"""

import argparse
import importlib
import json
import random
import statistics
import string
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from _timing import alternate, peak_memory, print_table, run_process, with_cache

USUAL = {"window": 100, "units": 128, "batch": 32}
DOUBLED = {
    "window": [50 * 2**power for power in range(7)],
    "units": [32 * 2**power for power in range(6)],
    "batch": [2**power for power in range(10)],
}
MEGABYTES, LARGE = [1, 10, 100], 1000
DISPATCHES = 4


def measure_step(cell: str, precision: str, sizes: dict[str, int]) -> list[float]:
    """Seconds of a step, and bytes at most above those of the imports."""
    import training

    importlib.import_module("rnncli.charlm.task")
    imported = peak_memory()
    work = sizes["window"] * sizes["batch"] * max(64, sizes["units"]) ** 2
    steps = max(1, min(50, 5 * 100 * 32 * 128**2 // work))
    given = [f"--{name}={size}" for name, size in sizes.items()]
    options = training.parse([f"--cell={cell}", *given, f"--steps={steps}"])
    tokens = training.tokens_of(options)
    medians = alternate({"ours": training.ours(options, tokens, precision)}, repeats=3)
    return [medians["ours"] / steps, peak_memory() - imported]


def measure_corpus(precision: str, megabytes: int) -> list[float]:
    """Seconds to read and digest, seconds of a step, and bytes at most above those of the imports."""
    from rnncli.charlm.corpus import read_corpus
    from rnncli.charlm.defaults import for_text
    from rnncli.charlm.task import CharlmTask
    from rnncli.training.devices import use_device
    from rnncli.training.loop import fit, initial_state

    use_device("auto")
    imported = peak_memory()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text.txt")
        block = "".join(random.Random(0).choices(string.ascii_letters + " \n.,:;!?'-&$3", k=10**6)).encode()
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(block)
        settings = for_text({"precision": precision}, len(block) * megabytes, "small")
        begun = time.perf_counter()
        corpus = read_corpus([str(path)], settings)
        _ = corpus.digest
        read = time.perf_counter() - begun
    task = CharlmTask(settings, corpus, *corpus.parts(settings.validation_fraction))
    state = initial_state(task.model, task.optimizer, task.carry)
    reports = fit(task.model, task.optimizer, task.loss, task.evaluate, task.data, task.batches, task.plan, state)
    step, seconds = next(reports).step, []  # the first has compiled, and scored the untrained model
    for _ in range(DISPATCHES):
        begun = time.perf_counter()
        now = next(reports).step
        seconds.append((time.perf_counter() - begun) / (now - step))
        step = now
    return [read, statistics.median(seconds), peak_memory() - imported]


def measured(options: argparse.Namespace, what: str, *sizes: int) -> Iterator[tuple[int, list[float]]]:
    """Each size with what a process of its own found."""
    script = [sys.executable, str(Path(__file__).resolve()), what, f"--cell={options.cell}"]
    for size in sizes:
        with tempfile.TemporaryDirectory() as cache:
            command = [*script, f"--precision={options.precision}", f"--only={size}"]
            yield size, json.loads(run_process(command, with_cache(cache)).output.splitlines()[-1])


def factor(now: float, before: float | None) -> str:
    """Of this row over the one before."""
    return "" if before is None else f"{now / before:.2f}"


def show_steps(options: argparse.Namespace, name: str) -> None:
    """The table of one size doubled."""
    rows, before = [], None
    for size, (seconds, peak) in measured(options, name, *DOUBLED[name]):
        sizes = USUAL | {name: size}
        character = seconds / (sizes["window"] * sizes["batch"])
        figures = f"{1e3 * seconds:,.2f}", f"{1e6 * character:.3f}", factor(character, before), f"{peak / 1e6:,.0f}"
        rows.append((str(size), *figures))
        before = character
    others = ", ".join(f"{other} {size}" for other, size in USUAL.items() if other != name)
    print(f"{options.cell}, {options.precision}, {others}:")
    print_table((name, "ms a step", "µs a character", "factor", "MB above imports"), rows)


def show_corpus(options: argparse.Namespace) -> None:
    """The table of texts."""
    rows, before = [], (None, None)
    sizes = [*MEGABYTES, LARGE] if options.large else MEGABYTES
    for size, (read, step, peak) in measured(options, "corpus", *sizes):
        character = read / (size * 10**6)
        reading = f"{read:.2f}", f"{1e9 * character:.1f}", factor(character, before[0])
        rows.append((str(size), *reading, f"{1e3 * step:.1f}", factor(step, before[1]), f"{peak / 1e6:,.0f}"))
        before = character, step
    print(f"texts, model of preset small, {options.precision}:")
    print_table(("MB", "s to read", "ns a character", "factor", "ms a step", "factor", "MB above imports"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=[*DOUBLED, "corpus"], metavar="table", help="which; all of them")
    parser.add_argument("--cell", default="gru", choices=["simple", "gru", "lstm"])
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--large", action="store_true", help="a text of 1 GB, too")
    parser.add_argument("--only", type=int, metavar="SIZE", help="measure this size in this very process")
    options = parser.parse_args()
    if unknown := [table for table in options.tables if table not in (*DOUBLED, "corpus")]:
        parser.error(f"{unknown[0]!r} is none of {', '.join(DOUBLED)}, corpus")
    for table in options.tables:
        if options.only and table == "corpus":
            print(json.dumps(measure_corpus(options.precision, options.only)))
        elif options.only:
            print(json.dumps(measure_step(options.cell, options.precision, USUAL | {table: options.only})))
        elif table == "corpus":
            show_corpus(options)
        else:
            show_steps(options, table)


if __name__ == "__main__":
    main()
