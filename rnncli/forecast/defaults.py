"""What a series, its length and its season make of the defaults."""

import math
from collections.abc import Mapping
from typing import Any

from rnncli.forecast.settings import (
    NOT_RECURRENT,
    ForecastNetwork,
    ForecastSettings,
    ForecastTraining,
    Preset,
)
from rnncli.settings import Chosen, settings_of

# How long a series is trained, in batches: chosen for its cost, a few seconds. Where the best epoch is the last one, as
# on long series, longer training would gain.
_SERIES_STEPS = 800
_MOST_SEASONS, _MOST_STEPS = 7, 512  # of a default window
_LEAST_WINDOWS = 400  # of a training part from which a network learns more than the linear maps


def for_lecture(chosen: Mapping[str, Any], preset: Preset = "default") -> ForecastSettings:
    """The settings for the synthetic data: what the user chose, over the preset, over the defaults."""
    chosen = Chosen(ForecastSettings, chosen)
    window = chosen.get("window", ForecastSettings.window)
    by_window = {"loss_from": min(ForecastSettings.loss_from, window * 2 // 5)}
    return chosen.over(by_window, ForecastSettings.presets.get(preset, {}))


def for_series(chosen: Mapping[str, Any], size: int, season: int, preset: Preset = "default") -> ForecastSettings:
    """The settings for a user's series of `size` values with that season.

    A window of whole seasons, cut into patches of a season or a whole part of it, goes through one layer beside a
    linear path: patches of half a day instead of single steps halved the error on half-hourly data.
    """
    chosen = Chosen(ForecastSettings, chosen)
    horizon = chosen.get("horizon") or max(1, min(season if season > 1 else 10, 48, size // 10))
    fractions = (chosen.get(name, getattr(ForecastSettings, name)) for name in ("test_fraction", "validation_fraction"))
    test, validation = part_sizes(size, horizon, season, *fractions)
    train = size - test - validation
    window = chosen.get("window") or _default_window(train, horizon, season)
    defaults = {"horizon": horizon, "window": window, "season": season, "system": "auto", "normalize": "shift"}
    defaults |= {"loss_from": window * 2 // 5}
    windows = train - window - horizon + 1 if validation >= horizon else 0
    if not wants_network(chosen, windows):
        return chosen.over({"cell": "linear", "strategy": "direct"}, defaults)
    static = ForecastSettings.presets["series"]
    strategy = chosen.get("strategy", static["strategy"])
    defaults |= {
        "linear_skip": strategy != "seq2seq" and chosen.get("readout", "dense") == "dense",
        "patch": 1 if _patchless(chosen, strategy) else _default_patch(window, season),
        "epochs": _epochs(windows, chosen.get("batch_size", ForecastSettings.batch_size)),
    }
    return chosen.over(static, defaults, ForecastSettings.presets.get(preset, {}))


def wants_network(chosen: Mapping[str, Any], windows: int) -> bool:
    """Whether a network is trained: where one is described or asked for, or where there is enough to learn from."""
    if "system" in chosen and chosen["system"] not in ("auto", "network"):
        return False
    described = chosen.keys() & (settings_of(ForecastNetwork).keys() | settings_of(ForecastTraining).keys())
    return chosen.get("system") == "network" or bool(described - {"seed", "precision"}) or windows >= _LEAST_WINDOWS


def _epochs(windows: int, batch_size: int) -> int:
    """Passes over the training part."""
    batches = max(1, windows // batch_size)
    return max(10, math.ceil(_SERIES_STEPS / batches))


def part_sizes(
    size: int, horizon: int, season: int, test_fraction: float, validation_fraction: float
) -> tuple[int, int]:
    """Values in the test and the validation part of a series.

    The fractions, in whole horizons: at least one for the test, two for validation, as one or two origins would select
    noise. Two seasons are left before them, where that is not most of the series. What a short series has no place for
    is taken from the test part first, which then has 0 values, and from validation, which then may have less than a
    horizon.
    """

    def whole(fraction: float) -> int:
        return max(1, int(fraction * size) // horizon) * horizon

    seasons = 2 * season + 2 if 2 * season + 2 <= 3 * size / 4 else 0
    room = size - min(max(seasons, 8), max(1, size - 1))
    test = min(whole(test_fraction), max(0, room - max(1, horizon // 3)) // horizon * horizon)
    return test, min(max(whole(validation_fraction), 2 * horizon), room - test)


def _default_window(train: int, horizon: int, season: int) -> int:
    """Whole seasons, at most seven; a training part of `train` values has twice as many windows as that has steps."""
    most = max(1, (train - horizon) // 3)
    if not 1 < season <= most:
        return min(ForecastSettings.window, most)
    return season * min(_MOST_SEASONS, most // season, max(1, _MOST_STEPS // season))


def _patchless(chosen: Mapping[str, Any], strategy: str) -> bool:
    return strategy == "seq2seq" or chosen.get("conv", False) or chosen.get("cell") in NOT_RECURRENT


def _default_patch(window: int, season: int) -> int:
    """The season or a whole part of it, at most 24 steps; without one, a sixth of the window."""
    if not 2 <= season <= window:
        return max(1, window // 6)
    parts = math.ceil(season / 24)
    return max(1, round(season / parts))
