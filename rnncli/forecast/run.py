"""`forecast train` and `forecast predict`: where data, training, disk and screen meet."""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from rnncli.console import Messages
from rnncli.errors import CheckpointError, DataError
from rnncli.forecast import baselines
from rnncli.forecast.config import Fill, ForecastConfig, Normalize, Preset, for_lecture, for_series, part_sizes
from rnncli.forecast.data import Dataset, choose_season, lecture_dataset, series_dataset
from rnncli.forecast.fit import Fitting, Scaler, empty_state, forecaster, prepare, train
from rnncli.forecast.metrics import scores
from rnncli.forecast.model import Forecaster
from rnncli.forecast.series import Series, read_series
from rnncli.tables import read_table
from rnncli.training.checkpoint import CheckpointWriter, Saving, read_metadata, restore, resumable
from rnncli.training.loop import Report
from rnncli.training.watch import Pace, not_a_number, watch

TASK = "forecast"
_NORMALIZE_CHOICES: tuple[Normalize, ...] = ("last", "shift", "mean", "global")

Scores = dict[str, dict[str, dict[str, Any]]]  # part → system → metric → figure


@dataclass(frozen=True)
class Source:
    """Which table, and which columns of it."""

    path: str
    target: str | None = None
    time_column: str | None = None
    fill: Fill | None = None  # None: linear, or what a checkpoint was trained with


@dataclass(frozen=True)
class Outcome:
    """What training gave."""

    config: ForecastConfig
    data: Dataset
    fitting: Fitting
    scores: Scores
    forecast: list[tuple[str, float]]  # stamps and values of the future; none for synthetic data
    recent: np.ndarray  # forecasts of the test part, [n, horizon]
    seconds: float
    steps_per_second: float
    source: dict[str, Any]  # what the data was read from, for the document

    def document(self, checkpoint: Path | None) -> dict[str, Any]:
        """The JSON document of `forecast train --json`."""
        return {
            "command": "forecast train",
            "config": self.config.as_dict() | self.source,
            "scores": self.scores,
            "checkpoint": None if checkpoint is None else str(checkpoint),
            "seconds": round(self.seconds, 3),
            "steps_per_second": round(self.steps_per_second, 1),
            "best_epoch": self.fitting.best_epoch,
            "devices": 1 if self.fitting.state is None else int(self.fitting.state.devices),
            "history": self.fitting.history,
            "forecast": [{"time": stamp, "forecast": value} for stamp, value in self.forecast],
        }


def load_series(source: Source, messages: Messages) -> Series:
    """Read the series, and tell what was done to it."""
    series = read_series(
        read_table(source.path), target=source.target, time_column=source.time_column, fill=source.fill or "linear"
    )
    for note in series.notes:
        messages.say(note)
    return series


def load(
    source: Source | None, chosen: Mapping[str, Any], preset: Preset, messages: Messages
) -> tuple[ForecastConfig, Dataset]:
    """The data, and the configuration that suits it."""
    if source is None:
        config = for_lecture(chosen, preset)
        messages.say(f"the lecture's data: 10,000 synthetic series, window {config.window}, {config.horizon} ahead")
        return config, lecture_dataset(config.window, config.horizon)
    return configure(load_series(source, messages), chosen, preset, messages)


def configure(
    series: Series, chosen: Mapping[str, Any], preset: Preset, messages: Messages
) -> tuple[ForecastConfig, Dataset]:
    """A series as windows, and the configuration that suits it; what was found out by itself is said."""
    held_out = chosen.get("test_fraction", ForecastConfig.test_fraction)
    held_out += chosen.get("validation_fraction", ForecastConfig.validation_fraction)
    season = chosen.get("season") or choose_season(series, held_out)
    size = len(series.values)
    config = for_series(chosen, size, season, preset)
    data = series_dataset(series, config)
    test, validation = part_sizes(size, config.horizon, config.test_fraction, config.validation_fraction)
    if "season" in chosen and season >= size - test - validation:
        raise DataError(f"--season {season} is longer than the {size - test - validation} rows of the training part")
    if "normalize" not in chosen:
        errors = {each: baselines.fit_linear(data, each, config.horizon).error for each in _NORMALIZE_CHOICES}
        config = for_series({**chosen, "normalize": min(errors, key=errors.__getitem__)}, size, season, preset)
    span = f", one a {series.clock.step}, {series.stamp(0)} to {series.stamp(size - 1)}" if series.clock else ""
    messages.say(
        f"{series.name}: {size} values{span}; season {season if season > 1 else 'none'}, window {config.window}, "
        f"{config.horizon} ahead, normalize {config.normalize}; "
        f"test: the last {test} values"
    )
    return config, data


