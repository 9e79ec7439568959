"""A cell over time, as loops that hold nothing but what is recurrent.

Forward, the input projection is one product over all steps (`Cell.project`), so the loop's body is the products
with the recurrent kernel, one a gate, and the cell's elementwise step.

Backward, `jax.grad` of a plain scan would carry the gradient of the recurrent kernel U along and add to it at every
step: T small products H×B·B×GH that a matrix unit cannot fill. The custom rule here has the reverse loop do no more
than a step's derivative and the products with Uᵀ; the gradients of the projections, and that of U as one product
`hᵀ·d` over T·B rows, follow for all steps at once.

A step's derivative is JAX's own, so a new cell needs none by hand. The forward loop saves the carries and the
pre-activations, from which the reverse loop computes the step anew: for an LSTM that is 6 arrays `[T, B, H]` to write
and to read, where the derivative's own factors would be 11, and memory is what bounds these loops. For the same reason
both loops write where they have read: the pre-activations take the place of the projections, and their gradients the
place of the pre-activations. At 512 units that is 4 to 10 % of the time and half of the memory.
"""

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from rnncli.nn.cells import Carry, Cell, Gates, Vectors, add_biases
from rnncli.nn.cudnn import is_faster, run_cudnn
from rnncli.nn.precision import Operands, joined_rows, matmul, transposed_product


class _Loop(NamedTuple):
    """What the loop is made of, fixed when it is compiled."""

    combine: Callable[[Gates, Gates], Gates]
    step: Callable[[Vectors, Carry, Gates], Carry]
    operands: Operands
    reverse: bool


class _Weights(NamedTuple):
    """What is learnt and used at every step."""

    kernels: Gates  # U of each gate, [H, H]
    biases: Gates  # of each share that `combine` returns, [H]
    vectors: Vectors


class _StepInputs(NamedTuple):
    """What each step reads besides: arrays `[T, …]` that the loop slices, or None. None of them has a gradient."""

    state_mask: Array | None  # factors on h_{t-1} where it meets U, [T, B, H]
    valid: Array | None  # False where a step is padding, [T, B]


def unroll(
    cell: Cell,
    x: Array | Gates,
    carry: Carry | None = None,
    *,
    lengths: Array | None = None,
    reverse: bool = False,
    state_dropout: Array | None = None,
    kernel_dropout: Array | None = None,
    remat: bool = False,
) -> tuple[Array, Carry]:
    """Run `cell` over `x`. The same, without dropout and lengths, as

        outputs = []
        for x_t in x:                      # reversed(x) and outputs reversed, with `reverse`
            recurrent = tuple(carry[0] @ kernel for kernel in cell.recurrent_kernels())
            pre = cell.pre_activations(cell.project(x_t), recurrent)
            carry = cell.step(cell.vectors(), carry, pre)
            outputs.append(carry[0])
        return jnp.stack(outputs), carry

    Args:
        cell: the cell, with D input features and H units.
        x: inputs `[T, B, D]`; or what `cell.project` makes of them, G arrays `[T, B, H]`.
        carry: the state to start from, arrays `[B, H]`; zeros if None.
        lengths: how many leading steps of each sequence are real, `[B]`. Over the others the carry stands still, so
            the final carry is that of the last real step; their outputs repeat it.
        reverse: run from the last step to the first; outputs stay in the order of time.
        state_dropout: factors on h_{t-1} in the recurrent product, `[T, B, H]`: 0 or 1/(1−rate).
        kernel_dropout: factors on the recurrent kernel, `[H, G·H]`, the same at every step.
        remat: keep for the gradients the carries of every √T-th step alone, and compute from them what is between anew:
            a quarter more time, and memory for √T steps instead of T beside inputs and outputs (Chen et al. 2016,
            arXiv 1604.06174).

    Returns:
        The hidden states `[T, B, H]`, and the carry after the last step taken.
    """
    if not isinstance(x, tuple) and x.shape[-1] != cell.in_features:
        raise ValueError(f"x has {x.shape[-1]} features (shape {x.shape}) but the cell takes {cell.in_features}")
    steps, batch = (x[0] if isinstance(x, tuple) else x).shape[:2]
    if carry is None:
        carry = cell.initial_carry(batch)
    plain = lengths is None and state_dropout is None and kernel_dropout is None and not remat
    if is_faster(cell, x, unroll, plain=plain):
        return run_cudnn(cell, x, carry, reverse=reverse)  # pyright: ignore[reportArgumentType]
    if remat and steps > 1:
        how = _How(cell, lengths, reverse, kernel_dropout)
        return _in_segments(how, x, carry, state_dropout, math.isqrt(steps - 1) + 1)
    if not isinstance(x, tuple):
        x = cell.project(x)
    valid = None if lengths is None else jnp.arange(steps)[:, None] < lengths[None, :]
    kernels = cell.recurrent_kernels()
    if kernel_dropout is not None:
        kernels = tuple(u * mask for u, mask in zip(kernels, jnp.split(kernel_dropout, cell.gates, -1), strict=True))
    loop = _Loop(cell.combine, cell.step, cell.operands, reverse)
    weights = _Weights(kernels, cell.biases(), cell.vectors())
    return _scan(loop, weights, carry, x, _StepInputs(state_dropout, valid))


