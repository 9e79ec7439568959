"""How good the forecasts are: M3's series, each by itself and all in one model, M4's hourly series, and series of old.

    python tests/benchmarks/forecast_accuracy.py [single] [series] [monthly] [quarterly] [hourly] [backtest] [ett]

Every command runs with its defaults on the files of `../shared/data`. Errors of single series are told as multiples of
the seasonal naive forecast's, as geometric means; those of the competitions as the competitions tell them. What was
tuned on M3 was tuned on other series than the 200 of `single`.
"""

import argparse
import csv
import gzip
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

import rnncli
from rnncli.forecast.backtest import backtest
from rnncli.forecast.settings import ForecastSettings
from rnncli.forecast.source import SeriesSource
from rnncli.forecast.verb_settings import Backtesting
from rnncli.settings import Chosen

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SHARE = 0.8
KINDS = {"monthly": (12, 18, "MS"), "quarterly": (4, 8, "QS")}
# of the network on ETTh1
ETT = {
    "cell": "gru", "normalize": "shift", "transform": "none", "linear_skip": False, "recurrent_dropout": 0.5,
    "learning_rate": 0.0005, "epochs": 8,
}  # fmt: skip
NAIVE2_OF_M4 = (18.383, 2.395)  # sMAPE and MASE, the denominators of OWA


class Case(NamedTuple):
    """A series, and what came after it."""

    past: np.ndarray
    truth: np.ndarray


