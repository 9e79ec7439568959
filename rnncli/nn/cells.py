"""Recurrent cells: their parameters, and one step of their maths.

A cell is cut where the speed of a recurrence is decided. With D inputs, H units and G gates,

    projected_t = x_t · W                       `project`: all time steps in one product, outside the loop
    recurrent_t = h_{t-1} · U                   the only products inside the loop
    pre_t       = projected_t + recurrent_t + b        `pre_activations`
    carry_t     = step(carry_{t-1}, pre_t)             elementwise

`recurrence.unroll` joins the four. A carry is a tuple whose first element is the hidden state h `[B, H]`; an
LSTM's has the cell state c as its second. The bias is added inside the loop, where it costs nothing; outside it
would be one more pass over all steps.

Gates travel as a tuple of G arrays `[…, H]`, not as one array `[…, G·H]`: with no columns to cut out, XLA's CPU
compiler turns a step into plain vector loops. At H = 128, B = 32 that halves the time of a forward loop (LSTM 11
to 6 ms over 100 steps, GRU 10 to 4.2).

Weights follow Keras' initialisation (W Glorot-uniform, U orthogonal, biases zero, an LSTM's forget bias one) and
stand joined, `[D, G·H]` and `[H, G·H]`, gates in torch's order, so that weights can be carried over from
`torch.nn.RNN/LSTM/GRU`: W = `weight_ih.T`, U = `weight_hh.T`, b = `bias_ih + bias_hh`; a GRU keeps the two
apart, b = `bias_ih` and `recurrent_bias` = `bias_hh`.

With layer normalisation (Ba et al. 2016, arXiv 1607.06450) each gate's pre-activation is normalised over its
units, then scaled and shifted by learnt vectors, before its nonlinearity.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from rnncli.nn.precision import Operands, products

Carry = tuple[Array, ...]
Gates = tuple[Array, ...]
Vectors = dict[str, Array]

_EPSILON = 1e-5


class Cell(nnx.Module):
    """What all cells share: their parameters and the products with them.

    A new cell is a subclass with `gates`, the number of its gates, and `step`, one step of its elementwise maths; and a
    line in `nn.settings.CELLS`, or a call of `register_cell` from elsewhere.
    """

    operands: Operands
    gates: ClassVar[int]
    carries: ClassVar[int] = 1  # how many arrays [B, H] a carry has
    has_recurrent_bias: ClassVar[bool] = False

    def __init__(
        self,
        in_features: int,
        units: int,
        *,
        layer_norm: bool = False,
        operands: Operands = "float32",
        rngs: nnx.Rngs,
    ):
        """`in_features` is the size D of x_t, `units` the size H of h_t; `operands` the precision of the products."""
        width = self.gates * units
        self.in_features, self.units, self.layer_norm, self.operands = in_features, units, layer_norm, operands
        self.kernel = nnx.Param(nnx.initializers.glorot_uniform()(rngs.params(), (in_features, width)))
        self.recurrent_kernel = nnx.Param(nnx.initializers.orthogonal()(rngs.params(), (units, width)))
        self.bias = nnx.Param(self._initial_bias(units))
        self.recurrent_bias = nnx.Param(jnp.zeros(width)) if self.has_recurrent_bias else None
        self.norm_scale = nnx.Param(jnp.ones((self.gates, units))) if layer_norm else None
        self.norm_shift = nnx.Param(jnp.zeros((self.gates, units))) if layer_norm else None

    def _initial_bias(self, units: int) -> Array:
        return jnp.zeros(self.gates * units)

    def initial_carry(self, batch: int) -> Carry:
        """Zeros `[B, H]`, as many as the cell carries."""
        return (jnp.zeros((batch, self.units)),) * self.carries

    def project(self, x: Array) -> Gates:
        """The input's share of each gate, for every step at once: `[T, B, D]` → G arrays `[T, B, H]`."""
        return products(x, self._of_gates(self.kernel), self.operands)

    def recurrent_kernels(self) -> Gates:
        """U of each gate, `[H, H]`."""
        return self._of_gates(self.recurrent_kernel)

    def biases(self) -> Gates:
        """A vector `[H]` for each of the shares that `combine` returns."""
        return self._of_gates(self.bias)

    def pre_activations(self, projected: Gates, recurrent: Gates) -> Gates:
        """What `step` is given."""
        return add_biases(self.combine(projected, recurrent), self.biases())

    def _of_gates(self, joined: nnx.Param | None) -> Gates:
        assert joined is not None
        return tuple(jnp.split(joined[...], self.gates, -1))

    @staticmethod
    def step(vectors: Vectors, carry: Carry, pre: Gates) -> Carry:
        """One step of the elementwise maths: the carry after it, from the pre-activations of each gate `[B, H]`."""
        raise NotImplementedError

    @staticmethod
    def combine(projected: Gates, recurrent: Gates) -> Gates:
        """The gates' two shares put together, a linear function. The first of them are the G gates', in their order."""
        return tuple(x + h for x, h in zip(projected, recurrent, strict=True))

    def vectors(self) -> Vectors:
        """The learnt vectors that `step` needs, and that therefore cannot leave the loop."""
        named = {"scale": self.norm_scale, "shift": self.norm_shift}
        return {name: param[...] for name, param in named.items() if param is not None}


