"""Forecasting as a library: fit, predict, evaluate, save, load. The command line calls nothing else."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flax import nnx

from rnncli.errors import CheckpointError, DataError, ParameterError
from rnncli.forecast import baselines
from rnncli.forecast.data import Dataset, dataset
from rnncli.forecast.defaults import for_lecture, for_series, part_sizes
from rnncli.forecast.model import Forecaster, empty_forecaster
from rnncli.forecast.panel import Panel, lecture_panel
from rnncli.forecast.season import choose_season
from rnncli.forecast.series import Forecast, Series, read_series
from rnncli.forecast.settings import ForecastSettings, Normalize, Preset, SeriesSource
from rnncli.forecast.task import TASK, ForecastTask, Predict, Scaler, forecaster, scores_of
from rnncli.settings import Chosen, distributed
from rnncli.tables import UNNAMED, read_table, table_from
from rnncli.training.checkpoint import read_metadata, restore
from rnncli.training.devices import use_device
from rnncli.training.events import Listener, Note, follow, ignore
from rnncli.training.model import TrainedModel, with_precision
from rnncli.training.runner import run
from rnncli.training.settings import NOT_SAVED, Saving
from rnncli.training.task import Result

_NORMALIZE_CHOICES: tuple[Normalize, ...] = ("last", "shift", "mean", "global")
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Model(TrainedModel):
    """A forecasting model that was trained or loaded; `source` says which columns of what it was trained on."""

    settings: ForecastSettings
    network: Forecaster
    source: SeriesSource = field(default_factory=SeriesSource)

    def predictor(self) -> Predict:
        """The model as a function from windows `[n, window]` to forecasts `[n, horizon]`, in the series' unit."""
        return forecaster(self.network, Scaler(**self.metadata["scaler"]))

    def predict(self, series: Any = None, *, on_event: Listener = ignore, **columns: Any) -> Forecast:
        """Forecast what follows a series.

        Args:
            series: a path, "-", a data frame, a pandas series, an array or a list; the series of the training if None.
            on_event: hears `Note`s on the data.
            **columns: `target`, `time_column`, `fill`, where they are not those of the training.

        Returns:
            Stamps and values of the next `horizon` steps.

        Raises:
            CheckpointError: the model was trained on the lecture's synthetic data, which has no future.
            DataError: the series cannot be read, has other columns, or is shorter than the model's window.

        Example:
            >>> model = rnncli.forecast.fit([0, 1, 2, 3] * 20, horizon=2, cell="linear", strategy="direct")
            >>> [round(float(value)) for value in model.predict().values]
            [0, 1]
        """
        wanted = self.metadata["series"]
        if wanted is None:
            raise CheckpointError("the model was trained on the lecture's synthetic data, not on a series")
        if series is None:
            if self.result is None:
                raise ParameterError("name the `series` that is to be continued; the model was loaded without one")
            return self.result.scored.details.forecast
        read = self._read(series, SeriesSource(**columns), lambda text: on_event(Note(text)))
        size, window = len(read.values), self.settings.window
        if size < window:
            raise DataError(f"{size} rows are too few: the model looks at the last {window}; give more of the past")
        return Forecast.of(self.predictor()(read.values[None, size - window :])[0], read)

    def evaluate(self, series: Any, **columns: Any) -> dict[str, dict[str, Any]]:
        """Score the model beside the baselines on the last `test_fraction` of another series.

        Args:
            series: as for `predict`.
            **columns: as for `predict`.

        Returns:
            System → metric → figure, as in the documents of the command line.

        Raises:
            DataError: as for `predict`, or the series is too short.

        Example:
            >>> model = rnncli.forecast.fit([0, 1, 2, 3] * 20, horizon=2, cell="linear", strategy="direct")
            >>> model.evaluate([0, 2, 4, 6] * 20)["model"]["mae"] < 0.1
            True
        """
        panel = Panel.of([self._read(series, SeriesSource(**columns), lambda _: None)])
        data = dataset(panel, self.settings)
        linear = baselines.fit_linear(data, self.settings.normalize, self.settings.horizon)
        named = baselines.forecasts(data, "test", self.settings.season, linear)
        return scores_of(data, "test", {"model": self.predictor()(data.windows("test")), **named})

    def _read(self, series: Any, source: SeriesSource, say: Say) -> Series:
        """The series, read as that of the training was."""
        wanted = self.metadata["series"] or {"target": None, "time": None, "step": None, "fill": "linear"}
        table = _table(series)
        if list(table.columns) == [UNNAMED]:  # values without names are those of the target
            table, wanted = table.rename(columns={UNNAMED: wanted["target"] or UNNAMED}), {**wanted, "time": None}
        names = [source.time_column or wanted["time"], source.target or wanted["target"]]
        if any(name is not None and name not in table.columns for name in names):
            columns = [wanted["time"], wanted["target"]] if wanted["time"] else [wanted["target"]]
            raise DataError(
                f"the columns do not fit the checkpoint: it has {', '.join(map(repr, columns))}, "
                f"the table {', '.join(map(repr, table.columns))}; rename them or use `target` and `time_column`"
            )
        read = read_series(table, target=names[1], time_column=names[0], fill=source.fill or wanted["fill"])
        for note in read.notes:
            say(note)
        step = read.clock.step if read.clock else "row"
        if step != (wanted["step"] or "row"):
            trained = wanted["step"] or "row"
            say(f"warning: the model was trained on steps of one {trained}, this series has {step}")
        return read


