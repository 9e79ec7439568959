"""`rnncli schema`."""

from dataclasses import dataclass

import typer

from rnncli.options import verb
from rnncli.output import Output, csv_text, json_text
from rnncli.schema.documents import NAMES, schema_of, title_of
from rnncli.settings import Settings, setting

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True, kw_only=True)
class Document(Settings):
    """The document."""

    name: str | None = setting(
        None, "Document, as in forecast-train; without one, all are listed.", metavar="[NAME]", positional=True,
        choose_from=lambda: NAMES,
    )  # fmt: skip


@verb(app, examples=["rnncli schema", "rnncli schema forecast-train"])
def schema(document: Document, output: Output) -> None:
    """Print the JSON schema of what a verb prints with --json, for validators and generators of code.

    Without a name, stdout is the list of documents as CSV.
    """
    output.check()
    if document.name is not None:
        output.write(json_text(schema_of(document.name)))
    elif output.json:
        output.write(json_text({name: title_of(name) for name in NAMES}))
    else:
        output.write(csv_text(("name", "document"), *((name, title_of(name)) for name in NAMES)))