def add_biases(shares: Gates, biases: Gates) -> Gates:
    """The pre-activations."""
    return tuple(share + bias for share, bias in zip(shares, biases, strict=True))


def _normalised(gate: Array, vectors: Vectors, index: int) -> Array:
    """Layer normalisation of the gate `[B, H]` at place `index`; the identity for a cell without it."""
    if "scale" not in vectors:
        return gate
    mean = gate.mean(-1, keepdims=True)
    variance = jnp.square(gate - mean).mean(-1, keepdims=True)
    return (gate - mean) * jax.lax.rsqrt(variance + _EPSILON) * vectors["scale"][index] + vectors["shift"][index]


def _sigmoid(x: Array) -> Array:
    """σ(x) by way of tanh, which XLA turns into faster code on a CPU."""
    return 0.5 + 0.5 * jnp.tanh(0.5 * x)


class SimpleCell(Cell):
    """The layer of recurrent neurons of the lecture, equation (2).

    h_t = tanh(x_t·W + h_{t-1}·U + b)

    With `layer_norm`, h_t = tanh(LN(x_t·W + h_{t-1}·U + b)), and the state handed on is this h_t.
    """

    gates = 1

    @staticmethod
    def step(vectors: Vectors, carry: Carry, pre: Gates) -> Carry:
        """One step of the elementwise maths."""
        return (jnp.tanh(_normalised(pre[0], vectors, 0)),)


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997), the lecture's equations (3) to (8).

    i, f, o = σ(x_t·W_{i,f,o} + h_{t-1}·U_{i,f,o} + b_{i,f,o})
    g       = tanh(x_t·W_g + h_{t-1}·U_g + b_g)
    c_t     = f ⊗ c_{t-1} + i ⊗ g
    h_t     = o ⊗ tanh(c_t)

    Gates stand in the order i, f, g, o. The forget bias starts at one (Jozefowicz et al. 2015).
    """

    gates = 4
    carries = 2

    def _initial_bias(self, units: int) -> Array:
        return jnp.zeros(4 * units).at[units : 2 * units].set(1.0)

    @staticmethod
    def step(vectors: Vectors, carry: Carry, pre: Gates) -> Carry:
        """One step of the elementwise maths."""
        i, f, g, o = (_normalised(gate, vectors, index) for index, gate in enumerate(pre))
        c = _sigmoid(f) * carry[1] + _sigmoid(i) * jnp.tanh(g)
        return _sigmoid(o) * jnp.tanh(c), c


class GRUCell(Cell):
    """Gated recurrent unit (Cho et al. 2014), the reset gate applied after the product, as cuDNN has it.

    r, z = σ(x_t·W_{r,z} + b_{r,z} + h_{t-1}·U_{r,z} + b'_{r,z})
    n    = tanh(x_t·W_n + b_n + r ⊗ (h_{t-1}·U_n + b'_n))
    h_t  = (1 − z) ⊗ n + z ⊗ h_{t-1}

    Gates stand in the order r, z, n.
    """

    gates = 3
    has_recurrent_bias = True

    def biases(self) -> Gates:
        """Those for r and z; of n the two."""
        (b_r, b_z, b_n), (r, z, n) = self._of_gates(self.bias), self._of_gates(self.recurrent_bias)
        return b_r + r, b_z + z, b_n, n

    @staticmethod
    def combine(projected: Gates, recurrent: Gates) -> Gates:
        """Those for r and z; of n the two shares, as r stands between them."""
        (x_r, x_z, x_n), (h_r, h_z, h_n) = projected, recurrent
        return x_r + h_r, x_z + h_z, x_n, h_n

    @staticmethod
    def step(vectors: Vectors, carry: Carry, pre: Gates) -> Carry:
        """One step of the elementwise maths."""
        r = _sigmoid(_normalised(pre[0], vectors, 0))
        z = _sigmoid(_normalised(pre[1], vectors, 1))
        n = jnp.tanh(_normalised(pre[2] + r * pre[3], vectors, 2))
        return (n + z * (carry[0] - n),)
