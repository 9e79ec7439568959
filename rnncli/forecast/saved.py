"""What a checkpoint of a forecaster says: its columns, its covariates, its combination."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from flax import nnx

from rnncli.errors import DataError, ParameterError
from rnncli.forecast.columns import NO_TIME
from rnncli.forecast.combination import Combination, systems_of
from rnncli.forecast.covariates import NO_COVARIATES, Encoding, encode
from rnncli.forecast.effects import Effects
from rnncli.forecast.ensemble import empty_forecaster
from rnncli.forecast.intervals import GRID, Intervals
from rnncli.forecast.linear import Linear, Variant
from rnncli.forecast.network import NetworkForecaster
from rnncli.forecast.normalize import Scaling
from rnncli.forecast.panel import Panel
from rnncli.forecast.reading import read, table
from rnncli.forecast.series import Series
from rnncli.forecast.settings import ForecastSettings, Normalize
from rnncli.forecast.source import SeriesSource, columns_of
from rnncli.forecast.task import TASK
from rnncli.forecast.weights import Weights
from rnncli.sharding import ALL, Sharding
from rnncli.tables import UNNAMED
from rnncli.training.restoring import Checkpoint, loader, open_checkpoint
from rnncli.training.stored import damaged

# columns by their name in a checkpoint, and the settings that choose others
_COLUMNS = {"id": "id", "time": "time_column", "target": "target"}


def read_as_trained(
    metadata: Mapping[str, Any],
    series: Any,
    source: SeriesSource,
    say: Callable[[str], None],
    horizon: int,
    sharding: Sharding = ALL,
) -> Panel:
    """Series, read as those of a training were, with the future covariates of so many steps ahead.

    Those with the same name in their `id` column, of several targets, are one record of a `sharding`.

    Raises DataError: they have other columns, or cannot be read.
    """
    wanted = metadata["series"] or {"target": None, "time": None, "step": None, "fill": "linear"}
    found = table(series, source.encoding)
    if list(found.columns) == [UNNAMED]:  # values without names are those of the target
        found, wanted = found.rename(columns={UNNAMED: wanted["target"] or UNNAMED}), {**wanted, "time": None}
    names = {name: getattr(source, own) or wanted.get(name) for name, own in _COLUMNS.items()}
    encoding = encoding_of(metadata)
    kinds = {} if encoding is None else encoding.columns()
    columns = list(found.columns)
    needed = [*columns_of(names["target"], columns), names["id"], names["time"]]
    if source.future is None:  # else they may stand there
        needed += [name for each in kinds.values() for name in columns_of(each, columns)]
    if any(name is not None and name not in columns for name in needed):
        trained = [wanted[name] for name in _COLUMNS if wanted.get(name)]
        trained += [name for each in kinds.values() for name in columns_of(each, columns)]
        raise DataError(
            f"the columns do not fit the checkpoint: it has {', '.join(map(repr, trained))}, "
            f"the table {', '.join(map(repr, columns))}; rename them or use `target`, `time_column` and `id`"
        )
    if encoding is not None and encoding.targets and set(columns_of(names["target"], columns)) != set(encoding.targets):
        raise DataError(f"the model sees its targets together: `target` has to be {','.join(encoding.targets)}")
    how = SeriesSource(
        id=names["id"],
        target=names["target"],
        time_column=names["time"] or NO_TIME,
        fill=source.fill or wanted["fill"],
        future=source.future,
        multivariate="joint" if encoding is not None and encoding.targets else "shared",
        **kinds,
    )
    members = read(found, how, say)
    kept = set(sharding.of(list(dict.fromkeys(each.id for each in members))))
    members = [each for each in members if each.id in kept]
    if not members:
        raise DataError(f"there are too few series for `shard` {sharding.shard}")
    step = members[0].clock.step if members[0].clock else "row"
    if step != (wanted["step"] or "row"):
        trained = wanted["step"] or "row"
        say(f"warning: the model was trained on steps of one {trained}, this series has {step}")
    if encoding is None:
        return Panel.of(members)
    if encoding.calendar and (members[0].clock is None or members[0].clock.moments is None):
        raise DataError("the model knows the calendar, and this series has no column of dates; name a `time_column`")
    return Panel.of(members, encode(members, encoding, say, horizon))


def numbers_of(metadata: Mapping[str, Any], members: Sequence[Series]) -> list[int | None]:
    """The numbers of some series in the training; None for one that was not there."""
    saved = metadata["series"]
    ids = saved.get("ids", [""])
    targets = saved.get("targets", [""] * len(ids))
    several = len(set(targets)) > 1  # else one target may have another name by now
    known = {
        (id, target if several else ""): number for number, (id, target) in enumerate(zip(ids, targets, strict=True))
    }
    return [known.get((member.id, member.name if several else "")) for member in members]


def encoding_of(metadata: Mapping[str, Any]) -> Encoding | None:
    """How a model reads covariates; None where it has none. Raises KeyError, TypeError, ValueError: it is damaged."""
    saved = (metadata["series"] or {}).get("covariates")
    return Encoding.from_dict(saved) if saved else None


@loader
def load_parts(folder: Path) -> tuple[Checkpoint, ForecastSettings, Scaling, Any]:
    """What is saved, settings, units and network of a checkpoint.

    Raises CheckpointError: there is none, or it is damaged.
    """
    checkpoint = open_checkpoint(folder, TASK)
    metadata = checkpoint.metadata
    settings = ForecastSettings(**metadata["config"])
    scaling, encoding = Scaling.from_dict(metadata["scaling"]), encoding_of(metadata)
    _check_series(metadata["series"], scaling)
    network = empty_forecaster(settings, NO_COVARIATES if encoding is None else encoding.sizes)
    nnx.update(network, checkpoint.restore("best", nnx.state(network, nnx.Param)))
    return checkpoint, settings, scaling, network


def load_network(folder: Path) -> tuple[ForecastSettings, Any, Encoding]:
    """Settings, network and covariates of a checkpoint; see `load_parts`. Raises ParameterError: it has no network."""
    checkpoint, settings, _, network = load_parts(folder)
    if not settings.has_network:
        raise ParameterError(f"`from_model` '{folder}' has no network to begin with; train one, as with `cell` gru")
    return settings, network, encoding_of(checkpoint.metadata) or Encoding()


def combination_in(checkpoint: Checkpoint, settings: ForecastSettings, model: Any, scaling: Scaling) -> Combination:
    """The combination of a checkpoint; the network alone where that was saved before its training had ended."""
    least = settings.least_of(len(scaling.plain.mean))
    network = NetworkForecaster.of(model, scaling, least)
    saved = checkpoint.metadata.get("combination")
    if saved is None:
        simple = systems_of(settings.horizon, settings.season, (), network)
        count = len(scaling.plain.mean)
        weights = Weights({}, {name: np.ones((count, len(each))) for name, each in simple.items()}, {})
        intervals = Intervals(np.zeros(count), np.ones(settings.horizon), np.zeros(len(GRID)))
        return Combination("network", settings.horizon, settings.season, (), network, weights, intervals)
    sizes, window, horizon = model.sizes, settings.window, settings.horizon
    try:
        weights = Weights.from_dict(saved)
        variants = [(Variant(*each[:3]), each[3] if len(each) > 3 else 0) for each in saved["linear"]]
        intervals = Intervals.from_dict(saved["intervals"])
        inputs = [window + lags * sizes.past for _, lags in variants]
        if any(each.log for each, _ in variants) and scaling.log is None:
            raise ValueError("logarithms of values that have none")
        if any(lags and not sizes.past for _, lags in variants):
            raise ValueError("lags of covariates that the model does not have")
        effects = None
        if saved.get("effects"):
            count = len(scaling.plain.mean)
            shapes = {"beta": (count, sizes.known), "centre": (sizes.known,), "shared": (sizes.known,)}
            arrays = checkpoint.restore("effects", {name: np.empty(each) for name, each in shapes.items()})
            effects = Effects.from_dict(saved["effects"], arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(checkpoint.path, f"{error} in its combination") from error
    linear: list[Linear] = []
    if variants:
        like = [{"kernel": np.empty((each, horizon)), "bias": np.empty(horizon)} for each in inputs]
        arrays = checkpoint.restore("linear", like)
        linear = [
            Linear(**each, variant=v, units=v.units(scaling), least=least, lags=lags)
            for each, (v, lags) in zip(arrays, variants, strict=True)
        ]
    kept = network if settings.has_network else None
    how = settings.system, horizon, settings.season
    combination = Combination(*how, linear, kept, weights, intervals, effects, settings.classical)
    _check_sizes(combination, len(scaling.plain.mean))
    return combination


def _shares(weights: np.ndarray) -> bool:
    """Whether each is a number from 0 to 1."""
    return bool(((weights >= 0) & (weights <= 1.000001)).all())


def _check_series(series: Mapping[str, Any] | None, scaling: Scaling) -> None:
    """Raises ValueError, TypeError, KeyError: the names and units are not those of so many series."""
    counts = {each.shape for units in (scaling.plain, scaling.log) if units is not None for each in units}
    if len(counts) != 1 or len(next(iter(counts))) != 1:
        raise ValueError("units of different numbers of series")
    if not all(
        np.isfinite(each.mean).all() and (each.std > 0).all() for each in (scaling.plain, scaling.log or scaling.plain)
    ):
        raise ValueError("units that are no numbers")
    words = [] if series is None else [series[name] for name in ("target", "time", "step", "fill", "id")]
    if not all(isinstance(word, str | None) for word in words):
        raise TypeError("columns without a name")
    names = {} if series is None else {name: series[name] for name in ("ids", "targets")}
    for name, each in names.items():
        wrong = not isinstance(each, list) or len(each) != len(scaling.plain.mean)
        if wrong or not all(isinstance(text, str | None) for text in each):
            raise ValueError(f"{name} of another number of series")


def _check_sizes(combination: Combination, count: int) -> None:
    """Raises ValueError: weights, intervals or variants are not those of these systems and so many series."""
    weights, intervals = combination.weights, combination.intervals
    variants = {name: len(each) for name, each in combination.systems.items()}
    for name, number in variants.items():
        if weights.variants[name].shape != (count, number) or not _shares(weights.variants[name]):
            raise ValueError(f"weights of {name} of another size")
    for each_table in (weights.systems, weights.errors):
        if any(name not in variants or each.shape != (count,) for name, each in each_table.items()):
            raise ValueError("weights of other systems, or of another size")
    if combination.system == "auto" and not (weights.systems and all(map(_shares, weights.systems.values()))):
        raise ValueError("no weights")
    if intervals.sizes.shape != (count,) or intervals.growth.shape != (combination.horizon,):
        raise ValueError("intervals of another size")
    if intervals.quantiles.shape != (len(GRID),) or not 0 <= intervals.span <= 10**6:
        raise ValueError("quantiles of another number")
    for each in combination.linear:
        if each.variant.normalize not in get_args(Normalize) or not 0 <= each.lags <= 10**6:
            raise ValueError(f"a linear map of the kind {each.variant!r}")
