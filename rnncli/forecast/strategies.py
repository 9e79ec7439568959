"""How a network forecasts many steps: four strategies, each with its outputs, its loss, its forecast, its constraints.

    recursive         reads the window, forecasts one step, and is fed its own forecast   (sequence to vector)
    direct            reads the window, forecasts all steps at once                       (sequence to vector)
    seq2seq           forecasts all steps at every step of the window                     (sequence to sequence)
    encoder-decoder   hands its state to a second network that goes on step by step       (encoder, decoder)

The network of each is a `model.Forecaster`. Windows are `[B, window]` and slices `[B, window + horizon]`, in units of
the training data.
"""

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rnncli.errors import ParameterError
from rnncli.forecast.settings import NOT_RECURRENT, ForecastSettings
from rnncli.nn.dropout import DropoutKey

if TYPE_CHECKING:
    from rnncli.forecast.covariates import Encoding
    from rnncli.forecast.model import Beside, Forecaster

LEVELS = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98)  # quantiles of the pinball loss
Known = Array | None  # which values of windows there are, bool `[B, window]`; None for all


class Direct:
    """All steps at once, from the state at the end of the window. The other strategies differ from it."""

    has_decoder = False
    reads_ahead = True  # whether the readout is given the future covariates

    def outputs(self, horizon: int) -> int:
        """Steps ahead that one pass of the readout forecasts."""
        return horizon

    def check(self, settings: ForecastSettings) -> None:
        """Raise ParameterError where the settings do not go with the strategy."""

    def reference(self, settings: ForecastSettings) -> int:
        """The step of the window from which past covariates are told: the newest that every output may know."""
        return settings.window - 1

    def forecast(
        self, network: "Forecaster", windows: Array, known: Known = None, beside: "Beside | None" = None
    ) -> Array:
        """Forecasts `[B, horizon]`."""
        x, level, scale = network.normalised(windows, windows, known)
        return self.from_window(network, x, None, known, beside) * scale + level

    def loss(
        self,
        network: "Forecaster",
        slices: Array,
        key: DropoutKey | None,
        known: Known = None,
        beside: "Beside | None" = None,
    ) -> Array:
        """The training loss, measured on normalised values."""
        windows, future = jnp.split(slices, [network.settings.window], 1)
        x, level, scale = network.normalised(windows, windows, known)
        if network.settings.loss == "pinball":
            return pinball(network.spread(x, key, known, beside), (future - level) / scale).mean()
        forecasts = self.from_window(network, x, key, known, beside)
        return network.errors(forecasts, ((future - level) / scale)[:, : forecasts.shape[1]]).mean()

    def from_window(
        self, network: "Forecaster", x: Array, key: DropoutKey | None, known: Known, beside: "Beside | None"
    ) -> Array:
        """Normalised forecasts of as many steps as the network is trained on."""
        return network.last_output(x, key, known, beside)


class Recursive(Direct):
    """One step at a time, the forecast becoming the newest value of the window."""

    def outputs(self, horizon: int) -> int:
        return 1

    def forecast(
        self, network: "Forecaster", windows: Array, known: Known = None, beside: "Beside | None" = None
    ) -> Array:
        def body(state: tuple[Array, Known, Any], _: None) -> tuple[tuple[Array, Known, Any], Array]:
            windows, known, beside = state
            step = super(Recursive, self).forecast(network, windows, known, beside)
            if known is not None:
                known = jnp.concatenate([known[:, 1:], jnp.ones_like(known[:, :1])], 1)
            if beside is not None:  # there are no past covariates
                steps = jnp.concatenate([beside.steps[:, 1:], beside.ahead[:, :1]], 1)
                beside = beside._replace(steps=steps, ahead=jnp.roll(beside.ahead, -1, 1))
            return (jnp.concatenate([windows[:, 1:], step], 1), known, beside), step[:, 0]

        return lax.scan(body, (windows, known, beside), None, length=network.settings.horizon)[1].T


class EncoderDecoder(Direct):
    """A decoder goes on from the encoder's state, fed the forecast of the step before.

    Each forecast is told from the last value of the window; with a linear path, from that path's forecast.
    """

    has_decoder, reads_ahead = True, False

    def outputs(self, horizon: int) -> int:
        return 1

    def check(self, settings: ForecastSettings) -> None:
        if settings.cell == "wavenet":
            raise ParameterError(
                "`cell` wavenet has no state to hand to a decoder; choose another `strategy` or `cell`"
            )
        _refuse_future(settings)

    def from_window(
        self, network: "Forecaster", x: Array, key: DropoutKey | None, known: Known, beside: "Beside | None"
    ) -> Array:
        _, carries = network.body(x, key, known, beside)
        skipped = jnp.broadcast_to(network.skipped(x), (len(x), network.settings.horizon))
        last, ahead = x[:, -1], jnp.zeros((network.settings.horizon, len(x), 0), x.dtype)
        if beside is not None:
            ahead = beside.ahead.transpose(1, 0, 2)

        def body(state: tuple[Array, list], inputs: tuple[Array, Array]) -> tuple[tuple[Array, list], Array]:
            (value, carries), (base, covariates) = state, inputs
            value, carries = network.decoded(jnp.concatenate([value[:, None], covariates], 1), carries)
            value = base + value
            return (value, carries), value

        return lax.scan(body, (last, carries), (skipped.T, ahead))[1].T


