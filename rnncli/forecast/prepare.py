"""From what the user names to a training: tables read, settings that suit the data, windows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnncli.errors import DataError, ParameterError
from rnncli.forecast.calendar import names_for
from rnncli.forecast.combination import rolling_origins
from rnncli.forecast.covariates import Encoding, encode, learn
from rnncli.forecast.data import Dataset, dataset
from rnncli.forecast.defaults import for_lecture, for_series
from rnncli.forecast.panel import Panel, lecture_panel
from rnncli.forecast.reading import read
from rnncli.forecast.scoring import KINDS, LinearMaps
from rnncli.forecast.season import choose_season
from rnncli.forecast.series import Series
from rnncli.forecast.settings import ForecastSettings, Preset
from rnncli.forecast.source import SeriesSource, columns_of
from rnncli.forecast.strategies import check_covariates
from rnncli.settings import Chosen

Say = Callable[[str], None]
_UNNAMED = SeriesSource()  # values that were given by themselves


def prepare(
    series: Any,
    source: SeriesSource,
    chosen: Chosen[ForecastSettings],
    preset: Preset,
    say: Say,
    encoding: Encoding | None = None,
) -> tuple[ForecastSettings, Dataset]:
    """The settings that suit the data, and its windows; `encoding` says how a saved model reads covariates."""
    if series is not None:
        return configure(read(series, source, say), chosen, preset, say, source, encoding)
    if source.target or source.time_column or source.id or source.future or source.covariates:
        raise ParameterError("`target`, `time_column`, `id` and covariates are of a `series`; name the file too")
    if chosen.get("system", "network") != "network":
        raise ParameterError("`system` chooses what forecasts a `series`; the lecture's data is for networks")
    settings = for_lecture(chosen, preset)
    say(f"the lecture's data: 10,000 synthetic series, window {settings.window}, {settings.horizon} ahead")
    return settings, dataset(lecture_panel(settings.window + settings.horizon), settings)


def configure(
    members: Sequence[Series],
    chosen: Chosen[ForecastSettings],
    preset: Preset,
    say: Say,
    source: SeriesSource = _UNNAMED,
    saved: Encoding | None = None,
    *,
    ahead: bool = True,
) -> tuple[ForecastSettings, Dataset]:
    """The settings that suit one series or several, and the windows; what was found out by itself is said.

    `saved` is how the model to begin with reads covariates. `ahead`: future covariates have to reach to the horizon,
    as there will be a forecast.

    Raises DataError: a value has no logarithm; ParameterError: the covariates are not those of the saved model.
    """
    sizes = [len(each.values) for each in members]
    if source.future_covariates and "horizon" not in chosen:
        rows = min(len(next(iter(each.beside.values()))) - len(each.values) for each in members)
        chosen = chosen.replaced(horizon=rows) if rows > 0 else chosen
    fractions = ("test_fraction", "validation_fraction")
    held_out = sum(chosen.get(name, getattr(ForecastSettings, name)) for name in fractions)
    season = chosen.get("season") or choose_season(members, held_out)
    if "season" in chosen and 2 * season > max(sizes):
        raise DataError(f"`season` {season} does not fit twice into the {max(sizes)} rows of the series")
    settings = for_series(chosen, sizes, season, preset)
    encoding = _encoding(members, source)
    if saved is not None:
        if not saved.same_names(encoding or Encoding()):
            theirs = {**saved.columns(), "calendar": ",".join(saved.calendar)}
            told = " ".join(f"`{name}` {value}" for name, value in theirs.items() if value) or "none"
            raise ParameterError(f"the model in `from_model` has other covariates: {told}; name the same")
        encoding = saved if encoding is not None else None
    covariates = None
    if encoding is not None:
        check_covariates(settings, encoding)
        covariates = encode(members, encoding, say, settings.horizon if ahead else 0)
    panel = Panel.of(members, covariates)
    _check_logarithms(panel, settings)
    data = dataset(panel, settings)
    if settings.has_network:
        settings = _with_normalisation(settings, data.rest, chosen)
    say(_in_words(members, settings, data))
    if settings.system == "auto" and not settings.trains:
        windows = len(data.parts["train"])
        say(f"no network is trained on so few windows ({windows}); a `cell`, or `system` network, asks for one")
    for note in _told(data, settings):
        say(note)
    return settings, data


def _check_logarithms(panel: Panel, settings: ForecastSettings) -> None:
    if settings.transform == "log" and not panel.positive.all():
        number = int(np.flatnonzero(~panel.positive)[0])
        least = panel.values[panel.starts[number] : panel.starts[number + 1]].min()
        raise DataError(
            f"`transform` log: {panel.members[number].label!r} has the value {least:g}, without a logarithm"
        )


def replayed(
    old: str | None, source: SeriesSource, settings: ForecastSettings, data: Dataset, say: Say
) -> Dataset | None:
    """Old data, read as the new is, for a training to replay; None without any.

    Raises DataError: there is not one whole slice in it.
    """
    if old is None:
        return None
    members = read(old, replace(source, future=None), lambda _: None)
    new = data.panel.covariates
    covariates = None if new is None else encode(members, new.encoding, say)
    panel = Panel.of(members, covariates)
    _check_logarithms(panel, settings)
    found = dataset(panel, settings)
    count = len(found.parts["train"]) + len(found.held_out())
    if not count:
        raise DataError(
            f"`replay` {old!r} is too short: no window of {settings.window} steps with {settings.horizon} after it"
        )
    say(f"replays {count} windows of {len(members)} series")
    return found.rest


def _encoding(members: Sequence[Series], source: SeriesSource) -> Encoding | None:
    """How covariates are made of what was read; None where there are none."""
    if not source.covariates:
        return None
    columns = list(members[0].beside)
    targets = list(dict.fromkeys(each.name for each in members)) if source.multivariate == "joint" else []
    past = [*columns_of(source.past_covariates, columns), *targets]
    known, static = (columns_of(each, columns) for each in (source.future_covariates, source.static))
    named = names_for(members[0].clock, source.calendar, source.holidays)
    return learn(members, past, known, static, named=named, holidays=source.holidays, targets=targets)


def _told(data: Dataset, settings: ForecastSettings) -> list[str]:
    """What the covariates are to the systems, in sentences."""
    if data.panel.covariates is None:
        return []
    sizes, notes = data.panel.covariates.sizes, []
    if sizes.known:
        how = "" if data.effects is None else f", as {'shares' if data.effects.log else 'amounts'} of the target"
        found = "no effect was found" if data.effects is None else "their effect is taken off before, and put back"
        count = f"{sizes.known} number{'s' * (sizes.known > 1)} a step"
        notes.append(f"future covariates ({count}): {found}{how}")
    if sizes.static and not settings.has_network:
        notes.append("warning: static columns are for a network, and none is trained; a `cell` asks for one")
    return notes


def _in_words(members: Sequence[Series], settings: ForecastSettings, data: Dataset) -> str:
    """What was read, and how it is looked at."""
    first, size = members[0], len(members[0].values)
    if len(members) == 1:
        span = f", one a {first.clock.step}, {first.stamp(0)} to {first.stamp(size - 1)}" if first.clock else ""
        test = int(data.bounds["test"][0] - data.bounds["validation"][0])
        held = f"test: the last {test} values" if test else "too short for a test part"
    else:
        sizes = [len(each.values) for each in members]
        step = f", one a {first.clock.step}" if first.clock else ""
        span = f" of {len(members)} series{step}, {min(sizes)} to {max(sizes)} each"
        tested = int((data.bounds["test"] > data.bounds["validation"]).sum())
        held = f"test: the last values of {tested} series"
        size = sum(sizes)
    parts = [f"season {settings.season if settings.season > 1 else 'none'}", f"{settings.horizon} ahead"]
    if settings.has_network:
        parts.insert(1, f"window {settings.window}")
        parts.append(f"normalize {settings.normalize}" + (" of logarithms" if settings.transform == "log" else ""))
    names = ", ".join(dict.fromkeys(each.name for each in members))
    return f"{names}: {size} values{span}; {', '.join(parts)}; {held}"


def _with_normalisation(
    settings: ForecastSettings, data: Dataset, chosen: Chosen[ForecastSettings]
) -> ForecastSettings:
    """The settings with the normalisation whose linear map does best on the validation part."""
    bounds = data.bounds["train"], data.bounds["validation"]
    rolling = rolling_origins(data.panel, *bounds, settings.horizon, settings.season)
    maps = LinearMaps(data, settings, (settings.normalize,) if "normalize" in chosen else KINDS)
    wanted = [
        index
        for index, moments in enumerate(maps.moments)
        if "transform" not in chosen or moments.variant.log == (settings.transform == "log")
        # many series have logarithms in common, if any unit
        if moments.variant.log == data.panel.positive.all() or (len(data.panel) == 1 and not moments.variant.log)
    ]
    if not wanted or not len(rolling):
        return settings
    errors = [each.error for each in maps.tried(rolling)]
    variant = maps.moments[min(wanted, key=errors.__getitem__)].variant
    found = {"normalize": variant.normalize, "transform": "log" if variant.log else "none"}
    return replace(settings, **{name: value for name, value in found.items() if name not in chosen})


def described(panel: Panel, source: SeriesSource) -> dict[str, Any]:
    """The data in JSON types: what, beside the settings, repeats a run."""
    if not panel.has_future:
        return {"series": None}
    series = panel.members[0]
    target = source.target if len({each.name for each in panel.members}) > 1 else series.name
    columns = {"target": target, "time_column": series.time_name, "id": source.id, "fill": source.fill or "linear"}
    beside = {"future": source.future} | {
        name: getattr(source, name)
        for name in ("past_covariates", "future_covariates", "static", "calendar", "holidays", "multivariate")
    }
    return {"series": source.series, **columns, **(beside if source.covariates else {})}
