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

from rnncli.training.anomaly import find_anomaly
from rnncli.training.batches import Batches
from rnncli.training.events import Metrics
from rnncli.training.parallel import copied, fastest, gathered, possible, spread, spread_copies, whole
from rnncli.training.settings import Training
from rnncli.training.step import Loss, Params, Steps, TrainState, moving, sequences, specs_of, with_best

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

    @classmethod
    def of(cls, settings: Training, steps_per_epoch: int, evaluate_every: int | None = None) -> "Plan":
        """The plan that the settings ask for."""
        return cls(steps_per_epoch, settings.epochs, settings.patience or None, settings.seed, evaluate_every)

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


def evaluation(model: nnx.Module, measure: Callable[[Any, Any], dict[str, Array]], data: Any) -> Evaluate:
    """`measure(model, data)` as one compiled function of the model's parameters."""
    graph, _, rest = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def run(params: Params, data: Any) -> dict[str, Array]:
        return measure(nnx.merge(graph, params, rest), data)

    return lambda params: {name: float(value) for name, value in run(params, data).items()}


class Course:
    """How a training goes: what is next, what an evaluation changes, when it is over."""

    def __init__(self, plan: Plan, batches: Batches, evaluate: Evaluate, state: TrainState):
        self._plan, self._batches, self._evaluate = plan, batches, evaluate
        self.step, self.key = int(state.step), jax.random.key(plan.seed)

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

    def next(self) -> tuple[Any, int]:
        """Batches `[S, …]`, and how many of them are for the next dispatch."""
        arrays, steps = self._batches(self.step)
        return arrays, min(steps, self._plan.until_evaluation(self.step))

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
        params = gathered(state.params)
        metrics = self._evaluate(params)
        loss = np.float32(metrics["loss"])
        if loss < float(state.best_loss):
            best_loss, best_step = jax.device_put((loss, np.int32(self.step)))
            state = state._replace(best_params=copied(params), best_loss=best_loss, best_step=best_step)
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

    So many `devices` share each batch; None: as many as trained this state before, so that it goes on bit for bit, or,
    if that is not known or not possible, as are fastest. To `watch` means to find out where a loss that is no number
    came from; it keeps a copy of the state.
    """
    specs = specs_of(moving(state))
    program = Steps(model, optimizer, loss_of, plan.steps_per_epoch)
    course = Course(plan, batches, evaluate, state)

    def fastest_devices(arrays: Any) -> int:
        trials: dict[int, tuple[TrainState, Any]] = {}

        def trial(count: int, steps: int) -> None:
            if count not in trials:
                trials[count] = spread_copies(moving(state), specs, count), spread(data, whole(data), count)
            begun, given = trials[count]
            ended = jax.block_until_ready(program.on(count)(begun, given, arrays, jnp.int32(steps), course.key))
            trials[count] = ended, given

        found = fastest(sequences(arrays), described(model, arrays), plan.steps - course.step, trial)
        if trials:
            trials.clear()
            gc.collect()  # JAX lets go of the copies at the next collection, which may be long after
        return found

    count = devices or int(state.devices)
    if devices is None and plan.steps:
        arrays, _ = batches(0)
        if count not in possible(sequences(arrays)):
            count = fastest_devices(arrays)
    count = max(count, 1)
    state = with_best(spread_copies(moving(state)._replace(devices=jnp.int32(count)), specs, count), state)
    data = spread(data, whole(data), count)
    state = course.begun(state)
    while not course.over(state):
        arrays, steps = course.next()
        kept = copied(moving(state)) if watch else None
        state = with_best(program.on(count)(moving(state), data, arrays, jnp.int32(steps), course.key), state)
        report = course.advanced(state, steps)
        state = report.state
        if kept is not None and not math.isfinite(report.train_loss):
            found = find_anomaly(model, loss_of, program, kept, gathered(data), arrays, steps, course.key)
            report = report._replace(anomaly=found)
        yield report._replace(state=gathered(state))
        if report.finished:
            return


def described(model: nnx.Module, arrays: Any) -> list[Any]:
    """What is trained, on batches like these, as JSON types: what the time of a step depends on."""
    shapes = [[str(leaf.dtype), *leaf.shape[1:]] for leaf in jax.tree.leaves(arrays)]
    return [zlib.crc32(repr(nnx.graphdef(model)).encode()), shapes]
