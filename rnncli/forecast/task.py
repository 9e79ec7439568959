"""Forecasting as a task for the runner: a network, its windows, its loss, its scores."""

import hashlib
import math
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnncli.forecast.combination import Combination
from rnncli.forecast.data import Dataset, check_trainable
from rnncli.forecast.model import Forecaster
from rnncli.forecast.network import NetworkForecaster, Scaler
from rnncli.forecast.origins import Origins
from rnncli.forecast.scoring import Scores, assess, assess_series, fit_on
from rnncli.forecast.series import Forecast
from rnncli.forecast.settings import ForecastSettings, SeriesSource
from rnncli.nn.dropout import DropoutKey
from rnncli.nn.initial import initialised, with_parameters
from rnncli.training.batches import Shuffled
from rnncli.training.events import Metrics
from rnncli.training.loop import Params, Plan, evaluation, fit, initial_state
from rnncli.training.optimizer import optimizer_of
from rnncli.training.task import Scored

TASK = "forecast"
_UNNAMED = SeriesSource()  # values that were given by themselves


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

    def __init__(self, settings: ForecastSettings, data: Dataset, source: SeriesSource = _UNNAMED):
        """`source` says how the series were read, which prediction has to repeat."""
        if settings.trains or settings.system == "network":
            check_trainable(data, settings)
        self.settings, self.dataset, self._source = settings, data, source
        self.model = initialised(lambda rngs: Forecaster(settings, rngs=rngs), settings.seed)
        self.scaler = Scaler.of(settings, data.scaling)
        self._combination: Combination | None = None
        self.linear = None  # the closed-form model of the network's outputs, where the network has a linear path
        if self.model.skip is not None and len(data.parts["train"]) > 1:
            self.linear = fit_on(data, settings, self._outputs)
            self.model.start_from(self.linear.kernel, self.linear.bias)
        self.has_prior = self.linear is not None or not settings.trains
        self.criterion: str = settings.loss
        # the slices of the training part, and those of the others behind them, for the last fit
        parts = {"train": data.parts["train"], "validation": data.parts["validation"]}
        if settings.trains and data.panel.split == "time":
            parts["train"] = Origins.joined([parts["train"], data.held_out()])
        self._all = len(parts["train"])
        self.batches = Shuffled(max(1, len(data.parts["train"])), settings.batch_size, settings.seed)
        self.examples = self.batches.batch
        self.plan = Plan.of(settings, self.batches.steps_per_epoch)
        if not settings.trains:
            self.plan = self.plan._replace(epochs=0)
        self.optimizer = optimizer_of(settings, self.plan)
        self.data = {"values": jax.device_put(self._scaled())}
        masked = not all(origins.whole(settings.window) for origins in parts.values())
        for part, origins in parts.items():
            self.data[part] = jax.device_put(origins.ends - settings.window)
            if masked:  # series that begin within a window
                self.data[f"{part} lengths"] = jax.device_put(np.minimum(origins.lengths, settings.window))
        self._reach = np.arange(settings.window + settings.horizon)
        self._measure = evaluation(self.model, self._validation_error, self.data)

    @property
    def _outputs(self) -> int:
        """Steps ahead of the network's linear path."""
        return 1 if self.settings.strategy == "recursive" else self.settings.horizon

    def _scaled(self) -> np.ndarray:
        """All values as the network sees them, `[n]`."""
        panel = self.dataset.panel
        series = np.repeat(np.arange(len(panel)), np.diff(panel.starts))
        return self.scaler.down(panel.values[:, None], series)[:, 0]

    def loss(
        self, model: Forecaster, carry: Any, data: dict[str, Array], batch: Array, key: DropoutKey
    ) -> tuple[Array, Any]:
        """The error on slices whose indices are `batch` `[B]`."""
        slices, known = self._slices(data, "train", batch)
        return model.loss(slices, key, known), carry

    def _slices(self, data: dict[str, Array], part: str, batch: Any = slice(None)) -> tuple[Array, Array | None]:
        """Slices `[B, window + horizon]` of a part, and which values of their windows are known, if not all."""
        places = data[part][batch][:, None] + self._reach
        if f"{part} lengths" not in data:
            return data["values"][places], None
        window = self.settings.window
        known = jnp.arange(window) >= window - data[f"{part} lengths"][batch][:, None]
        return data["values"][jnp.maximum(places, 0)], known

    def _validation_error(self, model: Forecaster, data: dict[str, Array]) -> dict[str, Array]:
        slices, known = self._slices(data, "validation")
        window = self.settings.window
        return {"loss": model.error(model(slices[:, :window], known), slices[:, window:])}

    def evaluate(self, params: Params) -> Metrics:
        """The error of whole forecasts on the validation part, in units of the training part."""
        return self._measure(params)

    def score(self, params: Params, epochs: float) -> Scored:
        """All systems on the test and the validation part, and the forecast of what follows.

        That is made by a network which is trained anew on all of the series, for as many epochs as were best.
        """
        data, settings = self.dataset, self.settings
        model = with_parameters(self.model, params)
        network = NetworkForecaster.of(model, data.scaling, settings.least_of(len(data.panel)))
        if data.panel.split == "series":
            found = assess_series(data, settings, network)
            return Scored(found.scores, {}, Forecasts(model, None, found.recent, [], {}))
        found = assess(data, settings, network if settings.has_network else None)
        combination = found.combination
        assert combination is not None
        if settings.has_network:
            # many series are learnt to the end: what a network lacks on their validation parts is the values just
            # before them, which the last fit has, and not fewer epochs
            params = self._fitted_anew(self.plan.epochs if len(data.panel) > 1 else round(epochs))
            model = with_parameters(self.model, params)
            combination = replace(combination, network=network.with_parameters(model))
        self._combination = combination
        _, forecasts = combination.ahead(data.panel)
        variants = [list(each.variant) for each in combination.linear]
        tables = {**combination.weights.as_dict(), "intervals": combination.intervals.as_dict()}
        metadata = {"combination": {"linear": variants, **tables}}
        details = Forecasts(model, combination, found.recent, forecasts, found.by_series)
        return Scored(found.scores, metadata, details, params)

    def _fitted_anew(self, epochs: int) -> Params:
        """Parameters of the network that was trained on all of the series: the same steps, with other batches."""
        model = initialised(lambda rngs: Forecaster(self.settings, rngs=rngs), self.settings.seed)
        if self.linear is not None:
            linear = fit_on(self.dataset, self.settings, self._outputs, self.dataset.held_out())
            model.start_from(linear.kernel, linear.bias)
        state = initial_state(model, self.optimizer)
        params, plan = state.params, self.plan._replace(epochs=epochs if self.settings.trains else 0, patience=None)
        batches = Shuffled(self._all, self.batches.batch, self.settings.seed)
        nothing = {"loss": math.nan}  # there is nothing left to choose an epoch by
        if plan.epochs:
            for report in fit(model, self.optimizer, self.loss, lambda _: nothing, self.data, batches, plan, state):
                params = report.state.params
        return params

    def metadata(self) -> dict[str, Any]:
        """Units, the series' columns, a digest of the values."""
        scaling = self.dataset.scaling
        series: dict[str, Any] | None = None
        if self.dataset.panel.has_future:
            member = self.dataset.panel.members[0]
            step = member.clock.step if member.clock else None
            series = {"target": member.name, "time": member.time_name, "step": step}
            series |= {"fill": self._source.fill or "linear", "id": self._source.id}
            series["ids"] = [each.id for each in self.dataset.panel.members]
        return {
            "scaling": (scaling if series else scaling.select([0])).as_dict(),
            "series": series,
            "data": hashlib.sha256(np.ascontiguousarray(self.dataset.panel.values).tobytes()).hexdigest(),
        }

    def arrays(self) -> dict[str, Any]:
        """The linear maps of the combination, once they are fitted."""
        return {} if self._combination is None else self._combination.arrays()
