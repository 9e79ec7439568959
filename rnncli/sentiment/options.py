"""The options of `rnncli sentiment` on texts, network and training.

Options whose default depends on the preset or the encoder are None until the configuration is made.
"""

from pathlib import Path
from typing import Annotated

import typer

from rnncli.options import COUNT, FRACTION, RATE, SEED, UNITS, WHOLE, interval, setting
from rnncli.sentiment.config import (
    FEW,
    FEW_DROPOUT,
    PRESETS,
    Case,
    CellChoice,
    ClassWeights,
    Cut,
    Encoder,
    Pooling,
    Preset,
    Punctuation,
    Schedule,
    SentimentConfig,
    Start,
    Tokens,
)

_D = SentimentConfig
_LECTURE = PRESETS["lecture"]
_SHARE = interval(0, 0.5)

CHECKPOINT = Path("checkpoints/sentiment")

CheckpointOption = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the model.")]


def _both(name: str) -> str:
    """A default, and the lecture's."""
    return f"{getattr(_D, name)}; lecture: {_LECTURE[name]}"


def _few(name: str) -> str:
    """A default, and that of few texts."""
    return f"{getattr(_D, name)}; fewer than {FEW:,} texts: {FEW_DROPOUT[name]}; lecture: {_LECTURE[name]}"


def column_options(
    *,
    text_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column of the texts, of a table.", show_default="found by name"),
    ] = None,
    label_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column of the labels, of a table.", show_default="found by name"),
    ] = None,
) -> None:
    """Which columns of a table."""


def data_options(
    *,
    validation: Annotated[
        str | None,
        setting("Labelled texts that choose the best epoch and calibrate.", "drawn from DATA", metavar="FILE"),
    ] = None,
    test: Annotated[
        str | None,
        setting("Labelled texts to score the model on.", "drawn from DATA; imdb_reviews: its own", metavar="FILE"),
    ] = None,
    validation_fraction: Annotated[
        float | None,
        setting("Share of each class's texts that validate.", _D.validation_fraction, metavar="0..0.5", check=FRACTION),
    ] = None,
    test_fraction: Annotated[
        float | None,
        setting("Share of each class's texts that test.", _D.test_fraction, metavar="0..0.5", check=_SHARE),
    ] = None,
    data_dir: Annotated[
        Path | None,
        setting("Where TFDS' imdb_reviews is, or goes.", "TFDS_DATA_DIR, else ~/tensorflow_datasets", metavar="DIR"),
    ] = None,
) -> None:
    """The parts of the data."""


def text_options(
    *,
    tokens: Annotated[
        Tokens | None,
        setting(
            "words: words, their clitics (do n't) and signs; letters: the lecture's, runs of letters and apostrophes.",
            _both("tokens"),
        ),
    ] = None,
    case: Annotated[Case | None, setting("Lower-case the texts, or keep them.", _both("case"))] = None,
    punctuation: Annotated[Punctuation | None, setting("Signs as words, or none.", _D.punctuation)] = None,
    max_chars: Annotated[
        int | None,
        setting("Characters of a text that are read; 0: all.", _both("max_chars"), metavar="N", check=WHOLE),
    ] = None,
    max_words: Annotated[
        int | None,
        setting(
            "Words of a text that are read.",
            f"{_D.max_words}; bag: 1000; lecture: {_LECTURE['max_words']}",
            metavar="N",
            check=COUNT,
        ),
    ] = None,
    cut: Annotated[
        Cut | None, setting("Which words of a longer text; both: half from either end.", _both("cut"))
    ] = None,
    vocabulary_size: Annotated[
        int | None,
        setting("Commonest words to know, with the padding.", _both("vocabulary_size"), metavar="N", check=COUNT),
    ] = None,
    min_count: Annotated[
        int | None,
        setting("Times a word must come to be known.", _both("min_count"), metavar="N", check=COUNT),
    ] = None,
    oov_buckets: Annotated[
        int | None,
        setting(
            "Vectors that unknown words share, by a hash.", _D.oov_buckets, metavar="N", check=interval(0, 10_000_000)
        ),
    ] = None,
) -> None:
    """How texts become words."""


