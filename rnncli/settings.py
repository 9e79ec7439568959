"""Settings: each is declared once, with its default, help, unit and bounds.

    @dataclass(frozen=True, kw_only=True)
    class NetworkSettings(Settings):
        '''The network.'''

        units: int = setting(256, "Units of a layer.", UNITS)

Everything else is derived from the declaration: the option of the command line and its help, the check of a value, the
entry in a document's or a checkpoint's `config`. A subclass changes a default by `units: int = 128`. The first line of
the class's docstring names the group under which a help text shows its settings.

Only the standard library is imported here, so that a help text costs no more than it does.
"""

import dataclasses
import difflib
import functools
import inspect
import math
import numbers
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar, Union, get_args, get_origin

from rnncli.errors import ParameterError


@dataclass(frozen=True)
class Bounds:
    """An interval of finite numbers, and what stands for one of them in a help text."""

    low: float
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    metavar: str | None = None

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = self.high is None or (value < self.high if self.open_high else value <= self.high)
        return above and below and value < math.inf

    def __str__(self) -> str:
        words = f"{'above' if self.open_low else 'at least'} {self.low:.12g}"
        return (
            words if self.high is None else f"{words} and {'below' if self.open_high else 'at most'} {self.high:.12g}"
        )


COUNT = Bounds(1, 1_000_000, metavar="N")
HALF = Bounds(0, 0.5, metavar="0..0.5")
FRACTION = Bounds(0, 0.5, open_low=True, metavar="0..0.5")
SHARE = Bounds(0, 1, metavar="0..1")
RATE = Bounds(0, 1, open_high=True, metavar="0..1")
SEED = Bounds(0, 2**32 - 1, metavar="N")
UNITS = Bounds(1, 16_384, metavar="N")
POSITIVE = Bounds(0, open_low=True)
NOT_NEGATIVE = Bounds(0, metavar="N")

REQUIRED = dataclasses.MISSING  # the default of a setting that has none
Presets = Mapping[str, Mapping[str, Any]]
_KEY = "setting"  # of the declaration in a field's metadata


@dataclass(frozen=True)
class Setting:
    """A setting of a class. The last fields are what the class makes of the declaration."""

    help: str
    bounds: Bounds | None = None
    metavar: str | None = None
    shown: str | None = None
    by_data: str | None = None
    names: tuple[str, ...] = ()
    choose_from: Callable[[], tuple[str, ...]] | None = None
    positional: bool = False
    convert: Callable[[Any], Any] | None = None
    name: str = ""
    type: Any = None
    default: Any = None
    group: str = ""  # under which a help text shows it
    presets: Presets = field(default_factory=dict)

    @property
    def base(self) -> Any:
        """The type without `| None`."""
        if get_origin(self.type) in (Union, types.UnionType):
            return next(kind for kind in get_args(self.type) if kind is not type(None))
        return self.type

    @property
    def choices(self) -> tuple[str, ...]:
        """The names that are allowed; none where any value is."""
        if self.choose_from is not None:
            return self.choose_from()
        return get_args(self.base) if get_origin(self.base) is Literal else ()

    @property
    def option_names(self) -> tuple[str, ...]:
        """The option's names; none where Typer's own is right."""
        plain = f"--{self.name.replace('_', '-')}"
        return self.names or ((plain,) if self.base is bool and self.default is False else ())

    @property
    def option(self) -> str:
        """The option that is told of it, as in "--units" or "--stateful/--stateless"; of several, the first."""
        return next(iter(self.option_names), f"--{self.name.replace('_', '-')}")

    @property
    def default_help(self) -> str:
        """The default in words, with what presets and the data make of it."""
        parts = [self.shown or self._in_words(self.default)]
        changed: dict[str, list[str]] = {}
        for preset, values in self.presets.items():
            if self.name in values and values[self.name] != self.default:
                changed.setdefault(self._in_words(values[self.name]) or "no", []).append(preset)
        parts += [f"{', '.join(presets)}: {value}" for value, presets in changed.items()]
        return "; ".join(part for part in [*parts, self.by_data] if part)

    def _in_words(self, value: Any) -> str:
        if isinstance(value, bool):
            both = next((name for name in self.names if "/" in name), "")
            return both.split("/")[0 if value else 1].lstrip("-") if both else "yes" if value else ""
        if isinstance(value, float):
            return f"{value:g}"
        return "" if value in (None, "", REQUIRED, ()) else str(value)

    def checked(self, value: Any) -> Any:
        """The value in its usual form.

        Raises ValueError: it is not allowed; the message says why, without the setting's name.
        """
        if value is None and type(None) in get_args(self.type):
            return None
        if self.choices and value not in self.choices:
            raise ValueError(f"{value!r} is not one of {', '.join(map(repr, self.choices))}")
        value = _typed(self.base, value)
        if self.bounds is not None and value not in self.bounds:
            raise ValueError(f"{value:g} is not {self.bounds}")
        return value if self.convert is None else self.convert(value)


