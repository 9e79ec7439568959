"""From `Settings` classes to the options of a verb: names, types, help, checks and completion.

A verb is a function whose keyword parameters are settings classes, or `Chosen` of one where presets and data decide
what nobody chose:

    @verb(app, examples=["rnncli forecast sales.csv"])
    def train(series: SeriesSource, chosen: Chosen[ForecastSettings], output: Output) -> None:

Nothing heavier than Typer is imported here.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from typer.core import TyperCommand

from rnncli.configuration import OWN, Configuration, further, lines
from rnncli.errors import ParameterError
from rnncli.settings import REQUIRED, Chosen, Setting, Settings, check, settings_of
from rnncli.verbs import write_examples, write_groups

Function = Callable[..., None]
_MANY = ("sweep", "seeds", "budget")  # with these, several trainings go on, each with a configuration of its own


class Only:
    """In an annotation: a verb takes only these settings of a class."""

    def __init__(self, *names: str | type[Settings]):
        """`names` are settings, or classes whose settings are meant."""
        self.names = {each for name in names for each in ([name] if isinstance(name, str) else settings_of(name))}


class VerbCommand(TyperCommand):
    """A command whose help shows its options in groups, and examples at its end."""

    examples: Collection[str] = ()
    settings: Mapping[str, Setting] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words; what a file of `--config` may say need not be among them."""
        configured = any(word == "--config" or word.startswith("--config=") for word in args)
        for parameter in self.params:
            declared = self.settings.get(parameter.name or "")
            if declared is not None and declared.default is REQUIRED:
                parameter.required = not configured
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then a section for each group of options."""
        write_groups(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples."""
        write_examples(self.examples, formatter)


def verb(app: typer.Typer, name: str | None = None, *, examples: Collection[str]) -> Callable[[Function], Function]:
    """Register a function as a command of `app`; its name is the function's unless one is given."""

    def decorate(function: Function) -> Function:
        wrapped = with_options(function, configurable=True)
        command = type("Command", (VerbCommand,), {"examples": tuple(examples), "settings": wrapped.settings})
        app.command(name, cls=command)(wrapped)
        return function

    return decorate


class with_options:  # noqa: N801 - a decorator
    """A function as Typer calls it: with a value for each option, None where there was none."""

    def __init__(self, function: Function, *, configurable: bool = False):
        """Of a `configurable` command, settings may come from the environment and from files, too."""
        self._function, self._configurable = function, configurable
        self.__name__, self.__doc__ = function.__name__, function.__doc__
        self._groups: dict[str, tuple[type[Settings], bool, dict[str, Setting]]] = {}
        for parameter in inspect.signature(function, eval_str=True).parameters.values():
            kind, only = parameter.annotation, None
            if get_origin(kind) is Annotated:
                kind, only = get_args(kind)
            partial = get_origin(kind) is Chosen
            cls = get_args(kind)[0] if partial else kind
            settings = settings_of(cls)
            kept = {name: each for name, each in settings.items() if only is None or name in only.names}
            self._groups[parameter.name] = cls, partial, kept

    @property
    def settings(self) -> dict[str, Setting]:
        """All settings by name, those first that are told by their place."""
        settings = [setting for _, _, group in self._groups.values() for setting in group.values()]
        settings += settings_of(Configuration).values() if self._configurable else []
        return {setting.name: setting for setting in sorted(settings, key=lambda setting: not setting.positional)}

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.Signature([_parameter(setting) for setting in self.settings.values()])

    @property
    def __annotations__(self) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return {parameter.name: parameter.annotation for parameter in self.__signature__.parameters.values()}

    def __call__(self, **values: Any) -> None:
        """Call the function with its settings made of the options' values."""
        if self._configurable:
            configuration = Configuration(**{name: values.pop(name) for name in OWN if values[name] is not None})
            options = {name: (value, "option") for name, value in values.items() if value is not None}
            given = further(self.settings, self._words(), configuration.config, self._resumed(values)) | options
            if configuration.print_config:
                print("".join(lines(self.settings, given)), end="")
                return
            values = dict.fromkeys(values) | {name: value for name, (value, _) in given.items()}
            for each in self.settings.values():
                if each.default is REQUIRED and values[each.name] is None:
                    raise ParameterError(f"'{configuration.config}' has no {each.name!r}: name {each.metavar}")
        arguments = {}
        for name, (cls, partial, settings) in self._groups.items():
            given = {each: values[each] for each in settings if values[each] is not None}
            arguments[name] = Chosen(cls, given) if partial else cls(**given)
        self._function(**arguments)

    def _resumed(self, values: Mapping[str, Any]) -> Path | None:
        """The folder of the training that goes on; None where a new one begins."""
        if not values.get("resume") or any(values.get(name) is not None for name in _MANY):
            return None
        return values["checkpoint"] or self.settings["checkpoint"].default

    def _words(self) -> tuple[str, ...]:
        """The words of the command, as its module and its name tell them."""
        module = self._function.__module__.split(".")
        return module[-2], self.__name__


def _parameter(setting: Setting) -> inspect.Parameter:
    """A setting as a parameter that Typer reads."""
    kind = setting.base
    if get_origin(kind) is tuple:
        kind = list[get_args(kind)[0]]
    elif setting.choices:
        kind = Literal[setting.choices]  # pyright: ignore[reportInvalidTypeForm]
    common: dict[str, Any] = {"help": setting.help, "metavar": setting.metavar}
    if setting.bounds is not None or setting.convert is not None:
        common["callback"] = _checker(setting)
    required = setting.default is REQUIRED
    if setting.positional:
        info: Any = typer.Argument(show_default=False, **common)
    else:
        shown: Any = setting.default_help or False
        info = typer.Option(*setting.option_names, show_default=shown, rich_help_panel=setting.group, **common)
    annotation: Any = Annotated[kind if required else kind | None, info]
    default = inspect.Parameter.empty if required else None
    return inspect.Parameter(setting.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _checker(setting: Setting) -> Callable[[Any], Any]:
    """A callback that refuses what the setting does not allow."""

    def checked(value: Any) -> Any:
        try:
            return None if value is None else check(setting, value)
        except ParameterError as error:
            raise typer.BadParameter(str(error.__cause__)) from error

    return checked


def as_words(settings: Mapping[str, Setting], values: Mapping[str, Any]) -> list[str]:
    """The words of a command line that give settings these values, JSON types.

    Those at their defaults are left out, but where the data might make something else of a default.
    """
    arguments, options = [], []
    preset = settings.get("preset")
    asked_for = () if preset is None else preset.choices
    for name, each in settings.items():
        value = values.get(name)
        items = value if isinstance(value, list | tuple) else [value]
        moves = each.by_data or each.shown or any(name in each.presets[kind] for kind in {*each.presets} - {*asked_for})
        if value is None or (not moves and each.default in (value, tuple(items))):
            continue
        option = each.option
        if each.positional:
            arguments += [f"./{item}" if str(item).startswith("-") and item != "-" else str(item) for item in items]
        elif each.base is bool:
            both = option if "/" in option else f"{option}/--no-{option[2:]}"
            options.append(both.split("/")[0 if value else 1])
        else:
            for word in map(_word, items):
                options += [f"{option}={word}"] if word[:1] == "-" else [option, word]
    return [*arguments, *options]


def _word(value: Any) -> str:
    """A value as it is written on a command line; the number that was meant, in as few digits as say it."""
    short = f"{value:g}" if isinstance(value, float) else ""
    return short if short and float(short) == value else str(value)