def run_training(
    config: ForecastConfig,
    data: Dataset,
    messages: Messages,
    *,
    source: Source | None = None,
    saving: Saving | None = None,
    label: str = "training",
) -> Outcome:
    """Train, score beside the baselines, forecast the future.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the checkpoint, if one was asked for, holds what was reached.
        RnncliError: the loss was no number from the start.
    """
    begun = time.monotonic()
    fitting = prepare(config, data)
    about = described(data, source)
    writer = _claim(saving, fitting, data, about, messages.say) if saving else None
    before = int(fitting.state.step) if fitting.state is not None else 0

    def save() -> None:
        if writer is not None:
            items = {} if fitting.state is None else {"state": fitting.state}
            best = nnx.state(fitting.model, nnx.Param) if fitting.state is None else fitting.state.best_params
            writer.save(_metadata(fitting, data, about), best=best, **items)

    training = time.monotonic()
    _train(fitting, data, messages, save if writer else None, label)
    spent = time.monotonic() - training
    fitting.keep_best()
    save()
    if writer is not None:
        writer.close()
    steps = (int(fitting.state.step) if fitting.state is not None else 0) - before
    predict = forecaster(fitting.model, fitting.scaler)
    results, recent = _score(fitting, data, predict)
    forecast = [] if data.series is None else future(data.series, predict, config.window)
    seconds = time.monotonic() - begun
    rate = steps / spent if steps else 0.0
    return Outcome(config, data, fitting, results, forecast, recent, seconds, rate, about)


def described(data: Dataset, source: Source | None) -> dict[str, Any]:
    """The data in JSON types: what, beside the configuration, repeats a run."""
    if data.series is None or source is None:
        return {"series": None}
    read = {"target": data.series.name, "time_column": data.series.time_name, "fill": source.fill or "linear"}
    return {"series": source.path, **read}


def future(series: Series, predict: Callable[[np.ndarray], np.ndarray], window: int) -> list[tuple[str, float]]:
    """Stamps and forecasts of the steps after the last value."""
    size = len(series.values)
    values = predict(series.values[None, size - window :])[0]
    return [(series.stamp(size + ahead), float(value)) for ahead, value in enumerate(values)]


