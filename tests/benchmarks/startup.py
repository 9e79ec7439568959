"""Seconds of whole processes that do little: the help text, and a short sample from a trained model.

    python tests/benchmarks/startup.py [--preset small --length 200 --repeats 5]

A model is trained first, for a few seconds, on letters drawn at random, into a temporary folder. A sample is drawn from
it with an empty cache of compiled programs, a new one each time, and with the cache that the same command has filled.
The processes alternate; medians of the wall time after a first round that does not count.
"""

import argparse
import itertools
import random
import string
import tempfile
from functools import partial
from pathlib import Path

from _timing import alternate, print_table, rnncli_command, run_process, with_cache


def train(folder: str, preset: str) -> str:
    """A checkpoint of a model that was trained as briefly as possible; for how it samples that makes no difference."""
    letters = string.ascii_letters + " \n.,:;!?'-&$3"
    text = Path(folder, "text.txt")
    text.write_text("".join(random.Random(0).choices(letters, k=20_000)), encoding="utf-8")
    checkpoint = f"{folder}/model"
    arguments = [str(text), "--preset", preset, "--epochs", "1", "--quiet", "--checkpoint", checkpoint]
    run_process(rnncli_command("charlm", "train", *arguments), with_cache(f"{folder}/training"))
    return checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small", choices=["default", "small", "large", "lecture"])
    for option, default in (("length", 200), ("repeats", 5)):
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = train(folder, options.preset)
        sample = rnncli_command("charlm", "sample", "--checkpoint", checkpoint, "--length", str(options.length), "-q")
        fresh = itertools.count()
        programs = {
            "--help": partial(run_process, rnncli_command("--help")),
            "charlm sample --help": partial(run_process, rnncli_command("charlm", "sample", "--help")),
            "charlm sample, empty cache": lambda: run_process(sample, with_cache(f"{folder}/{next(fresh)}")),
            "charlm sample, warm cache": partial(run_process, sample, with_cache(f"{folder}/warm")),
        }
        medians = alternate(programs, options.repeats)
    print(f"model of preset {options.preset}, {options.length} characters")
    print_table(("process", "seconds"), [(name, f"{seconds:.2f}") for name, seconds in medians.items()])


if __name__ == "__main__":
    main()
