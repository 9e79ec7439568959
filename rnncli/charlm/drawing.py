"""The settings of sampling: what a sample begins with, how long it is, how a character is chosen."""

from dataclasses import dataclass
from pathlib import Path

from rnncli.settings import NOT_NEGATIVE, POSITIVE, SEED, SHARE, Bounds, Settings, setting


@dataclass(frozen=True, kw_only=True)
class Prompt(Settings):
    """The prompt."""

    prompt: str | None = setting(None, "What it begins with; - reads stdin.", None, "TEXT", shown="a text's beginning")
    prompt_file: Path | None = setting(None, "The same from a file.", None, "FILE")
    echo: bool = setting(True, "Print the prompt, too.", names="--echo/--no-echo")


@dataclass(frozen=True, kw_only=True)
class Extent(Settings):
    """How much is drawn."""

    length: int = setting(500, "Characters to draw, beside the prompt.", NOT_NEGATIVE, "CHARS")
    stop: tuple[str, ...] = setting((), "End before this string is said; may be given several times.", None, "STRING")
    num_samples: int = setting(1, "Samples to draw at once.", Bounds(1, 100_000, metavar="N"))
    seed: int = setting(0, "The same seed gives the same text.", SEED)
    interactive: bool = setting(False, "Write in turn with the model: it continues each line; see :help there.")


@dataclass(frozen=True, kw_only=True)
class Drawing(Settings):
    """How a character is chosen.

    After Holtzman et al. 2020 (top-p), Nguyen et al. 2024 (min-p) and Keskar et al. 2019 (repetition penalty).
    """

    temperature: float = setting(
        1.0,
        "Divides the logits: near 0 the likeliest characters, above 1 unlikely ones; 0: always the likeliest.",
        NOT_NEGATIVE,
        "T",
    )
    top_k: int = setting(0, "Draw among the K likeliest; 0: among all.", NOT_NEGATIVE, "K")
    top_p: float = setting(
        1.0,
        "Draw among the likeliest that together have this probability.",
        Bounds(0, 1, open_low=True, metavar="0..1"),
    )
    min_p: float = setting(0.0, "Draw among those with at least this share of the likeliest one's probability.", SHARE)
    repetition_penalty: float = setting(
        1.0, "Above 1: make the last 64 characters less likely, newlines excepted.", POSITIVE, "X"
    )
