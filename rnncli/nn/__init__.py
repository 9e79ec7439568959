"""Cells, recurrences and layers: the maths of recurrent networks, which knows no screen and no disk.

Arrays over time are time-major, `[T, B, ...]`, everywhere in this package: one step of a batch is then one
contiguous block, which is what `lax.scan` slices.

Example:
    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> cell = rnncli.nn.GRUCell(3, 8, rngs=nnx.Rngs(0))
    >>> hidden, carry = rnncli.nn.unroll(cell, jnp.ones((5, 2, 3)))
    >>> hidden.shape
    (5, 2, 8)
"""

from typing import TYPE_CHECKING

from rnncli.lazy import attach

if TYPE_CHECKING:
    from rnncli.nn.cells import Cell as Cell
    from rnncli.nn.cells import GRUCell as GRUCell
    from rnncli.nn.cells import LSTMCell as LSTMCell
    from rnncli.nn.cells import SimpleCell as SimpleCell
    from rnncli.nn.layers import CausalConv as CausalConv
    from rnncli.nn.layers import Dense as Dense
    from rnncli.nn.layers import Embedding as Embedding
    from rnncli.nn.layers import RecurrentStack as RecurrentStack
    from rnncli.nn.recurrence import unroll as unroll
    from rnncli.nn.settings import register_cell as register_cell

_HOMES = {
    **dict.fromkeys(("Cell", "SimpleCell", "LSTMCell", "GRUCell"), "rnncli.nn.cells"),
    **dict.fromkeys(("RecurrentStack", "Embedding", "CausalConv", "Dense"), "rnncli.nn.layers"),
    "unroll": "rnncli.nn.recurrence",
    "register_cell": "rnncli.nn.settings",
}
__getattr__, __dir__, __all__ = attach(__name__, _HOMES)
