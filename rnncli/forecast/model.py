"""The forecasting network: a body that reads the window, a readout that forecasts, one of four strategies.

    recursive         reads the window, forecasts one step, and is fed its own forecast   (sequence to vector)
    direct            reads the window, forecasts all steps at once                       (sequence to vector)
    seq2seq           forecasts all steps at every step of the window                     (sequence to sequence)
    encoder-decoder   hands its state to a second network that goes on step by step       (encoder, decoder)

Windows are `[B, window]` here, as tables have them; inside they are time-major.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax

from rnncli.forecast.config import ForecastConfig
from rnncli.forecast.normalize import window_statistics
from rnncli.nn.dropout import DropoutKey
from rnncli.nn.layers import CausalConv, Dense, RecurrentStack, last_hidden

_DILATIONS = (1, 2, 4, 8)  # of one WaveNet block


class WaveNet(nnx.Module):
    """The lecture's WaveNet: blocks of causal convolutions of kernel 2 with dilations 1, 2, 4, 8, and ReLU."""

    def __init__(self, in_features: int, config: ForecastConfig, *, rngs: nnx.Rngs):
        sizes = [in_features] + [config.units] * (len(_DILATIONS) * config.layers)
        self.out_features = config.units
        self.convolutions = nnx.List(
            [
                CausalConv(size, config.units, dilation=dilation, operands=config.precision, rngs=rngs)
                for size, dilation in zip(sizes[:-1], _DILATIONS * config.layers, strict=True)
            ]
        )

    def __call__(self, x: Array) -> Array:
        """`[T, B, D]` → `[T, B, units]`."""
        for convolution in self.convolutions:
            x = jax.nn.relu(convolution(x))
        return x