def fit(series: Any = None, *, preset: Preset = "default", on_event: Listener = ignore, **parameters: Any) -> Model:
    """Train a model on a series, and score it beside baselines on held-out data.

    Args:
        series: a path, "-", a data frame, a pandas series, an array or a list; the lecture's synthetic data if None.
        preset: "default", or "lecture" for the settings of the lecture's slides.
        on_event: hears what happens; see `rnncli.training.events`.
        **parameters: the options of `rnncli forecast train`, as in `horizon=12`, `cell="gru"`, `target="sales"`,
            `checkpoint="folder"`.

    Returns:
        The trained model: its best epoch by the validation part.

    Raises:
        ParameterError: a parameter is unknown, wrong, or does not go with the others.
        DataError: the series cannot be read or is too short.
        CheckpointError: the `checkpoint` folder cannot be used.

    Example:
        >>> model = rnncli.forecast.fit([112, 118, 132, 129, 121, 135, 148] * 9, horizon=3, epochs=2)
        >>> sorted(model.scores["test"])
        ['drift', 'linear', 'model', 'naive', 'seasonal_naive']
    """
    use_device()
    source, saving, chosen = distributed(parameters, (SeriesSource, Saving), ForecastSettings)
    if isinstance(series, str | os.PathLike):
        source = replace(source, series=os.fspath(series))
    return train(series, source, chosen, preset=preset, saving=saving, on_event=on_event)


def train(
    series: Any,
    source: SeriesSource,
    chosen: Chosen[ForecastSettings],
    *,
    preset: Preset = "default",
    saving: Saving = NOT_SAVED,
    on_event: Listener = ignore,
) -> Model:
    """The same as `fit`, with parameters that were checked."""
    settings, data = prepare(series, source, with_precision(chosen, 0), preset, lambda text: on_event(Note(text)))
    return train_on(settings, data, source, saving=saving, on_event=on_event)


def train_on(
    settings: ForecastSettings,
    data: Dataset,
    source: SeriesSource,
    *,
    saving: Saving = NOT_SAVED,
    on_event: Listener = ignore,
) -> Model:
    """Train on data that was prepared."""
    result = follow(run(ForecastTask(settings, data, source.fill or "linear"), saving), on_event)
    return Model(
        settings=settings,
        network=result.scored.details.network,
        metadata=result.metadata,
        result=result,
        folder=saving.checkpoint,
        source=source,
    )


