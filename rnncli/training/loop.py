"""Training as a pure function of state: many steps a dispatch, the best epoch kept, resumable bit for bit.

`fit` is a generator. It yields a `Report` whenever it leaves the device, and everything that a screen or a disk
wants (progress, checkpoints, Ctrl-C) happens in whoever consumes it.

All randomness derives from the seed and the step: the order of the batches from (seed, epoch), the dropout masks
from (seed, step, place in the batch). A `TrainState` is therefore all that a run has to remember.
"""

import gc
import math
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from rnncli.nn.compiled import compiled
from rnncli.training import processes
from rnncli.training.anomaly import find_anomaly
from rnncli.training.batches import Batches
from rnncli.training.devices import own_device
from rnncli.training.events import Metrics
from rnncli.training.layout import (
    Layout,
    beside,
    chosen_layout,
    copied,
    gathered,
    kept_of,
    meet,
    own_rows,
    put_together,
    spread,
    whole,
)
from rnncli.training.parallel import fastest, possible
from rnncli.training.settings import Training
from rnncli.training.step import (
    Dispatch,
    Loss,
    Params,
    Steps,
    TrainState,
    axis_of,
    layout_of,
    moving,
    steps_of,
    with_best,
)

# evaluate(params) -> metrics; the entry "loss" decides which epoch is the best
Evaluate = Callable[[Params], Metrics]


class Report(NamedTuple):
    """How training stands when it leaves the device."""

    state: TrainState
    step: int
    epoch: float  # epochs done
    train_loss: float  # mean over the steps of this epoch so far
    metrics: Metrics | None  # of the evaluation, when there was one
    finished: bool  # the last report: all epochs done, patience at its end, or the loss no longer a number
    anomaly: str = ""  # where a loss that is no number came from, if that was asked for


class Plan(NamedTuple):
    """How long to train."""

    steps_per_epoch: int
    epochs: int
    patience: int | None  # epochs without improvement before stopping early
    seed: int
    evaluate_every: int | None = None  # steps between evaluations in an epoch; None: only at its end
    accumulate: int = 1  # parts of a batch that follow each other before an update

    @classmethod
    def of(cls, settings: Training, steps_per_epoch: int, evaluate_every: int | None = None) -> "Plan":
        """The plan that the settings ask for."""
        patience = settings.patience or None
        return cls(steps_per_epoch, settings.epochs, patience, settings.seed, evaluate_every, settings.accumulate)

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def until_evaluation(self, step: int) -> int:
        """Steps from `step` on to the next evaluation, at the end of the epoch or before."""
        place = step % self.steps_per_epoch
        left = self.steps_per_epoch - place
        return left if self.evaluate_every is None else min(left, self.evaluate_every - place % self.evaluate_every)


def initial_state(model: nnx.Module, optimizer: optax.GradientTransformation, carry: Any = ()) -> TrainState:
    """The state before the first step. `carry` is what the loss hands from batch to batch.

    Its parameters are the model's own arrays, not copies, in variables of their own.
    """
    params, best_params = (jax.tree.map(lambda array: array, nnx.state(model, nnx.Param)) for _ in range(2))
    return TrainState(
        params=params,
        opt_state=jax.jit(optimizer.init)(params),  # one program, where each operation by itself would be one
        step=jax.device_put(np.int32(0)),
        carry=carry,
        epoch_loss=jax.device_put(np.float32(0)),
        best_params=best_params,
        best_loss=jax.device_put(np.float32(np.inf)),
        best_step=jax.device_put(np.int32(0)),
        devices=jax.device_put(np.int32(0)),
    )


def evaluation(
    model: nnx.Module, measure: Callable[[Any, Any], dict[str, Array]], data: Any, shared: str | None = None
) -> Evaluate:
    """`measure(model, data)` as one compiled function of the model's parameters; see `nn.compiled` for what it may be.

    Devices share the first axis of those arrays in a dictionary `data` whose names begin with `shared`, where it can be
    cut equally.
    """
    run = compiled(measure, model)

    def measured(params: Params) -> Metrics:
        given = beside(params, data, None) if shared is None else {}
        if shared is not None:
            given = {name: beside(params, each, 0 if name.startswith(shared) else None) for name, each in data.items()}
        return {name: float(value) for name, value in gathered(run(params, given)).items()}

    return measured


