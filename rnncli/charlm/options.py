"""The options of `rnncli charlm` on text, network and training.

Options whose default depends on the preset or the text are None until the configuration is made.
"""

import codecs
from pathlib import Path
from typing import Annotated

import typer

from rnncli.charlm.config import PRESETS, CellChoice, CharlmConfig, Preset, Schedule, VocabularyKind
from rnncli.options import COUNT, FRACTION, RATE, SEED, UNITS, WHOLE, interval

_D = CharlmConfig
_LECTURE = PRESETS["lecture"]

CHECKPOINT = Path("checkpoints/charlm")

TextArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TEXT",
        help="Files, folders (every text file below), compressed or not; - for stdin.",
        show_default=False,
    ),
]

CheckpointOption = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the model.")]

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where TFDS' tiny_shakespeare is, or goes.",
        show_default="TFDS_DATA_DIR, else ~/tensorflow_datasets",
    ),
]


def known_encoding(value: str | None) -> str | None:
    """A callback that refuses what is no text encoding, and gives the others their usual name."""
    if value is None:
        return None
    try:
        "a".encode(value)
        return codecs.lookup(value).name
    except (LookupError, ValueError) as error:
        raise typer.BadParameter(
            f"'{value}' is no text encoding; utf-8, latin-1, utf-16 and gb18030 are some"
        ) from error


EncodingOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="How the files' bytes are text.", show_default="utf-8, strictly", callback=known_encoding
    ),
]


def text_options(
    *,
    vocabulary: Annotated[
        VocabularyKind | None,
        typer.Option(help="What the network reads and writes.", show_default=_D.vocabulary),
    ] = None,
    encoding: EncodingOption = None,
    lowercase: Annotated[bool | None, typer.Option("--lowercase", help="Lower-case the text, as the lecture.")] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            metavar="STRING",
            help="What stands between two documents within a file. The network learns where one ends; so it does with "
            "several files, each of which is a document.",
            show_default="none",
        ),
    ] = None,
    validation_fraction: Annotated[
        float | None,
        typer.Option(
            metavar="0..0.5",
            help="Share of the text, at its end, that validates and chooses the best epoch.",
            show_default=str(_D.validation_fraction),
            callback=FRACTION,
        ),
    ] = None,
    data_dir: DataDirOption = None,
) -> None:
    """How the text is read."""


def model_options(
    *,
    cell: Annotated[CellChoice | None, typer.Option(help="Kind of recurrent cell.", show_default=_D.cell)] = None,
    layers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Recurrent layers.", show_default=str(_D.layers), callback=interval(1, 1_000)),
    ] = None,
    units: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Units of a layer.",
            show_default=f"{_D.units}; lecture, small: 128; large: 512",
            callback=UNITS,
        ),
    ] = None,
    embedding: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Features of a character's learnt vector; 0: one-hot.",
            show_default=f"{_D.embedding}; lecture: 0; small: 64",
            callback=interval(0, 16_384),
        ),
    ] = None,
    tied: Annotated[bool | None, typer.Option("--tied", help="The embedding is the last layer's kernel, too.")] = None,
    layer_norm: Annotated[
        bool | None, typer.Option("--layer-norm", help="Normalise each gate's pre-activation.")
    ] = None,
) -> None:
    """The network."""


def training_options(
    *,
    preset: Annotated[
        Preset,
        typer.Option(
            help="lecture: the model and the training of the lecture, one-hot 2xGRU(128), stateless, 2,000 passes (its "
            "20 epochs of windows at every offset; stateful: 50). small: 2x128. large: 2x512."
        ),
    ] = "default",
    stateful: Annotated[
        bool | None,
        typer.Option(
            "--stateful/--stateless",
            help="Read the text in continuing streams, the state handed from batch to batch; or in windows in random "
            "order, each from a state of zeros.",
            show_default="stateful; lecture: stateless",
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="CHARS",
            help="How far back-propagation through time reaches.",
            show_default=f"{_D.window}; lecture: {_LECTURE['window']}",
            callback=COUNT,
        ),
    ] = None,
    evaluation_window: Annotated[
        int | None,
        typer.Option(
            metavar="CHARS",
            help="Windows of the evaluation from cold states.",
            show_default=f"{_D.evaluation_window}; lecture: {_LECTURE['evaluation_window']}",
            callback=COUNT,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Passes over the training text.",
            show_default=f"{_D.epochs} for a million characters: fewer for more, more for less",
            callback=COUNT,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Streams, or windows, in a batch.",
            show_default=f"{_D.batch_size}, a short text fewer; lecture: {_LECTURE['batch_size']}",
            callback=COUNT,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Highest rate of Adam.",
            show_default=f"{_D.learning_rate}; lecture: {_LECTURE['learning_rate']}",
            callback=interval(0, open_low=True),
        ),
    ] = None,
    schedule: Annotated[
        Schedule | None,
        typer.Option(
            help="How the rate goes on: a cosine to 0 after --warmup, or constant.",
            show_default=f"{_D.schedule}; lecture: constant",
        ),
    ] = None,
    warmup: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="Share of the steps with a rising rate (cosine).",
            show_default=str(_D.warmup),
            callback=RATE,
        ),
    ] = None,
    clip: Annotated[
        float | None,
        typer.Option(
            metavar="NORM",
            help="Largest norm of the gradient; 0: any.",
            show_default=f"{_D.clip}; lecture: 0",
            callback=WHOLE,
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="Of AdamW.", show_default=f"{_D.weight_decay}; lecture: 0", callback=WHOLE),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Stop after N epochs without a better validation loss; 0: never. The best epoch is kept either way.",
            show_default=str(_D.patience),
            callback=WHOLE,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of the first weights, the order and the dropout.", show_default=str(_D.seed), callback=SEED),
    ] = None,
) -> None:
    """The training."""


def dropout_options(
    *,
    dropout: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="Between two layers.",
            show_default=f"{_D.dropout}; lecture: {_LECTURE['dropout']}",
            callback=RATE,
        ),
    ] = None,
    input_dropout: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="On the characters' vectors.",
            show_default=f"{_D.input_dropout}; lecture: {_LECTURE['input_dropout']}",
            callback=RATE,
        ),
    ] = None,
    output_dropout: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="On the top layer's output.",
            show_default=f"{_D.output_dropout}; lecture: 0",
            callback=RATE,
        ),
    ] = None,
    recurrent_dropout: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="On the state that a layer hands on.",
            show_default=f"{_D.recurrent_dropout}; lecture: {_LECTURE['recurrent_dropout']}",
            callback=RATE,
        ),
    ] = None,
    kernel_dropout: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="On the recurrent kernels (DropConnect).",
            show_default=f"{_D.kernel_dropout}; lecture, small: 0",
            callback=RATE,
        ),
    ] = None,
    variational: Annotated[
        bool | None,
        typer.Option(
            "--variational/--no-variational",
            help="One dropout mask a window, or one a step.",
            show_default="variational",
        ),
    ] = None,
) -> None:
    """Dropout."""


def watching_options(
    *,
    sample_every: Annotated[
        int, typer.Option(metavar="EPOCHS", help="Show a sample every so many epochs; 0: none.", callback=WHOLE)
    ] = 0,
    save_every: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Time between checkpoints.", callback=interval(0, open_low=True)),
    ] = 15.0,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FILE.jsonl", help="Append the losses to FILE as JSON Lines.", show_default=False),
    ] = None,
) -> None:
    """What is told while it trains."""
