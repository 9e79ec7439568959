"""`forecast compare`: every system on the same data, in one table."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from flax import nnx

from rnncli.console import Messages, figure
from rnncli.errors import OptionError
from rnncli.forecast import baselines
from rnncli.forecast.config import ForecastConfig, for_lecture
from rnncli.forecast.data import Dataset, lecture_dataset
from rnncli.forecast.fit import forecaster
from rnncli.forecast.metrics import scores
from rnncli.forecast.model import Forecaster
from rnncli.forecast.run import Source, baseline_forecasts, configure, described, load_series, run_training

_WINDOW = 50


@dataclass(frozen=True)
class Row:
    """A system of the lecture, and what is known about it."""

    name: str
    slide: str  # the slide's figure
    published: str  # what the published notebooks print
    goal: str
    horizon: int
    settings: Mapping[str, Any] = field(default_factory=dict)  # of a network, over the lecture preset
    baseline: Callable[[Dataset, str], np.ndarray] | None = None
    trained_on: int | None = None  # steps of the series that a recursive model is trained on, if others
    preset: str = "lecture"


def _linear(data: Dataset, part: str) -> np.ndarray:
    return baselines.fit_linear(data, "none", data.horizon)(data.windows(part), data)


_ONE_STEP = {"cell": "simple", "strategy": "direct", "readout": "recurrent"}
_TWENTY_TWENTY_ONE = {**_ONE_STEP, "layers": 2}
_SEQ2SEQ = {"strategy": "seq2seq"}

# Rates and architectures are those of the slides (and of the notebook behind them, where the slides are silent).
LECTURE = (
    Row("naive, 1 step", "0.020", "0.0202", "0.020211", 1, baseline=baselines.naive),
    Row("linear, 1 step", "0.004", "0.0042", "0.00293", 1, baseline=_linear),
    Row("SimpleRNN(1)", "0.014", "0.0109", "0.010–0.015", 1, {**_ONE_STEP, "layers": 0, "learning_rate": 0.005}),
    Row("SimpleRNN 20-20-1", "0.003", "0.0029", "≤ 0.0031", 1, _TWENTY_TWENTY_ONE),
    Row("naive, 10 steps", "0.223", "0.257", "0.257", 10, baseline=baselines.naive),
    Row("linear, 10 steps", "0.0188", "0.0187", "0.0155", 10, baseline=_linear),
    Row(
        "recursive, trained at n = 51",
        "0.029",
        "0.0275–0.0285",
        "0.029",
        10,
        _TWENTY_TWENTY_ONE,
        trained_on=_WINDOW + 1,
    ),
    Row("recursive, same sampling", "–", "–", "lower", 10, {**_TWENTY_TWENTY_ONE, "strategy": "recursive"}),
    Row("direct 20-20-Dense(10)", "0.008", "0.0082–0.0085", "≤ 0.0085", 10, {"cell": "simple", "strategy": "direct"}),
    Row(
        "seq2seq SimpleRNN",
        "0.006",
        "0.0056–0.0059",
        "≤ 0.006",
        10,
        {**_SEQ2SEQ, "cell": "simple", "learning_rate": 0.01},
    ),
    Row(
        "seq2seq layer-norm RNN",
        "–",
        "0.0121–0.0149",
        "≤ 0.0121",
        10,
        {**_SEQ2SEQ, "cell": "simple", "layer_norm": True},
    ),
    Row("seq2seq LSTM", "–", "0.0085", "≤ 0.0085", 10, {**_SEQ2SEQ, "cell": "lstm"}),
    Row("seq2seq GRU", "–", "0.0103–0.0111", "≤ 0.0103", 10, {**_SEQ2SEQ, "cell": "gru"}),
    Row("Conv1D + GRU", "–", "0.0067–0.0081", "≤ 0.0067", 10, {**_SEQ2SEQ, "cell": "gru", "conv": True}),
    Row("WaveNet", "–", "0.0072–0.0095", "≤ 0.0072", 10, {**_SEQ2SEQ, "cell": "wavenet"}),
    Row("rnncli's default", "–", "–", "≤ 0.0020", 10, preset="default"),
)


@dataclass(frozen=True)
class Comparison:
    """Systems by their figures; `document` and `csv` have them all, `table` the ones to look at."""

    title: str
    columns: tuple[str, ...]  # of `rows`, the system's name first
    rows: list[tuple[Any, ...]]
    shown: tuple[str, ...]  # the columns of the table
    systems: dict[str, dict[str, dict[str, Any]]]  # part → system → metrics
    config: dict[str, Any]
    seconds: float
    steps_per_second: float

    def csv(self) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        """Header and rows, figures with six digits."""
        return self.columns, [[f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in self.rows]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows for people."""
        places = [self.columns.index(name) for name in self.shown]
        rows = [[row[at] if isinstance(row[at], str) else figure(row[at]) for at in places] for row in self.rows]
        return [name.replace("_", " ") for name in self.shown], rows

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "command": "forecast compare",
            "config": self.config,
            "scores": self.systems,
            "checkpoint": None,
            "seconds": round(self.seconds, 3),
            "steps_per_second": round(self.steps_per_second, 1),
            "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows],
        }


