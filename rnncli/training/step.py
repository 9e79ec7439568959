"""The compiled program of training: many steps on the device before it is left.

All that a step needs is in its arguments: the state, the batches, the key that masks are drawn from. So the same
program serves every seed, alone on a device, shared by several, or mapped over the states of several trainings.
"""

import inspect
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array, lax

from rnncli.nn.cudnn import without_cudnn
from rnncli.nn.dropout import DropoutKey
from rnncli.training.layout import WHOLE, Layout, cut, mean, over_first, rows, sharded, shardings, split, whole

Params = Any  # a pytree of arrays: nnx.State as a model splits into it


class Loss(Protocol):
    """What a step of training minimises."""

    def __call__(self, model: Any, carry: Any, data: Any, batch: Any, key: DropoutKey) -> tuple[Array, Any]:
        """The loss of a batch, arrays `[T, B, …]` or `[B]`, and the carry `[B, …]` for the next one."""
        ...


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


class Dispatch(NamedTuple):
    """What is computed before the device is left. All of it is data: other numbers need no other program."""

    batches: Any  # [S, …]
    steps: int  # with the first of them, all of one epoch
    begins: bool  # whether they begin it: the carry is zero there


class Program(Protocol):
    """A compiled training."""

    def __call__(self, state: TrainState, data: Any, given: Dispatch, key: Array) -> TrainState:
        """The moving state after the steps of a dispatch; the state that is given is used up."""
        ...


