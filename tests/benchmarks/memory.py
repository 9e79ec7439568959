"""Peak resident memory of the programs that `training.py`, `sampling.py` and `sentiment.py` time.

    python tests/benchmarks/memory.py [training "sampling 1" "sampling 64" "sentiment training" "sentiment prediction"]
    python tests/benchmarks/memory.py training --options="--cell lstm --units 512 --batch 64"

Each program runs two rounds (a mode that had to be tried, three) in a process of its own, and nothing else. Printed is
the most that the process ever had, that above what it had once its libraries were imported, and the first over the
least that torch needs. Ours run twice: with an empty cache of compiled programs, so that compiling counts, and again
with what that left there. torch runs with one thread, with which it needs the least.
`--options` go to the script that is named.
"""

import argparse
import importlib
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

from _timing import OURS, Factories, Missing, peak_memory, print_table, run_process, with_cache

# script, what its `factories` is told beside its options, and the options that it has here
WORKS: dict[str, tuple[str, tuple[str | int, ...], str]] = {
    "training": ("training", (), ""),
    "sampling 1": ("sampling", (1,), ""),
    "sampling 64": ("sampling", (64,), ""),
    "sentiment training": ("sentiment", ("training",), "--texts 192"),
    "sentiment prediction": ("sentiment", ("prediction",), ""),
}
LIBRARIES = {
    OURS: ("rnncli.charlm.task", "rnncli.charlm.sample", "rnncli.sentiment.task", "rnncli.training.devices"),
    "torch": ("torch",),
    "keras": ("keras",),
}


def factories_of(work: str, options: str) -> Factories:
    """The programs of a kind of work."""
    script, told, usual = WORKS[work]
    module = importlib.import_module(script)
    found = module.factories(module.parse(shlex.split(f"{usual} {options}")), *told)
    return {name: make for name, make in found.items() if not name.startswith("torch") or "1 thread" in name}


def measure(work: str, name: str, options: str) -> None:
    """Run one program here; print the peak after imports and after all."""
    make = factories_of(work, options)[name]
    kind = next(kind for kind in LIBRARIES if name.startswith(kind))
    os.environ.setdefault("KERAS_BACKEND", "jax")
    for library in LIBRARIES[kind]:
        importlib.import_module(library)
    imported = peak_memory()
    try:
        program = make()
    except Missing as error:
        print(json.dumps([str(error)]))
        return
    for _ in range(2):
        program()
    print(json.dumps([imported, peak_memory()]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", default=list(WORKS), metavar="work", help=", ".join(WORKS))
    parser.add_argument("--options", default="", help="of the script that has the programs")
    parser.add_argument("--only", help="measure this program in this very process")
    options = parser.parse_args()
    if unknown := [work for work in options.works if work not in WORKS]:
        parser.error(f"{unknown[0]!r} is none of {', '.join(WORKS)}")
    if options.only:
        measure(options.works[0], options.only, options.options)
        return
    script = [sys.executable, str(Path(__file__).resolve())]
    for work in options.works:
        peaks: dict[str, tuple[int, int]] = {}
        for name in factories_of(work, options.options):
            with tempfile.TemporaryDirectory() as cache:
                command = [*script, work, f"--only={name}", f"--options={options.options}"]
                for again in ("", ", compiled before") if name.startswith(OURS) else ("",):
                    # a library may have printed, too
                    found = json.loads(run_process(command, with_cache(cache)).output.splitlines()[-1])
                    if len(found) == 1:
                        print(f"{name} is left out: {found[0]}")
                    else:
                        imported, peak = found
                        peaks[name + again] = peak, peak - imported
        least = min((peak for name, (peak, _) in peaks.items() if name.startswith("torch")), default=None)
        print_table(
            (work, "peak MB", "above imports", "of torch's"),
            [
                (name, f"{peak / 1e6:,.0f}", f"{above / 1e6:,.0f}", f"{peak / least:.2f}" if least else "–")
                for name, (peak, above) in peaks.items()
            ],
        )


if __name__ == "__main__":
    main()
