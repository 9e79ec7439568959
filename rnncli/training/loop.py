"""Training as a pure function of state: many steps a dispatch, the best epoch kept, resumable bit for bit.

`fit` is a generator. It yields a `Report` whenever it leaves the device, and everything that a screen or a disk
wants (progress, checkpoints, Ctrl-C) happens in whoever consumes it.

All randomness derives from the seed and the step: the order of the examples from (seed, epoch), the dropout masks
from (seed, step). A `TrainState` is therefore all that a run has to remember.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array, lax

Params = Any  # a pytree of arrays: nnx.State as a model splits into it
Metrics = dict[str, float]

# objective(model, carry, data, indices [B], key) -> (loss, carry): what a step of training minimises
Objective = Callable[[Any, Any, Any, Array, Array], tuple[Array, Any]]
# evaluate(model, data) -> metrics; the entry "loss" decides which epoch is the best
Evaluate = Callable[[Any, Any], dict[str, Array]]


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


class Report(NamedTuple):
    """How training stands when it leaves the device."""

    state: TrainState
    step: int
    epoch: float  # epochs done
    train_loss: float  # mean over the steps of this epoch so far
    metrics: Metrics | None  # of the evaluation, when this report closes an epoch
    finished: bool  # the last report: all epochs done, patience at its end, or the loss no longer a number


class Plan(NamedTuple):
    """How long to train and on how much at a time."""

    examples: int
    batch_size: int
    epochs: int
    patience: int | None  # epochs without improvement before stopping early
    seed: int
    chunk: int = 200  # steps a dispatch, at most

    @property
    def batch(self) -> int:
        """The batch size, or all examples where there are fewer."""
        return min(self.batch_size, self.examples)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch. Every example is in one; the last batch is filled up with the first ones again."""
        return math.ceil(self.examples / self.batch)

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch


def make_optimizer(
    learning_rate: float,
    steps: int,
    *,
    schedule: str = "constant",
    warmup: float = 0.0,
    clip: float | None = None,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Adam (AdamW with `weight_decay`) with Keras' ε, after clipping by global norm.

    `schedule` "cosine" falls from the learning rate to 0 over `steps`, after a linear warm-up over the fraction
    `warmup` of them; "constant" stays.
    """
    rate: float | optax.Schedule = learning_rate
    if schedule == "cosine":
        warmup_steps = math.ceil(warmup * steps)
        rate = optax.warmup_cosine_decay_schedule(0.0, learning_rate, warmup_steps, max(steps, warmup_steps + 1))
    adam = optax.adamw(rate, eps=1e-7, weight_decay=weight_decay) if weight_decay else optax.adam(rate, eps=1e-7)
    return adam if clip is None else optax.chain(optax.clip_by_global_norm(clip), adam)


def initial_state(model: nnx.Module, optimizer: optax.GradientTransformation, carry: Any = ()) -> TrainState:
    """The state before the first step. `carry` is what the objective hands from batch to batch."""
    # copies, and two of them: a dispatch gives the buffers of its state away
    params = jax.tree.map(jnp.copy, nnx.state(model, nnx.Param))
    return TrainState(
        params=params,
        opt_state=optimizer.init(params),
        step=jnp.zeros((), jnp.int32),
        carry=carry,
        epoch_loss=jnp.zeros(()),
        best_params=jax.tree.map(jnp.copy, params),
        best_loss=jnp.array(jnp.inf, jnp.float32),
        best_step=jnp.zeros((), jnp.int32),
    )


def fit(
    model: nnx.Module,
    optimizer: optax.GradientTransformation,
    objective: Objective,
    evaluate: Evaluate,
    data: Any,
    plan: Plan,
    resumed: TrainState | None = None,
) -> Iterator[Report]:
    """Train `model`'s architecture on `data` from `resumed` (or the start); yield a report after each dispatch.

    The model itself is left alone: trained parameters are in the reports' states. A state that is yielded lives
    until the next report is asked for. The untrained model is evaluated too, as the first candidate for the best.
    """
    graph, _, rest = nnx.split(model, nnx.Param, ...)
    key = jax.random.key(plan.seed)

    def merged(params: Params) -> Any:
        return nnx.merge(graph, params, rest)

    def loss(params: Params, carry: Any, data: Any, indices: Array, step: Array) -> tuple[Array, Any]:
        return objective(merged(params), carry, data, indices, jax.random.fold_in(key, step))

    @partial(jax.jit, donate_argnums=0)
    def run_chunk(state: TrainState, data: Any, steps: Array) -> TrainState:
        # a dispatch never leaves its epoch
        order = _order(key, state.step // plan.steps_per_epoch, plan)

        def body(_: Array, state: TrainState) -> TrainState:
            place = state.step % plan.steps_per_epoch
            indices = lax.dynamic_slice(order, (place * plan.batch,), (plan.batch,))
            (value, carry), grads = jax.value_and_grad(loss, has_aux=True)(
                state.params, state.carry, data, indices, state.step
            )
            updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
            total = jnp.where(place == 0, 0.0, state.epoch_loss) + value
            return state._replace(
                params=params, opt_state=opt_state, step=state.step + 1, carry=carry, epoch_loss=total
            )

        return lax.fori_loop(0, steps, body, state)

    @partial(jax.jit, donate_argnums=0)
    def close_epoch(state: TrainState, data: Any) -> tuple[TrainState, dict[str, Array], Array]:
        metrics = evaluate(merged(state.params), data)
        improved = metrics["loss"] < state.best_loss

        def pick(new: Array, old: Array) -> Array:
            return jnp.where(improved, new, old)

        state = state._replace(
            best_params=jax.tree.map(pick, state.params, state.best_params),
            best_loss=pick(metrics["loss"], state.best_loss),
            best_step=pick(state.step, state.best_step),
        )
        return state, metrics, improved

    state = close_epoch(initial_state(model, optimizer), data)[0] if resumed is None else resumed
    step, best_step = int(state.step), int(state.best_step)

    def waited() -> bool:
        return plan.patience is not None and step - best_step >= plan.patience * plan.steps_per_epoch

    while step < plan.steps and not waited():
        place = step % plan.steps_per_epoch
        steps = min(plan.chunk, plan.steps_per_epoch - place)
        state = run_chunk(state, data, steps)
        step += steps
        train_loss = float(state.epoch_loss) / (place + steps)
        metrics = None
        if step % plan.steps_per_epoch == 0:
            state, measured, better = close_epoch(state, data)
            metrics = {name: float(value) for name, value in measured.items()}
            best_step = step if better else best_step
        finished = step >= plan.steps or waited() or not math.isfinite(train_loss)
        yield Report(state, step, step / plan.steps_per_epoch, train_loss, metrics, finished)
        if finished:
            return


def _order(key: Array, epoch: Array, plan: Plan) -> Array:
    """The order of the examples in an epoch, `[steps_per_epoch · batch]`, drawn from seed and epoch."""
    order = jax.random.permutation(jax.random.fold_in(jax.random.fold_in(key, epoch), 1), plan.examples)
    return jnp.resize(order, (plan.steps_per_epoch * plan.batch,))
