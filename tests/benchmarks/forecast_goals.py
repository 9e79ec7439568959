"""What `rnncli forecast` has to reach, as commands with their goals; run by hand, never by the test suite.

    python tests/benchmarks/forecast_goals.py ../shared/data [--seeds 3]

Each line is one command with the figure it gave and the goal. The lecture's table has a command of its own:
`rnncli forecast compare --seeds 3`.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

# The series beside the tests, with what their commands need.
SERIES = {
    "airline-passengers": ["--horizon", "12"],
    "gas": [],
    "lynx": [],
    "monthly-sunspots": [],
    "daily-min-temperatures": [],
    "national_illness": ["--target", "OT"],
    "taylor": [],
}
# What reaches the floor of the lecture's data, at the price of two minutes.
LONG = ["--units", "64", "--epochs", "40", "--learning-rate", "0.005"]


def forecast(*arguments: str) -> tuple[dict, float]:
    """The JSON document of a command, and its wall time in seconds from start to exit."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "rnncli", "forecast", *arguments, "--json", "--quiet"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output), time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    for arguments, goal, seeds in (([], 0.0020, options.seeds), (LONG, 0.0013, 1)):
        for seed in range(seeds):
            document, seconds = forecast(*arguments, "--seed", str(seed))
            figure = document["scores"]["test"]["model"]["mse"]
            command = " ".join(["forecast", *arguments, "--seed", str(seed)])
            print(f"{command}: test mse {figure:.5f} (goal {goal}), {seconds:.0f} s")
    for name, arguments in SERIES.items():
        for seed in range(options.seeds):
            document, seconds = forecast(str(options.data / f"series/{name}.csv"), *arguments, "--seed", str(seed))
            systems = document["scores"]["test"]
            ours, seasonal = systems["model"], systems.get("seasonal_naive", systems["naive"])
            ratios = ", ".join(f"{metric} {ours[metric] / seasonal[metric]:.3f}" for metric in ("mae", "rmse"))
            mape = "" if ours["mape"] is None else f"; mape {ours['mape']:.2f}, seasonal naive {seasonal['mape']:.2f}"
            command = " ".join(["forecast", name, *arguments, "--seed", str(seed)])
            print(f"{command}: of seasonal naive: {ratios}{mape}, {seconds:.0f} s")


if __name__ == "__main__":
    main()
