"""Forecasting as a task for the runner: a network, its windows, its loss, its scores."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from rnncli.forecast.combination import Combination
from rnncli.forecast.covariates import NO_COVARIATES
from rnncli.forecast.data import Dataset, check_trainable
from rnncli.forecast.ensemble import make_forecaster
from rnncli.forecast.metrics import BySeries
from rnncli.forecast.network import NetworkForecaster, Scaler
from rnncli.forecast.origins import Origins
from rnncli.forecast.scoring import assess, assess_series, fit_on
from rnncli.forecast.series import Forecast
from rnncli.forecast.settings import ForecastSettings
from rnncli.forecast.slices import SliceError, SliceLoss, Slices, spared
from rnncli.forecast.source import SeriesSource
from rnncli.nn.initial import initialised, seedless, with_parameters
from rnncli.training.batches import Replayed, Shuffled
from rnncli.training.events import Metrics
from rnncli.training.layout import filled, gathered
from rnncli.training.loop import Params, Plan, evaluation, fit, initial_state
from rnncli.training.optimizer import each_by_itself, optimizer_of
from rnncli.training.task import Scored
from rnncli.training.warm import add_weights

TASK = "forecast"
_MANY = 20  # series, from which on the best epoch is not taken for the last fit
_UNNAMED = SeriesSource()  # values that were given by themselves


class Start(NamedTuple):
    """What a training begins with, if not with first weights."""

    parameters: Callable[[Any], Params]  # from a network with first weights to those to begin with
    replay: Dataset | None = None  # old data, some of which is in each batch
    source: Mapping[str, Any] = {}  # how the command line names both


class Forecasts(NamedTuple):
    """What scoring a forecast gives beside the scores."""

    network: Any  # with the best parameters
    combination: Combination | None  # None for synthetic data
    recent: np.ndarray  # of the test part, [n, horizon]
    forecasts: list[Forecast]  # of what follows each series; none for synthetic data
    by_series: BySeries  # of each series by its number, on the test part


class ForecastTask:
    """See `training.task.Task`.

    With a linear path, the network starts from the closed-form solution; the linear model itself, `cell` "linear", is a
    training of no steps.
    """

    name, carry, unit = TASK, (), "windows"

    def __init__(
        self,
        settings: ForecastSettings,
        data: Dataset,
        source: SeriesSource = _UNNAMED,
        start: Start | None = None,
    ):
        """`source` says how the series were read, which prediction has to repeat; `start`, what to begin with."""
        if settings.trains or settings.system == "network":
            check_trainable(data, settings)
        self.settings, self.dataset, self._source, self._start = settings, data, source, start
        self.model = self._initial()
        self._scaling = data.rest.scaling
        self._combination: Combination | None = None
        self.linear = None  # the closed-form model of the network's outputs, where the network has a linear path
        if self.model.skip is not None and len(data.parts["train"]) > 1:
            self.linear = fit_on(data.rest, settings, self._outputs)
            if start is None:
                self.model.start_from(self.linear.kernel, self.linear.bias)
        self.has_prior = self.linear is not None or start is not None or not settings.trains
        self.criterion: str = settings.loss
        # the slices of the training part, behind them those of the others, for the last fit, and then old ones
        parts = {"train": data.parts["train"], "validation": data.parts["validation"]}
        if settings.trains and data.panel.split == "time":
            parts["train"] = Origins.joined([parts["train"], data.held_out()])
        self._all = len(parts["train"])
        self._replay = replay = None if start is None else start.replay
        whole = data.panel
        if replay is not None:
            whole = data.panel.followed_by(replay.panel)
            old = Origins.joined([replay.parts["train"], replay.held_out()]).behind(data.panel, whole)
            parts["train"] = Origins.joined([parts["train"].on(whole), old])
        self._old = len(parts["train"]) - self._all
        self.batches = self._batches(max(1, len(data.parts["train"])))
        self.examples = self.batches.batch
        self.plan = Plan.of(settings, self.batches.steps_per_epoch)
        if not settings.trains:
            self.plan = self.plan._replace(epochs=0)
        self.optimizer = optimizer_of(settings, self.plan, frozen=_is_body if settings.freeze else None)
        if settings.ensemble > 1:
            self.optimizer = each_by_itself(self.optimizer)
        self.data = {"values": spared(self._scaled(data.rest)), "evaluated": np.int32(len(parts["validation"]))}
        covariates = whole.covariates
        if covariates is not None:
            kinds = {"past": covariates.past, "known": np.nan_to_num(covariates.known), "static": covariates.static}
            self.data |= {name: spared(each.astype(np.float32)) for name, each in kinds.items()}
        masked = not all(origins.whole(settings.window) for origins in parts.values())
        for part, origins in parts.items():
            arrays = {part: origins.ends - settings.window}
            if covariates is not None:
                first = origins.lengths - settings.window + covariates.starts[origins.series]
                arrays |= {f"{part} series": origins.series, f"{part} known": first}
            if masked:  # series that begin within a window
                arrays[f"{part} lengths"] = np.minimum(origins.lengths, settings.window)
            least = 16 if part == "validation" else 256  # all of it is computed
            self.data |= {name: spared(each, least=least) for name, each in arrays.items()}
        sizes = settings.window, settings.horizon
        self.loss = SliceLoss(Slices("train", *sizes))
        self._measure = evaluation(self.model, SliceError(Slices("validation", *sizes)), self.data, "validation")

    @property
    def _outputs(self) -> int:
        """Steps ahead of the network's linear path."""
        return 1 if self.settings.strategy == "recursive" else self.settings.horizon

    def _initial(self) -> Any:
        """The network with its first weights."""
        covariates = self.dataset.panel.covariates
        sizes = NO_COVARIATES if covariates is None else covariates.sizes
        model = initialised(make_forecaster, self.settings.seed, seedless(self.settings), sizes)
        return model if self._start is None else with_parameters(model, self._start.parameters(model))

    def _batches(self, examples: int) -> Shuffled | Replayed:
        """Batches of the first slices, with some of the old ones, a fifth, if there are any.

        Where there are fewer than a batch has, so many as the devices share equally.
        """
        settings = self.settings
        size, seed = settings.batch_size, settings.seed
        if self._replay is None:
            return Shuffled(examples, min(size, filled(examples, settings.accumulate)), seed, repeats=True)
        new = min(examples, max(1, size - size // 5))
        least = filled(new + max(1, new // 4), settings.accumulate)
        return Replayed(Shuffled(examples, new, seed), min(least, max(size, 2)), self._all, self._old, seed)

    def _scaled(self, data: Dataset) -> np.ndarray:
        """All values as the network sees them, `[n]`: those of a data set, and behind them the old ones."""
        panel, scaling = data.panel, data.scaling
        if self._replay is not None:
            panel, scaling = panel.followed_by(self._replay.panel), scaling.followed_by(self._replay.scaling)
        series = np.repeat(np.arange(len(panel)), np.diff(panel.starts))
        return Scaler.of(self.settings, scaling).down(panel.values[:, None], series)[:, 0]

    def evaluate(self, params: Params) -> Metrics:
        """The loss of whole forecasts on the validation part, in units of the training part."""
        return self._measure(params)

    def score(self, params: Params, epochs: float) -> Scored:
        """All systems on the test and the validation part, and the forecast of what follows.

        That is made by a network which is trained anew on all of the series, for as many epochs as were best.
        """
        data, settings = self.dataset, self.settings
        model = with_parameters(self.model, gathered(params))
        network = NetworkForecaster.of(model, data.rest.scaling, settings.least_of(len(data.panel)))
        if data.panel.split == "series":
            found = assess_series(data, settings, network)
            return Scored(found.scores, {}, Forecasts(model, None, found.recent, [], found.by_series))
        found = assess(data, settings, network if settings.has_network else None)
        combination = found.combination
        assert combination is not None
        rest = replace(data, effects=combination.effects).rest
        if settings.has_network:
            # many series are learnt to the end: what a network lacks on their validation parts is the values just
            # before them, which the last fit has, and not fewer epochs
            params = self._fitted_anew(rest, self.plan.epochs if len(data.panel) >= _MANY else round(epochs))
            model = with_parameters(self.model, params)
            combination = replace(combination, network=network.with_parameters(model).on(rest.scaling))
        self._combination = combination
        self._scaling = rest.scaling
        _, forecasts = combination.ahead(data.panel)
        metadata = {"combination": combination.as_dict()}
        details = Forecasts(model, combination, found.recent, forecasts, found.by_series)
        return Scored(found.scores, metadata, details, params)

    def _fitted_anew(self, data: Dataset, epochs: int) -> Params:
        """Parameters of the network that was trained on all of the series: the same steps, with other batches."""
        model = self._initial()
        if self.linear is not None and self._start is None:
            linear = fit_on(data, self.settings, self._outputs, data.held_out())
            model.start_from(linear.kernel, linear.bias)
        state = initial_state(model, self.optimizer)
        params, plan = state.params, self.plan._replace(epochs=epochs if self.settings.trains else 0, patience=None)
        batches = self._batches(self._all)
        nothing = {"loss": math.nan}  # there is nothing left to choose an epoch by
        arrays = {**self.data, "values": spared(self._scaled(data))}
        if plan.epochs:
            for report in fit(model, self.optimizer, self.loss, lambda _: nothing, arrays, batches, plan, state):
                params = gathered(report.state.params)
        return params

    @property
    def source(self) -> dict[str, Any]:
        """What was said of the data and of the model to begin with."""
        begun = {} if self._start is None else self._start.source
        return {name: value for name, value in {**self._source.as_dict(), **begun}.items() if value is not None}

    def metadata(self) -> dict[str, Any]:
        """Units, the series' columns, a digest of the values."""
        panel = self.dataset.panel
        series: dict[str, Any] | None = None
        digest = hashlib.sha256(np.ascontiguousarray(panel.values).tobytes())
        covariates = panel.covariates
        if panel.has_future:
            members = panel.members
            member = members[0]
            step = member.clock.step if member.clock else None
            targets = list(dict.fromkeys(each.name for each in members))
            series = {"target": ",".join(targets) if len(targets) > 1 else member.name, "time": member.time_name}
            series |= {"step": step, "fill": self._source.fill or "linear", "id": self._source.id}
            series |= {"ids": [each.id for each in members], "targets": [each.name for each in members]}
            series["covariates"] = None if covariates is None else covariates.encoding.as_dict()
        if covariates is not None:
            for each in (covariates.past, covariates.known, covariates.static):
                digest.update(np.ascontiguousarray(each).tobytes())
        if self._start is not None:
            add_weights(digest, self.model)
        if self._replay is not None:
            digest.update(np.ascontiguousarray(self._replay.panel.values).tobytes())
        return {
            "scaling": (self._scaling if series else self._scaling.select([0])).as_dict(),
            "series": series,
            "data": digest.hexdigest(),
        }

    def arrays(self) -> dict[str, Any]:
        """The linear maps of the combination, once they are fitted."""
        return {} if self._combination is None else self._combination.arrays()


def _is_body(name: str) -> bool:
    """Whether a parameter is one of the layers that read the window."""
    return any(part in name.split(".") for part in ("conv", "wavenet", "stack", "decoder"))
