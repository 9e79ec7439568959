"""`forecast compare`: every system on the same data, in one table."""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
from flax import nnx

from rnncli.errors import ParameterError
from rnncli.forecast import baselines
from rnncli.forecast.api import train_on
from rnncli.forecast.data import Dataset, check_trainable, dataset
from rnncli.forecast.defaults import for_lecture
from rnncli.forecast.model import Forecaster
from rnncli.forecast.network import NetworkForecaster
from rnncli.forecast.panel import Panel, lecture_panel
from rnncli.forecast.prepare import configure, described
from rnncli.forecast.reading import read
from rnncli.forecast.scoring import assess, fit_on
from rnncli.forecast.settings import ForecastSettings, Strategy, forecast_cells
from rnncli.forecast.source import SeriesSource
from rnncli.lecture import systems as lecture
from rnncli.nn.initial import with_parameters
from rnncli.output import cell, csv_text, figure
from rnncli.settings import Chosen
from rnncli.training.events import Listener, Note, silent
from rnncli.training.model import with_precision

Listeners = Callable[[str], Listener]  # from the label of a training to who listens to it


@dataclass(frozen=True)
class Comparison:
    """Systems by their figures."""

    title: str
    columns: tuple[str, ...]  # of `rows`, the system's name first
    rows: list[tuple[Any, ...]]
    systems: dict[str, dict[str, dict[str, Any]]]  # part → system → metrics
    config: dict[str, Any]
    seconds: float
    steps_per_second: float

    def csv(self) -> str:
        """The table for programs."""
        return csv_text(self.columns, *([cell(value) for value in row] for row in self.rows))

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows for people."""
        rows = [[label_of(each) if isinstance(each, str) else figure(each) for each in row] for row in self.rows]
        return [label_of(name) for name in self.columns], rows

    def errors(self) -> tuple[list[str], list[float], str]:
        """Systems and their errors, the least first, and what the error is: that on which the table is about."""
        metric = "validation_mse" if "validation_mse" in self.columns else "mae"
        place = self.columns.index(metric)
        ordered = sorted((row[place], row[0]) for row in self.rows)
        return [label_of(name) for _, name in ordered], [error for error, _ in ordered], metric.replace("_", " ")

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


def compare_any(
    source: SeriesSource, chosen: Chosen[ForecastSettings], seeds: int, listener: Listeners = silent
) -> Comparison:
    """Every system on the lecture's data, or on a series if one is named; `seeds` of them, from `seed` on."""
    first = chosen.get("seed", ForecastSettings.seed)
    chosen = with_precision(chosen, 0).without("seed")
    drawn = range(first, first + seeds)
    if source.series is not None:
        return compare_series(source, chosen, drawn, listener)
    if source.target or source.time_column or source.id:
        raise ParameterError("`target`, `time_column` and `id` choose columns of a `series`; name the file too")
    return compare_lecture(chosen, drawn, listener)


def compare_lecture(
    chosen: Chosen[ForecastSettings],
    seeds: Sequence[int],
    listener: Listeners = silent,
    systems: Sequence[lecture.ForecastSystem] = lecture.FORECAST,  # pyright: ignore[reportArgumentType]
) -> Comparison:
    """Every system of the lecture's part on time series, with its settings; figures are MSE, the mean over seeds.

    Of the settings only `epochs` and `precision` may be chosen.
    """
    unused = sorted(chosen.keys() - {"precision", "epochs"})
    if unused:
        raise ParameterError(f"`{unused[0]}` is for a `series`; the lecture's systems have their own settings")
    begun = time.monotonic()
    spread = ("validation_mse_std",) if len(seeds) > 1 else ()
    columns = ("system", "slide", "published", "validation_mse", *spread, "test_mse", "seconds")
    results, steps = [], 0.0
    for index, system in enumerate(systems, 1):
        started = time.monotonic()
        label = f"{index}/{len(systems)} {system.name}"
        drawn = seeds[:1] if system.baseline else seeds
        figures = [_lecture_figures(system, chosen, seed, listener(label)) for seed in drawn]
        validation, test = (np.array(part) for part in zip(*figures, strict=True))
        seconds = time.monotonic() - started
        listener(label)(Note(f"{label}: {validation.mean():.5f} (lecture {system.reported}), {seconds:.0f} s"))
        per_seed = chosen.get("epochs", ForecastSettings.epochs) * math.ceil(7_000 / ForecastSettings.batch_size)
        steps += 0 if system.baseline else per_seed * len(drawn)
        deviation = (_deviation(validation),) if spread else ()
        measured = (float(validation.mean()), *deviation, float(test.mean()), round(seconds, 1))
        results.append((system.name, system.reported, system.published, *measured))
    scores = {
        part: {row[0]: {"mse": row[columns.index(f"{part}_mse")]} for row in results} for part in ("validation", "test")
    }
    title = f"mean squared error on the lecture's data, {len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
    used = {"epochs": chosen.get("epochs", ForecastSettings.epochs), "precision": chosen.get("precision", "auto")}
    seconds = time.monotonic() - begun
    return Comparison(title, columns, results, scores, {"seeds": len(seeds), **used}, seconds, steps / seconds)


