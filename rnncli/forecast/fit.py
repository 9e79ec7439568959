"""Fitting a forecasting model to a dataset, and forecasting with it. No screen, no disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from rnncli.forecast.baselines import Linear, fit_linear
from rnncli.forecast.config import ForecastConfig
from rnncli.forecast.data import Dataset
from rnncli.forecast.model import Forecaster
from rnncli.nn.dropout import DropoutKey
from rnncli.nn.initial import initialised
from rnncli.training.loop import Plan, Report, Shuffled, TrainState, evaluation, fit, initial_state
from rnncli.training.optimizer import optimizer_of

_FORECAST_BATCH = 1024  # windows a dispatch: one shape to compile, and bounded memory


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


@dataclass
class Fitting:
    """A model and how its training stands; `train` moves it on."""

    config: ForecastConfig
    model: Forecaster
    scaler: Scaler
    plan: Plan
    batches: Shuffled
    linear: Linear | None = None  # the closed-form model of the same outputs, where one was fitted
    state: TrainState | None = None
    history: list[dict[str, float]] = field(default_factory=list)  # epoch, train, validation loss

    @property
    def best_epoch(self) -> float:
        """The epoch whose parameters the model has."""
        return 0.0 if self.state is None else int(self.state.best_step) / self.plan.steps_per_epoch

    def keep_best(self) -> None:
        """Give the model the parameters that did best on the validation part."""
        if self.state is not None:
            nnx.update(self.model, self.state.best_params)


def prepare(config: ForecastConfig, data: Dataset) -> Fitting:
    """The untrained model; with a linear path, it starts from the closed-form solution."""
    model = initialised(lambda rngs: Forecaster(config, rngs=rngs), config.seed)
    examples = len(data.starts["train"])
    batches = Shuffled(examples, config.batch_size, config.seed)
    plan = Plan(batches.steps_per_epoch, config.epochs, config.patience or None, config.seed)
    linear = None
    if model.skip is not None:
        linear = fit_linear(data, config.normalize, 1 if config.strategy == "recursive" else config.horizon)
        model.start_from(linear.kernel, linear.bias)
    return Fitting(config, model, Scaler(*data.units(config.normalize)), plan, batches, linear)


def empty_state(fitting: Fitting) -> TrainState:
    """A state of the right structure, to restore a saved one into."""
    return initial_state(fitting.model, optimizer_of(fitting.config, fitting.plan))


def train(fitting: Fitting, data: Dataset) -> Iterator[Report]:
    """Train from where `fitting` stands, keeping it up to date; yields after each dispatch."""
    if fitting.config.cell == "linear":
        return
    config = fitting.config
    reach = np.arange(config.window + config.horizon)

    def objective(model: Forecaster, carry: Any, arrays: Any, indices: Array, key: DropoutKey) -> tuple[Array, Any]:
        slices = arrays["values"][arrays["train"][indices][:, None] + reach]
        return model.loss(slices, key), carry

    def evaluate(model: Forecaster, arrays: Any) -> dict[str, Array]:
        slices = arrays["values"][arrays["validation"][:, None] + reach]
        error = model(slices[:, : config.window]) - slices[:, config.window :]
        return {"loss": jnp.square(error).mean() if config.loss == "mse" else jnp.abs(error).mean()}

    arrays = {"values": fitting.scaler.down(data.values)}
    arrays |= {part: jax.device_put(data.starts[part]) for part in ("train", "validation")}
    optimizer, measure = optimizer_of(fitting.config, fitting.plan), evaluation(fitting.model, evaluate, arrays)
    state = empty_state(fitting) if fitting.state is None else fitting.state
    for report in fit(fitting.model, optimizer, objective, measure, arrays, fitting.batches, fitting.plan, state):
        fitting.state = report.state
        if report.metrics is not None:
            point = {"epoch": report.epoch, "train": report.train_loss, "validation": report.metrics["loss"]}
            fitting.history.append(point)
        yield report


def forecaster(model: Forecaster, scaler: Scaler) -> Callable[[np.ndarray], np.ndarray]:
    """A function from windows `[n, window]` to forecasts `[n, horizon]`, both in the series' unit."""
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
