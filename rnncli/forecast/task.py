"""Forecasting as a task for the runner: a network, its windows, its loss, its scores."""

import hashlib
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from rnncli.forecast.combination import Combination
from rnncli.forecast.data import Dataset, check_trainable
from rnncli.forecast.model import Forecaster
from rnncli.forecast.network import NetworkForecaster, Scaler
from rnncli.forecast.origins import Origins
from rnncli.forecast.scoring import Scores, assess, assess_series, fit_on
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


class Forecasts(NamedTuple):
    """What scoring a forecast gives beside the scores."""

    network: Forecaster  # with the best parameters
    combination: Combination | None  # None for synthetic data
    recent: np.ndarray  # of the test part, [n, horizon]
    forecasts: list[Forecast]  # of what follows each series; none for synthetic data
    by_series: dict[int, Scores]  # of each series by its number, on the test part


class ForecastTask:
    """See `training.task.Task`.

    With a linear path, the network starts from the closed-form solution; the linear model itself, `cell` "linear", is a
    training of no steps.
    """

    name, carry, unit = TASK, (), "windows"

    def __init__(self, settings: ForecastSettings, data: Dataset, fill: Fill = "linear"):
        """`fill` says what stands in for missing values, which prediction has to repeat."""
        if settings.trains or settings.system == "network":
            check_trainable(data, settings)
        self.settings, self.dataset, self._fill = settings, data, fill
        self.model = initialised(lambda rngs: Forecaster(settings, rngs=rngs), settings.seed)
        self.scaler = Scaler.of(settings, data.scaling)
        self._combination: Combination | None = None
        self.linear = None  # the closed-form model of the network's outputs, where the network has a linear path
        if self.model.skip is not None and len(data.parts["train"]) > 1:
            self.linear = fit_on(data, settings, 1 if settings.strategy == "recursive" else settings.horizon)
            self.model.start_from(self.linear.kernel, self.linear.bias)
        self.has_prior = self.linear is not None or not settings.trains
        self.criterion: str = settings.loss
        self.batches = Shuffled(max(1, len(data.parts["train"])), settings.batch_size, settings.seed)
        self.examples = self.batches.batch
        self.plan = Plan.of(settings, self.batches.steps_per_epoch)
        if not settings.trains:
            self.plan = self.plan._replace(epochs=0)
        self.optimizer = optimizer_of(settings, self.plan)
        self.data = {"values": jax.device_put(self._scaled())}
        for part in ("train", "validation"):
            self.data[part] = jax.device_put(data.parts[part].ends - settings.window)
        self._reach = np.arange(settings.window + settings.horizon)
        self._measure = evaluation(self.model, self._validation_error, self.data)

    def _scaled(self) -> np.ndarray:
        """All values as the network sees them, `[n]`."""
        panel = self.dataset.panel
        series = np.repeat(np.arange(len(panel)), np.diff(panel.starts))
        return self.scaler.down(panel.values[:, None], series)[:, 0]

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
        """All systems on the test and the validation part, and the forecast of what follows."""
        data, settings = self.dataset, self.settings
        model = with_parameters(self.model, params)
        network = NetworkForecaster.of(model, data.scaling)
        if data.panel.split == "series":
            found = assess_series(data, settings, network)
        else:
            found = assess(data, settings, network if settings.has_network else None)
        forecasts: list[Forecast] = []
        if found.combination is not None:
            ahead = found.combination.forecast(Origins.of_ends(data.panel))["model"]
            forecasts = [Forecast.of(row, series) for row, series in zip(ahead, data.panel.members, strict=True)]
        self._combination = found.combination
        details = Forecasts(model, found.combination, found.recent, forecasts, found.by_series)
        metadata = {}
        if found.combination is not None:
            variants = [list(each.variant) for each in found.combination.linear]
            metadata["combination"] = {"linear": variants, **found.combination.weights.as_dict()}
        return Scored(found.scores, metadata, details)

    def metadata(self) -> dict[str, Any]:
        """Units, the series' columns, a digest of the values."""
        scaling = self.dataset.scaling
        series: dict[str, Any] | None = None
        if self.dataset.panel.has_future:
            member = self.dataset.panel.members[0]
            step = member.clock.step if member.clock else None
            series = {"target": member.name, "time": member.time_name, "step": step, "fill": self._fill}
            series["ids"] = [each.id for each in self.dataset.panel.members]
        return {
            "scaling": (scaling if series else scaling.select([0])).as_dict(),
            "series": series,
            "data": hashlib.sha256(np.ascontiguousarray(self.dataset.panel.values).tobytes()).hexdigest(),
        }

    def arrays(self) -> dict[str, Any]:
        """The linear maps of the combination, once they are fitted."""
        return {} if self._combination is None else self._combination.arrays()