def prepare(
    series: Any, source: SeriesSource, chosen: Chosen[ForecastSettings], preset: Preset, say: Say
) -> tuple[ForecastSettings, Dataset]:
    """The settings that suit the data, and its windows."""
    if series is not None:
        return configure(read(series, source, say), chosen, preset, say)
    if source.target or source.time_column:
        raise ParameterError("`target` and `time_column` choose columns of a `series`; name the file too")
    settings = for_lecture(chosen, preset)
    say(f"the lecture's data: 10,000 synthetic series, window {settings.window}, {settings.horizon} ahead")
    return settings, dataset(lecture_panel(settings.window + settings.horizon), settings)


def read(series: Any, source: SeriesSource, say: Say) -> Series:
    """Read a series, and tell what was done to it."""
    fill = source.fill or "linear"
    found = read_series(_table(series), target=source.target, time_column=source.time_column, fill=fill)
    for note in found.notes:
        say(note)
    return found


def configure(
    series: Series, chosen: Chosen[ForecastSettings], preset: Preset, say: Say
) -> tuple[ForecastSettings, Dataset]:
    """The settings that suit a series, and its windows; what was found out by itself is said."""
    defaults = ForecastSettings
    held_out = chosen.get("test_fraction", defaults.test_fraction)
    held_out += chosen.get("validation_fraction", defaults.validation_fraction)
    season = chosen.get("season") or choose_season(series, held_out)
    size = len(series.values)
    settings = for_series(chosen, size, season, preset)
    data = dataset(Panel.of([series]), settings)
    test, validation = part_sizes(size, settings.horizon, settings.test_fraction, settings.validation_fraction)
    if "season" in chosen and season >= size - test - validation:
        raise DataError(f"`season` {season} is longer than the {size - test - validation} rows of the training part")
    if "normalize" not in chosen:
        errors = {each: baselines.fit_linear(data, each, settings.horizon).error for each in _NORMALIZE_CHOICES}
        settings = replace(settings, normalize=min(errors, key=errors.__getitem__))
    span = f", one a {series.clock.step}, {series.stamp(0)} to {series.stamp(size - 1)}" if series.clock else ""
    say(
        f"{series.name}: {size} values{span}; season {season if season > 1 else 'none'}, window {settings.window}, "
        f"{settings.horizon} ahead, normalize {settings.normalize}; test: the last {test} values"
    )
    return settings, data


def described(model: Model) -> dict[str, Any]:
    """The data in JSON types: what, beside the settings, repeats a run."""
    assert model.result is not None
    return described_data(_panel_of(model.result), model.source)


def described_data(panel: Panel, source: SeriesSource) -> dict[str, Any]:
    """The same of a panel and where it was read."""
    if not panel.has_future:
        return {"series": None}
    (series,) = panel.members
    columns = {"target": series.name, "time_column": series.time_name, "fill": source.fill or "linear"}
    return {"series": source.series, **columns}


def load_model(folder: Path) -> Model:
    """The model in a checkpoint. Raises CheckpointError: there is none, or it is damaged."""
    metadata = read_metadata(folder, TASK)
    try:
        settings = ForecastSettings(**metadata["config"])
        Scaler(**metadata["scaler"])
    except (KeyError, TypeError, ParameterError) as error:
        raise CheckpointError(f"the checkpoint in '{folder}' is damaged: {error} in its configuration") from error
    network = empty_forecaster(settings)
    nnx.update(network, restore(folder, TASK, "best", nnx.state(network, nnx.Param)))
    return Model(settings=settings, network=network, metadata=metadata, folder=folder)


def _table(series: Any) -> Any:
    return read_table(os.fspath(series)) if isinstance(series, str | os.PathLike) else table_from(series)


def _panel_of(result: Result) -> Panel:
    task = result.task
    assert isinstance(task, ForecastTask)
    return task.dataset.panel
