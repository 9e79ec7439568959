"""The README's figures of text classifiers, by the commands that a user would type.

    python tests/benchmarks/sentiment_goals.py FOLDER [--seeds 0 1 2] [--only default sst-2 speed]

FOLDER holds the data sets `tfds`, `sst2` and `glove`. Each training goes through the command line into a temporary
folder; its test scores and the seconds of the whole process are printed as they come. "speed" labels the IMDB test
reviews with the default model: reviews a second, after the first group of answers, and seconds from a cold start to
the answer to one line.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

IMDB = ["--data-dir", "{data}/tfds"]
GLOVE = ["--embeddings", "{data}/glove/glove.6B.50d.imdb40k.txt.xz"]


def sst(name: str) -> list[str]:
    """The three files of a treebank's task."""
    files = [f"{{data}}/sst2/stsa.{name}.{part}" for part in ("train", "dev", "test")]
    return [files[0], "--validation", files[1], "--test", files[2]]


TRAININGS = {
    "default": IMDB,
    "lecture": [*IMDB, "--preset", "lecture"],
    "lecture, masked": [*IMDB, "--preset", "lecture", "--mask"],
    "bag, GloVe": [*IMDB, "--encoder", "bag", *GLOVE],
    "bag, GloVe frozen": [*IMDB, "--encoder", "bag", *GLOVE, "--frozen"],
    "lecture's bag, GloVe frozen": [
        *IMDB,
        "--preset",
        "lecture",
        "--case",
        "lower",
        "--encoder",
        "bag",
        *GLOVE,
        "--frozen",
    ],
    "sst-2": sst("binary"),
    "sst-5": sst("fine"),
}


def rnncli(*arguments: str, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    command = [sys.executable, "-m", "rnncli", "sentiment", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, **how)


def train(name: str, data: Path, seed: int, folder: str) -> None:
    """Train, and print what came of it."""
    options = [option.format(data=data) for option in TRAININGS[name]]
    begun = time.perf_counter()
    done = rnncli("train", *options, "--seed", str(seed), "--json", "-q", "--checkpoint", folder)
    seconds = time.perf_counter() - begun
    document = json.loads(done.stdout)
    found = [
        f"{system} accuracy {scores['accuracy']:.4f}, loss {scores['loss']:.4f}, ECE {scores['ece']:.4f}"
        for system, scores in document["scores"]["test"].items()
    ]
    print(
        f"{name}, seed {seed}: {'; '.join(found)}; best epoch {document['best_epoch']:g}; {seconds:.0f} s", flush=True
    )


def speed(data: Path, folder: str) -> None:
    """Time the answers to the test reviews and to one line."""
    from rnncli.sentiment.imdb import read_imdb_reviews

    texts = [text.replace("\n", " ") for text in read_imdb_reviews(data / "tfds", "test")[0]]
    command = [sys.executable, "-m", "rnncli", "sentiment", "predict", f"{folder}/in.txt", "--checkpoint", folder]
    for run in range(3):
        Path(folder, "in.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(2048):  # the first group of answers
                process.stdout.readline()
            begun, lines = time.perf_counter(), sum(1 for _ in process.stdout)
        print(f"predict, run {run + 1}: {lines / (time.perf_counter() - begun):,.0f} reviews a second", flush=True)
    for run in range(3):
        begun = time.perf_counter()
        rnncli("predict", "-", "--checkpoint", folder, input="a wonderful film\n")
        print(f"one line, run {run + 1}: {time.perf_counter() - begun:.1f} s", flush=True)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--only", nargs="*", default=[*TRAININGS, "speed"], choices=[*TRAININGS, "speed"])
    parser.add_argument("--model", help="a trained default model, for speed")
    arguments = parser.parse_args()
    for name in [each for each in arguments.only if each != "speed"]:
        for seed in arguments.seeds:
            with tempfile.TemporaryDirectory() as folder:
                train(name, arguments.data, seed, f"{folder}/model")
                if name == "default" and seed == arguments.seeds[0] and "speed" in arguments.only:
                    speed(arguments.data, f"{folder}/model")
    if arguments.model:
        speed(arguments.data, arguments.model)


if __name__ == "__main__":
    main()