class _How(NamedTuple):
    """What segments of a sequence have in common."""

    cell: Cell
    lengths: Array | None
    reverse: bool
    kernel_dropout: Array | None


def _in_segments(
    how: _How, x: Array | Gates, carry: Carry, state_dropout: Array | None, size: int
) -> tuple[Array, Carry]:
    """`unroll` in segments of `size` steps, of which the gradients' computation keeps the first carry alone."""
    steps = len(jax.tree.leaves(x)[0])
    whole = steps // size
    cut = whole * size

    @partial(jax.checkpoint, prevent_cse=False)  # in a loop nothing is joined that was to be computed anew
    def segment(carry: Carry, given: Any) -> tuple[Carry, Array]:
        x, dropout, first = given
        left = None if how.lengths is None else how.lengths - first
        more = {"state_dropout": dropout, "kernel_dropout": how.kernel_dropout}
        hidden, carry = unroll(how.cell, x, carry, lengths=left, reverse=how.reverse, **more)
        return carry, hidden

    def rows(low: int, high: int, *shape: int) -> Any:
        return jax.tree.map(lambda each: each[low:high].reshape(*shape, *each.shape[1:]), (x, state_dropout))

    def segments(carry: Carry) -> tuple[Carry, Array]:
        given = *rows(0, cut, whole, size), jnp.arange(whole) * size
        carry, hidden = lax.scan(segment, carry, given, reverse=how.reverse)
        return carry, hidden.reshape(cut, *hidden.shape[2:])

    if cut == steps:
        carry, hidden = segments(carry)
        return hidden, carry
    rest = *rows(cut, steps, steps - cut), cut
    if how.reverse:  # the last steps come first
        carry, last = segment(carry, rest)
        carry, hidden = segments(carry)
    else:
        carry, hidden = segments(carry)
        carry, last = segment(carry, rest)
    return jnp.concatenate([hidden, last]), carry


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scan(loop: _Loop, weights: _Weights, carry: Carry, projected: Gates, inputs: _StepInputs) -> tuple[Array, Carry]:
    def body(carry: Carry, now: tuple[Gates, _StepInputs]) -> tuple[Carry, Array]:
        carry, _ = _step(loop, weights, carry, *now)
        return carry, carry[0]

    final, hidden = lax.scan(body, carry, (projected, inputs), reverse=loop.reverse)
    return hidden, final


def _step(loop: _Loop, weights: _Weights, carry: Carry, projected: Gates, inputs: _StepInputs) -> tuple[Carry, Gates]:
    """The carry after a step, and the step's pre-activations."""
    h = _dropped(carry[0], inputs)
    recurrent = tuple(matmul(h, kernel, loop.operands) for kernel in weights.kernels)
    pre = add_biases(loop.combine(projected, recurrent), weights.biases)
    return _advance(loop, inputs, weights.vectors, carry, pre), pre


def _dropped(h: Array, inputs: _StepInputs) -> Array:
    return h if inputs.state_mask is None else h * inputs.state_mask


def _advance(loop: _Loop, inputs: _StepInputs, vectors: Vectors, carry: Carry, pre: Gates) -> Carry:
    """The elementwise part of a step; over padding the carry stands still."""
    new = loop.step(vectors, carry, pre)
    if inputs.valid is None:
        return new
    return tuple(jnp.where(inputs.valid[:, None], n, old) for n, old in zip(new, carry, strict=True))


