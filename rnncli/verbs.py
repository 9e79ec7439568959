"""A group of verbs of which one is meant where none is named."""

from typing import Any

from typer.core import TyperGroup


class DefaultVerbGroup(TyperGroup):
    """`rnncli forecast --cell gru` is `rnncli forecast train --cell gru`; `--help` shows the options of train too."""

    default_verb = "train"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default verb first where no verb (and no option of the group itself) stands there."""
        own = {option for parameter in self.get_params(ctx) for option in parameter.opts}
        if not args or (args[0] not in self.commands and args[0] not in own):
            args = [self.default_verb, *args]
        return super().parse_args(ctx, args)

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

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete the verbs, and the options of the default one."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            command = self.commands[self.default_verb]
            inner = type(ctx)(command, info_name=self.default_verb, parent=ctx, resilient_parsing=True)
            known = {item.value for item in found}
            found += [item for item in command.shell_complete(inner, incomplete) if item.value not in known]
        return found
