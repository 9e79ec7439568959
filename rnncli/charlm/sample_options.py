"""The options of `rnncli charlm sample`, and those that it shares with `evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rnncli.options import SEED, WHOLE, interval

Unknown = Literal["error", "skip"]
Protocol = Literal["carried", "cold"]


def prompt_options(
    *,
    prompt: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What it begins with; - reads stdin.", show_default="a text's beginning"),
    ] = None,
    prompt_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same from a file.", show_default=False)
    ] = None,
    echo: Annotated[bool, typer.Option("--echo/--no-echo", help="Print the prompt, too.")] = True,
) -> None:
    """What a sample begins with."""


def unknown_option(
    *,
    unknown: Annotated[Unknown, typer.Option(help="What becomes of characters that the model never saw.")] = "error",
) -> None:
    """Characters outside the vocabulary."""


def drawing_options(
    *,
    temperature: Annotated[
        float,
        typer.Option(
            metavar="T",
            help="Divides the logits: near 0 the likeliest characters, above 1 unlikely ones; 0: always the likeliest.",
            callback=WHOLE,
        ),
    ] = 1.0,
    top_k: Annotated[
        int, typer.Option(metavar="K", help="Draw among the K likeliest; 0: among all.", callback=WHOLE)
    ] = 0,
    top_p: Annotated[
        float,
        typer.Option(
            metavar="0..1",
            help="Draw among the likeliest that together have this probability.",
            callback=interval(0, 1, open_low=True),
        ),
    ] = 1.0,
    min_p: Annotated[
        float,
        typer.Option(
            metavar="0..1",
            help="Draw among those with at least this share of the likeliest one's probability.",
            callback=interval(0, 1),
        ),
    ] = 0.0,
    repetition_penalty: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="Above 1: make the last 64 characters less likely, newlines excepted.",
            callback=interval(0, open_low=True),
        ),
    ] = 1.0,
) -> None:
    """How a character is chosen."""


def extent_options(
    *,
    length: Annotated[
        int, typer.Option(metavar="CHARS", help="Characters to draw, beside the prompt.", callback=WHOLE)
    ] = 500,
    stop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STRING",
            help="End before this string is said; may be given several times.",
            show_default=False,
        ),
    ] = None,
    num_samples: Annotated[
        int, typer.Option(metavar="N", help="Samples to draw at once.", callback=interval(1, 100_000))
    ] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same text.", callback=SEED)] = 0,
) -> None:
    """How much is drawn."""
