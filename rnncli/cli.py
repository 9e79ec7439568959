"""The `rnncli` command: its sub-commands, and the boundary where errors become one line and an exit code.

Only the standard library and Typer are imported here, so that a help text costs no more than they do.
"""

import gc
import os
import re
import sys
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import typer

from rnncli import __version__, interrupts
from rnncli.errors import LONGEST, DamageWarning, RnncliError, as_options, printable
from rnncli.options import with_options
from rnncli.settings import Settings, setting
from rnncli.verbs import LazyGroup

_NO_NUMBER = re.compile(r"Invalid value for '(--?[\w-]+)': Input should be a valid (integer|number)")
_COLLECT_EVERY = 20_000  # new objects; Python's 700 or so cost a tenth of a short command while the libraries load


class Commands(LazyGroup):
    """The sub-commands; a module is loaded when its command is used."""

    modules: ClassVar = {
        "forecast": ("rnncli.forecast.cli", "Time series: train a network, compare it with baselines, forecast."),
        "charlm": ("rnncli.charlm.cli", "Character language models: train one on a text, sample, measure."),
        "sentiment": ("rnncli.sentiment.cli", "Labelled texts: train a classifier, label others, explain."),
        "lecture": ("rnncli.lecture.cli", "The systems of the lecture, each with the command that trains it."),
        "models": ("rnncli.models.cli", "What saved models hold: list, show, compare, export them."),
        "merge": ("rnncli.merge.cli", "What --shard printed in many processes, as one would have printed it."),
        "schema": ("rnncli.schema.cli", "The JSON schema of what a verb prints with --json."),
        "serve": ("rnncli.serve.cli", "A model over HTTP, with a page to try it."),
    }


app = typer.Typer(
    cls=Commands,
    name="rnncli",
    help="Recurrent networks on JAX: from data to a trained, measured, reusable model.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True, kw_only=True)
class Root(Settings):
    """Options."""

    version: bool = setting(False, "Print the version and exit.")


@app.callback(invoke_without_command=True)
@with_options
def _root(root: Root) -> None:
    """Recurrent networks on JAX: from data to a trained, measured, reusable model."""
    if root.version:
        typer.echo(f"rnncli {__version__}")
        raise typer.Exit


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code. Anything but a bug ends in at most one line on stderr."""
    _open_closed_streams()
    try:
        code: Any = typer.main.get_command(app).main(args=arguments, prog_name="rnncli", standalone_mode=False)
        code = code if isinstance(code, int) else 0
        return interrupts.exit_code() or code if code == 130 else code
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message(), file=sys.stderr)
        else:
            _complain(_with_value(error.format_message(), sys.argv[1:] if arguments is None else arguments))
        return error.exit_code
    except RnncliError as error:
        if str(error):
            _complain(as_options(str(error)))
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return interrupts.exit_code() or 130
    except MemoryError:
        return _out_of_memory()
    except OSError as error:  # of the machine, where no message of our own was nearer
        _complain(_of_system(error))
        return interrupts.exit_code() or 1
    except Exception as error:
        exhausted = "RESOURCE_EXHAUSTED" in str(error)  # what XLA calls it; its exception class is not public
        if not exhausted and (group := _group()) is not None:
            group.heed(error)
        if (code := interrupts.exit_code()) is not None:
            return code  # what a signal broke off may fail in any way
        if exhausted:
            return _out_of_memory()
        print("\nThis is a bug in rnncli; please report it with the lines that follow.", file=sys.stderr)
        raise


def _open_closed_streams() -> None:
    """Where a shell closed stdout or stderr (`2>&-`), let what is written there go nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the program ends


def _out_of_memory() -> int:
    _complain("out of memory; try a smaller --units, --window or --batch-size")
    return 1


def _of_system(error: OSError) -> str:
    """What the operating system refused."""
    try:
        Path.cwd()
    except OSError:
        return "the working folder is not there any more; change to another"
    if error.filename is None:
        return str(error.strerror or error)
    return f"cannot use '{error.filename}': {error.strerror}"


def _warn(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    if issubclass(category, DamageWarning):
        print(printable(as_options(f"warning: {message}"), LONGEST), file=sys.stderr)
    else:
        _show_warning(message, category, *where, **more)


_show_warning = warnings.showwarning


_told = [""]  # the last error


def _with_value(message: str, arguments: list[str]) -> str:
    """A message on an option that is no number, with the value that it was given."""
    found = _NO_NUMBER.match(message)
    if found is None:
        return message
    name, kind = found.groups()
    for word, following in reversed([*zip(arguments, [*arguments[1:], ""], strict=True)]):
        value = following if word == name else word.removeprefix(f"{name}=") if word.startswith(f"{name}=") else None
        if value is not None:
            return f"Invalid value for '{name}': {value!r} is no {'whole ' if kind == 'integer' else ''}number"
    return message


def _complain(message: str) -> None:
    _told[0] = message
    print("error:", printable(" ".join(message.split()), LONGEST), file=sys.stderr)


def guarded() -> int:
    """The command line of this process; returns its exit code, of a bug, too."""
    gc.set_threshold(_COLLECT_EVERY)
    warnings.showwarning = _warn
    interrupts.orderly(True)
    try:
        code = run()
    except Exception as error:
        traceback.print_exc()
        _told[0] = f"a bug: {type(error).__name__}: {error}"
        code = 1
    group = _group()
    return code if group is None else group.end(code, _told[0])


def _group() -> Any:
    """The module of the processes that train together, where it is in use."""
    return sys.modules.get("rnncli.training.processes")
