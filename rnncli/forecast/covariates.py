"""What is known beside the target: columns of the table and features of the calendar, as numbers.

Past covariates are known until a forecast begins, future covariates for the steps ahead, too, static ones are the same
at every step. Columns of numbers are told in units of their mean and standard deviation over all series; of a column
of texts, each text is a column of zeros and ones, and an empty cell is none of them.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rnncli.errors import DataError
from rnncli.forecast import calendar
from rnncli.forecast.columns import mostly_numbers, numbers
from rnncli.forecast.series import Series

_MOST_CATEGORIES = 100


class Column(NamedTuple):
    """How the cells of a column become numbers."""

    name: str
    categories: tuple[str, ...] = ()  # of a column of texts
    mean: float = 0.0
    std: float = 1.0

    @property
    def width(self) -> int:
        """How many columns of numbers it makes."""
        return max(1, len(self.categories))


class Sizes(NamedTuple):
    """How many covariates of each kind there are."""

    past: int = 0
    known: int = 0
    static: int = 0


NO_COVARIATES = Sizes()


@dataclass(frozen=True)
class Encoding:
    """How cells and stamps become covariates; what a checkpoint has of them.

    Attributes:
        past, known, static: the columns; `known` are the future covariates of the table.
        calendar: names of the features that the stamps tell, which are future covariates too.
        holidays: the country of the holidays.
        targets: the targets that a network is told apart and sees all of; none where it sees one at a time.
    """

    past: tuple[Column, ...] = ()
    known: tuple[Column, ...] = ()
    static: tuple[Column, ...] = ()
    calendar: tuple[str, ...] = ()
    holidays: str | None = None
    targets: tuple[str, ...] = ()

    @property
    def sizes(self) -> Sizes:
        """How many covariates there are."""
        past, known, static = (sum(each.width for each in kind) for kind in (self.past, self.known, self.static))
        return Sizes(past, known + calendar.count_of(self.calendar), static + len(self.targets))

    def same_names(self, other: "Encoding") -> bool:
        """Whether another one is of the same columns and features."""
        names = [(each.columns(), each.calendar, each.holidays, each.targets) for each in (self, other)]
        return names[0] == names[1]

    def columns(self) -> dict[str, Any]:
        """The settings that read such covariates."""
        past = [each.name for each in self.past if each.name not in self.targets]
        names = {"past_covariates": past} | {
            setting: [each.name for each in kind]
            for setting, kind in (("future_covariates", self.known), ("static", self.static))
        }
        return {setting: ",".join(each) for setting, each in names.items() if each}

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        kinds = {
            kind: [[each.name, list(each.categories), each.mean, each.std] for each in getattr(self, kind)]
            for kind in ("past", "known", "static")
        }
        lists = {"calendar": list(self.calendar), "targets": list(self.targets)}
        return {**kinds, **lists, "holidays": self.holidays}

    @classmethod
    def from_dict(cls, tables: Mapping[str, Any]) -> "Encoding":
        """From what `as_dict` gives. Raises KeyError, TypeError, ValueError: it is something else."""
        past, known, static = (
            tuple(Column(str(n), tuple(c), float(m), float(s)) for n, c, m, s in tables[kind])
            for kind in ("past", "known", "static")
        )
        named, targets = (tuple(map(str, tables[name])) for name in ("calendar", "targets"))
        return cls(past, known, static, named, tables["holidays"], targets)


@dataclass(frozen=True)
class Covariates:
    """The covariates of the series of a panel, end to end.

    Attributes:
        past: float64 `[n, P]`, at the places of the values.
        known: float64 `[n + steps ahead, F]`; NaN where nothing is said of a step ahead.
        starts: where those of each series begin in `known`, int `[series + 1]`.
        static: float64 `[series, S]`.
        encoding: how they were made.
    """

    past: np.ndarray
    known: np.ndarray
    starts: np.ndarray
    static: np.ndarray
    encoding: Encoding

    @property
    def sizes(self) -> Sizes:
        """How many covariates there are."""
        return self.encoding.sizes

    def followed_by(self, other: "Covariates") -> "Covariates":
        """These, and those of another panel."""
        past, known, static = (
            np.concatenate([getattr(each, name) for each in (self, other)]) for name in ("past", "known", "static")
        )
        starts = np.concatenate([self.starts, other.starts[1:] + len(self.known)])
        return Covariates(past, known, starts, static, self.encoding)


def learn(
    members: Sequence[Series],
    past: Sequence[str],
    known: Sequence[str],
    static: Sequence[str],
    *,
    named: Sequence[str] = (),
    holidays: str | None = None,
    targets: Sequence[str] = (),
) -> Encoding:
    """Find out how the columns of some series become numbers; `named` are features of the calendar.

    Raises DataError: a column has too many texts.
    """

    def column(name: str) -> Column:
        cells = [cell for member in members for cell in member.beside[name] if cell is not None]
        if mostly_numbers(cells):
            values = _numbers(cells, name)
            std = float(np.nanstd(values))
            return Column(name, (), float(np.nanmean(values)), std if std > 0 else 1.0)
        categories = sorted({cell for cell in cells if cell})
        if len(categories) > _MOST_CATEGORIES:
            raise DataError(f"column {name!r} has {len(categories)} texts, more than {_MOST_CATEGORIES}; group them")
        return Column(name, tuple(categories))

    kinds = (tuple(map(column, names)) for names in (past, known, static))
    return Encoding(*kinds, calendar=tuple(named), holidays=holidays, targets=tuple(targets))


def _numbers(cells: Sequence[str], name: str) -> np.ndarray:
    return numbers(cells, name, [])[0]


def encode(members: Sequence[Series], encoding: Encoding, say: Callable[[str], None], horizon: int = 0) -> Covariates:
    """The covariates of some series; gaps in the past are filled, and it is said.

    Raises DataError, which names the series: future covariates have a gap, or end before the horizon; a static column
    says two things of a series.
    """
    notes: Counter[str] = Counter()
    sizes = [len(each.values) for each in members]
    calendar_names = encoding.calendar
    past = _columns(members, encoding.past, sizes, notes, ahead=False)
    rows = [
        max([size + horizon, *(len(m.beside[c.name]) for c in encoding.known)])
        for m, size in zip(members, sizes, strict=True)
    ]
    table = _columns(members, encoding.known, rows, notes, ahead=True)
    known = []
    for member, size, count, columns in zip(members, sizes, rows, table, strict=True):
        _check_ahead(member, encoding.known, columns, size, horizon)
        if calendar_names:
            assert member.clock is not None
            told = calendar.features(member.clock, count, calendar_names, encoding.holidays)
            columns = np.concatenate([columns, told], 1)
        known.append(columns)
    static = np.array([_static(member, encoding, say) for member in members])
    for what, count in notes.items():
        where = f" in {count} series" if len(members) > 1 else ""
        say(f"{what}{where}")
    starts = np.cumsum([0, *rows])
    return Covariates(np.concatenate(past), np.concatenate(known), starts, static, encoding)


def _columns(
    members: Sequence[Series], columns: Sequence[Column], sizes: Sequence[int], notes: Counter[str], *, ahead: bool
) -> list[np.ndarray]:
    """The columns of each series as numbers, `[size, width]`; NaN behind the last value where nothing is said.

    `ahead`: they are known for the steps ahead, too, and a gap may be filled from both of its sides.
    """
    tables = [[np.zeros((size, 0))] for size in sizes]
    for column in columns:
        for member, size, parts in zip(members, sizes, tables, strict=True):
            cells = np.full(size, None, object)
            own = member.beside[column.name][:size]
            cells[: len(own)] = own
            parts.append(_encoded(cells, column, member, notes, ahead=ahead))
    return [np.concatenate(parts, 1) for parts in tables]


def _encoded(cells: np.ndarray, column: Column, member: Series, notes: Counter[str], *, ahead: bool) -> np.ndarray:
    """Cells as numbers, `[n, width]`: what is missing before the last value is filled."""
    last = len(member.values)
    absent = np.array([cell is None for cell in cells], bool)
    if column.categories:
        numbers = np.stack([cells == each for each in column.categories], 1).astype(np.float64)
        strange = sorted({str(cell) for cell in cells[~absent] if cell and cell not in column.categories})
        if strange:
            notes[f"warning: column {column.name!r} has {strange[0]!r}, which the training did not know: ignored"] += 1
        numbers[absent & (np.arange(len(cells)) >= last)] = np.nan
        return numbers
    present = [cell or "" for cell in cells]
    if not any(present[:last]):
        raise DataError(f"{_whose(member)}column {column.name!r} has no values; leave it out of the covariates")
    values = (_numbers(present, column.name) - column.mean) / column.std
    if np.isnan(values[:last]).any():
        how, given = "linear" if ahead else "previous", pd.Series(values[:last])
        notes[f"column {column.name!r} had missing values, filled ({how}),"] += 1
        # what is known until a forecast begins must not be filled from what comes after it
        filled = given.interpolate("linear", limit_direction="both") if ahead else given.ffill().bfill()
        values[:last] = filled.to_numpy()
    return values[:, None]


def _check_ahead(member: Series, columns: Sequence[Column], values: np.ndarray, size: int, horizon: int) -> None:
    """Raise DataError where future covariates are not known for each step of the horizon."""
    absent = np.isnan(values[size : size + horizon])
    if not absent.any():
        return
    step, place = (int(each[0]) for each in np.nonzero(absent))
    names = [column.name for column in columns for _ in range(column.width)]
    what = f"{_whose(member)}column {names[place]!r}"
    if not np.isnan(values[size + step :, place]).all():
        raise DataError(f"{what} has no value at {member.stamp(size + step)}, a step ahead; fill the gap")
    given = f"ends {step} steps after the last value" if step else "ends with the last value"
    remedy = f", or use `horizon` {step}" if step else ""
    raise DataError(
        f"{what} {given}, and `horizon` is {horizon}; give {horizon - step} rows more with `future`{remedy}"
    )


def _static(member: Series, encoding: Encoding, say: Callable[[str], None]) -> np.ndarray:
    """What the static columns say of a series, `[S]`."""
    parts = [np.array([float(member.name == each) for each in encoding.targets])]
    for column in encoding.static:
        cells = member.beside[column.name]
        texts = dict.fromkeys(str(cell) for cell in cells if cell)
        if len(texts) > 1:
            first, second = list(texts)[:2]
            raise DataError(
                f"{_whose(member)}column {column.name!r} has {first!r} and {second!r}: it is not static; name it with "
                "`past_covariates` or `future_covariates`"
            )
        text = next(iter(texts), "")
        if column.categories:
            if text and text not in column.categories:
                say(f"warning: {_whose(member)}column {column.name!r} has {text!r}, unknown to the training: ignored")
            parts.append(np.array([float(text == each) for each in column.categories]))
        else:
            value = _numbers([text], column.name)[0] if text else column.mean
            parts.append(np.array([(value - column.mean) / column.std]))
    return np.concatenate(parts)


def _whose(member: Series) -> str:
    return f"series {member.id!r}: " if member.id else ""