class Forecaster(nnx.Module):
    """Windows in, forecasts out, both in units of the training data."""

    def __init__(self, config: ForecastConfig, *, rngs: nnx.Rngs):
        self.config = config
        features = config.units if config.conv else config.patch
        self.conv = self._convolution(rngs) if config.conv else None
        self.wavenet = WaveNet(features, config, rngs=rngs) if config.cell == "wavenet" else None
        recurrent = config.cell not in ("wavenet", "linear")
        self.stack = self._stack(features, rngs) if recurrent and config.layers else None
        self.decoder = self._stack(1, rngs) if config.strategy == "encoder-decoder" else None
        body = self.stack or self.wavenet
        width = features if body is None else body.out_features
        self.readout = self._readout(width, rngs) if config.cell != "linear" else None
        needs_skip = config.linear_skip or config.cell == "linear"
        outputs = config.horizon if config.strategy == "encoder-decoder" else self.outputs
        self.skip = Dense(config.window, outputs, rngs=rngs) if needs_skip else None

    @property
    def outputs(self) -> int:
        """Steps ahead that one pass of the network forecasts."""
        return 1 if self.config.strategy in ("recursive", "encoder-decoder") else self.config.horizon

    def start_from(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        """Make the model forecast what a linear one does, for training to add to: the network's readout is zeroed."""
        if self.skip is None:
            raise ValueError("the model has no linear path to start from")
        self.skip.kernel[...] = jnp.asarray(kernel, jnp.float32)
        self.skip.bias[...] = jnp.asarray(bias, jnp.float32)
        if isinstance(self.readout, Dense):
            self.readout.kernel[...] = jnp.zeros_like(self.readout.kernel[...])

    def __call__(self, windows: Array, key: DropoutKey | None = None) -> Array:
        """Forecasts `[B, horizon]` of windows `[B, window]`."""
        if self.config.strategy == "recursive":
            return self._recursive(windows)
        x, level, scale = self._normalised(windows)
        forecast = self._every_step(x, key)[-1] if self.config.strategy == "seq2seq" else self._vector(x, key)
        return forecast * scale + level

    def loss(self, slices: Array, key: DropoutKey | None = None) -> Array:
        """The training loss on slices `[B, window + horizon]`, measured on normalised values."""
        config = self.config
        x, level, scale = self._normalised(slices[:, : config.window])
        future = (slices[:, config.window :] - level) / scale
        if config.strategy == "seq2seq":
            forecasts = self._every_step(x, key)
            at = np.array(self._output_steps())
            ahead = at[:, None] + 1 + np.arange(config.horizon)
            targets = jnp.concatenate([x, future], 1).T[ahead]  # [T', horizon, B]
            scored = at >= min(config.loss_from, at[-1])
            return self._error(forecasts[scored], targets.transpose(0, 2, 1)[scored])
        forecasts = self._vector(x, key)
        return self._error(forecasts, future[:, : forecasts.shape[1]])

    def _error(self, forecast: Array, target: Array) -> Array:
        error = forecast - target
        return jnp.square(error).mean() if self.config.loss == "mse" else jnp.abs(error).mean()

    def _normalised(self, windows: Array) -> tuple[Array, Array, Array]:
        """The windows without their level and scale, and these, `[B, 1]`.

        Under seq2seq they are taken from the steps before the first one that is scored: no step may know, by its
        normalisation, what comes after it.
        """
        seen = windows
        if self.config.strategy == "seq2seq" and self.config.loss_from > 0:
            seen = windows[:, : self.config.loss_from]
        level, scale = window_statistics(seen, self.config.normalize)
        return (windows - level) / scale, level, scale

    def _every_step(self, x: Array, key: DropoutKey | None) -> Array:
        """Normalised forecasts at every step that the body outputs, `[T', B, outputs]`."""
        hidden, _ = self._body(x, key)
        forecasts = self._read(hidden, key)
        if self.config.normalize not in ("none", "global"):
            # with the level gone stale since the start of the window, a forecast is told from the step's own value
            forecasts = forecasts + x.T[np.array(self._output_steps())][:, :, None]
        return forecasts

    def _vector(self, x: Array, key: DropoutKey | None) -> Array:
        """Normalised forecasts from the whole window, `[B, outputs]`, or `[B, horizon]` out of a decoder."""
        skipped = self.skip(x) if self.skip is not None else jnp.zeros(())
        if self.readout is None:
            return jnp.broadcast_to(skipped, (x.shape[0], self.outputs))
        hidden, carries = self._body(x, key)
        if self.decoder is not None:
            return self._decode(x[:, -1], carries, jnp.broadcast_to(skipped, (x.shape[0], self.config.horizon)))
        if isinstance(self.readout, RecurrentStack):
            return skipped + self._read(hidden, key)[-1]
        last = last_hidden(carries, bidirectional=self.config.bidirectional) if carries else hidden[-1]
        return skipped + self.readout(last)

    def _decode(self, last: Array, carries: list, skipped: Array) -> Array:
        """Go on from the encoder's state, each step fed the forecast before it, `[B, horizon]`.

        `last` is the last value `[B]`; `skipped` `[B, horizon]` is what the linear path forecasts, to be added to.

        In training too the decoder lives on its own forecasts: fed the truth, it would learn a task that it never
        meets (exposure bias; Bengio et al. 2015, arXiv 1506.03099).
        """

        def body(state: tuple[Array, list], base: Array) -> tuple[tuple[Array, list], Array]:
            value, carries = state
            assert self.decoder is not None and isinstance(self.readout, Dense)
            hidden, carries = self.decoder(value[None, :, None], carries)
            value = base + self.readout(hidden[0])[:, 0]
            return (value, carries), value

        return lax.scan(body, (last, carries), skipped.T)[1].T

    def _recursive(self, windows: Array) -> Array:
        """One step at a time, the forecast becoming the newest value of the window."""

        def body(windows: Array, _: None) -> tuple[Array, Array]:
            x, level, scale = self._normalised(windows)
            step = self._vector(x, None) * scale + level
            return jnp.concatenate([windows[:, 1:], step], 1), step[:, 0]

        return lax.scan(body, windows, None, length=self.config.horizon)[1].T

    def _body(self, x: Array, key: DropoutKey | None) -> tuple[Array, list]:
        """Hidden states `[T', B, H]`, and the final carries of a recurrent body."""
        patch = self.config.patch
        whole = x[:, x.shape[1] % patch :]  # the oldest steps that make no whole patch are left out
        hidden = whole.reshape(x.shape[0], -1, patch).transpose(1, 0, 2)
        if self.conv is not None:
            hidden = self.conv(hidden)
        if self.wavenet is not None:
            return self.wavenet(hidden), []
        if self.stack is None:
            return hidden, []
        return self.stack(hidden, key=key)

    def _read(self, hidden: Array, key: DropoutKey | None) -> Array:
        """The readout at every step."""
        if isinstance(self.readout, RecurrentStack):
            key = None if key is None else key.fold_in(1_000)
            return self.readout(hidden, key=key)[0]
        assert self.readout is not None
        return self.readout(hidden)

    def _output_steps(self) -> list[int]:
        return self.conv.output_steps(self.config.window) if self.conv is not None else list(range(self.config.window))

    def _convolution(self, rngs: nnx.Rngs) -> CausalConv:
        config = self.config
        return CausalConv(
            config.patch,
            config.units,
            kernel_size=config.conv_kernel,
            stride=config.conv_stride,
            operands=config.precision,
            rngs=rngs,
        )

    def _stack(self, in_features: int, rngs: nnx.Rngs) -> RecurrentStack:
        config = self.config
        return RecurrentStack(
            config.cell,  # pyright: ignore[reportArgumentType]  # a recurrent one: the callers see to it
            in_features,
            config.units,
            layers=config.layers,
            bidirectional=config.bidirectional,
            layer_norm=config.layer_norm,
            dropout=config.dropout,
            recurrent_dropout=config.recurrent_dropout,
            variational=config.variational,
            operands=config.precision,
            rngs=rngs,
        )

    def _readout(self, in_features: int, rngs: nnx.Rngs) -> Dense | RecurrentStack:
        config = self.config
        if config.readout == "dense":
            return Dense(in_features, self.outputs, operands=config.precision, rngs=rngs)
        return RecurrentStack(
            config.cell,  # pyright: ignore[reportArgumentType]  # a recurrent one: the configuration is checked
            in_features,
            self.outputs,
            layer_norm=config.layer_norm,
            operands=config.precision,
            rngs=rngs,
        )
