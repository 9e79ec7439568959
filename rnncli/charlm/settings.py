"""The settings of a character language model, and what the length of a text makes of their defaults.

The defaults are what serves a newcomer within minutes. The preset "lecture" is the model and the training of the
lecture's slides.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from rnncli.encodings import encoding_setting
from rnncli.errors import ParameterError
from rnncli.nn.settings import Network, TextDropout
from rnncli.settings import COUNT, FRACTION, NOT_NEGATIVE, RATE, Bounds, Presets, Settings, setting
from rnncli.training.settings import DATA_DIR_DEFAULT, LECTURE, Log, SavedModel, Saving, Training

VocabularyKind = Literal["chars", "bytes"]
Preset = Literal["default", "lecture", "small", "large"]
Unknown = Literal["error", "skip"]
Protocol = Literal["carried", "cold"]

CHECKPOINT = Path("checkpoints/charlm")
MAIN_FIGURES = (("validation", "carried", "loss"),)  # part, protocol and metric of the figure that stands for a model
# the same of the figure by which a sweep chooses, and what a search tries where nothing is named
SELECTION = MAIN_FIGURES
SEARCH_EPOCHS = 20  # of a search's last training
SEARCH = {"cell": ("gru", "lstm"), "units": (128, 256), "learning_rate": (0.001, 0.002, 0.004)}
CHARS = Bounds(1, 1_000_000, metavar="CHARS")
_ENCODING = "How the files' bytes are text."


@dataclass(frozen=True, kw_only=True)
class TextSource(Settings):
    """The text."""

    text: tuple[str, ...] = setting(
        (),
        "Files, folders (every text file below), compressed or not; - for stdin.",
        metavar="TEXT",
        positional=True,
    )
    data_dir: Path | None = setting(
        None, "Where TFDS' tiny_shakespeare is, or goes.", metavar="DIR", shown=DATA_DIR_DEFAULT
    )


@dataclass(frozen=True, kw_only=True)
class Reading(Settings):
    """The text."""

    vocabulary: VocabularyKind = setting("chars", "What the network reads and writes.")
    encoding: str = encoding_setting(_ENCODING, "utf-8")
    lowercase: bool = setting(False, "Lower-case the text, as the lecture.")
    separator: str = setting(
        "",
        "What stands between two documents within a file. The network learns where one ends; so it does with several "
        "files, each of which is a document.",
        metavar="STRING",
        shown="none",
    )
    validation_fraction: float = setting(
        0.1, "Share of the text, at its end, that validates and chooses the best epoch.", FRACTION
    )


@dataclass(frozen=True, kw_only=True)
class CharNetwork(Network):
    """The network."""

    units: int = 256
    embedding: int = setting(
        128, "Features of a character's learnt vector; 0: one-hot.", Bounds(0, 16_384, metavar="N")
    )
    tied: bool = setting(False, "The embedding is the last layer's kernel, too.")


@dataclass(frozen=True, kw_only=True)
class CharTraining(Training):
    """The training."""

    epochs: int = setting(
        20, "Passes over the training text.", COUNT, shown="20 for a million characters: fewer for more, more for less"
    )
    batch_size: int = setting(64, "Streams, or windows, in a batch.", COUNT, shown="64, a short text fewer")
    learning_rate: float = 0.003
    stateful: bool = setting(
        True,
        "Read the text in continuing streams, the state handed from batch to batch; or in windows in random order, "
        "each from a state of zeros.",
        names="--stateful/--stateless",
    )
    window: int = setting(64, "How far back-propagation through time reaches.", CHARS)
    evaluation_window: int = setting(256, "Windows of the evaluation from cold states.", CHARS)


@dataclass(frozen=True, kw_only=True)
class CharDropout(TextDropout):
    """Dropout."""

    dropout: float = setting(0.3, "Between two layers.", RATE)
    output_dropout: float = setting(0.3, "On the top layer's output.", RATE)
    kernel_dropout: float = 0.2
    variational: bool = setting(True, "One mask a window, or one a step.", names="--variational/--no-variational")


@dataclass(frozen=True, kw_only=True)
class CharlmSettings(CharDropout, CharTraining, CharNetwork, Reading):
    """Everything that decides a run, besides the text."""

    # The slides: one-hot symbols, 2×GRU(128), dropouts of 0.2 (Keras draws a mask a sequence). A lecture's epoch has
    # the windows at every offset, so it is `window` passes over the text: its 20 are 2,000 of ours. The book behind the
    # slides trains the stateful network for 50.
    presets: ClassVar[Presets] = {
        "lecture": {
            **LECTURE,
            "units": 128,
            "embedding": 0,
            "epochs": 2000,
            "batch_size": 32,
            "stateful": False,
            "window": 100,
            "evaluation_window": 100,
            "dropout": 0.2,
            "input_dropout": 0.2,
            "recurrent_dropout": 0.2,
            "output_dropout": 0.0,
            "kernel_dropout": 0.0,
        },
        "small": {
            "units": 128,
            "embedding": 64,
            "epochs": 8,
            "dropout": 0.1,
            "output_dropout": 0.1,
            "kernel_dropout": 0.0,
        },
        "large": {"units": 512, "epochs": 26, "dropout": 0.5, "output_dropout": 0.5, "kernel_dropout": 0.3},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tied and not self.embedding:
            raise ParameterError("`tied` makes the embedding the last layer's kernel, and `embedding` 0 has none")


@dataclass(frozen=True, kw_only=True)
class CharlmPreset(Settings):
    """The training."""

    preset: Preset = setting(
        "default",
        "lecture: the model and the training of the lecture, one-hot 2xGRU(128), stateless, 2,000 passes (its 20 "
        "epochs of windows at every offset; stateful: 50). small: 2x128. large: 2x512.",
    )


@dataclass(frozen=True, kw_only=True)
class CharlmSaving(Saving):
    """Saving."""

    checkpoint: Path | None = CHECKPOINT


@dataclass(frozen=True, kw_only=True)
class SavedCharModel(SavedModel):
    """The model."""

    checkpoint: Path = CHECKPOINT


@dataclass(frozen=True, kw_only=True)
class Watching(Log):
    """Output."""

    sample_every: int = setting(0, "Show a sample every so many epochs; 0: none.", NOT_NEGATIVE, "EPOCHS")


@dataclass(frozen=True, kw_only=True)
class UnknownCharacters(Settings):
    """The text."""

    unknown: Unknown = setting("error", "What becomes of characters that the model never saw.")


@dataclass(frozen=True, kw_only=True)
class Evaluation(Settings):
    """The measurement."""

    per_char: bool = setting(False, "Print each character and its surprisal in nats, tab-separated.")
    protocol: Protocol = setting("carried", "Of --per-char: the state carried, or cold in each window.")
    window: int | None = setting(None, "Windows of the cold protocol.", CHARS, shown="as it was trained")
    encoding: str | None = encoding_setting(_ENCODING, shown="as it was trained")