def load_model(folder: Path) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
    """A checkpoint's metadata and its model as a function from windows to forecasts."""
    metadata = read_metadata(folder, TASK)
    try:
        config = ForecastConfig(**metadata["config"])
        scaler = Scaler(**metadata["scaler"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"the checkpoint in '{folder}' is damaged: {error} in its configuration") from error
    # shapes in the place of arrays: first weights would be drawn for nothing
    model = nnx.eval_shape(lambda: Forecaster(config, rngs=nnx.Rngs(0)))
    nnx.update(model, restore(folder, TASK, "best", nnx.state(model, nnx.Param)))
    return metadata, forecaster(model, scaler)


def predict(source: Source, folder: Path, messages: Messages) -> tuple[Series, list[tuple[str, float]]]:
    """Forecast what follows a series with a saved model.

    Raises:
        CheckpointError: there is no such model.
        DataError: the series has other columns than the model's, or is shorter than its window.
    """
    metadata, run = load_model(folder)
    wanted = metadata["series"]
    if wanted is None:
        raise CheckpointError(f"the model in '{folder}' was trained on the lecture's synthetic data, not on a series")
    table = read_table(source.path)
    columns = [wanted["time"], wanted["target"]] if wanted["time"] else [wanted["target"]]
    names = [source.time_column or wanted["time"], source.target or wanted["target"]]
    if any(name is not None and name not in table.columns for name in names):
        raise DataError(
            f"the columns do not fit the checkpoint: it has {', '.join(map(repr, columns))}, "
            f"the table {', '.join(map(repr, table.columns))}; rename them or use --target and --time-column"
        )
    series = read_series(table, target=names[1], time_column=names[0], fill=source.fill or wanted["fill"])
    for note in series.notes:
        messages.say(note)
    step = series.clock.step if series.clock else "row"
    if step != (wanted["step"] or "row"):
        messages.say(
            f"warning: the model was trained on steps of one {wanted['step'] or 'row'}, this series has {step}"
        )
    window = metadata["config"]["window"]
    if len(series.values) < window:
        raise DataError(
            f"{len(series.values)} rows are too few: the model looks at the last {window}; give more of the past"
        )
    return series, future(series, run, window)


def _claim(
    saving: Saving, fitting: Fitting, data: Dataset, about: dict[str, Any], say: Callable[[str], None]
) -> CheckpointWriter:
    """Open the checkpoint folder, and take up a saved run if one is to be resumed."""
    if saving.resume:
        metadata = resumable(saving.folder, TASK, _metadata(fitting, data, about), "series", say)
        if metadata is not None:
            if fitting.config.cell != "linear":
                fitting.state = restore(saving.folder, TASK, "state", empty_state(fitting))
            fitting.history = list(metadata["history"])
    return CheckpointWriter(saving)


def _metadata(fitting: Fitting, data: Dataset, about: dict[str, Any]) -> dict[str, Any]:
    series = data.series
    return {
        "task": TASK,
        "config": fitting.config.as_dict(),
        "scaler": {"mean": fitting.scaler.mean, "std": fitting.scaler.std},
        "series": None
        if series is None
        else {
            "target": series.name,
            "time": series.time_name,
            "step": series.clock.step if series.clock else None,
            "fill": about["fill"],
        },
        "data": hashlib.sha256(np.ascontiguousarray(data.values).tobytes()).hexdigest(),
        "history": fitting.history,
    }


def _train(fitting: Fitting, data: Dataset, messages: Messages, save: Callable[[], None] | None, label: str) -> None:
    config = fitting.config
    pace = Pace(0 if fitting.state is None else int(fitting.state.step))

    def detail(report: Report) -> str:
        # the loss is measured on normalised windows, the validation error in units of the training part
        losses = f"loss {report.train_loss:.4g}"
        if fitting.history:
            losses += f", validation {config.loss} {fitting.history[-1]['validation']:.4g}"
        return f"{losses}, {pace.steps_per_second(report) * fitting.batches.batch:,.0f} windows/s"

    last = watch(train(fitting, data), epochs=config.epochs, messages=messages, label=label, detail=detail, save=save)
    if last is not None and not math.isfinite(last.train_loss):
        kept = fitting.state is not None and (int(fitting.state.best_step) > 0 or config.linear_skip)
        not_a_number(last.step, config.learning_rate, config.clip, messages, kept=kept)


def _score(fitting: Fitting, data: Dataset, predict: Callable[[np.ndarray], np.ndarray]) -> tuple[Scores, np.ndarray]:
    """All systems on validation and test; and the model's forecasts of the test part."""
    config = fitting.config
    linear = fitting.linear
    if linear is None or linear.kernel.shape[1] != config.horizon:
        linear = baselines.fit_linear(data, config.normalize, config.horizon)
    results: Scores = {}
    forecasts: dict[str, np.ndarray] = {}
    for part in ("test", "validation"):
        forecasts[part] = predict(data.windows(part))
        systems = {"model": forecasts[part], **baseline_forecasts(data, part, config.season, linear)}
        results[part] = {
            name: scores(data.truth(part), forecast, data.naive_scale, data.observed(part))
            for name, forecast in systems.items()
        }
    return results, forecasts["test"]


def baseline_forecasts(data: Dataset, part: str, season: int, linear: baselines.Linear) -> dict[str, np.ndarray]:
    """Every baseline's forecasts of a part, by name."""
    named = {"naive": baselines.naive(data, part)}
    if season > 1:
        named["seasonal_naive"] = baselines.seasonal_naive(data, part, season)
    return named | {"drift": baselines.drift(data, part), "linear": linear(data.windows(part), data)}
