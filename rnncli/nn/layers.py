"""Stacks of recurrent layers, and what stands around them: embeddings, convolutions, dense layers.

Randomness is an argument: a layer called with a `key` drops, one called without does not.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from rnncli.nn.cells import Carry, Cell, Gates
from rnncli.nn.dropout import DropoutKey, dropout_mask, kernel_mask
from rnncli.nn.precision import Operands, matmul
from rnncli.nn.recurrence import unroll
from rnncli.nn.settings import Dropout, Network, TextDropout, cell_class


class RecurrentStack(nnx.Module):
    """Layers of one kind of cell, one above the other.

        stack = RecurrentStack("lstm", 1, 64, layers=2, rngs=nnx.Rngs(0))
        hidden, carries = stack(x)                  # x [T, B, 1] → hidden [T, B, 64]
        more, carries = stack(x_next, carries)      # goes on where the first call stopped

    A bidirectional layer runs a second cell from the end to the start and concatenates: its output has
    2·units features.
    """

    def __init__(
        self,
        cell: str,
        in_features: int,
        units: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.0,
        input_dropout: float | None = None,
        recurrent_dropout: float = 0.0,
        kernel_dropout: float = 0.0,
        variational: bool = False,
        remat: bool = False,
        operands: Operands = "float32",
        rngs: nnx.Rngs,
    ):
        """The dropouts are rates.

        `dropout` falls on each layer's input (`input_dropout`, if given, on the first one's), `recurrent_dropout` on
        the state where it meets its kernel, `kernel_dropout` on the recurrent kernels themselves, one mask a batch
        (DropConnect; Merity et al. 2017, arXiv 1708.02182). `remat` is explained at `unroll`.
        """
        self.remat = remat
        self.dropout, self.recurrent_dropout, self.variational = dropout, recurrent_dropout, variational
        self.input_dropout = dropout if input_dropout is None else input_dropout
        self.kernel_dropout = kernel_dropout
        self.out_features = units * (2 if bidirectional else 1)

        def make(features: int) -> Cell:
            return cell_class(cell)(features, units, layer_norm=layer_norm, operands=operands, rngs=rngs)

        sizes = [in_features] + [self.out_features] * (layers - 1)
        self.forward = nnx.List([make(size) for size in sizes])
        self.backward = nnx.List([make(size) for size in sizes]) if bidirectional else None

    @classmethod
    def of(
        cls,
        settings: Network,
        in_features: int,
        *,
        operands: Operands,
        bidirectional: bool = False,
        variational: bool = False,
        rngs: nnx.Rngs,
    ) -> "RecurrentStack":
        """The stack that settings of a network, with those of its dropout, describe."""
        rates = {}
        if isinstance(settings, Dropout):
            rates = {"dropout": settings.dropout, "recurrent_dropout": settings.recurrent_dropout}
        if isinstance(settings, TextDropout):
            rates |= {"input_dropout": settings.input_dropout, "kernel_dropout": settings.kernel_dropout}
        return cls(
            settings.cell,
            in_features,
            settings.units,
            layers=settings.layers,
            bidirectional=bidirectional,
            layer_norm=settings.layer_norm,
            variational=variational,
            remat=settings.remat,
            operands=operands,
            rngs=rngs,
            **rates,
        )

    def initial_carries(self, batch: int) -> list[Carry]:
        """A carry of zeros for each cell: a layer's forward one, then its backward one."""
        return [cell.initial_carry(batch) for layer in self._layers() for cell, _ in layer]

    def __call__(
        self,
        x: Array | list[Gates],
        carries: list[Carry] | None = None,
        *,
        lengths: Array | None = None,
        key: DropoutKey | None = None,
    ) -> tuple[Array, list[Carry]]:
        """Hidden states of the top layer at every step, and the final carry of each cell.

        Args:
            x: inputs `[T, B, D]`; or, for each cell of the first layer, what its `project` makes of them.
            carries: as `initial_carries` makes them; zeros if None.
            lengths: real steps of each sequence, `[B]`; see `unroll`.
            key: draws the dropout masks; None switches dropout off.
        """
        if isinstance(x, list) and key is not None and self.input_dropout:
            raise ValueError("nothing can be dropped from inputs that are projected already")
        steps, batch = x.shape[:2] if not isinstance(x, list) else x[0][0].shape[:2]
        initial = iter(carries if carries is not None else self.initial_carries(batch))
        finals: list[Carry] = []
        for index, layer in enumerate(self._layers()):
            drop_key = None if key is None else key.fold_in(index)
            rate = self.dropout if index else self.input_dropout
            if drop_key is not None and rate:
                assert not isinstance(x, list)  # refused above
                x = x * dropout_mask(drop_key.fold_in(0), rate, x.shape, variational=self.variational)
            inputs = x if isinstance(x, list) else [x] * len(layer)
            outputs = []
            for (cell, reverse), cell_input in zip(layer, inputs, strict=True):
                hidden, final = unroll(
                    cell,
                    cell_input,
                    next(initial),
                    lengths=lengths,
                    reverse=reverse,
                    state_dropout=self._state_dropout(drop_key, cell, reverse, (steps, batch)),
                    kernel_dropout=self._kernel_dropout(drop_key, cell, reverse),
                    remat=self.remat,
                )
                outputs.append(hidden)
                finals.append(final)
            x = outputs[0] if len(outputs) == 1 else jnp.concatenate(outputs, -1)
        assert not isinstance(x, list)  # there is a layer
        return x, finals

    def project(self, x: Array) -> list[Gates]:
        """What the cells of the first layer make of inputs `[…, D]`: a call and a step take it in their place.

        Worth it where the same inputs come again and again, as words' vectors do.
        """
        return [cell.project(x) for cell, _ in self._layers()[0]]

    def step(self, x: Array | list[Gates], carries: list[Carry]) -> tuple[Array, list[Carry]]:
        """One step `[B, D]` → `[B, units]` and the carries after it, for loops whose input is their own output.

        The same as a call with one step, projected inputs included, without the loop that a call has. Not for
        bidirectional stacks, which need the whole sequence.
        """
        finals: list[Carry] = []
        for cell, carry in zip(self.forward, carries, strict=True):
            # the joined kernel: gate by gate, XLA would cut it anew in each round of the loop
            joined = matmul(carry[0], cell.recurrent_kernel[...], cell.operands)
            recurrent = tuple(jnp.split(joined, cell.gates, -1))
            projected = x[0] if isinstance(x, list) else cell.project(x)
            carry = cell.step(cell.vectors(), carry, cell.pre_activations(projected, recurrent))
            x = carry[0]
            finals.append(carry)
        assert not isinstance(x, list)  # there is a layer
        return x, finals

    def _layers(self) -> list[list[tuple[Cell, bool]]]:
        """The cells of each layer, with whether they run from the end."""
        if self.backward is None:
            return [[(cell, False)] for cell in self.forward]
        return [[(ahead, False), (back, True)] for ahead, back in zip(self.forward, self.backward, strict=True)]

    def _state_dropout(self, key: DropoutKey | None, cell: Cell, reverse: bool, shape: tuple[int, ...]) -> Array | None:
        if key is None or not self.recurrent_dropout:
            return None
        key = key.fold_in(2 if reverse else 1)
        return dropout_mask(key, self.recurrent_dropout, (*shape, cell.units), variational=self.variational)

    def _kernel_dropout(self, key: DropoutKey | None, cell: Cell, reverse: bool) -> Array | None:
        if key is None or not self.kernel_dropout:
            return None
        return kernel_mask(key.fold_in(4 if reverse else 3), self.kernel_dropout, cell.recurrent_kernel.shape)


