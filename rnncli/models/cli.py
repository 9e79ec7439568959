"""The verbs of `rnncli models`. Everything heavy is imported inside them."""

import typer

from rnncli.models.settings import Below, File, One, Two
from rnncli.options import verb
from rnncli.output import Output

app = typer.Typer(
    help="What saved models hold: list them, show, compare and export them, write model cards.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
)


@verb(app, name="list", examples=["rnncli models list", "rnncli models list checkpoints --json"])
def list_models(below: Below, output: Output) -> None:
    """List every model below a folder: its task, its figure on held-out data, its size and age.

    stdout is the list as CSV, sizes in bytes and times in UTC.
    """
    from rnncli.console import Console
    from rnncli.models import show

    with Console(output) as console:
        show.show_list(below.folder, console)


@verb(app, examples=["rnncli models show checkpoints/charlm", "rnncli models show checkpoints/sentiment --json"])
def show(one: One, output: Output) -> None:
    """Show one model in full: data, settings, weights by module, scores, history, the command that trains it again."""
    from rnncli.console import Console
    from rnncli.models import show

    with Console(output):
        show.show_model(one.model, output)


@verb(app, examples=["rnncli models card checkpoints/charlm --output MODEL.md"])
def card(one: One, output: Output) -> None:
    """Write a model card in Markdown: what the model is, how it was made, how good it is, how to use it."""
    from rnncli.console import Console
    from rnncli.models import card

    with Console(output):
        card.show_card(one.model, output)


@verb(app, examples=["rnncli models export checkpoints/charlm charlm.safetensors"])
def export(one: One, to: File, output: Output) -> None:
    """Write a model into one file: safetensors, which rnncli reads as it reads the folder, or ONNX for other runtimes.

    stdout names the file, its size in bytes, and of ONNX its inputs and outputs.
    """
    from rnncli.console import Console
    from rnncli.models import show

    with Console(output) as console:
        show.show_export(one.model, to.file, console)


@verb(app, examples=["rnncli models diff checkpoints/charlm checkpoints/charlm --json"])
def diff(two: Two, output: Output) -> None:
    """Compare two models: the settings that differ, the data, the sizes, the scores.

    stdout is CSV with a row for each difference.
    """
    from rnncli.console import Console
    from rnncli.models import show

    with Console(output) as console:
        show.show_difference(two.first, two.second, console)
