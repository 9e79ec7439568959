"""The forecasting network: a body that reads the window, a readout that forecasts, one of four strategies.

Windows are `[B, window]` here, as tables have them; inside they are time-major.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from rnncli.forecast.covariates import NO_COVARIATES, Sizes
from rnncli.forecast.normalize import window_statistics
from rnncli.forecast.settings import NOT_RECURRENT, ForecastSettings
from rnncli.forecast.strategies import LEVELS, STRATEGIES
from rnncli.nn.dropout import DropoutKey
from rnncli.nn.layers import CausalConv, Dense, RecurrentStack, last_hidden

_DILATIONS = (1, 2, 4, 8)  # of one WaveNet block


class WaveNet(nnx.Module):
    """The lecture's WaveNet: blocks of causal convolutions of kernel 2 with dilations 1, 2, 4, 8, and ReLU."""

    def __init__(self, in_features: int, settings: ForecastSettings, *, rngs: nnx.Rngs):
        units, dilations = settings.units, _DILATIONS * settings.layers
        sizes = [in_features] + [units] * len(dilations)
        self.out_features = units
        self.convolutions = nnx.List(
            [
                CausalConv(size, units, dilation=dilation, operands=settings.operands, rngs=rngs)
                for size, dilation in zip(sizes[:-1], dilations, strict=True)
            ]
        )

    def __call__(self, x: Array) -> Array:
        """`[T, B, D]` → `[T, B, units]`."""
        for convolution in self.convolutions:
            x = jax.nn.relu(convolution(x))
        return x


class Beside(NamedTuple):
    """What is known beside a window."""

    steps: Array  # the covariates at its steps, past ones first, [B, window, P + F]
    ahead: Array  # the future covariates of the steps ahead, [B, horizon, F]
    static: Array  # [B, S]


class ReadAhead(nnx.Module):
    """What future covariates add to a forecast, in the state the series is in: y_h += w·tanh(s·A + f_h·B + b).

    One small layer for all steps ahead.
    """

    _UNITS = 32

    def __init__(self, in_features: int, covariates: int, *, rngs: nnx.Rngs):
        self.state = Dense(in_features, self._UNITS, rngs=rngs)
        self.covariates = Dense(covariates, self._UNITS, rngs=rngs)
        self.out = Dense(self._UNITS, 1, rngs=rngs)

    def __call__(self, state: Array, ahead: Array) -> Array:
        """State `[B, H]`, covariates of some steps ahead `[B, steps, F]` → `[B, steps]`."""
        return self.out(jnp.tanh(self.state(state)[:, None] + self.covariates(ahead)))[..., 0]