def _lecture_figures(
    system: lecture.ForecastSystem, chosen: Chosen[ForecastSettings], seed: int, on_event: Listener
) -> tuple[float, float]:
    """MSE on the validation and the test part."""
    wanted = {**system.settings, **chosen, "horizon": system.horizon, "seed": seed}
    preset = "default" if system.preset == "default" else "lecture"
    settings = replace(for_lecture({} if system.baseline else wanted, preset), horizon=system.horizon)
    data = dataset(lecture_panel(lecture.WINDOW + system.horizon), settings)
    if system.baseline:
        forecasts = {part: _baseline(system.baseline, data, settings, part) for part in ("validation", "test")}
    elif system.trained_on is not None:
        # trained one step ahead on series of another length, and so of another sampling step
        one = replace(settings, horizon=1)
        trained = train_on(one, dataset(lecture_panel(system.trained_on), one), SeriesSource(), on_event=on_event)
        far = Forecaster(replace(one, strategy="recursive", horizon=system.horizon), rngs=nnx.Rngs(0))
        network = with_parameters(far, nnx.state(trained.network, nnx.Param))
        predict = NetworkForecaster.of(network, data.scaling)
        forecasts = {part: predict(data.parts[part]) for part in ("validation", "test")}
    else:
        model = train_on(settings, data, SeriesSource(), on_event=on_event)
        return tuple(model.scores[part]["model"]["mse"] for part in ("validation", "test"))  # pyright: ignore
    return tuple(float(np.square(forecasts[part] - data.truth(part)).mean()) for part in ("validation", "test"))  # pyright: ignore


def _baseline(name: str, data: Dataset, settings: ForecastSettings, part: str) -> np.ndarray:
    origins = data.parts[part]
    if name == "naive":
        return baselines.naive(origins, data.horizon)
    return fit_on(data, settings)(origins)


def compare_series(
    source: SeriesSource, chosen: Chosen[ForecastSettings], seeds: Sequence[int], listener: Listeners = silent
) -> Comparison:
    """Every baseline, and every cell with every strategy it knows, on one series; means over seeds."""
    begun = time.monotonic()

    def say(text: str) -> None:
        listener("")(Note(text))

    if source.id is not None:
        raise ParameterError("`id`: compare is for one series; train tells how all systems do on several")
    series = read(source.series, source, say)
    chosen = chosen.replaced(system="network")
    if len(series) > 1:
        raise ParameterError("`target`: compare is for one series; train tells how all systems do on several")
    settings, data = configure(series, chosen, "default", say, source, ahead=False)
    chosen = chosen.replaced(season=settings.season, normalize=settings.normalize, transform=settings.transform)
    check_trainable(data, settings)
    simple = assess(data, replace(settings, system="auto"), None).scores
    systems = {part: {"combination": scores.pop("model"), **scores} for part, scores in simple.items()}
    taken = dict.fromkeys(systems["test"], 0.0)  # seconds
    steps = 0
    runs = [(cell, strategy) for cell in forecast_cells() for strategy in get_args(Strategy)]
    for index, (kind, strategy) in enumerate(runs, 1):
        name = f"{kind} {strategy}"
        try:
            described_so = chosen.replaced(cell=kind, strategy=strategy)
            tried, _ = configure(series, described_so, "default", lambda _: None, source, ahead=False)
        except ParameterError:
            continue  # a cell that does not know the strategy
        started = time.monotonic()
        label = f"{index}/{len(runs)} {name}"
        models = [train_on(replace(tried, seed=seed), data, source, on_event=listener(label)) for seed in seeds]
        taken[name] = round(time.monotonic() - started, 1)
        steps += sum(model.result.task.plan.steps for model in models if model.result is not None)
        for part, scored in systems.items():
            scored[name] = _mean([model.scores[part]["model"] for model in models])
            if len(models) > 1:
                scored[name]["mae_std"] = _deviation([model.scores[part]["model"]["mae"] for model in models])
        say(f"{label}: mae {systems['test'][name]['mae']:.5g}, {taken[name]:.0f} s")
    spread = ("mae_std",) if len(seeds) > 1 else ()
    columns = ("system", "mse", "mae", *spread, "rmse", "smape", "mape", "mase", "seconds")
    ordered = sorted(systems["test"].items(), key=lambda item: item[1]["mae"])
    rows = [(name, *(metrics.get(column) for column in columns[1:-1]), taken[name]) for name, metrics in ordered]
    seconds = time.monotonic() - begun
    used = settings.as_dict() | described(Panel.of(series), source) | {"seeds": len(seeds)}
    title = f"{series[0].name}: test part, best mae first"
    return Comparison(title, columns, rows, systems, used, seconds, steps / seconds)


def label_of(name: str) -> str:
    """What tables and pictures call a system or a column."""
    return name.replace("_", " ")


def _deviation(figures: Iterable[float]) -> float | None:
    """The standard deviation over seeds, of a sample; None of a single one."""
    each = [float(figure) for figure in figures]
    return statistics.stdev(each) if len(each) > 1 else None


def _mean(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Metrics, and those of each step, averaged over seeds; None where one of them is."""

    def mean(figures: Sequence[Any]) -> Any:
        if isinstance(figures[0], list):
            return [mean(step) for step in zip(*figures, strict=True)]
        return None if None in figures else float(np.mean(figures))

    return {metric: mean([scores[metric] for scores in runs]) for metric in runs[0]}
