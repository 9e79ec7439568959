"""Matrix products in a chosen precision, and how their gradients are computed.

Only the operands of products are rounded to bfloat16; sums, states and everything elementwise stay float32, which
is where both the accuracy and, on a CPU, the speed are (bfloat16 in *and out* is slower than float32 there).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array, lax

Operands = Literal["float32", "bfloat16"]


def matmul(a: Array, b: Array, operands: Operands = "float32") -> Array:
    """`a @ b`, `[…, K]` and `[K, N]`, with the operands rounded to `operands` and the sum kept in float32."""
    return products(a, (b,), operands)[0]


def products(a: Array, kernels: tuple[Array, ...], operands: Operands) -> tuple[Array, ...]:
    """`a` `[…, K]` times each of several `kernels` `[K, N]`, as `matmul`.

    The gradients are products with the kernels joined: of few columns they would be slow.
    """
    results: Any = _products(a, kernels, operands)
    return results


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _products(a: Array, kernels: tuple[Array, ...], operands: Operands) -> tuple[Array, ...]:
    flat = a.reshape(-1, a.shape[-1])
    return tuple(_product(flat, kernel, operands).reshape(*a.shape[:-1], -1) for kernel in kernels)


def _products_forward(a: Array, kernels: tuple[Array, ...], operands: Operands) -> tuple[tuple[Array, ...], Any]:
    return products(a, kernels, operands), (a, kernels)


def _products_backward(operands: Operands, saved: Any, d: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    a, kernels = saved
    d_joined = joined_rows(d, operands)
    d_a = _product(d_joined, jnp.concatenate([kernel.T for kernel in kernels]), operands)
    d_kernels = transposed_product(a, d_joined, operands)
    ends = [sum(kernel.shape[1] for kernel in kernels[: index + 1]) for index in range(len(kernels) - 1)]
    return d_a.reshape(a.shape), tuple(jnp.split(d_kernels, ends, -1))


_products.defvjp(_products_forward, _products_backward)


def joined_rows(arrays: Sequence[Array], operands: Operands) -> Array:
    """Arrays `[…, N]` as rows, side by side and rounded to `operands`: `[rows, sum of N]`."""
    rows = [array.reshape(-1, array.shape[-1]).astype(operands) for array in arrays]
    if operands == "float32":
        return jnp.concatenate(rows, -1)
    # as whole numbers, because XLA's CPU compiler would join bfloat16 by way of float32
    bits = [lax.bitcast_convert_type(array, jnp.uint16) for array in rows]
    return lax.bitcast_convert_type(jnp.concatenate(bits, -1), jnp.bfloat16)


def transposed_product(a: Array, b: Array, operands: Operands) -> Array:
    """`aᵀ @ b` over all rows of `[…, K]` and `[…, N]`: the gradient of a kernel. `[K, N]`, float32."""
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    if operands == "float32":
        return _contracted_rows(a, b.astype(operands))
    a, b = a.astype(operands), b.astype(operands)
    return lax.platform_dependent(a, b, cpu=_transposed_first, default=_contracted_rows)


def _contracted_rows(a: Array, b: Array) -> Array:
    return lax.dot_general(a, b, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32)


def _transposed_first(a: Array, b: Array) -> Array:
    """The same for XLA's CPU compiler, whose fast product in bfloat16 wants the rows of its left operand in one piece.

    A plain transposition it would fold back into the product (at 512 units 86 GFLOP/s a core instead of 190), so pairs
    of rows are transposed as the halves of whole numbers.
    """
    rows, features = a.shape
    if rows % 2:
        a, b = jnp.pad(a, ((0, 1), (0, 0))), jnp.pad(b, ((0, 1), (0, 0)))
    bits = lax.bitcast_convert_type(a, jnp.uint16).astype(jnp.uint32).reshape(-1, 2, features)
    pairs = bits[:, 0] | bits[:, 1] << 16
    transposed = lax.bitcast_convert_type(lax.optimization_barrier(pairs.T), a.dtype)
    return jnp.matmul(transposed.reshape(features, -1), b, preferred_element_type=jnp.float32)


def _product(a: Array, b: Array, operands: Operands) -> Array:
    return jnp.matmul(a.astype(operands), b.astype(operands), preferred_element_type=jnp.float32)
