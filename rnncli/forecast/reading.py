"""From tables to series: one, several by a column, several by their targets; covariates from another table."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from rnncli.errors import DataError, ParameterError
from rnncli.forecast.clock import read_clock
from rnncli.forecast.columns import find_time, mostly_numbers
from rnncli.forecast.long import read_many
from rnncli.forecast.periods import Irregular
from rnncli.forecast.series import Series, read_series
from rnncli.forecast.source import SeriesSource, columns_of
from rnncli.notation import plain_numbers
from rnncli.tables import read_table, table_from

Say = Callable[[str], None]
_TOTALS = {"total", "totals", "grand total", "sum", "average", "mean", "gesamt", "summe", "insgesamt", "suma", "somme"}


def read(series: Any, source: SeriesSource, say: Say) -> list[Series]:
    """Read one series, or all that a column or several targets tell apart, and tell what was done to them."""
    found = _without_total(table(series, source.encoding), say)
    if source.future is not None:
        found = _with_future(found, source)
    targets = columns_of(source.target, list(found.columns)) or [None]
    beside = _beside_of(source, list(found.columns))
    for name in beside:  # a notation is that of the whole column, not of one series in it
        if name in found.columns and mostly_numbers(found[name]):
            found = found.assign(**{name: plain_numbers(found[name].tolist())[0]})
    _check_time(found, source, beside)
    if source.multivariate == "joint":
        if len(targets) < 2:
            raise ParameterError("`multivariate` joint is for several targets; name them with `target` a,b")
        beside = [*beside, *(name for name in targets if name and name not in beside)]
    members, notes = [], []
    for target in targets:
        columns = {"target": target, "time_column": source.time_column, "fill": source.fill or "linear"}
        if source.id is None:
            one = read_series(found, **columns, beside=beside)
            members, notes = [*members, one], [*notes, *one.notes]
        else:
            more, told = read_many(found, source.id, **columns, beside=beside)
            members, notes = [*members, *more], [*notes, *told]
    for note in dict.fromkeys(notes):
        say(note)
    return members


def _check_time(found: pd.DataFrame, source: SeriesSource, beside: Sequence[str]) -> None:
    """Raise DataError where the time column is named as a covariate, so that none is left."""
    others = [name for name in beside if name in found.columns]
    if source.time_column is not None or not others or find_time(found.drop(columns=others), None, source.target):
        return
    time = find_time(pd.DataFrame(found[others]), None, None)
    if time is not None and not mostly_numbers(found[time[0]]):
        raise DataError(f"column {time[0]!r} is the time of the series; leave it out of the covariates, see `calendar`")


def _beside_of(source: SeriesSource, columns: Sequence[str]) -> list[str]:
    """The columns of all covariates. Raises ParameterError: one of them is something else, too."""
    names: list[str] = []
    taken = {**dict.fromkeys(columns_of(source.target, columns), "target"), source.time_column: "time_column"}
    for kind in ("past_covariates", "future_covariates", "static"):
        for name in columns_of(getattr(source, kind), columns):
            role = "id" if name == source.id else taken.get(name)
            if role is not None:
                raise ParameterError(f"`{kind}` {name!r} is the `{role}` already; name it once")
            taken[name] = kind
            names.append(name)
    return names


def _with_future(past: pd.DataFrame, source: SeriesSource) -> pd.DataFrame:
    """A table with what another one says of the steps after it, whose targets are empty, and of its own."""
    future = table(source.future, source.encoding)
    known = columns_of(source.future_covariates, list(future.columns))
    absent = [name for name in known if name not in future.columns]
    if absent or not known:
        what = f"has no column {absent[0]!r}" if absent else "is given without `future_covariates`"
        raise DataError(f"the table of the `future` {what}; its columns are {', '.join(map(repr, future.columns))}")
    others = [source.id, *columns_of(source.target, list(past.columns))]
    rest = past.drop(columns=[name for name in [*known, *others] if name in past.columns])
    time = find_time(rest, source.time_column, None)
    keys = [name for name in (source.id, time[0] if time else None) if name is not None]
    for name in keys:
        if name not in future.columns:
            raise DataError(f"the table of the `future` has no column {name!r}, which says what its rows belong to")
    if source.id is not None:  # it may know of further series
        future = future[future[source.id].isin(past[source.id])]
    twice = future[future.duplicated(keys)] if keys else future[:0]
    if len(twice):
        raise DataError(f"the table of the `future` has {', '.join(twice.iloc[0][keys])!r} twice; keep one row of each")
    if time is not None:
        _check_notation(past[time[0]].iloc[-1], list(dict.fromkeys(future[time[0]])))
    if time is None:  # its rows follow
        return pd.concat([past, future[[*keys, *known]]], ignore_index=True).fillna("")
    joined = past.merge(future[[*keys, *known]], how="left", on=keys, suffixes=("", "\0"))
    for name in known:
        if f"{name}\0" in joined:
            joined[name] = joined[name].where(joined[name] != "", joined.pop(f"{name}\0"))
    seen = pd.MultiIndex.from_frame(pd.DataFrame(past[keys]))
    new = future[~pd.MultiIndex.from_frame(pd.DataFrame(future[keys])).isin(seen)]
    return pd.concat([joined, new[[*keys, *known]]], ignore_index=True).fillna("")


def _check_notation(past: str, future: Sequence[str]) -> None:
    """Raises DataError: the stamps of the future are written in another way than the last one of the past."""
    try:
        found = read_clock([past, *future])
    except Irregular:
        return  # which is told of the series
    except DataError:
        found = None
    if found is None and future:
        raise DataError(
            f"the table of the `future` has the time {future[0]!r} where the series has {past!r}; write both in one way"
        )


def table(series: Any, encoding: str | None = None) -> Any:
    """The table of a path, or of values."""
    return read_table(os.fspath(series), encoding) if isinstance(series, str | os.PathLike) else table_from(series)


def _without_total(found: pd.DataFrame, say: Say) -> pd.DataFrame:
    """A table without the last row where that has the sums of the others, as spreadsheets do.

    What its column has elsewhere, too, is the name of something.
    """
    for column in found.columns if len(found) > 2 else ():
        cells = found[column]
        if is_total(cells.iloc[-1]) and not (cells.iloc[:-1] == cells.iloc[-1]).any():
            say(f"the last row, {cells.iloc[-1]!r}, is left out")
            return found.iloc[:-1]
    return found


def is_total(cell: str) -> bool:
    """Whether a cell says that its row has the sums of others."""
    return cell.lower().strip(":. ") in _TOTALS