def compare_lecture(seeds: Sequence[int], epochs: int | None, precision: str, messages: Messages) -> Comparison:
    """Every system of the lecture's part on time series, with its settings; figures are MSE, the mean over seeds."""
    begun = time.monotonic()
    columns = ("system", "slide", "published", "goal", "validation_mse", "validation_mse_std", "test_mse", "seconds")
    results, steps = [], 0.0
    for number, row in enumerate(LECTURE, 1):
        started = time.monotonic()
        chosen = {**row.settings, "horizon": row.horizon, "precision": precision}
        if epochs is not None:
            chosen["epochs"] = epochs
        label = f"{number}/{len(LECTURE)} {row.name}"
        drawn = seeds if row.baseline is None else seeds[:1]
        figures = [_lecture_figures(row, {**chosen, "seed": seed}, messages, label) for seed in drawn]
        validation, test = (np.array(part) for part in zip(*figures, strict=True))
        seconds = time.monotonic() - started
        messages.say(f"{label}: {validation.mean():.5f} (lecture {row.slide}), {seconds:.0f} s")
        per_seed = for_lecture(chosen, "lecture").epochs * math.ceil(7_000 / ForecastConfig.batch_size)
        steps += per_seed * len(drawn) if row.baseline is None else 0
        measured = (float(validation.mean()), float(validation.std()), float(test.mean()), round(seconds, 1))
        results.append((row.name, row.slide, row.published, row.goal, *measured))
    systems = {
        part: {row[0]: {"mse": row[columns.index(f"{part}_mse")]} for row in results} for part in ("validation", "test")
    }
    title = f"mean squared error on the lecture's data, {len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
    shown = ("system", "slide", "published", "goal", "validation_mse", "test_mse", "seconds")
    config = {"seeds": list(seeds), "epochs": epochs or ForecastConfig.epochs, "precision": precision}
    seconds = time.monotonic() - begun
    return Comparison(title, columns, results, shown, systems, config, seconds, steps / seconds)


def _lecture_figures(row: Row, chosen: dict[str, Any], messages: Messages, label: str) -> tuple[float, float]:
    """MSE on the validation and the test part."""
    data = lecture_dataset(_WINDOW, row.horizon)
    if row.baseline is not None:
        forecasts = {part: row.baseline(data, part) for part in ("validation", "test")}
    elif row.trained_on is not None:
        # trained one step ahead on series of another length, and so of another sampling step
        one = for_lecture({**chosen, "horizon": 1}, "lecture")
        trained = run_training(one, lecture_dataset(_WINDOW, 1, steps=row.trained_on), messages, label=label)
        far = replace(one, strategy="recursive", horizon=row.horizon)
        model = Forecaster(far, rngs=nnx.Rngs(0))
        nnx.update(model, nnx.state(trained.fitting.model, nnx.Param))
        predict = forecaster(model, trained.fitting.scaler)
        forecasts = {part: predict(data.windows(part)) for part in ("validation", "test")}
    else:
        config = for_lecture(chosen, "default" if row.preset == "default" else "lecture")
        outcome = run_training(config, data, messages, label=label)
        return tuple(outcome.scores[part]["model"]["mse"] for part in ("validation", "test"))  # pyright: ignore
    return tuple(float(np.square(forecasts[part] - data.truth(part)).mean()) for part in ("validation", "test"))  # pyright: ignore


def compare_series(source: Source, chosen: dict[str, Any], seeds: Sequence[int], messages: Messages) -> Comparison:
    """Every baseline, and every cell with every strategy it knows, on one series; means over seeds."""
    begun = time.monotonic()
    series = load_series(source, messages)
    config, data = configure(series, chosen, "default", messages)
    found = {**chosen, "season": config.season, "normalize": config.normalize}
    systems: dict[str, dict[str, dict[str, Any]]] = {"test": {}, "validation": {}}
    taken: dict[str, float] = {}  # seconds
    linear = baselines.fit_linear(data, config.normalize, config.horizon)
    for part, scored in systems.items():
        for name, forecast in baseline_forecasts(data, part, config.season, linear).items():
            scored[name] = scores(data.truth(part), forecast, data.naive_scale, data.observed(part))
            taken[name] = 0.0
    steps = 0.0
    runs = list(_combinations())
    for number, (cell, strategy) in enumerate(runs, 1):
        name = f"{cell} {strategy}"
        quiet = Messages(quiet=True)
        try:
            tried, _ = configure(series, {**found, "cell": cell, "strategy": strategy}, "default", quiet)
        except OptionError:
            continue  # a cell that does not know the strategy
        started = time.monotonic()
        label = f"{number}/{len(runs)} {name}"
        outcomes = [
            run_training(replace(tried, seed=seed), data, messages, source=source, label=label) for seed in seeds
        ]
        taken[name] = round(time.monotonic() - started, 1)
        steps += sum(outcome.fitting.plan.steps for outcome in outcomes if cell != "linear")
        for part, scored in systems.items():
            scored[name] = _mean([outcome.scores[part]["model"] for outcome in outcomes])
        messages.say(f"{label}: mae {systems['test'][name]['mae']:.5g}, {taken[name]:.0f} s")
    columns = ("system", "mse", "mae", "rmse", "smape", "mape", "mase", "seconds")
    ordered = sorted(systems["test"].items(), key=lambda item: item[1]["mae"])
    rows = [(name, *(each[column] for column in columns[1:-1]), taken[name]) for name, each in ordered]
    title = f"{series.name}: test part, best mae first"
    seconds = time.monotonic() - begun
    configuration = config.as_dict() | described(data, source) | {"seeds": list(seeds)}
    return Comparison(title, columns, rows, columns, systems, configuration, seconds, steps / seconds)


def _combinations() -> Iterable[tuple[str, str]]:
    for cell in ("linear", "simple", "lstm", "gru", "wavenet"):
        for strategy in ("recursive", "direct", "seq2seq", "encoder-decoder"):
            yield cell, strategy


def _mean(each: list[dict[str, Any]]) -> dict[str, Any]:
    """Metrics averaged over seeds; one that is None for a seed is None for all, as the truth decides that."""
    return {
        metric: None if value is None else np.mean([scores[metric] for scores in each], axis=0).tolist()
        for metric, value in each[0].items()
    }
