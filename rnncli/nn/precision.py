"""Matrix products in a chosen precision.

Only the operands of products are rounded to bfloat16; sums, states and everything elementwise stay float32, which
is where both the accuracy and, on a CPU, the speed are (bfloat16 in *and out* is slower than float32 there).
"""

from typing import Literal

import jax.numpy as jnp
from jax import Array

Operands = Literal["float32", "bfloat16"]


def matmul(a: Array, b: Array, operands: Operands = "float32") -> Array:
    """`a @ b`, `[…, K]` and `[K, N]`, with the operands rounded to `operands` and the sum kept in float32."""
    # two dimensions each: the gradient of a product over more would transpose both operands, slow on a CPU
    flat = a.reshape(-1, a.shape[-1])
    if operands == "float32":
        product = jnp.matmul(flat, b)
    else:
        product = jnp.matmul(flat.astype(operands), b.astype(operands), preferred_element_type=jnp.float32)
    return product.reshape(*a.shape[:-1], b.shape[-1])