def m3(kind: str) -> dict[str, Case]:
    """The series of M3 by id."""
    found: dict[str, dict[str, list[float]]] = {}
    with gzip.open(DATA / "m3" / f"{kind}.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["id"], {"train": [], "test": []})[row["part"]].append(float(row["value"]))
    return {id: Case(np.array(parts["train"]), np.array(parts["test"])) for id, parts in found.items()}


def m4() -> dict[str, Case]:
    """The hourly series of M4 by id."""

    def values(lines: Iterable[str]) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for row in csv.DictReader(lines):
            found.setdefault(row["unique_id"], []).append(float(row["y"]))
        return found

    with gzip.open(DATA / "m4" / "hourly-train-long.csv.gz", "rt") as file:
        train = values(file)
    test = values((DATA / "m4" / "hourly-test-long.csv").read_text().splitlines())
    return {id: Case(np.array(train[id]), np.array(test[id])) for id in train}


def smape(forecast: np.ndarray, truth: np.ndarray) -> float:
    """In per cent, as M4 has it."""
    return float(np.mean(200 * np.abs(forecast - truth) / (np.abs(forecast) + np.abs(truth))))


def mase(forecast: np.ndarray, case: Case, season: int) -> float:
    """Over the mean in-sample error of the seasonal naive forecast."""
    return float(np.abs(forecast - case.truth).mean() / np.abs(case.past[season:] - case.past[:-season]).mean())


def seasonal_naive(past: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """The last season, repeated."""
    return past[len(past) - season :][np.arange(horizon) % season]


def geometric(values: list[float]) -> float:
    """The geometric mean."""
    return math.exp(float(np.mean(np.log(np.maximum(values, 1e-9)))))


def single() -> Iterator[str]:
    """100 monthly and 100 quarterly series of M3, each by itself: with dates, and with numbered rows only."""
    for dated in (True, False):
        ratios: list[float] = []
        for kind, (season, horizon, frequency) in KINDS.items():
            cases, own, inside, seconds = m3(kind), [], [], 0.0
            ids = np.random.default_rng(0).choice(sorted(cases), 100, replace=False)
            for case in (cases[id] for id in ids):
                table = pd.DataFrame({"value": case.past})
                if dated:
                    table.insert(0, "date", pd.date_range("1980-01-01", periods=len(table), freq=frequency))
                begun = time.monotonic()
                forecast = rnncli.forecast.fit(table, horizon=horizon).predict()
                seconds += time.monotonic() - begun
                naive = np.abs(seasonal_naive(case.past, season, horizon) - case.truth).mean()
                own.append(float(np.abs(forecast.values - case.truth).mean() / naive))
                low, high = (forecast.quantiles((1 + side * SHARE) / 2) for side in (-1, 1))
                inside.append(float(np.mean((low <= case.truth) & (case.truth <= high))))
            ratios += own
            what = "with dates" if dated else "rows numbered"
            figures = f"{geometric(own):.3f}, {_above(own)}; intervals hold {np.mean(inside):.1%}; {seconds:.0f} s"
            yield f"{kind}, {what}: {figures}"
        yield f"all 200: {geometric(ratios):.3f}, {_above(ratios)}"


def _above(ratios: list[float]) -> str:
    return f"{np.mean(np.array(ratios) > 1.3):.1%} above 1.3"


def series() -> Iterator[str]:
    """The seven series, with their own test parts."""
    ratios = []
    for name in (
        "airline-passengers",
        "monthly-sunspots",
        "daily-min-temperatures",
        "gas",
        "lynx",
        "taylor",
        "illness",
    ):
        illness = name == "illness"
        path = DATA / "series" / f"{'national_illness' if illness else name}.csv"
        begun = time.monotonic()
        model = rnncli.forecast.fit(path, **({"target": "OT"} if illness else {}))
        scores = model.scores["test"]
        ratios.append(scores["model"]["mae"] / scores.get("seasonal_naive", scores["naive"])["mae"])
        system = "with a network" if model.settings.trains else "without a network"
        yield (
            f"{name}: {ratios[-1]:.3f} (mape {scores['model']['mape'] or math.nan:.2f}), horizon "
            f"{model.settings.horizon}, {system}, {time.monotonic() - begun:.1f} s"
        )
    yield f"all seven: {geometric(ratios):.3f}"


def many(kind: str) -> Iterator[str]:
    """All series of a competition in one model."""
    cases, (season, horizon) = (m4(), (24, 48)) if kind == "hourly" else (m3(kind), KINDS[kind][:2])
    rows = [(id, step, value) for id, case in cases.items() for step, value in enumerate(case.past, 1)]
    begun = time.monotonic()
    model = rnncli.forecast.fit(pd.DataFrame(rows, columns=["id", "step", "value"]), id="id", horizon=horizon)
    seconds = time.monotonic() - begun
    forecasts = {each.series.id: each for each in model.predict_all()}
    found = {"model": {id: each.values for id, each in forecasts.items()}}
    found["seasonal naive"] = {id: seasonal_naive(case.past, season, horizon) for id, case in cases.items()}
    for system, values in found.items():
        errors = [smape(values[id], case.truth) for id, case in cases.items()]
        scaled = [mase(values[id], case, season) for id, case in cases.items()]
        line = f"{kind}, {system}: sMAPE {np.mean(errors):.3f}, MASE {np.mean(scaled):.4f}"
        if kind == "hourly":
            line += f", OWA {(np.mean(errors) / NAIVE2_OF_M4[0] + np.mean(scaled) / NAIVE2_OF_M4[1]) / 2:.4f}"
        yield line
    inside = []
    for id, case in cases.items():
        low, high = (forecasts[id].quantiles((1 + side * SHARE) / 2) for side in (-1, 1))
        inside.append(np.mean((low <= case.truth) & (case.truth <= high)))
    yield f"{kind}: 80 % intervals hold {np.mean(inside):.1%}; {seconds:.0f} s"


def backtests() -> Iterator[str]:
    """Rolling origins: error over the seasonal naive forecast's, and what the intervals hold."""
    plans = (
        ("national_illness.csv", {"horizon": 24}, {"origins": 100, "stride": 1}, "OT"),
        ("airline-passengers.csv", {"horizon": 6}, {"origins": 31, "stride": 1}, None),
        ("airline-passengers.csv", {"horizon": 12}, {"origins": 3, "refit": "1"}, None),
        ("monthly-sunspots.csv", {"horizon": 12}, {"origins": 40}, None),
        ("daily-min-temperatures.csv", {"horizon": 7}, {"origins": 100}, None),
    )
    for name, chosen, plan, target in plans:
        path = str(DATA / "series" / name)
        source = SeriesSource(series=path, target=target)
        found = backtest(path, source, Chosen(ForecastSettings, chosen), Backtesting(**plan))
        scores = {system: metrics["mae"] for system, metrics in found.scores.items()}
        over = scores["model"] / scores.get("seasonal_naive", scores["naive"])
        linear = f", over linear {scores['model'] / scores['linear']:.3f}" if "linear" in scores else ""
        model = found.scores["model"]
        yield (
            f"{name}, {chosen}, {plan}: over seasonal naive {over:.3f}{linear}; mape {model['mape'] or math.nan:.2f}; "
            f"80 % intervals hold {model['coverage']:.1%}; {found.seconds:.1f} s"
        )


def ett() -> Iterator[str]:
    """ETTh1 by the literature's protocol: 7 channels, a window of 720, z-scored, every window of the test rows.

    One model of the same settings for all horizons; they were chosen by the validation rows at horizon 96. The last
    fit, which no test score knows, is left out.
    """
    from flax import nnx

    from rnncli.forecast.task import ForecastTask

    rows = pd.read_csv(DATA / "ett" / "ETTh1.csv")[:14400]
    channels = list(rows.columns[1:])
    deviations = rows[channels][:8640].std(ddof=0).to_numpy()
    fitted_anew = ForecastTask._fitted_anew
    ForecastTask._fitted_anew = lambda self, data, epochs: nnx.state(self.model, nnx.Param)  # pyright: ignore
    try:
        for horizon in (96, 192, 336, 720):
            begun = time.monotonic()
            model = rnncli.forecast.fit(
                rows, target=",".join(channels), horizon=horizon, window=720, test_fraction=0.2,
                validation_fraction=0.2, **ETT,
            )  # fmt: skip
            assert model.result is not None
            scores = model.result.scored.details.by_series
            figures = []
            for system in ("model", "network", "linear", "seasonal_naive", "naive"):
                told = zip(scores.values(), deviations, strict=True)
                figures.append(f"{system} {np.mean([each[system]['mse'] / std**2 for each, std in told]):.4f}")
            yield f"ETTh1, {horizon} ahead, mse: {', '.join(figures)}; {time.monotonic() - begun:.0f} s"
    finally:
        ForecastTask._fitted_anew = fitted_anew


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "single": single,
    "series": series,
    "monthly": lambda: many("monthly"),
    "quarterly": lambda: many("quarterly"),
    "hourly": lambda: many("hourly"),
    "backtest": backtests,
    "ett": ett,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all if none is named")
    wanted = parser.parse_args().parts
    if set(wanted) - PARTS.keys():
        sys.exit(f"no such part: {', '.join(set(wanted) - PARTS.keys())}")
    for part in wanted or PARTS:
        for line in PARTS[part]():
            print(line, flush=True)