def _in_place(
    body: Callable[[Any, Any, Any], tuple[Any, Any, Any]],
    state: Any,
    arrays: Any,
    kept: Any,
    read: Any,
    *,
    reverse: bool,
) -> tuple[Any, Any, Any]:
    """A `lax.scan` that writes where it has read: `body(state, arrays_t, read_t) -> (state, new arrays_t, kept_t)`.

    All but the state are trees of arrays `[T, …]`: the body is given a step of `arrays` and of `read`, and what it
    returns takes that step's place in `arrays` and in `kept`, which nobody reads. There is at least one step.

    What is to stand in place of a slice is written when the next one is read, before that: XLA may compute a value
    anew wherever it is used, and where it is made of the slice that it replaces, would have to copy the whole arrays at
    every step to keep that slice.
    """
    steps = len(jax.tree.leaves(arrays)[0])

    def at(index: Array | int) -> Any:
        return steps - 1 - index if reverse else index

    def put(arrays: Any, new: Any, index: Array | int) -> Any:
        return jax.tree.map(
            lambda array, value: lax.dynamic_update_index_in_dim(array, value, at(index), 0), arrays, new
        )

    def take(arrays: Any, index: Array | int) -> Any:
        return jax.tree.map(lambda array: array[at(index)], arrays)

    def step(index: Array, now: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
        state, arrays, kept, written = now
        arrays = put(arrays, written, jnp.maximum(index - 1, 0))  # at first, what stands there
        state, written, new = body(state, take(arrays, index), take(read, index))
        return state, arrays, put(kept, new, index), written

    state, arrays, kept, written = lax.fori_loop(0, steps, step, (state, arrays, kept, take(arrays, 0)))
    return state, put(arrays, written, steps - 1), kept


def _scan_forward(
    loop: _Loop, weights: _Weights, carry: Carry, projected: Gates, inputs: _StepInputs
) -> tuple[tuple[Array, Carry], Any]:
    gates = len(projected)

    def body(carry: Carry, projected_t: Gates, inputs_t: _StepInputs) -> tuple[Carry, Gates, tuple[Gates, Carry]]:
        new, pre = _step(loop, weights, carry, projected_t, inputs_t)
        return new, pre[:gates], (pre[gates:], (new[0], *carry[1:]))

    empty = jnp.zeros_like(projected[0])
    kept = (empty,) * (len(weights.biases) - gates), (empty,) * len(carry)
    final, pre, (more, (hidden, *before)) = _in_place(body, carry, projected, kept, inputs, reverse=loop.reverse)
    return (hidden, final), (weights, carry[0], hidden, tuple(before), pre + more, inputs)


def _scan_backward(loop: _Loop, saved: Any, cotangents: tuple[Array, Carry]) -> tuple[Any, ...]:
    weights, first, hidden, before, pre, inputs = saved
    d_hidden, d_final = cotangents
    previous = _shift(hidden, first, loop.reverse)
    transposed = [kernel.T for kernel in weights.kernels]
    share = jax.ShapeDtypeStruct(first.shape, first.dtype)
    of_shares = jax.linear_transpose(loop.combine, *[(share,) * len(transposed)] * 2)

    def body(
        now: tuple[Carry, Vectors], pre_t: Gates, of_step: tuple[Carry, Array, _StepInputs]
    ) -> tuple[tuple[Carry, Vectors], Gates, tuple[()]]:
        (d_carry, d_vectors), (previous_t, d_hidden_t, inputs_t) = now, of_step
        pullback = jax.vjp(partial(_advance, loop, inputs_t), weights.vectors, previous_t, pre_t)[1]
        d_vectors_t, d_previous, d_pre = pullback((d_carry[0] + d_hidden_t, *d_carry[1:]))
        _, d_recurrent = of_shares(d_pre)
        d_h = reduce(jnp.add, (matmul(d, u, loop.operands) for d, u in zip(d_recurrent, transposed, strict=True)))
        d_previous = (d_previous[0] + _dropped(d_h, inputs_t), *d_previous[1:])
        return (d_previous, jax.tree.map(jnp.add, d_vectors, d_vectors_t)), d_pre, ()

    start = d_final, jax.tree.map(jnp.zeros_like, weights.vectors)
    read = (previous, *before), d_hidden, inputs
    (d_first, d_vectors), d_pre, _ = _in_place(body, start, pre, (), read, reverse=not loop.reverse)
    d_projected, d_recurrent = jax.vmap(of_shares)(d_pre)
    h = _dropped(previous, inputs)
    d_kernels = transposed_product(h, joined_rows(d_recurrent, loop.operands), loop.operands)
    d_biases = tuple(d.sum((0, 1)) for d in d_pre)
    d_weights = _Weights(tuple(jnp.split(d_kernels, len(d_recurrent), -1)), d_biases, d_vectors)
    return d_weights, d_first, d_projected, None


def _shift(hidden: Array, first: Array, reverse: bool) -> Array:
    """The hidden state before each step, from those after each step and the one at the start."""
    if reverse:
        return jnp.concatenate([hidden[1:], first[None]])
    return jnp.concatenate([first[None], hidden[:-1]])


_scan.defvjp(_scan_forward, _scan_backward)
