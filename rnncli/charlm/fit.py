"""Fitting a character model to a text. No screen, no disk."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
from flax import nnx
from jax import Array

from rnncli.charlm.batches import Streams, Text, Windows
from rnncli.charlm.config import CharlmConfig
from rnncli.charlm.model import CharModel
from rnncli.charlm.score import Scorer
from rnncli.nn.dropout import DropoutKey
from rnncli.nn.initial import initialised
from rnncli.training.devices import computing_devices
from rnncli.training.loop import Metrics, Params, Plan, Report, TrainState, fit, initial_state
from rnncli.training.optimizer import optimizer_of

_VALIDATION_STREAMS = 64  # after each epoch the validation text is read in so many streams at once, at most …
_VALIDATION_STREAM = 1024  # … of so many characters, at least
_VALIDATION_MOST = 2**20  # characters that are scored after each epoch, at most
_EVALUATE_EVERY = 2**21  # characters of training, roughly; a longer epoch has several evaluations
_DISPATCH_FLOP = 5e10  # a second or two of work on two cores: how often training reports, and hears Ctrl-C
_ACCELERATED = 100  # how much more an accelerator does in that time, roughly


@dataclass
class Fitting:
    """A model and how its training stands; `train` moves it on."""

    config: CharlmConfig
    symbols: int
    model: CharModel
    plan: Plan
    batches: Streams | Windows
    state: TrainState
    history: list[dict[str, float]] = field(default_factory=list)  # epoch, train, validation loss

    @property
    def best_params(self) -> Params:
        """The parameters that did best on the validation text; the current ones before the first evaluation."""
        return self.state.best_params if math.isfinite(self.state.best_loss) else self.state.params

    @property
    def best_epoch(self) -> float:
        """The epoch whose parameters did best on the validation text."""
        return int(self.state.best_step) / self.plan.steps_per_epoch


def prepare(config: CharlmConfig, text: Text, symbols: int) -> Fitting:
    """The untrained model and the plan of its training on `text`."""
    model = initialised(lambda rngs: CharModel(config, symbols, operands=config.precision, rngs=rngs), config.seed)
    weights = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    flop = _DISPATCH_FLOP * (1 if computing_devices()[0].platform == "cpu" else _ACCELERATED)
    chunk = max(1, round(flop / (6 * weights * config.batch_size * config.window)))
    kind = Streams if config.stateful else Windows
    batches = kind(text, config.batch_size, config.window, config.seed, chunk=chunk)
    evaluations = max(1, round(len(text) / _EVALUATE_EVERY))
    every = -(-batches.steps_per_epoch // evaluations)
    plan = Plan(batches.steps_per_epoch, config.epochs, config.patience or None, config.seed, every)
    carry = model.initial_carries(batches.batch) if config.stateful else ()
    optimizer = optimizer_of(config, plan)
    return Fitting(config, symbols, model, plan, batches, initial_state(model, optimizer, carry))


def train(fitting: Fitting, validation: Text) -> Iterator[Report]:
    """Train from where `fitting` stands, keeping it up to date; yields after each dispatch."""
    config = fitting.config
    scorer = Scorer(fitting.model)
    validation = Text(validation.tokens[:_VALIDATION_MOST], validation.boundary)

    streams = max(1, min(_VALIDATION_STREAMS, len(validation) // _VALIDATION_STREAM))

    def objective(model: CharModel, carry: Any, data: None, windows: Array, key: DropoutKey) -> tuple[Array, Any]:
        loss, carries = model.loss(windows, carry or None, key)
        return loss, carries if config.stateful else ()

    def evaluate(params: Params) -> Metrics:
        if config.stateful:
            return scorer.carried(params, validation, streams=streams, warm_up=0).metrics()
        return scorer.cold(params, validation, config.evaluation_window).metrics()

    optimizer = optimizer_of(config, fitting.plan)
    for report in fit(
        fitting.model, optimizer, objective, evaluate, None, fitting.batches, fitting.plan, fitting.state
    ):
        fitting.state = report.state
        if report.metrics is not None:
            fitting.history.append(
                {"epoch": report.epoch, "train": report.train_loss, "validation": report.metrics["loss"]}
            )
        yield report
