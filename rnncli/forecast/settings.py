"""The settings of a forecast, and what the data makes of their defaults.

The defaults are those for the lecture's synthetic data, where nothing has to be found out; `for_series` replaces the
ones that depend on a user's series. The preset "lecture" has the settings of the lecture's slides.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from rnncli.nn.settings import Dropout, Network, cell_names
from rnncli.settings import COUNT, FRACTION, Bounds, Presets, Settings, setting
from rnncli.training.settings import LECTURE, Training

Strategy = Literal["recursive", "direct", "seq2seq", "encoder-decoder"]
Normalize = Literal["none", "global", "shift", "last", "mean", "median"]
Readout = Literal["dense", "recurrent"]
ErrorKind = Literal["mse", "mae", "pinball"]
Transform = Literal["none", "log"]
System = Literal[
    "auto", "network", "linear", "theta", "damped", "holt_winters", "seasonal_naive", "drift", "naive", "ets", "arima"
]
Preset = Literal["default", "lecture"]

STEPS = Bounds(1, 1_000_000, metavar="STEPS")
NOT_RECURRENT = ("wavenet", "linear")
CLASSICAL = ("ets", "arima")
# part, system and metric of the figure that stands for a model, the first that there is
MAIN_FIGURES = (("test", "model", "mase"), ("test", "model", "mse"))
# the same of the figure by which a sweep chooses, and what a search tries where nothing is named
SELECTION = (("validation", "model", "mase"), ("validation", "model", "mse"))
SEARCH_EPOCHS = 20  # of a search's last training
SEARCH = {"cell": ("gru", "lstm"), "units": (32, 64, 128), "learning_rate": (0.001, 0.003)}


def forecast_cells() -> tuple[str, ...]:
    """What `cell` chooses from: the recurrent cells, and two kinds of network without any."""
    return (*cell_names(), *NOT_RECURRENT)


@dataclass(frozen=True, kw_only=True)
class Windows(Settings):
    """What is forecast from what."""

    window: int = setting(50, "Steps of the past a forecast sees.", STEPS, by_data="series: whole seasons")
    horizon: int = setting(10, "Steps ahead to forecast.", STEPS, by_data="series: a season, at most 48")
    season: int = setting(
        1, "Steps in a season; 1: none.", STEPS, shown="from the time column, else from the autocorrelation"
    )
    validation_fraction: float = setting(
        0.1, "Share of the series before the test part, that chooses the best epoch; in whole horizons.", FRACTION
    )
    test_fraction: float = setting(
        0.1, "Share of the series, at its end, held out for the scores; in whole horizons.", FRACTION
    )
    normalize: Normalize = setting(
        "none",
        "What is taken from each window and put back at the output: nothing (none: raw values; global: in units of "
        "the training part), its last value (shift), that and the mean distance to it (last), its mean and standard "
        "deviation (mean), its median and median deviation (median).",
        by_data="series: the best of shift, last, mean, global for the linear model on validation",
    )
    transform: Transform = setting(
        "none", "log: forecast logarithms, of values that are all positive.", by_data="series: the better on validation"
    )


def _classical(text: str) -> str:
    """Raises ValueError: a name is neither ets nor arima."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in CLASSICAL:
            raise ValueError(f"{name!r} is neither of {', '.join(CLASSICAL)}")
    return ",".join(dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True)
class Systems(Settings):
    """What is forecast from what."""

    system: System = setting(
        "network",
        "What is printed: one of network, linear, theta, damped, holt_winters, seasonal_naive, drift, naive, or the "
        "mean of all, weighted by their errors in the past (auto).",
        metavar="SYSTEM",
        by_data="series: auto, with a network if it is long or one is described",
    )
    baselines: str = setting(
        "",
        "Further systems that take part: ets, arima, or both (extra classical).",
        None,
        "ets,arima",
        shown="none",
        convert=_classical,
    )

    @property
    def classical(self) -> tuple[str, ...]:
        """The names of the further systems."""
        return tuple(self.baselines.split(",")) if self.baselines else ()


