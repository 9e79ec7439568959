"""Forecasting as a library: fit, predict, evaluate, save, load. The command line calls nothing else."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.errors import CheckpointError, DataError, ParameterError
from rnncli.forecast.combination import Combination
from rnncli.forecast.data import Dataset, dataset, naive_errors, scaling_of
from rnncli.forecast.ensemble import Ensemble
from rnncli.forecast.model import Forecaster
from rnncli.forecast.normalize import Scaling
from rnncli.forecast.panel import Panel
from rnncli.forecast.prepare import described, prepare, replayed
from rnncli.forecast.saved import combination_in, encoding_of, load_parts, numbers_of, read_as_trained
from rnncli.forecast.scoring import scores_of
from rnncli.forecast.series import Forecast
from rnncli.forecast.settings import ForecastSettings, Preset
from rnncli.forecast.source import SeriesSource
from rnncli.forecast.task import ForecastTask, Start
from rnncli.forecast.warm import warm_start
from rnncli.settings import Chosen, distributed
from rnncli.sharding import ALL, Sharding
from rnncli.training.devices import use_device
from rnncli.training.events import Doing, Listener, Note, follow, ignore
from rnncli.training.model import TrainedModel, with_precision
from rnncli.training.restoring import loader
from rnncli.training.runner import run
from rnncli.training.settings import COLD, NOT_SAVED, Saving, WarmStart
from rnncli.training.task import Result

_MOST_NOTES = 3  # on single ones of many series


@dataclass(frozen=True, kw_only=True)
class Model(TrainedModel):
    """A forecasting model that was trained or loaded; `source` says which columns of what it was trained on."""

    settings: ForecastSettings
    network: Forecaster | Ensemble
    source: SeriesSource = field(default_factory=SeriesSource)
    combination: Combination | None = None  # None where it was trained on synthetic data

    def predict(
        self, series: Any = None, *, horizon: int | None = None, on_event: Listener = ignore, **columns: Any
    ) -> Forecast:
        """Forecast what follows a series.

        Args:
            series: a path, "-", a data frame, a pandas series, an array or a list; the series of the training if None.
            horizon: steps ahead, as many as in training if None. Beyond those, forecasts follow forecasts, and the
                quantiles widen as those of a random walk.
            on_event: hears `Note`s on the data.
            **columns: `target`, `time_column`, `fill`, where they are not those of the training; `future`, the table
                with the future covariates of the steps ahead, if the series does not end in them.

        Returns:
            Stamps and values of the next `horizon` steps.

        Raises:
            CheckpointError: the model was trained on the lecture's synthetic data, which has no future.
            DataError: the series cannot be read, has other columns, or is shorter than the model's window.
            ParameterError: the model is one of many series (see `predict_all`), or has past covariates, which are
                not known so far ahead.

        Example:
            >>> model = rnncli.forecast.fit([0, 1, 2, 3] * 20, horizon=2, cell="linear", strategy="direct")
            >>> [round(float(value)) for value in model.predict().values]
            [0, 1]
        """
        forecasts = self.predict_all(series, horizon=horizon, on_event=on_event, **columns)
        if len(forecasts) > 1:
            raise ParameterError(f"the `series` are {len(forecasts)}: predict_all gives a forecast for each")
        return forecasts[0]

    def predict_all(
        self,
        series: Any = None,
        *,
        horizon: int | None = None,
        sharding: Sharding = ALL,
        on_event: Listener = ignore,
        **columns: Any,
    ) -> list[Forecast]:
        """Forecast what follows each of several series, those of the training or others; see `predict`.

        Series that the training had are forecast with what it found out of them, others with the means over all. Of
        other series, only the share of a `sharding` is.
        """
        if self.metadata["series"] is None:
            raise CheckpointError("the model was trained on the lecture's synthetic data, not on a series")
        most = self.settings.horizon
        if horizon is not None and horizon < 1:
            raise ParameterError(f"`horizon` {horizon} is not at least 1")
        encoding = encoding_of(self.metadata)
        if (horizon or 0) > most and encoding is not None and encoding.past:
            raise ParameterError(
                f"`horizon` {horizon}: the model was trained for {most} steps, and further ones would need "
                f"{encoding.past[0].name!r} to be forecast, too; train another"
            )
        if series is None:
            if self.result is None:
                raise ParameterError("name the `series` that is to be continued; the model was loaded without one")
            if (horizon or 0) <= most:
                return [each.until(horizon) for each in self.result.scored.details.forecasts]
            assert self.combination is not None
            if encoding is not None:
                raise ParameterError(f"`horizon` {horizon}: name the `series`, with what is known so far ahead")
            return self.combination.ahead(_panel_of(self.result), horizon)[1]
        source = SeriesSource(**columns)
        how: Any = {"say": lambda text: on_event(Note(text)), "sharding": sharding}
        panel = read_as_trained(self.metadata, series, source, horizon=horizon or most, **how)
        members = panel.members
        named, forecasts = self._combination_on(panel).ahead(panel, max(horizon or 0, most))
        for row, member in enumerate(members):
            absent = [name for name, each in named.items() if np.isnan(each[row]).any()]
            whose = f"{member.label}: " if len(members) > 1 else ""
            few = f"{whose}{len(member.values)} rows are too few: the model looks at the last {self.settings.window}"
            if "model" in absent:
                raise DataError(f"{few}; give more of the past")
            if absent and row < _MOST_NOTES:
                on_event(Note(f"warning: {few}; left out: {', '.join(absent)}"))
        return [each.until(horizon) for each in forecasts]

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
        panel = read_as_trained(self.metadata, series, SeriesSource(**columns), lambda _: None, 0)
        data = dataset(panel, self.settings)
        if not len(data.parts["test"]):
            raise DataError(f"{len(panel.values)} rows are too few to score {self.settings.horizon} steps ahead")
        return scores_of(data, data.parts["test"], self._combination_on(panel))[0]

    def arrays(self) -> dict[str, Any]:
        """The linear maps."""
        return {} if self.combination is None else self.combination.arrays()

    def _combination_on(self, panel: Panel) -> Combination:
        """The combination for series that are given now.

        One that was there in training has its units and its weights; another has its own, and the mean of the weights.
        """
        if self.combination is None:
            raise CheckpointError("the model was trained on the lecture's synthetic data, not on a series")
        numbers = numbers_of(self.metadata, panel.members)
        lag = np.minimum(self.settings.season, np.maximum(np.diff(panel.starts) - 1, 1))
        scale = naive_errors(panel, lag, panel.starts[1:])
        combination = self.combination.of_series(numbers, scale)
        rest = panel if combination.effects is None else combination.effects.removed(panel)
        trained, own = Scaling.from_dict(self.metadata["scaling"]), scaling_of(rest, panel.starts[1:])
        return combination.on(trained.of_series(numbers, own))


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
        ['damped', 'drift', 'holt_winters', 'linear', 'model', 'naive', 'network', 'seasonal_naive', 'theta']
    """
    use_device()
    source, saving, warm, chosen = distributed(parameters, (SeriesSource, Saving, WarmStart), ForecastSettings)
    if isinstance(series, str | os.PathLike):
        source = replace(source, series=os.fspath(series))
    return train(series, source, chosen, preset=preset, saving=saving, warm=warm, on_event=on_event)