def looked_up(projected: list[Gates], symbols: Array) -> list[Gates]:
    """What `RecurrentStack.project` made of each symbol of a vocabulary, arrays `[symbols, H]`, at places `[…]`."""
    symbols = symbols.astype(jnp.int32)
    return [tuple(gate[symbols] for gate in gates) for gates in projected]


def last_hidden(carries: list[Carry], *, bidirectional: bool = False) -> Array:
    """The top layer's hidden state after its last step, `[B, H]` (`[B, 2·H]`): sequence to vector.

    With lengths this is each sequence's own last step, not the padding's.
    """
    top = carries[-2:] if bidirectional else carries[-1:]
    return jnp.concatenate([carry[0] for carry in top], -1)


class Embedding(nnx.Module):
    """A learnt vector for each of `count` symbols, drawn from N(0, 1/features).

    With `features` 0 there is nothing to learn: a symbol is its one-hot vector of `count` features.
    """

    def __init__(self, count: int, features: int, *, rngs: nnx.Rngs):
        self.count, self.out_features = count, features or count
        initial = jax.random.normal(rngs.params(), (count, features)) / max(features, 1) ** 0.5
        self.vectors = nnx.Param(initial) if features else None

    def __call__(self, symbols: Array) -> Array:
        """Whole numbers `[…]` of any type → vectors `[…, out_features]`."""
        symbols = symbols.astype(jnp.int32)
        return jax.nn.one_hot(symbols, self.count) if self.vectors is None else self.vectors[...][symbols]


