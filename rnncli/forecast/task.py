"""Forecasting as a task for the runner: a network, its windows, its loss, its scores."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from jax import Array

from rnncli.forecast import baselines
from rnncli.forecast.data import Dataset
from rnncli.forecast.metrics import scores
from rnncli.forecast.model import Forecaster
from rnncli.forecast.series import Forecast
from rnncli.forecast.settings import Fill, ForecastSettings
from rnncli.nn.dropout import DropoutKey
from rnncli.nn.initial import initialised, with_parameters
from rnncli.training.batches import Shuffled
from rnncli.training.events import Metrics
from rnncli.training.loop import Params, Plan, evaluation
from rnncli.training.optimizer import optimizer_of
from rnncli.training.task import Scored

TASK = "forecast"
_FORECAST_BATCH = 1024  # windows a dispatch: one shape to compile, and bounded memory
Predict = Callable[[np.ndarray], np.ndarray]  # windows [n, window] → forecasts [n, horizon], in the series' unit


@dataclass(frozen=True)
class Scaler:
    """Units of the training data, and back: z = (x − mean) / std."""

    mean: float
    std: float

    def down(self, values: np.ndarray) -> Array:
        """To float32 in units of the training data; subtracted and divided in float64."""
        return jax.device_put(((values - self.mean) / self.std).astype(np.float32))

    def up(self, scaled: Array) -> np.ndarray:
        """Back to the series' unit, float64."""
        return np.asarray(scaled, np.float64) * self.std + self.mean


class Forecasts(NamedTuple):
    """What scoring a forecast gives beside the scores."""

    network: Forecaster  # with the best parameters
    recent: np.ndarray  # of the test part, [n, horizon]
    forecast: Forecast | None  # of what follows the series; None for synthetic data


class ForecastTask:
    """See `training.task.Task`.

    With a linear path, the network starts from the closed-form solution; the linear model itself, `cell` "linear", is a
    training of no steps.
    """

    name, carry, unit = TASK, (), "windows"

    def __init__(self, settings: ForecastSettings, data: Dataset, fill: Fill = "linear"):
        """`fill` says what stands in for missing values, which prediction has to repeat."""
        self.settings, self.dataset, self._fill = settings, data, fill
        self.model = initialised(lambda rngs: Forecaster(settings, rngs=rngs), settings.seed)
        self.scaler = Scaler(*data.units(settings.normalize))
        self.linear = None  # the closed-form model of the network's outputs, where the network has a linear path
        if self.model.skip is not None:
            outputs = 1 if settings.strategy == "recursive" else settings.horizon
            self.linear = baselines.fit_linear(data, settings.normalize, outputs)
            self.model.start_from(self.linear.kernel, self.linear.bias)
        self.has_prior = self.linear is not None
        self.criterion: str = settings.loss
        self.batches = Shuffled(len(data.starts["train"]), settings.batch_size, settings.seed)
        self.examples = self.batches.batch
        self.plan = Plan.of(settings, self.batches.steps_per_epoch)
        if settings.cell == "linear":
            self.plan = self.plan._replace(epochs=0)
        self.optimizer = optimizer_of(settings, self.plan)
        self.data = {"values": self.scaler.down(data.values)}
        self.data |= {part: jax.device_put(data.starts[part]) for part in ("train", "validation")}
        self._reach = np.arange(settings.window + settings.horizon)
        self._measure = evaluation(self.model, self._validation_error, self.data)

    def loss(
        self, model: Forecaster, carry: Any, data: dict[str, Array], batch: Array, key: DropoutKey
    ) -> tuple[Array, Any]:
        """The error on slices whose indices are `batch` `[B]`."""
        slices = data["values"][data["train"][batch][:, None] + self._reach]
        return model.loss(slices, key), carry

    def _validation_error(self, model: Forecaster, data: dict[str, Array]) -> dict[str, Array]:
        slices = data["values"][data["validation"][:, None] + self._reach]
        window = self.settings.window
        return {"loss": model.error(model(slices[:, :window]), slices[:, window:])}

    def evaluate(self, params: Params) -> Metrics:
        """The error of whole forecasts on the validation part, in units of the training part."""
        return self._measure(params)

    def score(self, params: Params) -> Scored:
        """The network and the baselines on the test and the validation part."""
        data, settings, linear = self.dataset, self.settings, self.linear
        if linear is None or linear.kernel.shape[1] != settings.horizon:
            linear = baselines.fit_linear(data, settings.normalize, settings.horizon)
        network = with_parameters(self.model, params)
        predict = forecaster(network, self.scaler)
        forecasts = {part: predict(data.windows(part)) for part in ("test", "validation")}
        systems = {
            part: {"model": forecast, **baselines.forecasts(data, part, settings.season, linear)}
            for part, forecast in forecasts.items()
        }
        found = {part: scores_of(data, part, named) for part, named in systems.items()}
        future = None
        if data.panel.has_future:
            (series,) = data.panel.members
            future = Forecast.of(predict(series.values[None, -settings.window :])[0], series)
        return Scored(found, details=Forecasts(network, forecasts["test"], future))

    def metadata(self) -> dict[str, Any]:
        """Units, the series' columns, a digest of the values."""
        series = None
        if self.dataset.panel.has_future:
            (member,) = self.dataset.panel.members
            step = member.clock.step if member.clock else None
            series = {"target": member.name, "time": member.time_name, "step": step, "fill": self._fill}
        return {
            "scaler": {"mean": self.scaler.mean, "std": self.scaler.std},
            "series": series,
            "data": hashlib.sha256(np.ascontiguousarray(self.dataset.values).tobytes()).hexdigest(),
        }

    def arrays(self) -> dict[str, Any]:
        """Nothing beside the network."""
        return {}


def scores_of(data: Dataset, part: str, forecasts: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """The metrics of each system's forecasts of a part."""
    truth, observed = data.truth(part), data.observed(part)
    return {name: scores(truth, forecast, data.naive_scale, observed) for name, forecast in forecasts.items()}


def forecaster(model: Forecaster, scaler: Scaler) -> Predict:
    """The model as a function from windows to forecasts, both in the series' unit."""
    graph, state = nnx.split(model)

    @jax.jit
    def run(state: Any, windows: Array) -> Array:
        return nnx.merge(graph, state)(windows)

    def forecast(windows: np.ndarray) -> np.ndarray:
        rows = []
        for first in range(0, len(windows), _FORECAST_BATCH):
            batch = windows[first : first + _FORECAST_BATCH]
            padding = _FORECAST_BATCH - len(batch) if first else 0
            padded = np.concatenate([batch, np.repeat(batch[-1:], padding, axis=0)])
            rows.append(scaler.up(run(state, scaler.down(padded)))[: len(batch)])
        return np.concatenate(rows)

    return forecast
