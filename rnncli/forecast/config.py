"""The configuration of a forecast: the only home of its defaults.

Two sets of defaults share one dataclass. Those of the fields are for the lecture's synthetic data, where nothing
has to be found out; `for_series` replaces the ones that depend on a user's series. The README says what they were
settled on. `PRESETS["lecture"]` are the settings of the lecture's slides.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rnncli.errors import OptionError

Strategy = Literal["recursive", "direct", "seq2seq", "encoder-decoder"]
CellChoice = Literal["simple", "lstm", "gru", "wavenet", "linear"]
Normalize = Literal["none", "global", "shift", "last", "mean", "median"]
Fill = Literal["linear", "previous", "zero", "none"]
Readout = Literal["dense", "recurrent"]
Loss = Literal["mse", "mae"]
Schedule = Literal["constant", "cosine"]
Preset = Literal["default", "lecture"]


@dataclass(frozen=True)
class ForecastConfig:
    """Everything that decides a run, besides the data."""

    # what is forecast from what
    window: int = 50  # steps of the past that a forecast sees
    horizon: int = 10  # steps ahead
    season: int = 1  # steps of the season, for the seasonal naive forecast; 1: none
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    normalize: Normalize = "none"
    # the model
    strategy: Strategy = "seq2seq"
    cell: CellChoice = "lstm"
    layers: int = 2
    units: int = 32
    readout: Readout = "dense"
    bidirectional: bool = False
    layer_norm: bool = False
    patch: int = 1  # steps of the window that are one input of the cells
    conv: bool = False
    conv_kernel: int = 4
    conv_stride: int = 2
    linear_skip: bool = False  # add the closed-form linear forecast, and train it along
    # the training
    loss: Loss = "mse"
    loss_from: int = 20  # seq2seq: the first step of the window whose forecasts count, as they have seen enough
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 0.01
    schedule: Schedule = "cosine"
    warmup: float = 0.1  # fraction of the steps
    clip: float = 1.0  # global norm of the gradient; 0: none
    weight_decay: float = 0.0
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    variational: bool = False
    patience: int = 0  # epochs; 0: train them all
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        _check(self)

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON types, in their order."""
        return asdict(self)


# The slides: Adam at a constant rate, every time step scored, 20 units.
PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "default": {},
    "lecture": {
        "units": 20,
        "learning_rate": 0.001,
        "schedule": "constant",
        "warmup": 0.0,
        "clip": 0.0,
        "loss_from": 0,
    },
}

# How long a series is trained, in batches: chosen for its cost, a few seconds. Where the best epoch is the last one, as
# on long series, longer training would gain.
_SERIES_STEPS = 800