class CausalConv(nnx.Module):
    """Convolution over time in which no output sees a later input.

        y_t = Σ_k x_{t − dilation·(kernel_size − 1 − k)} · W_k + b

    Before the first step the input is zero, so the output is as long as the input (van den Oord et al. 2016,
    arXiv 1609.03499). With `stride` s > 1 nothing is padded, and outputs stand at every s-th step, the last step
    always among them: that of a forecast is the newest (Keras' `padding="valid"`, counted from the end).

    The shifted inputs are joined and meet the kernel in one product, which on a CPU is several times faster than
    a convolution with few channels.
    """

    operands: Operands

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        kernel_size: int = 2,
        dilation: int = 1,
        stride: int = 1,
        operands: Operands = "float32",
        rngs: nnx.Rngs,
    ):
        self.kernel_size, self.dilation, self.stride, self.operands = kernel_size, dilation, stride, operands
        init = nnx.initializers.glorot_uniform()
        self.kernel = nnx.Param(init(rngs.params(), (kernel_size, in_features, features)))
        self.bias = nnx.Param(jnp.zeros(features))

    def output_steps(self, steps: int) -> list[int]:
        """The time steps, out of `steps` of input, at which there are outputs."""
        first = 0 if self.stride == 1 else self.reach - 1 + (steps - self.reach) % self.stride
        return list(range(first, steps, self.stride))

    @property
    def reach(self) -> int:
        """How many steps of input an output depends on."""
        return self.dilation * (self.kernel_size - 1) + 1

    def __call__(self, x: Array) -> Array:
        """`[T, B, D]` → `[T', B, features]`, with T' = `len(output_steps(T))`."""
        at = jnp.array(self.output_steps(x.shape[0]))
        padded = jnp.pad(x, ((self.reach - 1, 0), (0, 0), (0, 0)))
        taps = [padded[at + self.dilation * tap] for tap in range(self.kernel_size)]
        flat = self.kernel[...].reshape(-1, self.kernel.shape[-1])
        return matmul(jnp.concatenate(taps, -1), flat, self.operands) + self.bias[...]


class Dense(nnx.Module):
    """x · W + b with Keras' initialisation (Glorot-uniform, zero), over the last axis."""

    operands: Operands

    def __init__(self, in_features: int, features: int, *, operands: Operands = "float32", rngs: nnx.Rngs):
        self.operands = operands
        self.kernel = nnx.Param(nnx.initializers.glorot_uniform()(rngs.params(), (in_features, features)))
        self.bias = nnx.Param(jnp.zeros(features))

    def __call__(self, x: Array) -> Array:
        """`[…, D]` → `[…, features]`."""
        return matmul(x, self.kernel[...], self.operands) + self.bias[...]
