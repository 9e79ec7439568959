"""Groups of verbs of which one is meant where none is named, and how help texts are laid out."""

import difflib
import importlib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

from rnncli.errors import ParameterError

_DEFAULT = re.compile(r"\[default: \((.*)\)\]$")


class DefaultVerbGroup(TyperGroup):
    """`rnncli forecast --cell gru` is `rnncli forecast train --cell gru`; `--help` shows the options of train too."""

    default_verb = "train"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default verb first where no verb (and no option of the group itself) stands there."""
        own = {option for parameter in self.get_params(ctx) for option in parameter.opts}
        if ctx.resilient_parsing and not args:  # the word that is completed may be a verb
            return super().parse_args(ctx, args)
        if not args or (args[0] not in self.commands and args[0] not in own):
            self._refuse_misspelt(args[:1])
            args = [self.default_verb, *args]
        return super().parse_args(ctx, args)

    def _refuse_misspelt(self, first: list[str]) -> None:
        """A word that is nearly a verb, and no file, is taken for that verb with a slip in it."""
        for word in first:
            near = difflib.get_close_matches(word, self.commands, n=1, cutoff=0.7)
            if near and not os.path.exists(word):  # noqa: PTH110 - Path.exists raises where a name is too long
                raise ParameterError(f"there is no verb and no file '{word}'; did you mean '{near[0]}'?")

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The first line of the help."""
        return [f"[{'|'.join(self.commands)}]", "[ARGS]..."]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The verbs, then the options of the default one."""
        super().format_help(ctx, formatter)
        command = self.commands[self.default_verb]
        inner = type(ctx)(command, info_name=self.default_verb, parent=ctx)
        formatter.write_paragraph()
        formatter.write_text(f"Without a verb, '{ctx.command_path}' means '{inner.command_path}', whose options are:")
        command.format_options(inner, formatter)
        command.format_epilog(inner, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete the verbs, and the options of the default one."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            command = self.commands[self.default_verb]
            inner = type(ctx)(command, info_name=self.default_verb, parent=ctx, resilient_parsing=True)
            known = {item.value for item in found}
            found += [item for item in command.shell_complete(inner, incomplete) if item.value not in known]
        return found


class _LazyCommands(dict[str, Any]):
    """Commands that are made when they are asked for; the values are the modules whose `app` they are."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, str):
            command = typer.main.get_command(importlib.import_module(found).app)
            command.name = name
            self[name] = found = command
        return found

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - which would make no command

    def items(self) -> Any:
        return [(name, self[name]) for name in self]

    def values(self) -> Any:
        return [self[name] for name in self]


class LazyGroup(TyperGroup):
    """A group whose commands are loaded when they are used; `modules` has the module and a line of help of each."""

    modules: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.commands = _LazyCommands({name: module for name, (module, _) in self.modules.items()})

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of commands, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.modules.items()])


def write_groups(parameters: Sequence[Any], ctx: Any, formatter: Any) -> None:
    """Sections of a help text: the arguments, each group of options, and what every command has."""
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": []}
    for parameter in parameters:
        record = parameter.get_help_record(ctx)
        is_option = parameter.opts[0].startswith("-")
        group = "Arguments" if not is_option else getattr(parameter, "rich_help_panel", None) or "Help"
        if record is not None:
            names, text = record
            names = names if is_option else parameter.metavar or names  # without its type, which says nothing
            sections.setdefault(group, []).append((names, _DEFAULT.sub(r"[default: \1]", text)))
    for group, records in sections.items():
        if records:
            with formatter.section(group):
                formatter.write_dl(records)


def write_examples(examples: Collection[str], formatter: Any) -> None:
    """The last section of a help text; commands are not broken into lines, so that they can be copied."""
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")