def model_options(
    *,
    encoder: Annotated[
        Encoder | None,
        setting("rnn: recurrent layers; bag: the sum of the words' vectors over √n, and a dense layer.", _D.encoder),
    ] = None,
    embedding: Annotated[
        int | None, setting("Numbers of a word's vector.", _both("embedding"), metavar="N", check=UNITS)
    ] = None,
    embeddings: Annotated[
        str | None,
        setting(
            "Vectors to start from: GloVe's text, word2vec's text or binary, fastText's .vec; compressed or zipped. "
            "Or the folder of a TF-Hub text embedding, for whole texts (needs TensorFlow).",
            "none",
            metavar="FILE",
        ),
    ] = None,
    frozen: Annotated[
        bool | None, setting("Whether these vectors stay as they are.", "fine-tuned", "--frozen/--fine-tuned")
    ] = None,
    start: Annotated[
        Start | None,
        setting(
            "How words' vectors begin: with how much likelier each class makes the word, as the training texts have "
            "it; or at random.",
            f"{_both('start')}, as with --embeddings",
        ),
    ] = None,
    cell: Annotated[CellChoice | None, setting("Kind of recurrent cell.", _D.cell)] = None,
    layers: Annotated[
        int | None, setting("Recurrent layers.", _both("layers"), metavar="N", check=interval(1, 1_000))
    ] = None,
    units: Annotated[int | None, setting("Units of a layer.", _D.units, metavar="N", check=UNITS)] = None,
    bidirectional: Annotated[
        bool | None,
        setting("Read texts from both ends.", "both; lecture: one", "--bidirectional/--unidirectional"),
    ] = None,
    pooling: Annotated[
        Pooling | None,
        setting("A text is its last hidden state, their mean, their maximum, or mean and maximum.", _both("pooling")),
    ] = None,
    mask: Annotated[
        bool | None,
        setting("Stop where a text ends, or read the padding after it, too.", "mask; lecture: no-mask"),
    ] = None,
    layer_norm: Annotated[bool | None, setting("Normalise each gate's pre-activation.", "no", "--layer-norm")] = None,
    dense: Annotated[
        int | None,
        setting(
            "Units of a dense layer before the last; 0: none.",
            f"{_D.dense}; bag: 128",
            metavar="N",
            check=interval(0, 16_384),
        ),
    ] = None,
) -> None:
    """The network."""


def training_options(
    *,
    preset: Annotated[
        Preset,
        typer.Option(
            help="lecture: the cleaning, the model and the training of the lecture: 300 characters, Embedding(128), "
            "2xGRU(128), without a mask."
        ),
    ] = "default",
    epochs: Annotated[
        int | None,
        setting(
            "Passes over the training texts.",
            f"{_D.epochs}; bag: 10; lecture: {_LECTURE['epochs']}; few texts: more",
            metavar="N",
            check=COUNT,
        ),
    ] = None,
    batch_size: Annotated[int | None, setting("Texts in a batch.", _D.batch_size, metavar="N", check=COUNT)] = None,
    learning_rate: Annotated[
        float | None,
        setting("Highest rate of Adam.", _both("learning_rate"), metavar="RATE", check=interval(0, open_low=True)),
    ] = None,
    schedule: Annotated[
        Schedule | None,
        setting("How the rate goes on: a cosine to 0 after --warmup, or constant.", _both("schedule")),
    ] = None,
    warmup: Annotated[
        float | None,
        setting("Share of the steps with a rising rate (cosine).", _D.warmup, metavar="0..1", check=RATE),
    ] = None,
    clip: Annotated[
        float | None,
        setting("Largest norm of the gradient; 0: any.", _both("clip"), metavar="NORM", check=WHOLE),
    ] = None,
    weight_decay: Annotated[
        float | None, setting("Of AdamW.", _both("weight_decay"), metavar="RATE", check=WHOLE)
    ] = None,
    word_dropout: Annotated[
        float | None,
        setting("Words that are blanked out.", _both("word_dropout"), metavar="0..1", check=RATE),
    ] = None,
    input_dropout: Annotated[
        float | None, setting("On the words' vectors.", _few("input_dropout"), metavar="0..1", check=RATE)
    ] = None,
    dropout: Annotated[
        float | None,
        setting("Between layers, and before the last.", _few("dropout"), metavar="0..1", check=RATE),
    ] = None,
    recurrent_dropout: Annotated[
        float | None,
        setting("On the state that a layer hands on.", _D.recurrent_dropout, metavar="0..1", check=RATE),
    ] = None,
    kernel_dropout: Annotated[
        float | None,
        setting("On the recurrent kernels (DropConnect).", _D.kernel_dropout, metavar="0..1", check=RATE),
    ] = None,
    class_weights: Annotated[
        ClassWeights | None,
        setting("balanced: rare classes weigh as much in the loss as common ones.", _D.class_weights),
    ] = None,
    patience: Annotated[
        int | None,
        setting(
            "Stop after N epochs without a better validation loss; 0: never. The best epoch is kept either way.",
            _both("patience"),
            metavar="N",
            check=WHOLE,
        ),
    ] = None,
    seed: Annotated[
        int | None, setting("Of the first weights, the order and the dropout.", _D.seed, check=SEED)
    ] = None,
    save_every: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time between checkpoints.", callback=interval(0, open_low=True))
    ] = 15.0,
) -> None:
    """The training."""
