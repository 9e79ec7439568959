"""A cell over time, as two `lax.scan` loops that hold nothing but what is recurrent.

Forward, the input projection is one product over all steps (`Cell.project`), so the loop's body is the products
with the recurrent kernel, one a gate, and the cell's elementwise step.

Backward, `jax.grad` of a plain scan would carry the gradient of the recurrent kernel U along and add to it at every
step: T small products H×B·B×GH that a matrix unit cannot fill. The custom rule here runs in three parts instead:

1. for all steps at once: the local derivatives of the elementwise step, (1−z), (1−n²), …, as a batch of pullbacks;
2. the reverse loop: apply a step's pullback, the products with Uᵀ, nothing else;
3. for all steps at once: the gradients of the projections, and that of U as one product a gate, `hᵀ·d` over T·B rows.

Parts 1 and 3 differentiate the cell's own `step`, so a new cell needs no derivative by hand.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from rnncli.nn.cells import Carry, Cell, Gates, Small
from rnncli.nn.precision import Operands, matmul

Step = Callable[[Small, Carry, Gates, Gates], Carry]


class _Loop(NamedTuple):
    """What the loop is made of, fixed when it is compiled."""

    step: Step
    operands: Operands
    reverse: bool


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
            recurrent = tuple(carry[0] @ kernel for kernel in cell.recurrent_kernels())
            carry = cell.step(cell.small_parameters(), carry, cell.project(x_t), recurrent)
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
    loop = _Loop(cell.step, cell.operands, reverse)
    given = _Given(state_dropout, valid)
    return _scan(loop, cell.small_parameters(), kernels, carry, x, given)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scan(
    loop: _Loop, small: Small, kernels: Gates, carry: Carry, projected: Gates, given: _Given
) -> tuple[Array, Carry]:
    def body(carry: Carry, now: tuple[Gates, _Given]) -> tuple[Carry, Array]:
        projected_t, given_t = now
        carry = _advance(loop, small, carry, projected_t, _recur(loop, kernels, carry, given_t), given_t)
        return carry, carry[0]

    final, hidden = lax.scan(body, carry, (projected, given), reverse=loop.reverse)
    return hidden, final


def _recur(loop: _Loop, kernels: Gates, carry: Carry, given: _Given) -> Gates:
    h = _dropped(carry[0], given)
    return tuple(matmul(h, kernel, loop.operands) for kernel in kernels)


def _dropped(h: Array, given: _Given) -> Array:
    return h if given.drop is None else h * given.drop


def _advance(loop: _Loop, small: Small, carry: Carry, projected: Gates, recurrent: Gates, given: _Given) -> Carry:
    """One elementwise step; over padding the carry stands still."""
    new = loop.step(small, carry, projected, recurrent)
    if given.valid is None:
        return new
    return tuple(jnp.where(given.valid[:, None], n, old) for n, old in zip(new, carry, strict=True))


def _scan_forward(
    loop: _Loop, small: Small, kernels: Gates, carry: Carry, projected: Gates, given: _Given
) -> tuple[tuple[Array, Carry], Any]:
    def body(carry: Carry, now: tuple[Gates, _Given]) -> tuple[Carry, tuple[Carry, Gates]]:
        projected_t, given_t = now
        recurrent = _recur(loop, kernels, carry, given_t)
        carry = _advance(loop, small, carry, projected_t, recurrent, given_t)
        return carry, (carry, recurrent)

    final, (carries, recurrent) = lax.scan(body, carry, (projected, given), reverse=loop.reverse)
    return (carries[0], final), (small, kernels, carry, carries, projected, recurrent, given)


def _scan_backward(loop: _Loop, saved: Any, cotangents: tuple[Array, Carry]) -> tuple[Any, ...]:
    small, kernels, first, carries, projected, recurrent, given = saved
    d_hidden, d_final = cotangents
    previous = tuple(_shift(array, start, loop.reverse) for array, start in zip(carries, first, strict=True))

    def pullback(carry: Carry, projected_t: Gates, recurrent_t: Gates, given_t: _Given) -> Any:
        def inner(carry: Carry, recurrent_t: Gates) -> Carry:
            return _advance(loop, small, carry, projected_t, recurrent_t, given_t)

        return jax.vjp(inner, carry, recurrent_t)[1]

    pullbacks = jax.vmap(pullback)(previous, projected, recurrent, given)
    transposed = [kernel.T for kernel in kernels]

    def body(d_carry: Carry, now: tuple[Any, Array, Array | None]) -> tuple[Carry, Carry]:
        pull, d_hidden_t, drop_t = now
        d_carry = (d_carry[0] + d_hidden_t, *d_carry[1:])
        d_previous, d_recurrent = pull(d_carry)
        d_h = sum(matmul(d, kernel, loop.operands) for d, kernel in zip(d_recurrent, transposed, strict=True))
        if drop_t is not None:
            d_h = d_h * drop_t
        return (d_previous[0] + d_h, *d_previous[1:]), d_carry

    d_first, d_carries = lax.scan(body, d_final, (pullbacks, d_hidden, given.drop), reverse=not loop.reverse)

    def all_steps(small: Small, projected: Gates, recurrent: Gates) -> Carry:
        advance = partial(_advance, loop, small)
        return jax.vmap(advance)(previous, projected, recurrent, given)

    d_small, d_projected, d_recurrent = jax.vjp(all_steps, small, projected, recurrent)[1](d_carries)
    h = _dropped(previous[0], given).reshape(-1, kernels[0].shape[0])
    d_kernels = tuple(matmul(h.T, d.reshape(h.shape), loop.operands) for d in d_recurrent)
    return d_small, d_kernels, d_first, d_projected, None


def _shift(carries: Array, first: Array, reverse: bool) -> Array:
    """The carry before each step, from the carries after each step and the one at the start."""
    if reverse:
        return jnp.concatenate([carries[1:], first[None]])
    return jnp.concatenate([first[None], carries[:-1]])


_scan.defvjp(_scan_forward, _scan_backward)