@dataclass(frozen=True, kw_only=True)
class ForecastNetwork(Network):
    """The network."""

    strategy: Strategy = setting(
        "seq2seq",
        "One step at a time (recursive), all at once (direct), all at every step of the window (seq2seq), or a decoder "
        "that goes on from the encoder's state (encoder-decoder).",
    )
    cell: str = setting("lstm", "Kind of network; linear is the closed-form model.", choose_from=forecast_cells)
    layers: int = setting(2, "Recurrent layers; blocks of a wavenet.", Bounds(0, 1_000, metavar="N"))
    units: int = 32
    readout: Readout = setting(
        "dense", "What forecasts from the top layer: a dense layer, or one more recurrent layer."
    )
    bidirectional: bool = setting(False, "Read the window both ways (direct, recursive).")
    patch: int = setting(
        1, "Steps joined into one input of the cells.", STEPS, by_data="series: a season or a part of it"
    )
    conv: bool = setting(False, "A strided convolution before the cells.")
    conv_kernel: int = setting(4, "Its kernel.", STEPS)
    conv_stride: int = setting(2, "Its stride.", Bounds(2, metavar="STEPS"))
    ensemble: int = setting(1, "Networks from other first weights, trained at once; their mean is taken.", COUNT)
    linear_skip: bool = setting(
        False,
        "Add the closed-form linear forecast to the network's and train both on.",
        names="--linear-skip/--no-linear-skip",
        shown="no",
        by_data="series: yes, but for seq2seq",
    )


@dataclass(frozen=True, kw_only=True)
class ForecastDropout(Dropout):
    """Dropout."""

    variational: bool = setting(False, "One dropout mask a sequence instead of one a step.")


@dataclass(frozen=True, kw_only=True)
class ForecastTraining(Training):
    """The training."""

    epochs: int = setting(20, "Passes over the training part.", COUNT, by_data="series: 800 batches")
    learning_rate: float = 0.01
    warmup: float = 0.1
    weight_decay: float = 0.0
    loss: ErrorKind = setting(
        "mse",
        "Error that training minimises; pinball: of quantiles, which --no-conformal prints with --system network.",
    )
    freeze: bool = setting(False, "With --from: train the readout and the linear path only.")
    loss_from: int = setting(
        20, "seq2seq: first step whose forecasts count.", Bounds(0, metavar="STEP"), shown="two fifths of the window"
    )


_SERIES = {"strategy": "direct", "layers": 1, "units": 64, "loss": "mae", "learning_rate": 0.001}


@dataclass(frozen=True, kw_only=True)
class ForecastSettings(ForecastDropout, ForecastTraining, ForecastNetwork, Systems, Windows):
    """Everything that decides a run, besides the data."""

    presets: ClassVar[Presets] = {
        "lecture": {**LECTURE, "units": 20, "loss_from": 0},  # every time step is scored
        # what a user's series makes of the defaults; `for_series` adds what depends on its length and season
        "series": {**_SERIES, "batch_size": 32},
        "many": {**_SERIES, "cell": "gru", "units": 128, "batch_size": 256},
    }

    @property
    def fractions(self) -> tuple[float, float]:
        """The shares of the test and the validation part."""
        return self.test_fraction, self.validation_fraction

    @property
    def metric(self) -> Literal["mse", "mae"]:
        """The error of forecasts that goes with the loss."""
        return "mse" if self.loss == "mse" else "mae"

    @property
    def trains(self) -> bool:
        """Whether a network is trained; the closed-form linear one is not."""
        return self.cell != "linear"

    @property
    def has_network(self) -> bool:
        """Whether there is a network beside the other systems, which have the direct linear map already."""
        return self.trains or self.strategy == "recursive" or self.system == "network"

    def least_of(self, series: int) -> int:
        """How many values of a window have to be known. Among many series, a recurrent network skips what is not."""
        skips = self.cell != "wavenet" and not self.conv and self.strategy != "seq2seq"
        return min(self.window, max(self.season, self.patch)) if series > 1 and skips else self.window

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.system in CLASSICAL and self.system not in self.classical:
            object.__setattr__(self, "baselines", ",".join([*self.classical, self.system]))
        from rnncli.forecast.strategies import check_settings

        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class ForecastPreset(Settings):
    """The training."""

    preset: Preset = setting("default", "lecture: 20 units, Adam at a constant 0.001, every time step scored.")