class Forecaster(nnx.Module):
    """Windows in, forecasts out, both in units of the training data."""

    def __init__(self, settings: ForecastSettings, sizes: Sizes = NO_COVARIATES, *, rngs: nnx.Rngs):
        """`sizes` says how many covariates there are."""
        self.settings, self.sizes = settings, sizes
        strategy, horizon = self.strategy, settings.horizon
        inputs = settings.patch * (1 + sizes.past + sizes.known) + sizes.static
        features = settings.units if settings.conv else inputs
        self.conv = self._convolution(inputs, rngs) if settings.conv else None
        self.wavenet = WaveNet(features, settings, rngs=rngs) if settings.cell == "wavenet" else None
        recurrent = settings.cell not in NOT_RECURRENT
        self.stack = self._stack(features, rngs) if recurrent and settings.layers else None
        self.decoder = self._stack(1 + sizes.known, rngs) if strategy.has_decoder else None
        body = self.stack or self.wavenet
        width = features if body is None else body.out_features
        outputs = strategy.outputs(horizon)
        self.levels = len(LEVELS) if settings.loss == "pinball" else 1
        self.readout = self._readout(width, outputs * self.levels, rngs) if settings.cell != "linear" else None
        reads_ahead = sizes.known and isinstance(self.readout, Dense) and strategy.reads_ahead
        self.read_ahead = ReadAhead(width, sizes.known, rngs=rngs) if reads_ahead else None
        needs_skip = settings.linear_skip or settings.cell == "linear"
        skipped = horizon if strategy.has_decoder else outputs
        self.skip = Dense(settings.window, skipped, rngs=rngs) if needs_skip else None

    @property
    def strategy(self):
        """How the network forecasts many steps."""
        return STRATEGIES[self.settings.strategy]

    def start_from(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        """Make the model forecast what a linear one does, for training to add to: the network's readout is zeroed."""
        if self.skip is None:
            raise ValueError("the model has no linear path to start from")
        # of several networks, each has the same
        self.skip.kernel[...] = jnp.broadcast_to(jnp.asarray(kernel, jnp.float32), self.skip.kernel.shape)
        self.skip.bias[...] = jnp.broadcast_to(jnp.asarray(bias, jnp.float32), self.skip.bias.shape)
        if isinstance(self.readout, Dense):
            self.readout.kernel[...] = jnp.zeros_like(self.readout.kernel[...])
        if self.read_ahead is not None:
            self.read_ahead.out.kernel[...] = jnp.zeros_like(self.read_ahead.out.kernel[...])

    def __call__(self, windows: Array, known: Array | None = None, beside: Beside | None = None) -> Array:
        """Forecasts `[B, horizon]` of windows `[B, window]`.

        Where series are shorter than a window, `known` says which of its values there are, bool `[B, window]`, the
        last ones of each row; the others do not count. `beside` has the covariates, if there are any.
        """
        return self.strategy.forecast(self, windows, known, beside)

    def loss(
        self,
        slices: Array,
        key: DropoutKey | None = None,
        known: Array | None = None,
        beside: Beside | None = None,
    ) -> Array:
        """The training loss on slices `[B, window + horizon]`, measured on normalised values."""
        return self.strategy.loss(self, slices, key, known, beside)

    def errors(self, forecast: Array, target: Array) -> Array:
        """The errors, of any shape, whose mean training minimises."""
        error = forecast - target
        return jnp.square(error) if self.settings.loss == "mse" else jnp.abs(error)

    def quantiles(self, windows: Array, known: Array | None = None, beside: Beside | None = None) -> Array:
        """Forecasts of the quantiles `LEVELS`, in ascending order, `[B, horizon, levels]`; after "pinball" alone."""
        x, level, scale = self.normalised(windows, windows, known)
        return self.spread(x, None, known, beside) * scale[..., None] + level[..., None]

    def spread(
        self, x: Array, key: DropoutKey | None, known: Array | None = None, beside: Beside | None = None
    ) -> Array:
        """The quantiles of normalised windows, `[B, outputs, levels]`.

        The middle one is the forecast, and the others are as far from their neighbours as positive outputs say, so
        that they cannot cross.
        """
        hidden, carries = self.body(x, key, known, beside)
        last = last_hidden(carries, bidirectional=self.settings.bidirectional) if carries else hidden[-1]
        assert isinstance(self.readout, Dense)
        raw = self.readout(last).reshape(len(x), -1, self.levels)
        middle = self.levels // 2
        centre = self.skipped(x)[..., None] + raw[..., middle : middle + 1]
        if self.read_ahead is not None and beside is not None:
            centre = centre + self.read_ahead(last, beside.ahead[:, : raw.shape[1]])[..., None]
        gaps = jax.nn.softplus(raw)
        below = centre - jnp.cumsum(gaps[..., :middle], axis=-1)[..., ::-1]
        return jnp.concatenate([below, centre, centre + jnp.cumsum(gaps[..., middle + 1 :], axis=-1)], -1)

    def normalised(self, windows: Array, seen: Array, known: Array | None = None) -> tuple[Array, Array, Array]:
        """The windows without level and scale, and these, `[B, 1]`; they are taken from the steps `seen`."""
        level, scale = window_statistics(seen, self.settings.normalize, known=known)
        x = (windows - level) / scale
        return x if known is None else jnp.where(known, x, 0.0), level, scale

    def last_output(
        self, x: Array, key: DropoutKey | None, known: Array | None = None, beside: Beside | None = None
    ) -> Array:
        """What is read out at the end of normalised windows, `[B, outputs]`."""
        if self.levels > 1:
            return self.spread(x, key, known, beside)[..., self.levels // 2]
        skipped = self.skipped(x)
        if self.readout is None:
            return jnp.broadcast_to(skipped, (len(x), self.strategy.outputs(self.settings.horizon)))
        hidden, carries = self.body(x, key, known, beside)
        if isinstance(self.readout, RecurrentStack):
            return skipped + self.read(hidden, key)[-1]
        last = last_hidden(carries, bidirectional=self.settings.bidirectional) if carries else hidden[-1]
        output = skipped + self.readout(last)
        if self.read_ahead is None or beside is None:
            return output
        return output + self.read_ahead(last, beside.ahead[:, : output.shape[1]])

    def skipped(self, x: Array) -> Array:
        """What the linear path forecasts, `[B, outputs]`; 0 without one."""
        return jnp.zeros(()) if self.skip is None else self.skip(x)

    def decoded(self, inputs: Array, carries: list) -> tuple[Array, list]:
        """One step of the decoder, fed values and covariates `[B, 1 + F]`: what it reads out, and its carries."""
        assert self.decoder is not None and isinstance(self.readout, Dense)
        hidden, carries = self.decoder(inputs[None], carries)
        return self.readout(hidden[0])[:, 0], carries

    def body(
        self, x: Array, key: DropoutKey | None, known: Array | None = None, beside: Beside | None = None
    ) -> tuple[Array, list]:
        """Hidden states `[T', B, H]`, and the final carries of a recurrent body.

        A patch without any known value is no step of the recurrence: each sequence begins with the first one that has.
        """
        patch = self.settings.patch
        batch, oldest = x.shape[0], x.shape[1] % patch  # the oldest steps that make no whole patch are left out
        hidden = x[:, oldest:].reshape(batch, -1, patch).transpose(1, 0, 2)
        if beside is not None:
            steps = beside.steps
            if self.settings.normalize not in ("none", "global"):  # past covariates have levels of their own, too
                past = jnp.arange(steps.shape[2]) < self.sizes.past
                steps = steps - jnp.where(past, steps[:, self.strategy.reference(self.settings)][:, None], 0.0)
            steps = steps if known is None else jnp.where(known[..., None], steps, 0.0)
            steps = steps[:, oldest:].reshape(batch, len(hidden), -1).transpose(1, 0, 2)
            static = jnp.broadcast_to(beside.static, (len(hidden), *beside.static.shape))
            hidden = jnp.concatenate([hidden, steps, static], -1)
        if self.conv is not None:
            hidden = self.conv(hidden)
        if self.wavenet is not None:
            return self.wavenet(hidden), []
        if self.stack is None:
            return hidden, []
        if known is None:
            return self.stack(hidden, key=key)
        steps = len(hidden)
        lengths = known[:, oldest:].reshape(batch, -1, patch).any(2).sum(1)
        places = (jnp.arange(steps)[:, None] + steps - lengths) % steps
        return self.stack(jnp.take_along_axis(hidden, places[:, :, None], 0), key=key, lengths=lengths)

    def read(self, hidden: Array, key: DropoutKey | None) -> Array:
        """The readout at every step."""
        if isinstance(self.readout, RecurrentStack):
            key = None if key is None else key.fold_in(1_000)
            return self.readout(hidden, key=key)[0]
        assert self.readout is not None
        return self.readout(hidden)

    def output_steps(self) -> list[int]:
        """The steps of the window at which the body has an output."""
        window = self.settings.window
        return list(range(window)) if self.conv is None else self.conv.output_steps(window)

    def _convolution(self, in_features: int, rngs: nnx.Rngs) -> CausalConv:
        settings = self.settings
        sizes = {"kernel_size": settings.conv_kernel, "stride": settings.conv_stride, "operands": settings.operands}
        return CausalConv(in_features, settings.units, **sizes, rngs=rngs)

    def _stack(self, in_features: int, rngs: nnx.Rngs) -> RecurrentStack:
        settings = self.settings
        return RecurrentStack.of(
            settings,
            in_features,
            operands=settings.operands,
            bidirectional=settings.bidirectional,
            variational=settings.variational,
            rngs=rngs,
        )

    def _readout(self, in_features: int, outputs: int, rngs: nnx.Rngs) -> Dense | RecurrentStack:
        settings = self.settings
        if settings.readout == "dense":
            return Dense(in_features, outputs, operands=settings.operands, rngs=rngs)
        plain = {"layer_norm": settings.layer_norm, "operands": settings.operands}
        return RecurrentStack(settings.cell, in_features, outputs, **plain, rngs=rngs)