def setting(
    default: Any, help: str, bounds: Bounds | None = None, metavar: str | None = None, *, names: str = "", **more: Any
) -> Any:
    """Declare a field of a `Settings` class.

    Args:
        default: its value where nobody chooses another; `REQUIRED` if somebody has to.
        help: one sentence for the help text, with the unit.
        bounds: which numbers are allowed.
        metavar: what stands for the value in a help text, if not what the bounds say.
        names: the option's names, if not the field's: "--output -o", "--stateful/--stateless".
        **more: `shown`, the default in words; `by_data`, how the data changes the default; `positional`, whether the
            command line takes it by its place; `choose_from`, a function that gives the allowed names; `convert`, a
            function that turns a value into its usual form, or raises ValueError.
    """
    metavar = metavar or (bounds.metavar if bounds else None)
    return field(default=default, metadata={_KEY: Setting(help, bounds, metavar, names=tuple(names.split()), **more)})


def _typed(wanted: Any, value: Any) -> Any:
    """The value as the type of a setting has it: NumPy's numbers as Python's, lists as tuples, text as a path."""
    if wanted is bool:
        if type(value).__name__ not in ("bool", "bool_"):
            raise ValueError(f"{value!r} is not true or false")
        return bool(value)
    if wanted is Path:
        if not isinstance(value, str | Path):
            raise ValueError(f"{value!r} is not a path")
        return Path(value)
    if get_origin(wanted) is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{value!r} is not a list")
        return tuple(_typed(get_args(wanted)[0], each) for each in value)
    if wanted in (int, float):
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            raise ValueError(f"{value!r} is not a number")
        try:
            number = float(value)
        except OverflowError:
            raise ValueError(f"{str(value)[:20]}… is too large") from None
        if wanted is int and math.isfinite(number):
            if not number.is_integer():
                raise ValueError(f"{value!r} is not a whole number")
            return int(value)  # pyright: ignore[reportArgumentType] - not by way of a float, which is less exact
        return number
    if wanted is str and not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A frozen value that knows its settings; values are checked when it is made."""

    presets: ClassVar[Presets] = {}  # what named presets, and kinds of data, make of the defaults

    def __post_init__(self) -> None:
        for name, declared in settings_of(type(self)).items():
            object.__setattr__(self, name, check(declared, getattr(self, name)))

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON types, in their order."""
        return {each.name: _as_json(getattr(self, each.name)) for each in dataclasses.fields(self)}


S = TypeVar("S", bound=Settings)


def _as_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


@functools.cache
def settings_of(cls: type[Settings]) -> dict[str, Setting]:
    """The settings of a class by name, the most basic class's first."""
    found = {}
    for each in dataclasses.fields(cls):
        for home in cls.__mro__:  # where a subclass changes the default alone, the declaration is that of a class above
            if each.name in inspect.get_annotations(home):
                declaring = home.__dataclass_fields__[each.name]  # pyright: ignore
                declared = declaring.metadata.get(_KEY)
                if declared is not None:
                    if each.default != declaring.default:
                        declared = dataclasses.replace(declared, shown=None)  # the words for another default
                    group = (home.__doc__ or "").split("\n")[0].rstrip(".")
                    made = {"type": each.type, "default": each.default, "group": group, "presets": cls.presets}
                    found[each.name] = dataclasses.replace(declared, name=each.name, **made)
                    break
    return found


def preset_of(cls: type[Settings], name: str, names: Any) -> Mapping[str, Any]:
    """What a preset makes of the defaults; `names` is the type of their names. Raises ParameterError: it is none."""
    if name not in get_args(names):
        raise ParameterError(f"`preset` {name!r} is not one of {', '.join(map(repr, get_args(names)))}")
    return cls.presets.get(name, {})


def check(setting: Setting, value: Any) -> Any:
    """The value in its usual form. Raises ParameterError: it is not allowed; the message names the setting."""
    try:
        return setting.checked(value)
    except ValueError as error:
        raise ParameterError(f"`{setting.name}`: {error}") from error


class Chosen(Mapping[str, Any], Generic[S]):
    """What somebody chose of the settings of a class, before presets and data decide the others."""

    def __init__(self, cls: type[S], values: Mapping[str, Any]):
        """Check the values. Raises ParameterError: there is no such setting, or its value is not allowed."""
        known = settings_of(cls)
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                advice = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(known)}"
                raise ParameterError(f"there is no setting `{name}`; {advice}")
        self.cls, self._values = cls, {name: check(known[name], value) for name, value in values.items()}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def over(self, *defaults: Mapping[str, Any]) -> S:
        """The whole settings: what was chosen, over the last of the `defaults`, over the ones before it."""
        merged = {name: value for values in (*defaults, self) for name, value in values.items()}
        return self.cls(**merged)

    def replaced(self, **values: Any) -> "Chosen[S]":
        """The same with other values."""
        return Chosen(self.cls, {**self, **values})

    def without(self, name: str) -> "Chosen[S]":
        """The same but for one name, which is left to the defaults."""
        return Chosen(self.cls, {other: value for other, value in self.items() if other != name})


def distributed(parameters: Mapping[str, Any], fixed: Collection[type[Settings]], chosen: type[S]) -> tuple[Any, ...]:
    """Plain parameters as values of the `fixed` classes, and, at last, what was `Chosen` of another.

    Raises ParameterError: there is no such parameter, or its value is not allowed.
    """
    rest = dict(parameters)
    values = [cls(**{name: rest.pop(name) for name in settings_of(cls) if name in rest}) for cls in fixed]
    return (*values, Chosen(chosen, rest))
