"""Settings that no option names: from the environment, from a file, from a project.

An option goes over `RNNCLI_<OPTION>` in the environment, that over the file of `--config`, that over `[tool.rnncli]` of
the `pyproject.toml` in the working folder, that over presets, what the data says, and defaults. With `--resume`, what
the checkpoint was trained with goes over the project's.

    [tool.rnncli]              # of every command that has them
    precision = "float32"

    [tool.rnncli.forecast]     # of every verb of a command
    horizon = 12

    [tool.rnncli.charlm.train] # of one verb
    units = 512

Only the standard library is imported here, and what reads TOML and JSON where it is used.
"""

import difflib
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from rnncli.errors import CheckpointError, DataError, ParameterError
from rnncli.settings import REQUIRED, Setting, Settings, check, setting
from rnncli.training.stored import stored

_PREFIX = "RNNCLI_"
_PROJECT = Path("pyproject.toml")
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, kw_only=True)
class Configuration(Settings):
    """Configuration."""

    config: Path | None = setting(
        None, "TOML or JSON with settings; the document of --json repeats its run.", metavar="FILE"
    )
    print_config: bool = setting(False, "Print each setting with where it comes from, and do nothing.")


OWN = ("config", "print_config")


def further(
    settings: Mapping[str, Setting], command: Collection[str], config: Path | None, resumed: Path | None = None
) -> dict[str, tuple[Any, str]]:
    """Values of settings, each with where it comes from, for those that no option names.

    Args:
        settings: those of the verb, by name.
        command: the words of the command, as in ("forecast", "train").
        config: the file of `--config`.
        resumed: the folder of the training that goes on.

    Raises:
        ParameterError: a value is not allowed, or there is no such setting.
        DataError: a file cannot be read.
    """
    found: dict[str, tuple[Any, str]] = {}
    for values, where, strict in _sources(command, config, resumed):
        for key, value in values.items():
            name = named(key, settings, where) if strict else _name_of(key, settings)
            if name is None:
                continue
            if value is not None:
                found[name] = _checked(settings[name], value, where), where
    for name, each in settings.items():
        variable = _PREFIX + _option_of(each).upper().replace("-", "_")
        text = None if each.positional or name in OWN else os.environ.get(variable)
        if text is not None:
            where = f"{variable} in the environment"
            found[name] = _checked(each, parsed(each, text, where), where), where
    return found


def lines(settings: Mapping[str, Setting], given: Mapping[str, tuple[Any, str]]) -> Iterator[str]:
    """A TOML file with what was given, and the defaults as comments."""
    for name, each in settings.items():
        if name in OWN:
            continue
        option = _option_of(each)
        preset = str(given.get("preset", ("default", ""))[0])
        if name in given:
            value, where = given[name]
            yield f"{option} = {_toml(value)}  # {where}\n"
        elif name in each.presets.get(preset, {}):
            yield f"# {option} = {_toml(each.presets[preset][name])}  # preset {preset}\n"
        else:
            default = "" if each.default in (None, REQUIRED) else f" = {_toml(each.default)}"
            words = f"  # default: {each.default_help}" if each.default_help else ""
            yield f"# {option}{default}{words}\n"


def _sources(
    command: Collection[str], config: Path | None, resumed: Path | None
) -> Iterator[tuple[Mapping[str, Any], str, bool]]:
    """Tables of values from the least to the most important: what it is called, and whether each key must be known."""
    if _PROJECT.is_file():
        table: Any = _toml_table(_PROJECT).get("tool", {}).get("rnncli", {})
        where = f"[tool.rnncli] of {_PROJECT}"
        for word in ("", *command):
            table = table.get(word, {}) if word else table
            if not isinstance(table, Mapping):
                break
            yield {key: value for key, value in table.items() if not isinstance(value, Mapping)}, where, bool(word)
    if resumed is not None:
        yield _trained_with(resumed), f"the checkpoint in '{resumed}'", False
    if config is not None:
        text = _read(config)
        if text.lstrip().startswith("{"):
            # the document of one verb may serve another, which lacks some of its settings
            yield _json_table(text, config), f"'{config}'", False
        else:
            table = _toml_table(config)
            nested = [key for key, value in table.items() if isinstance(value, Mapping)]
            if nested:
                raise ParameterError(f"'{config}': [{nested[0]}] is a table; name the settings without one")
            yield table, f"'{config}'", True


def _trained_with(folder: Path) -> dict[str, Any]:
    """The configuration and the data of the training in a folder; nothing where there is none that can be read.

    What is wrong with the folder is said by whoever goes on with it.
    """
    try:
        metadata = stored(folder)
        return {**metadata["config"], **metadata.get("source", {})}
    except (CheckpointError, KeyError, TypeError):
        return {}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot read `config` '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read `config` '{path}': it is not UTF-8") from error


def _toml_table(path: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"'{path}' is no TOML: {error}") from error


def _json_table(text: str, path: Path) -> Mapping[str, Any]:
    """A JSON object, or the `config` in a document of `--json`."""
    import json

    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"'{path}' is no JSON: {error}") from error
    return document["config"] if isinstance(document.get("config"), dict) else document


def named(key: str, settings: Mapping[str, Setting], where: str) -> str:
    """The setting that a key means. Raises ParameterError: there is none."""
    name = _name_of(key, settings)
    if name is None:
        near = difflib.get_close_matches(key, settings, n=1)
        advice = f"did you mean {near[0]!r}?" if near else "see --help"
        raise ParameterError(f"{where}: there is no setting {key!r}; {advice}")
    return name


def _name_of(key: str, settings: Mapping[str, Setting]) -> str | None:
    """The setting that a key means: its name or its option, with - or _."""
    plain = key.replace("-", "_")
    if plain in settings and plain not in OWN:
        return plain
    return next((name for name, each in settings.items() if _option_of(each).replace("-", "_") == plain), None)


def _option_of(each: Setting) -> str:
    """The option of a setting without its dashes; of several, the first."""
    return each.option.split("/")[0].lstrip("-")


def _checked(each: Setting, value: Any, where: str) -> Any:
    if each.base is bool and not isinstance(value, bool):
        raise ParameterError(f"{where}: `{each.name}` is {value!r}, and can be true or false")
    try:
        return check(each, value)
    except ParameterError as error:
        raise ParameterError(f"{where}: {error}") from error


def parsed(each: Setting, text: str, where: str) -> Any:
    """A text as the type of a setting has it. Raises ParameterError: it is none of that type."""
    try:
        if each.base is bool:
            return _WORDS[text.strip().lower()]
        if each.base in (int, float):
            return each.base(text)
    except (KeyError, ValueError):
        kind = {bool: "true or false", int: "a whole number", float: "a number"}[each.base]
        raise ParameterError(f"{where}: {text!r} is not {kind}") from None
    if get_origin(each.base) is tuple:
        kinds = get_args(each.base)
        separator = None if "," in (each.metavar or "") else ","  # None: blanks, between values that have commas
        return tuple(kinds[0](part.strip()) for part in text.split(separator) if part.strip())
    return text


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    import json

    return json.dumps(str(value), ensure_ascii=False)