class Steps:
    """The programs that train one architecture, for any layout of devices, or for several seeds.

    See `steps_of`, which remembers them.
    """

    def __init__(
        self,
        graph: nnx.GraphDef[Any],
        optimizer: optax.GradientTransformation,
        loss_of: Loss,
        accumulate: int,
        rest: Any = (),
    ):
        """`rest` is the model's arrays that are no parameters."""
        self._graph, self._rest, self._accumulate = graph, rest, accumulate
        self._optimizer, self._loss_of = optimizer, loss_of
        self.on, self.together = cache(self._on), cache(self._together)

    def _on(self, layout: Layout) -> Program:
        """The program for devices that lie so."""

        def run(state: TrainState, data: Any, given: Dispatch, key: Array) -> TrainState:
            parts = whole(given)._replace(batches=jax.tree.map(lambda each: split(each, axis_of(each)), given.batches))
            specs = specs_of(state)
            arguments = (specs, WHOLE, parts, WHOLE)
            moved = sharded(partial(self._train, layout), arguments, specs, layout)(state, data, given, key)
            if layout.single:
                return moved
            return lax.with_sharding_constraint(moved, shardings(layout_of(state, layout), layout))

        return jax.jit(run, donate_argnums=0)

    def _together(self, layout: Layout) -> Program:
        """The program that trains several at once: states, batches and keys have them along their first axis.

        They are spread over devices that have to say nothing to each other.
        """
        each = jax.vmap(partial(self._train, Layout()), in_axes=(0, None, Dispatch(0, None, None), 0))  # pyright: ignore

        def run(state: TrainState, data: Any, given: Dispatch, key: Array) -> TrainState:
            specs, keys = over_first(state), over_first(key)
            arguments = (specs, WHOLE, whole(given)._replace(batches=over_first(given.batches)), keys)
            with without_cudnn():
                return sharded(each, arguments, specs, layout)(state, data, given, key)

        return jax.jit(run, donate_argnums=0)

    def _loss(self, params: Params, carry: Any, data: Any, batch: Any, key: DropoutKey) -> tuple[Array, Any]:
        return self._loss_of(nnx.merge(self._graph, params, *self._rest), carry, data, batch, key)

    def _gradients(self, params: Params, carry: Any, data: Any, batch: Any, key: DropoutKey) -> Any:
        """The loss of a batch, the carry for the next one, and the gradients: `((loss, carry), gradients)`."""
        gradient = jax.value_and_grad(self._loss, has_aux=True)
        if self._accumulate == 1:
            return gradient(params, carry, data, batch, key)

        def parts(array: Array, axis: int) -> Array:
            """`[…, B, …]` → `[parts, …, B / parts, …]`."""
            shape = (*array.shape[:axis], self._accumulate, -1, *array.shape[axis + 1 :])
            return jnp.moveaxis(array.reshape(shape), axis, 0)

        def add(total: Any, part: Any) -> tuple[Any, Any]:
            carry, batch, places = part
            (value, carry), grads = gradient(params, carry, data, batch, key._replace(rows=places))
            return jax.tree.map(lambda sum, new: sum + new / self._accumulate, total, (value, grads)), carry

        batches = jax.tree.map(lambda each: parts(each, axis_of(each[None]) - 1), batch)
        carries = jax.tree.map(lambda each: parts(each, 0), carry)
        zero = jnp.float32(0), jax.tree.map(jnp.zeros_like, params)
        (value, grads), carries = lax.scan(add, zero, (carries, batches, parts(key.rows, 0)))
        return (value, jax.tree.map(lambda each, like: each.reshape(like.shape), carries, carry)), grads

    def _train(self, layout: Layout, state: TrainState, data: Any, given: Dispatch, key: Array) -> TrainState:
        places = rows(sequences(given.batches), layout)

        def body(number: Array, state: TrainState) -> TrainState:
            first = (number == 0) & given.begins
            carry = jax.tree.map(lambda each: jnp.where(first, jnp.zeros_like(each), each), state.carry)
            batch = jax.tree.map(lambda each: each[number], given.batches)
            drop = DropoutKey(jax.random.fold_in(key, state.step), places)
            (value, carry), grads = self._gradients(state.params, carry, data, batch, drop)
            value, grads = mean((value, grads), layout)
            updates, opt_state = self._optimizer.update(grads, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
            total = jnp.where(first, 0.0, state.epoch_loss) + value
            return state._replace(
                params=params, opt_state=opt_state, step=state.step + 1, carry=carry, epoch_loss=total
            )

        return lax.fori_loop(0, given.steps, body, state)


_remembered = lru_cache(8)(Steps)


def steps_of(
    model: nnx.Module,
    optimizer: optax.GradientTransformation,
    loss_of: Loss,
    accumulate: int = 1,
) -> Steps:
    """The programs for a model, shared by trainings that differ in seed, data and length alone.

    `accumulate` is how many parts of a batch follow each other, their gradients added up, before an update. Where the
    loss is the method of an object, or the model has arrays that are no parameters, nothing is shared: what is
    remembered would keep the object, and perhaps much data, in memory.
    """
    graph, _, rest = nnx.split(model, nnx.Param, ...)
    if inspect.ismethod(loss_of) or jax.tree.leaves(rest):
        return Steps(graph, optimizer, loss_of, accumulate, (rest,))
    return _remembered(graph, optimizer, loss_of, accumulate)


def leaf_name(path: tuple[Any, ...]) -> str:
    """A parameter's place in its model, as in `stack.forward.0.kernel`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def specs_of(state: TrainState) -> TrainState:
    """What of a moving state each of several devices has that share batches: all but its part of the carry."""
    return whole(state)._replace(carry=jax.tree.map(lambda each: split(each, 0), state.carry))


def layout_of(state: TrainState, layout: Layout) -> TrainState:
    """The same, with large arrays cut among devices that share these."""
    params, opt_state = cut((state.params, state.opt_state), layout)
    return specs_of(state)._replace(params=params, opt_state=opt_state)


def moving(state: TrainState) -> TrainState:
    """The state without its best, which stays where it is while the devices compute."""
    return state._replace(best_params=None, best_loss=None, best_step=None)


def with_best(moved: TrainState, state: TrainState) -> TrainState:
    """A moving state with the best of another."""
    return moved._replace(best_params=state.best_params, best_loss=state.best_loss, best_step=state.best_step)


def axis_of(array: Any) -> int:
    """The axis of the sequences in an array `[S, T, B, …]` or `[S, B]`."""
    return min(2, array.ndim - 1)


def sequences(batches: Any) -> int:
    """How many sequences a batch has."""
    first = jax.tree.leaves(batches)[0]
    return first.shape[axis_of(first)]