class Course:
    """How a training goes: what is next, what an evaluation changes, when it is over."""

    def __init__(self, plan: Plan, batches: Batches, evaluate: Evaluate, state: TrainState):
        self._plan, self._batches, self._evaluate = plan, batches, evaluate
        self.step, self.key = int(state.step), jax.random.key(plan.seed)
        self._rows = slice(None)  # of each batch, that this process gives

    def share(self, layout: Layout) -> None:
        """From now on, read those rows of batches alone that this process's devices need."""
        self._rows = own_rows(self._batches.batch, layout)

    def begun(self, state: TrainState) -> TrainState:
        """The state with the untrained network as the first candidate for the best, if nothing was evaluated yet."""
        if self.step == 0 and self._plan.steps and not math.isfinite(state.best_loss):
            return self._evaluated(state)[0]
        return state

    def over(self, state: TrainState) -> bool:
        """Whether all steps are done, or patience is at its end."""
        patience = self._plan.patience
        waited = self.step - int(state.best_step)
        return self.step >= self._plan.steps or (
            patience is not None and waited >= patience * self._plan.steps_per_epoch
        )

    def next(self) -> Dispatch:
        """What is computed next."""
        arrays, steps = self._batches(self.step, self._rows)
        steps = min(steps, self._plan.until_evaluation(self.step))
        return Dispatch(arrays, steps, self.step % self._plan.steps_per_epoch == 0)

    def advanced(self, state: TrainState, steps: int) -> Report:
        """What there is to say after a dispatch."""
        place = self.step % self._plan.steps_per_epoch
        evaluates = steps == self._plan.until_evaluation(self.step)
        self.step += steps
        train_loss = float(state.epoch_loss) / (place + steps)
        metrics = None
        if evaluates:
            state, metrics = self._evaluated(state)
        finished = self.over(state) or not math.isfinite(train_loss)
        epoch = self.step / self._plan.steps_per_epoch
        return Report(state, self.step, epoch, train_loss, metrics, finished)

    def _evaluated(self, state: TrainState) -> tuple[TrainState, Metrics]:
        params = state.params
        metrics = self._evaluate(params)
        # all come to the same decisions, though of what each computes by itself the last digits may differ
        metrics = dict(zip(metrics, processes.of_first(list(metrics.values())), strict=True))
        loss = np.float32(metrics["loss"])
        if loss < float(state.best_loss):
            best_loss, best_step = jax.device_put((loss, np.int32(self.step)), own_device())
            state = state._replace(best_params=copied(kept_of(params)), best_loss=best_loss, best_step=best_step)
        return state, metrics


def fit(
    model: nnx.Module,
    optimizer: optax.GradientTransformation,
    loss_of: Loss,
    evaluate: Evaluate,
    data: Any,
    batches: Batches,
    plan: Plan,
    state: TrainState,
    devices: int | None = None,
    *,
    watch: bool = False,
) -> Iterator[Report]:
    """Train `model`'s architecture from `state`, `initial_state` or a restored one; yield after each dispatch.

    `data` goes to the loss as it is, `batches` a batch at a time. The carry starts at zero in each epoch. The
    model itself is left alone: trained parameters are in the reports' states. A state that is yielded lives until
    the next report is asked for. The untrained model is evaluated too, as the first candidate for the best.

    So many `devices` share each batch; None: those that `choose_layout` was told, or as many as trained this state
    before, so that it goes on bit for bit, or, if that is not known or not possible, as are fastest. To `watch` means
    to find out where a loss that is no number came from; it keeps a copy of the state.
    """
    program = steps_of(model, optimizer, loss_of, plan.accumulate)
    course = Course(plan, batches, evaluate, state)
    layout = _layout(program, model, data, state, batches, plan, devices)
    if plan.steps:
        course.share(layout)
    state = with_best(on_devices(moving(state)._replace(devices=jnp.int32(layout.data)), layout), state)
    data, key = spread((data, course.key), whole((data, course.key)), layout)
    meet(layout)
    state = course.begun(state)
    while not course.over(state):
        dispatch = course.next()
        kept = copied(moving(state)) if watch else None
        given = dispatch._replace(batches=put_together(dispatch.batches, axis_of, batches.batch, layout))
        state = with_best(program.on(layout)(moving(state), data, given, key), state)
        report = course.advanced(state, given.steps)
        state = report.state
        if kept is not None and not math.isfinite(report.train_loss):
            found = find_anomaly(model, loss_of, program, kept, gathered(data), dispatch, course.key)
            report = report._replace(anomaly=found)
        yield report._replace(state=gathered(state) if layout.model == 1 else state)
        if report.finished:
            return


def on_devices(state: TrainState, layout: Layout) -> TrainState:
    """Copies of a moving state's arrays where a training wants them; their buffers may be donated."""
    return spread(copied(state), layout_of(state, layout), layout)


def _layout(
    program: Steps,
    model: nnx.Module,
    data: Any,
    state: TrainState,
    batches: Batches,
    plan: Plan,
    devices: int | None,
) -> Layout:
    """The layout that was chosen, or that trained this state before, or that is fastest.

    Raises ParameterError: a batch cannot be shared so.
    """
    if not plan.steps:
        return chosen_layout() or Layout()
    layout = chosen_layout() if devices is None else Layout(devices)
    if layout is not None:
        layout.check(batches.batch, plan.accumulate)
        return layout
    Layout().check(batches.batch, plan.accumulate)
    part, count = batches.batch // plan.accumulate, int(state.devices)
    if count in possible(part):
        return Layout(count)
    (arrays, _), trials = batches(0), {}

    def trial(count: int, steps: int) -> None:
        layout = Layout(count)
        if count not in trials:
            trials[count] = on_devices(moving(state), layout), spread(data, whole(data), layout)
        begun, given = trials[count]
        key = jax.random.key(plan.seed)
        one = Dispatch(arrays, steps, begins=True)
        ended = jax.block_until_ready(program.on(layout)(begun, given, one, key))
        trials[count] = ended, given

    count = fastest(part, described(model, arrays), plan.steps - int(state.step), trial)
    if trials:
        trials.clear()
        gc.collect()  # JAX lets go of the copies at the next collection, which may be long after
    return Layout(count)


def described(model: nnx.Module, arrays: Any) -> list[Any]:
    """What is trained, on batches like these, as JSON types: what the time of a step depends on."""
    shapes = [[str(leaf.dtype), *leaf.shape[1:]] for leaf in jax.tree.leaves(arrays)]
    return [zlib.crc32(repr(nnx.graphdef(model)).encode()), shapes]
