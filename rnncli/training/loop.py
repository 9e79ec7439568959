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
from functools import cache, partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array, lax

from rnncli.nn.dropout import DropoutKey
from rnncli.training.batches import Batches
from rnncli.training.events import Metrics
from rnncli.training.parallel import (
    WHOLE,
    copied,
    fastest,
    gathered,
    mean,
    possible,
    rows,
    sharded,
    split,
    spread,
    spread_copies,
    whole,
)
from rnncli.training.settings import Training

Params = Any  # a pytree of arrays: nnx.State as a model splits into it


class Loss(Protocol):
    """What a step of training minimises."""

    def __call__(self, model: Any, carry: Any, data: Any, batch: Any, key: DropoutKey) -> tuple[Array, Any]:
        """The loss of a batch, arrays `[T, B, …]` or `[B]`, and the carry `[B, …]` for the next one."""
        ...


# evaluate(params) -> metrics; the entry "loss" decides which epoch is the best
Evaluate = Callable[[Params], Metrics]


class TrainState(NamedTuple):
    """All that training has to remember between two steps."""

    # the model, and what the optimizer knows
    params: Params
    opt_state: optax.OptState
    # where in the run: steps taken; the hidden state handed from batch to batch, for those that hand one on
    step: Array
    carry: Any
    epoch_loss: Array  # sum over the steps of this epoch so far
    # the best evaluation so far
    best_params: Params
    best_loss: Array
    best_step: Array
    # how many devices share a batch; 0 while that is not known
    devices: Array


class Report(NamedTuple):
    """How training stands when it leaves the device."""

    state: TrainState
    step: int
    epoch: float  # epochs done
    train_loss: float  # mean over the steps of this epoch so far
    metrics: Metrics | None  # of the evaluation, when there was one
    finished: bool  # the last report: all epochs done, patience at its end, or the loss no longer a number


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


