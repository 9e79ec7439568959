"""What a series, its length and its season make of the defaults."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rnncli.forecast.settings import NOT_RECURRENT, ForecastNetwork, ForecastSettings, ForecastTraining, Preset
from rnncli.settings import Chosen, preset_of, settings_of

# How long a series, and many of them, are trained, in batches: chosen for the cost, a few seconds and some minutes.
# Where the best epoch is the last one, as on long series, longer training would gain.
_SERIES_STEPS, _MANY_STEPS = 800, 5000
_MOST_PASSES = 100
_MOST_SEASONS, _MOST_STEPS = 7, 512  # of a default window
_LEAST_WINDOWS = 5000  # of a training part, from which on a network was seen to add to the linear maps


def for_lecture(chosen: Mapping[str, Any], preset: Preset = "default") -> ForecastSettings:
    """The settings for the synthetic data: what the user chose, over the preset, over the defaults."""
    chosen = Chosen(ForecastSettings, chosen)
    window = chosen.get("window", ForecastSettings.window)
    by_window = {"loss_from": min(ForecastSettings.loss_from, window * 2 // 5)}
    return chosen.over(by_window, preset_of(ForecastSettings, preset, Preset))


def for_series(
    chosen: Mapping[str, Any], sizes: int | Sequence[int], season: int, preset: Preset = "default"
) -> ForecastSettings:
    """The settings for a user's series with that season, or for several, of so many values.

    A window of whole seasons, cut into patches of a season or a whole part of it, goes through one layer beside a
    linear path: patches of half a day instead of single steps halved the error on half-hourly data.
    """
    chosen = Chosen(ForecastSettings, chosen)
    sizes = [sizes] if isinstance(sizes, int) else sizes
    many, size = len(sizes) > 1, sorted(sizes)[len(sizes) // 2]
    horizon = chosen.get("horizon") or max(1, min(season if season > 1 else 10, 48, size // 10))
    test, validation = _parts(chosen, size, horizon, season, many)
    window = chosen.get("window") or _default_window(size - test - validation, horizon, season, many)
    defaults = {"horizon": horizon, "window": window, "season": season, "system": "auto", "normalize": "shift"}
    defaults |= {"loss_from": window * 2 // 5}
    least = min(window, season) if many else window
    windows = sum(_windows(each, *_parts(chosen, each, horizon, season, many), least, horizon) for each in sizes)
    if preset == "default" and not wants_network(chosen, windows):
        return chosen.over({"cell": "linear", "strategy": "direct"}, defaults)
    static = ForecastSettings.presets["many" if many else "series"]
    strategy = chosen.get("strategy", static["strategy"])
    batch_size = chosen.get("batch_size", static["batch_size"])
    passes = _MOST_PASSES * windows // batch_size  # a few series are learnt by heart sooner
    steps = min(_MANY_STEPS, max(_SERIES_STEPS, passes)) if many else _SERIES_STEPS
    defaults |= {
        "linear_skip": strategy != "seq2seq" and chosen.get("readout", "dense") == "dense",
        "patch": 1 if _patchless(chosen, strategy) else _default_patch(window, season),
        "epochs": max(2 if many else 10, math.ceil(steps / max(1, windows // batch_size))),
    }
    return chosen.over(static, defaults, preset_of(ForecastSettings, preset, Preset))


def _parts(chosen: Mapping[str, Any], size: int, horizon: int, season: int, many: bool) -> tuple[int, int]:
    fractions = (chosen.get(name, getattr(ForecastSettings, name)) for name in ("test_fraction", "validation_fraction"))
    return part_sizes(size, horizon, season, *fractions, many=many)


def _windows(size: int, test: int, validation: int, window: int, horizon: int) -> int:
    """Windows of a training part; 0 where the validation part has no place for one."""
    return max(0, size - test - validation - window - horizon + 1) if validation >= horizon else 0


def wants_network(chosen: Mapping[str, Any], windows: int) -> bool:
    """Whether a network is trained: where one is described or asked for, or where there is enough to learn from."""
    if "system" in chosen and chosen["system"] not in ("auto", "network"):
        return False
    described = chosen.keys() & (settings_of(ForecastNetwork).keys() | settings_of(ForecastTraining).keys())
    return chosen.get("system") == "network" or bool(described - {"seed", "precision"}) or windows >= _LEAST_WINDOWS


def part_sizes(
    size: int, horizon: int, season: int, test_fraction: float, validation_fraction: float, *, many: bool = False
) -> tuple[int, int]:
    """Values in the test and the validation part of a series.

    The fractions, in whole horizons: at least one for the test, two for validation (of `many` series, one), as few
    origins would select noise. Two seasons are left before them, where that is not most of the series. What a short
    series has no place for is taken from the test part first, which then has 0 values, and from validation, which then
    may have less than a horizon.
    """

    def whole(fraction: float) -> int:
        return max(1, int(fraction * size) // horizon) * horizon

    seasons = 2 * season + 2 if 2 * season + 2 <= 3 * size / 4 else 0
    room = size - min(max(seasons, 8), max(1, size - 1))
    test = min(whole(test_fraction), max(0, room - max(1, horizon // 3)) // horizon * horizon)
    return test, min(max(whole(validation_fraction), horizon if many else 2 * horizon), room - test)


def _default_window(train: int, horizon: int, season: int, many: bool) -> int:
    """Whole seasons, at most seven: a training part of `train` values has twice as many windows as that has steps.

    Many series have windows enough: there it is four fifths of what an ordinary one of them has, at most fourteen.
    """
    most = max(1, 4 * (train - horizon) // 5 if many else (train - horizon) // 3)
    if not 1 < season <= most:
        return min(ForecastSettings.window, most)
    seasons = _MOST_SEASONS * 2 if many else _MOST_SEASONS
    return season * min(seasons, most // season, max(1, _MOST_STEPS // season))


def _patchless(chosen: Mapping[str, Any], strategy: str) -> bool:
    return strategy == "seq2seq" or chosen.get("conv", False) or chosen.get("cell") in NOT_RECURRENT


def _default_patch(window: int, season: int) -> int:
    """The season or a whole part of it, at most 24 steps; without one, a sixth of the window."""
    if not 2 <= season <= window:
        return max(1, window // 6)
    parts = math.ceil(season / 24)
    return max(1, round(season / parts))