def train(
    series: Any,
    source: SeriesSource,
    chosen: Chosen[ForecastSettings],
    *,
    preset: Preset = "default",
    saving: Saving = NOT_SAVED,
    warm: WarmStart = COLD,
    on_event: Listener = ignore,
) -> Model:
    """The same as `fit`, with parameters that were checked."""
    task = task_of(series, source, chosen, preset=preset, warm=warm, on_event=on_event)
    return _trained(task, source, saving, on_event)


def task_of(
    series: Any,
    source: SeriesSource,
    chosen: Chosen[ForecastSettings],
    *,
    preset: Preset = "default",
    warm: WarmStart = COLD,
    on_event: Listener = ignore,
) -> ForecastTask:
    """What `train` trains: the series is read, the settings are settled."""

    def say(text: str) -> None:
        on_event(Note(text))

    parameters = None
    if warm.from_model is not None:
        chosen, parameters = warm_start(warm.from_model, chosen)
        say(f"begins with the model in '{warm.from_model}'")
    elif chosen.get("freeze"):
        raise ParameterError("`freeze` keeps the layers of a saved model: name that with `from_model`")
    encoding = None if parameters is None else parameters.encoding
    on_event(Doing("reading the series, and looking at its past"))
    settings, data = prepare(series, source, with_precision(chosen, 0), preset, say, encoding)
    start = None
    if parameters is not None:
        start = Start(parameters, replayed(warm.replay, source, settings, data, say), warm.said())
    return ForecastTask(settings, data, source, start)


def train_on(
    settings: ForecastSettings,
    data: Dataset,
    source: SeriesSource,
    *,
    saving: Saving = NOT_SAVED,
    on_event: Listener = ignore,
) -> Model:
    """Train on data that was prepared."""
    return _trained(ForecastTask(settings, data, source), source, saving, on_event)


def _trained(task: ForecastTask, source: SeriesSource, saving: Saving, on_event: Listener) -> Model:
    result = follow(run(task, saving), on_event)
    return Model(
        settings=task.settings,
        network=result.scored.details.network,
        combination=result.scored.details.combination,
        metadata=result.metadata,
        result=result,
        folder=saving.checkpoint,
        source=source,
    )


def document(model: Model) -> dict[str, Any]:
    """What the document of a training says of the data, beside the settings."""
    assert model.result is not None
    return described(_panel_of(model.result), model.source)


@loader
def load_model(folder: Path) -> Model:
    """The model in a checkpoint. Raises CheckpointError: there is none, or it is damaged."""
    checkpoint, settings, scaling, network = load_parts(folder)
    metadata, combination = checkpoint.metadata, None
    if metadata["series"] is not None:
        combination = combination_in(checkpoint, settings, network, scaling)
    return Model(settings=settings, network=network, combination=combination, metadata=metadata, folder=folder)


def _panel_of(result: Result) -> Panel:
    task = result.task
    assert isinstance(task, ForecastTask)
    return task.dataset.panel
