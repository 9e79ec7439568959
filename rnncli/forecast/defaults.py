"""What a series, its length and its season make of the defaults."""

import math
from collections.abc import Mapping
from typing import Any

from rnncli.forecast.settings import NOT_RECURRENT, ForecastSettings, Preset
from rnncli.settings import Chosen

# How long a series is trained, in batches: chosen for its cost, a few seconds. Where the best epoch is the last one, as
# on long series, longer training would gain.
_SERIES_STEPS = 800


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
    test, validation = part_sizes(
        size,
        horizon,
        chosen.get("test_fraction", ForecastSettings.test_fraction),
        chosen.get("validation_fraction", ForecastSettings.validation_fraction),
    )
    train = size - test - validation
    window = chosen.get("window") or _default_window(train, horizon, season)
    static = ForecastSettings.presets["series"]
    strategy = chosen.get("strategy", static["strategy"])
    by_series: dict[str, Any] = {
        "horizon": horizon,
        "window": window,
        "season": season,
        "normalize": "last",
        "linear_skip": strategy != "seq2seq" and chosen.get("readout", "dense") == "dense",
        "patch": 1 if _patchless(chosen, strategy) else _default_patch(window, season),
        "loss_from": window * 2 // 5,
    }
    defaults = {**static, **by_series, **ForecastSettings.presets.get(preset, {})}
    if "epochs" not in chosen:
        examples = max(1, train - window - horizon + 1)
        batches = max(1, examples // chosen.get("batch_size", ForecastSettings.batch_size))
        defaults["epochs"] = max(10, math.ceil(_SERIES_STEPS / batches))
    return chosen.over(defaults)


def part_sizes(size: int, horizon: int, test_fraction: float, validation_fraction: float) -> tuple[int, int]:
    """Values in the test and the validation part: the fractions, in whole horizons, at least one."""

    def whole(fraction: float) -> int:
        return max(1, int(fraction * size) // horizon) * horizon

    return whole(test_fraction), whole(validation_fraction)


def _default_window(train: int, horizon: int, season: int) -> int:
    """Whole seasons as far as the training part has enough windows of them; never less than a horizon if it fits."""
    whole = (count * season for count, least in ((3, 20), (2, 4), (1, 4)) if count * season * least <= train)
    wanted = next(whole, ForecastSettings.window) if season > 1 else ForecastSettings.window
    if season == 1 or wanted < season:
        wanted = min(wanted, train // 4)
    return max(1, min(max(wanted, horizon), train - horizon))


def _patchless(chosen: Mapping[str, Any], strategy: str) -> bool:
    return strategy == "seq2seq" or chosen.get("conv", False) or chosen.get("cell") in NOT_RECURRENT


def _default_patch(window: int, season: int) -> int:
    """The season or a whole part of it, at most 24 steps; without one, a sixth of the window."""
    if not 2 <= season <= window:
        return max(1, window // 6)
    parts = math.ceil(season / 24)
    return max(1, round(season / parts))
