"""The README's figures on tiny Shakespeare, by the commands that a user would type.

    python tests/benchmarks/charlm_goals.py FOLDER/input.txt [--seeds 0 1 2] [--only default small]

Each training goes through the command line into a temporary folder; its scores on the last tenth of the text, in both
protocols, and the seconds of the whole process are printed as they come. The lecture's own trainings take hours; they
are cut here to as many passes as the README names.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRAININGS = {
    "default": [],
    "small": ["--preset", "small"],
    "lecture": ["--preset", "lecture", "--lowercase", "--epochs", "200"],
    "lecture, stateful": ["--preset", "lecture", "--lowercase", "--stateful", "--epochs", "200"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--only", nargs="*", default=list(TRAININGS), choices=list(TRAININGS))
    arguments = parser.parse_args()
    for name in arguments.only:
        for seed in arguments.seeds:
            with tempfile.TemporaryDirectory() as folder:
                command = ["charlm", "train", str(arguments.text), *TRAININGS[name], "--seed", str(seed)]
                begun = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, "-m", "rnncli", *command, "--json", "-q", "--checkpoint", f"{folder}/model"],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                seconds = time.perf_counter() - begun
            scores = json.loads(done.stdout)["scores"]["validation"]
            carried, cold = (f"{protocol} {scores[protocol]['loss']:.4f}" for protocol in ("carried", "cold"))
            print(f"{name}, seed {seed}: {carried}, {cold} nats; {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
