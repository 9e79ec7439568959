"""`rnncli forecast` on the lecture's data from process start to exit, against a Keras script that does the same.

    python tests/benchmarks/forecast_process.py [--epochs 20 --repeats 3]

The lecture's sequence-to-sequence network: two layers of 20 simple recurrent units, the next ten values at each of 50
steps, Adam at 0.01, batches of 32, 7,000 series to train on and 2,000 to validate on after each epoch. Ours also trains
and scores the baselines, and scores the test part. The processes alternate; medians of the wall time, peak resident
memory, and the mean squared error of the last step's forecasts on the validation part, of the last and the best epoch.

Ours runs with its cache of compiled programs as a user has it the second time, and with an empty one each time. Keras
runs on jax, with no such cache, as it is out of the box. `--keras` is the Keras script itself.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from _timing import OURS, Finished, alternate, installed, print_table, rnncli_command, run_process, with_cache

WINDOW, HORIZON = 50, 10
OPTIONS = ["--preset", "lecture", "--cell", "simple", "--strategy", "seq2seq", "--learning-rate", "0.01"]


def keras_script(epochs: int) -> None:
    """What one writes who follows the lecture, with nothing that is not needed. Prints the validation errors."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras
    import numpy as np

    draw = np.random.RandomState(42)
    freq1, freq2, offset1, offset2 = draw.rand(4, 10_000, 1)
    time = np.linspace(0, 1, WINDOW + HORIZON)
    series = 0.5 * np.sin((time - offset1) * (freq1 * 10 + 10)) + 0.2 * np.sin((time - offset2) * (freq2 * 20 + 20))
    series += 0.1 * (draw.rand(10_000, WINDOW + HORIZON) - 0.5)
    series = series.astype(np.float32)
    inputs = series[:, :WINDOW, None]
    targets = np.stack([series[:, ahead : ahead + WINDOW] for ahead in range(1, HORIZON + 1)], -1)

    def last_step_mse(truth, forecast):
        return keras.ops.mean(keras.ops.square(truth[:, -1] - forecast[:, -1]))

    network = keras.Sequential(
        [
            keras.Input((None, 1)),
            keras.layers.SimpleRNN(20, return_sequences=True),
            keras.layers.SimpleRNN(20, return_sequences=True),
            keras.layers.TimeDistributed(keras.layers.Dense(HORIZON)),
        ]
    )
    network.compile(keras.optimizers.Adam(learning_rate=0.01), "mse", metrics=[last_step_mse])
    validation = inputs[7_000:9_000], targets[7_000:9_000]
    history = network.fit(inputs[:7_000], targets[:7_000], epochs=epochs, validation_data=validation, verbose=0)
    print(json.dumps(history.history["val_last_step_mse"]))


def errors_of(name: str, output: str) -> list[float]:
    """The validation errors of a run, epoch after epoch."""
    if not name.startswith(OURS):
        return json.loads(output)
    return [point["validation"] for point in json.loads(output)["history"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("epochs", 20), ("repeats", 3)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--keras", action="store_true", help="be the Keras script")
    options = parser.parse_args()
    if options.keras:
        keras_script(options.epochs)
        return
    forecast = rnncli_command("forecast", *OPTIONS, "--epochs", str(options.epochs), "--json", "--quiet")
    script = [sys.executable, str(Path(__file__).resolve()), "--keras", "--epochs", str(options.epochs)]
    runs: dict[str, list[Finished]] = {}
    with tempfile.TemporaryDirectory() as folder:
        fresh = map(str, itertools.count())

        def run(name: str, command: list[str], cache: str | None) -> None:
            cache = f"{folder}/{next(fresh) if cache is None else cache}"
            runs.setdefault(name, []).append(run_process(command, with_cache(cache)))

        programs = {
            "rnncli": partial(run, "rnncli", forecast, "warm"),
            "rnncli, empty cache": partial(run, "rnncli, empty cache", forecast, None),
        }
        if installed("keras"):
            programs["keras"] = partial(run, "keras", script, None)
        medians = alternate(programs, options.repeats)
    rows = []
    for name, seconds in medians.items():
        errors = errors_of(name, runs[name][-1].output)
        peak = statistics.median(each.peak for each in runs[name])
        of_keras = f"{seconds / medians['keras']:.2f}" if "keras" in medians else "–"
        rows.append((name, f"{seconds:.1f}", of_keras, f"{peak / 1e6:,.0f}", f"{errors[-1]:.5f}", f"{min(errors):.5f}"))
    print_table(("process", "seconds", "of Keras'", "peak MB", "last MSE", "best MSE"), rows)


if __name__ == "__main__":
    main()
