"""A cell over time, as two `lax.scan` loops that hold nothing but what is recurrent.

Forward, the input projection is one product over all steps (`Cell.project`), so the loop's body is the products
with the recurrent kernel, one a gate, and the cell's elementwise step.

Backward, `jax.grad` of a plain scan would carry the gradient of the recurrent kernel U along and add to it at every
step: T small products H×B·B×GH that a matrix unit cannot fill. The custom rule here has the reverse loop do no more
than a step's derivative and the products with Uᵀ; the gradients of the projections, and that of U as one product
`hᵀ·d` over T·B rows, follow for all steps at once.

A step's derivative is JAX's own, so a new cell needs none by hand. The forward loop saves the carries and the
pre-activations, from which the reverse loop computes the step anew: for an LSTM that is 6 arrays `[T, B, H]` to write
and to read, where the derivative's own factors would be 11, and memory is what bounds these loops.
"""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from rnncli.nn.cells import Carry, Cell, Gates, Small
from rnncli.nn.precision import Operands, joined_rows, matmul, transposed_product


class _Loop(NamedTuple):
    """What the loop is made of, fixed when it is compiled."""

    pre_activations: Callable[[Gates, Gates], Gates]
    step: Callable[[Small, Carry, Gates], Carry]
    operands: Operands
    reverse: bool


class _Weights(NamedTuple):
    """What is learnt and used at every step."""

    kernels: Gates  # U of each gate, [H, H]
    biases: Gates  # of each gate, [H]; or none
    small: Small


class _Given(NamedTuple):
    """What each step is given: arrays `[T, …]` that the loop slices, or None. None of them has a gradient."""

    drop: Array | None  # factors on h_{t-1} where it meets U, [T, B, H]
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
) -> tuple[Array, Carry]:
    """Run `cell` over `x`. The same, without dropout and lengths, as

        outputs = []
        for x_t in x:                      # reversed(x) and outputs reversed, with `reverse`
            recurrent = tuple(carry[0] @ kernel for kernel in cell.recurrent_kernels())   # + cell.recurrent_biases()
            pre = cell.pre_activations(cell.project(x_t), recurrent)
            carry = cell.step(cell.small_parameters(), carry, pre)
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

    Returns:
        The hidden states `[T, B, H]`, and the carry after the last step taken.
    """
    if not isinstance(x, tuple):
        if x.shape[-1] != cell.in_features:
            raise ValueError(f"x has {x.shape[-1]} features (shape {x.shape}) but the cell takes {cell.in_features}")
        x = cell.project(x)
    steps, batch = x[0].shape[:2]
    if carry is None:
        carry = cell.initial_carry(batch)
    valid = None if lengths is None else jnp.arange(steps)[:, None] < lengths[None, :]
    kernels = cell.recurrent_kernels()
    if kernel_dropout is not None:
        kernels = tuple(u * mask for u, mask in zip(kernels, jnp.split(kernel_dropout, cell.gates, -1), strict=True))
    loop = _Loop(cell.pre_activations, cell.step, cell.operands, reverse)
    weights = _Weights(kernels, cell.recurrent_biases(), cell.small_parameters())
    return _scan(loop, weights, carry, x, _Given(state_dropout, valid))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scan(loop: _Loop, weights: _Weights, carry: Carry, projected: Gates, given: _Given) -> tuple[Array, Carry]:
    def body(carry: Carry, now: tuple[Gates, _Given]) -> tuple[Carry, Array]:
        projected_t, given_t = now
        pre = loop.pre_activations(projected_t, _recurrent(loop, weights, carry[0], given_t))
        carry = _advance(loop, given_t, weights.small, carry, pre)
        return carry, carry[0]

    final, hidden = lax.scan(body, carry, (projected, given), reverse=loop.reverse)
    return hidden, final