def leaf_name(path: tuple[Any, ...]) -> str:
    """A parameter's place in its model, as in `stack.forward.0.kernel`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


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


def _compiler(
    model: nnx.Module, optimizer: optax.GradientTransformation, loss_of: Loss, plan: Plan, specs: TrainState
) -> Callable[[int], Callable[[TrainState, Any, Any, Array], TrainState]]:
    """A function from a number of devices to the compiled function `(state, data, batches, steps) → state`.

    `specs` says what of the state each device has.
    """
    graph, _, rest = nnx.split(model, nnx.Param, ...)
    key = jax.random.key(plan.seed)

    def loss(params: Params, carry: Any, data: Any, batch: Any, key: DropoutKey) -> tuple[Array, Any]:
        return loss_of(nnx.merge(graph, params, rest), carry, data, batch, key)

    def train(devices: int, state: TrainState, data: Any, batches: Any, steps: Array) -> TrainState:
        places = rows(_sequences(batches), devices)

        def body(number: Array, state: TrainState) -> TrainState:
            first = state.step % plan.steps_per_epoch == 0
            carry = jax.tree.map(lambda each: jnp.where(first, jnp.zeros_like(each), each), state.carry)
            batch = jax.tree.map(lambda each: each[number], batches)
            drop = DropoutKey(jax.random.fold_in(key, state.step), places)
            (value, carry), grads = jax.value_and_grad(loss, has_aux=True)(state.params, carry, data, batch, drop)
            value, grads = mean((value, grads), devices)
            updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
            total = jnp.where(first, 0.0, state.epoch_loss) + value
            return state._replace(
                params=params, opt_state=opt_state, step=state.step + 1, carry=carry, epoch_loss=total
            )

        return lax.fori_loop(0, steps, body, state)

    @cache
    def compiled(devices: int) -> Callable[[TrainState, Any, Any, Array], TrainState]:
        def run(state: TrainState, data: Any, batches: Any, steps: Array) -> TrainState:
            parts = jax.tree.map(lambda each: split(each, _axis(each)), batches)
            shared = sharded(partial(train, devices), (specs, WHOLE, parts, WHOLE), specs, devices)
            return shared(state, data, batches, steps)

        return jax.jit(run, donate_argnums=0)

    return compiled


def _moving(state: TrainState) -> TrainState:
    """The state without its best, which stays where it is while the devices compute."""
    return state._replace(best_params=None, best_loss=None, best_step=None)


def _with_best(moving: TrainState, state: TrainState) -> TrainState:
    """A moving state with the best of another."""
    return moving._replace(best_params=state.best_params, best_loss=state.best_loss, best_step=state.best_step)


def _axis(array: Any) -> int:
    """The axis of the sequences in an array `[S, T, B, …]` or `[S, B]`."""
    return min(2, array.ndim - 1)


def _sequences(batches: Any) -> int:
    """How many sequences a batch has."""
    first = jax.tree.leaves(batches)[0]
    return first.shape[_axis(first)]


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
) -> Iterator[Report]:
    """Train `model`'s architecture from `state`, `initial_state` or a restored one; yield after each dispatch.

    `data` goes to the loss as it is, `batches` a batch at a time. The carry starts at zero in each epoch. The
    model itself is left alone: trained parameters are in the reports' states. A state that is yielded lives until
    the next report is asked for. The untrained model is evaluated too, as the first candidate for the best.

    So many `devices` share each batch; None: as many as trained this state before, so that it goes on bit for bit, or,
    if that is not known or not possible, as are fastest.
    """
    specs = whole(_moving(state))._replace(carry=jax.tree.map(lambda each: split(each, 0), state.carry))
    run_chunk = _compiler(model, optimizer, loss_of, plan, specs)

    def fastest_devices(arrays: Any) -> int:
        trials: dict[int, tuple[TrainState, Any]] = {}

        def trial(count: int, steps: int) -> None:
            if count not in trials:
                trials[count] = spread_copies(_moving(state), specs, count), spread(data, whole(data), count)
            begun, given = trials[count]
            ended = jax.block_until_ready(run_chunk(count)(begun, given, arrays, jnp.int32(steps)))
            trials[count] = ended, given

        shapes = [[str(leaf.dtype), *leaf.shape[1:]] for leaf in jax.tree.leaves(arrays)]
        what = [zlib.crc32(repr(nnx.graphdef(model)).encode()), shapes]
        found = fastest(_sequences(arrays), what, plan.steps - int(state.step), trial)
        if trials:
            trials.clear()
            gc.collect()  # JAX lets go of the copies at the next collection, which may be long after
        return found

    def evaluated(state: TrainState) -> tuple[TrainState, Metrics]:
        params = gathered(state.params)
        metrics = evaluate(params)
        loss = np.float32(metrics["loss"])
        if loss < float(state.best_loss):
            best_loss, best_step = jax.device_put((loss, np.int32(step)))
            state = state._replace(best_params=copied(params), best_loss=best_loss, best_step=best_step)
        return state, metrics

    count = devices or int(state.devices)
    if devices is None and plan.steps:
        arrays, _ = batches(0)
        if count not in possible(_sequences(arrays)):
            count = fastest_devices(arrays)
    count = max(count, 1)
    state = _with_best(spread_copies(_moving(state)._replace(devices=jnp.int32(count)), specs, count), state)
    data = spread(data, whole(data), count)
    step = int(state.step)
    if step == 0 and plan.steps and not math.isfinite(state.best_loss):
        state, _ = evaluated(state)

    def out_of_patience() -> bool:
        return plan.patience is not None and step - int(state.best_step) >= plan.patience * plan.steps_per_epoch

    while step < plan.steps and not out_of_patience():
        place = step % plan.steps_per_epoch
        arrays, steps = batches(step)
        until = plan.until_evaluation(step)
        steps = min(steps, until)
        state = _with_best(run_chunk(count)(_moving(state), data, arrays, jnp.int32(steps)), state)
        step += steps
        train_loss = float(state.epoch_loss) / (place + steps)
        metrics = None
        if steps == until:
            state, metrics = evaluated(state)
        finished = step >= plan.steps or out_of_patience() or not math.isfinite(train_loss)
        yield Report(gathered(state), step, step / plan.steps_per_epoch, train_loss, metrics, finished)
        if finished:
            return
