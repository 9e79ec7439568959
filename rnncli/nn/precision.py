"""Matrix products in a chosen precision.

Only the operands of products are rounded to bfloat16; sums, states and everything elementwise stay float32, which
is where both the accuracy and, on a CPU, the speed are (bfloat16 in *and out* is slower than float32 there).
"""

from typing import Literal

import jax.numpy as jnp
from jax import Array

Operands = Literal["float32", "bfloat16"]


def matmul(a: Array, b: Array, operands: Operands = "float32") -> Array:
    """`a @ b` with the operands rounded to `operands` and the sum kept in float32."""
    if operands == "float32":
        return jnp.matmul(a, b)
    return jnp.matmul(a.astype(operands), b.astype(operands), preferred_element_type=jnp.float32)