def for_lecture(chosen: Mapping[str, Any], preset: Preset = "default") -> ForecastConfig:
    """The configuration for the synthetic data: what the user chose over the preset over the defaults."""
    given = {**PRESETS[preset], **chosen}
    window = given.get("window", ForecastConfig.window)
    given.setdefault("loss_from", min(ForecastConfig.loss_from, window * 2 // 5))
    return ForecastConfig(**given)


def for_series(chosen: Mapping[str, Any], size: int, season: int, preset: Preset = "default") -> ForecastConfig:
    """The configuration for a user's series of `size` values with that season.

    A window of whole seasons, cut into patches of a season or a whole part of it, goes through one layer beside a
    linear path: patches of half a day instead of single steps halved the error on half-hourly data.
    """
    horizon = chosen.get("horizon") or max(1, min(season if season > 1 else 10, 48, size // 10))
    test, validation = part_sizes(
        size,
        horizon,
        chosen.get("test_fraction", ForecastConfig.test_fraction),
        chosen.get("validation_fraction", ForecastConfig.validation_fraction),
    )
    train = size - test - validation
    window = chosen.get("window") or _default_window(train, horizon, season)
    strategy = chosen.get("strategy", "direct")
    defaults: dict[str, Any] = {
        "horizon": horizon,
        "window": window,
        "season": season,
        "strategy": strategy,
        "normalize": "last",
        "layers": 1,
        "units": 64,
        "linear_skip": strategy != "seq2seq" and chosen.get("readout", "dense") == "dense",
        "patch": 1 if _patchless(chosen, strategy) else _default_patch(window, season),
        "loss": "mae",
        "loss_from": window * 2 // 5,
        "learning_rate": 0.001,
    }
    given = {**defaults, **PRESETS[preset], **chosen}
    if "epochs" not in chosen:
        examples = max(1, train - window - horizon + 1)
        batches = max(1, examples // given.get("batch_size", ForecastConfig.batch_size))
        given["epochs"] = max(10, math.ceil(_SERIES_STEPS / batches))
    return ForecastConfig(**given)


def part_sizes(size: int, horizon: int, test_fraction: float, validation_fraction: float) -> tuple[int, int]:
    """Values in the test and the validation part: the fractions, in whole horizons, at least one."""

    def whole(fraction: float) -> int:
        return max(1, int(fraction * size) // horizon) * horizon

    return whole(test_fraction), whole(validation_fraction)


def _default_window(train: int, horizon: int, season: int) -> int:
    """Whole seasons as far as the training part has enough windows of them; never less than a horizon if it fits."""
    whole = (count * season for count, least in ((3, 20), (2, 4), (1, 4)) if count * season * least <= train)
    wanted = next(whole, ForecastConfig.window) if season > 1 else ForecastConfig.window
    if season == 1 or wanted < season:
        wanted = min(wanted, train // 4)
    return max(1, min(max(wanted, horizon), train - horizon))


def _patchless(chosen: Mapping[str, Any], strategy: str) -> bool:
    return strategy == "seq2seq" or chosen.get("conv", False) or chosen.get("cell") in ("wavenet", "linear")


def _default_patch(window: int, season: int) -> int:
    """The season or a whole part of it, at most 24 steps; without one, a sixth of the window."""
    if not 2 <= season <= window:
        return max(1, window // 6)
    parts = math.ceil(season / 24)
    return max(1, round(season / parts))


def _check(config: ForecastConfig) -> None:
    """Refuse what cannot go together, naming the flags."""
    if config.window < 1:
        raise OptionError(f"--window {config.window}: at least 1 step of the past is needed")
    step_wise = config.strategy == "seq2seq"
    if config.cell == "linear" and config.strategy not in ("direct", "recursive"):
        raise OptionError(f"--cell linear knows --strategy direct and recursive, not {config.strategy}")
    if config.cell == "wavenet" and config.strategy == "encoder-decoder":
        raise OptionError("--cell wavenet has no state to hand to a decoder; choose another --strategy or --cell")
    if config.bidirectional and (step_wise or config.strategy == "encoder-decoder"):
        raise OptionError(f"--bidirectional would let --strategy {config.strategy} see its own future; use direct")
    recurrent_only = ("bidirectional", "layer_norm", "dropout", "recurrent_dropout", "variational")
    if config.cell in ("wavenet", "linear"):
        for name in recurrent_only:
            if getattr(config, name):
                raise OptionError(f"--{name.replace('_', '-')} needs a recurrent --cell, not {config.cell}")
    if config.cell == "linear" and config.conv:
        raise OptionError("--conv stands before cells, and --cell linear has none")
    if config.linear_skip and (step_wise or config.readout == "recurrent"):
        raise OptionError("--linear-skip needs the whole window and a dense readout: not seq2seq, not recurrent")
    if config.patch > 1 and step_wise:
        raise OptionError("--patch joins steps, but --strategy seq2seq forecasts at each; use --conv there")
    if config.patch > config.window:
        raise OptionError(f"--patch {config.patch} is longer than --window {config.window}")
    if config.conv and config.conv_kernel > config.window // config.patch:
        raise OptionError(f"--conv-kernel {config.conv_kernel} is longer than --window {config.window}")
    if config.readout == "recurrent" and (config.cell in ("wavenet", "linear") or config.strategy == "encoder-decoder"):
        raise OptionError(
            f"--readout recurrent needs a recurrent --cell and no decoder, not {config.cell}, {config.strategy}"
        )
    if config.layers < 1 and config.readout != "recurrent":
        raise OptionError(f"--layers {config.layers}: at least 1, unless --readout recurrent is the only layer")
    if step_wise and not 0 <= config.loss_from < config.window:
        raise OptionError(f"--loss-from {config.loss_from} must lie in the window of {config.window} steps")