def _recurrent(loop: _Loop, weights: _Weights, h: Array, given: _Given) -> Gates:
    h = _dropped(h, given)
    shares = tuple(matmul(h, kernel, loop.operands) for kernel in weights.kernels)
    return tuple(share + bias for share, bias in zip(shares, weights.biases, strict=True)) if weights.biases else shares


def _dropped(h: Array, given: _Given) -> Array:
    return h if given.drop is None else h * given.drop


def _advance(loop: _Loop, given: _Given, small: Small, carry: Carry, pre: Gates) -> Carry:
    """One elementwise step; over padding the carry stands still."""
    new = loop.step(small, carry, pre)
    if given.valid is None:
        return new
    return tuple(jnp.where(given.valid[:, None], n, old) for n, old in zip(new, carry, strict=True))


def _scan_forward(
    loop: _Loop, weights: _Weights, carry: Carry, projected: Gates, given: _Given
) -> tuple[tuple[Array, Carry], Any]:
    def body(carry: Carry, now: tuple[Gates, _Given]) -> tuple[Carry, tuple[Carry, Gates]]:
        projected_t, given_t = now
        pre = loop.pre_activations(projected_t, _recurrent(loop, weights, carry[0], given_t))
        carry = _advance(loop, given_t, weights.small, carry, pre)
        return carry, (carry, pre)

    final, (carries, pre) = lax.scan(body, carry, (projected, given), reverse=loop.reverse)
    return (carries[0], final), (weights, carry, carries, pre, given)


def _scan_backward(loop: _Loop, saved: Any, cotangents: tuple[Array, Carry]) -> tuple[Any, ...]:
    weights, first, carries, pre, given = saved
    d_hidden, d_final = cotangents
    previous = tuple(_shift(array, start, loop.reverse) for array, start in zip(carries, first, strict=True))
    transposed = [kernel.T for kernel in weights.kernels]
    share = jax.ShapeDtypeStruct(first[0].shape, first[0].dtype)
    of_shares = jax.linear_transpose(loop.pre_activations, *[(share,) * len(transposed)] * 2)

    def body(now: tuple[Carry, Small], of_step: tuple[Carry, Gates, Array, _Given]) -> tuple[Any, Gates]:
        (d_carry, d_small), (previous_t, pre_t, d_hidden_t, given_t) = now, of_step
        pullback = jax.vjp(partial(_advance, loop, given_t), weights.small, previous_t, pre_t)[1]
        d_small_t, d_previous, d_pre = pullback((d_carry[0] + d_hidden_t, *d_carry[1:]))
        _, d_recurrent = of_shares(d_pre)
        d_h = reduce(jnp.add, (matmul(d, u, loop.operands) for d, u in zip(d_recurrent, transposed, strict=True)))
        d_previous = (d_previous[0] + _dropped(d_h, given_t), *d_previous[1:])
        return (d_previous, jax.tree.map(jnp.add, d_small, d_small_t)), d_pre

    start = d_final, jax.tree.map(jnp.zeros_like, weights.small)
    steps = previous, pre, d_hidden, given
    (d_first, d_small), d_pre = lax.scan(body, start, steps, reverse=not loop.reverse)
    d_projected, d_recurrent = jax.vmap(of_shares)(d_pre)
    h = _dropped(previous[0], given)
    d_kernels = transposed_product(h, joined_rows(d_recurrent, loop.operands), loop.operands)
    d_biases = tuple(d.sum((0, 1)) for d in d_recurrent) if weights.biases else ()
    d_weights = _Weights(tuple(jnp.split(d_kernels, len(d_recurrent), -1)), d_biases, d_small)
    return d_weights, d_first, d_projected, None


def _shift(carries: Array, first: Array, reverse: bool) -> Array:
    """The carry before each step, from the carries after each step and the one at the start."""
    if reverse:
        return jnp.concatenate([carries[1:], first[None]])
    return jnp.concatenate([first[None], carries[:-1]])


_scan.defvjp(_scan_forward, _scan_backward)