class SequenceToSequence(Direct):
    """All steps ahead at every step of the window, which has to be whole; the last step's are the forecast.

    Level and scale are taken from the steps before the first one that is scored: no step may know, by its
    normalisation, what comes after it. Of the future covariates it sees those of the window alone.
    """

    reads_ahead = False

    def reference(self, settings: ForecastSettings) -> int:
        return max(0, settings.loss_from - 1)

    def check(self, settings: ForecastSettings) -> None:
        _refuse_future(settings)
        if settings.patch > 1:
            raise ParameterError("`patch` joins steps, but `strategy` seq2seq forecasts at each; use `conv` there")
        if not 0 <= settings.loss_from < settings.window:
            raise ParameterError(f"`loss_from` {settings.loss_from} must lie in the window of {settings.window} steps")

    def forecast(
        self, network: "Forecaster", windows: Array, known: Known = None, beside: "Beside | None" = None
    ) -> Array:
        x, level, scale = self.normalised(network, windows)
        return self.every_step(network, x, None, beside)[-1] * scale + level

    def loss(
        self,
        network: "Forecaster",
        slices: Array,
        key: DropoutKey | None,
        known: Known = None,
        beside: "Beside | None" = None,
    ) -> Array:
        settings = network.settings
        windows, future = jnp.split(slices, [settings.window], 1)
        x, level, scale = self.normalised(network, windows)
        forecasts = self.every_step(network, x, key, beside)
        at = np.array(network.output_steps())
        ahead = at[:, None] + 1 + np.arange(settings.horizon)
        targets = jnp.concatenate([x, (future - level) / scale], 1).T[ahead]  # [T', horizon, B]
        scored = at >= min(settings.loss_from, at[-1])
        return network.errors(forecasts[scored], targets.transpose(0, 2, 1)[scored]).mean()

    def normalised(self, network: "Forecaster", windows: Array) -> tuple[Array, Array, Array]:
        """The windows without their level and scale, and these, `[B, 1]`."""
        return network.normalised(windows, windows[:, : network.settings.loss_from or None])

    def every_step(
        self, network: "Forecaster", x: Array, key: DropoutKey | None, beside: "Beside | None" = None
    ) -> Array:
        """Normalised forecasts at every step that the body outputs, `[T', B, horizon]`."""
        hidden, _ = network.body(x, key, None, beside)
        forecasts = network.read(hidden, key)
        if network.settings.normalize not in ("none", "global"):
            # with the level gone stale since the start of the window, a forecast is told from the step's own value
            forecasts = forecasts + x.T[np.array(network.output_steps())][:, :, None]
        return forecasts


STRATEGIES: dict[str, Direct] = {
    "recursive": Recursive(),
    "direct": Direct(),
    "seq2seq": SequenceToSequence(),
    "encoder-decoder": EncoderDecoder(),
}
# what sees the whole window at once can read it both ways, and stand beside a linear map of it
_WHOLE_WINDOW = ("recursive", "direct")


def pinball(quantiles: Array, target: Array) -> Array:
    """The pinball losses of quantiles `[B, horizon, levels]` of targets `[B, horizon]` (Koenker and Bassett 1978).

    Twice that, so that of the median it is the absolute error.
    """
    distance = target[..., None] - quantiles
    levels = jnp.array(LEVELS)
    return 2 * jnp.maximum(levels * distance, (levels - 1) * distance)


def check_settings(settings: ForecastSettings) -> None:
    """Refuse what does not go together. Raises ParameterError: names the settings and what to choose."""
    cell, strategy = settings.cell, settings.strategy
    if cell == "linear" and settings.ensemble > 1:
        raise ParameterError("`ensemble` is for networks with first weights of their own, and `cell` linear has none")
    if settings.loss == "pinball" and (strategy != "direct" or settings.readout != "dense" or cell == "linear"):
        raise ParameterError("`loss` pinball needs `strategy` direct, a dense readout and a `cell` that is trained")
    if cell == "linear" and strategy not in _WHOLE_WINDOW:
        raise ParameterError(f"`cell` linear knows `strategy` direct and recursive, not {strategy}")
    STRATEGIES[strategy].check(settings)
    if cell in NOT_RECURRENT:
        for name in ("bidirectional", "layer_norm", "dropout", "recurrent_dropout", "variational"):
            if getattr(settings, name):
                raise ParameterError(f"`{name}` needs a recurrent `cell`, not {cell}")
    if cell == "linear" and settings.conv:
        raise ParameterError("`conv` stands before cells, and `cell` linear has none")
    if settings.linear_skip and (strategy == "seq2seq" or settings.readout == "recurrent"):
        raise ParameterError("`linear_skip` needs the whole window and a dense readout: not seq2seq, not recurrent")
    if settings.patch > settings.window:
        raise ParameterError(f"`patch` {settings.patch} is longer than `window` {settings.window}")
    if settings.conv and settings.conv_kernel > settings.window // settings.patch:
        raise ParameterError(f"`conv_kernel` {settings.conv_kernel} is longer than `window` {settings.window}")
    if settings.readout == "recurrent" and (cell in NOT_RECURRENT or strategy == "encoder-decoder"):
        raise ParameterError(f"`readout` recurrent needs a recurrent `cell` and no decoder, not {cell}, {strategy}")
    if settings.layers < 1 and settings.readout != "recurrent":
        raise ParameterError(f"`layers` {settings.layers}: at least 1, unless `readout` recurrent is the only layer")


def check_covariates(settings: ForecastSettings, encoding: "Encoding") -> None:
    """Raise ParameterError where the network cannot have such covariates."""
    if settings.has_network and settings.strategy == "recursive" and encoding.past:
        name = encoding.past[0].name
        raise ParameterError(
            f"`strategy` recursive would have to forecast `past_covariates` {name!r}, too; choose direct"
        )


def _refuse_future(settings: ForecastSettings) -> None:
    if settings.bidirectional:
        raise ParameterError(f"`bidirectional` would let `strategy` {settings.strategy} see its own future; use direct")
