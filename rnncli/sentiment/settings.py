"""The settings of a text classifier, and what the number of texts makes of their defaults.

The defaults are what serves a newcomer within minutes. The preset "lecture" is the cleaning, the model and the training
of the lecture's slides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from rnncli.encodings import encoding_setting
from rnncli.errors import ParameterError
from rnncli.nn.settings import Network, TextDropout
from rnncli.settings import (
    COUNT,
    FRACTION,
    HALF,
    NOT_NEGATIVE,
    RATE,
    REQUIRED,
    UNITS,
    Bounds,
    Presets,
    Settings,
    setting,
    settings_of,
)
from rnncli.training.settings import DATA_DIR_DEFAULT, LECTURE, SavedModel, Saving, Training

Encoder = Literal["rnn", "bag"]
Pooling = Literal["last", "mean", "max", "concat"]
Tokens = Literal["words", "letters"]
Case = Literal["lower", "keep"]
Punctuation = Literal["keep", "drop"]
Cut = Literal["head", "tail", "both"]
ClassWeights = Literal["none", "balanced"]
Start = Literal["naive-bayes", "random"]
LabelCount = Literal["auto", "one", "several"]
Preset = Literal["default", "lecture"]
System = Literal["model", "ngram", "both"]  # the network, the linear baseline, the mean of their logits
Labeller = Literal["auto", "model", "ngram", "both"]

CHECKPOINT = Path("checkpoints/sentiment")
# part, system and metric of the figure that stands for a model, the first that there is
MAIN_FIGURES = (("test", "model", "accuracy"), ("validation", "model", "accuracy"))
# the same of the figure by which a sweep chooses, and what a search tries where nothing is named
SELECTION = (("validation", "model", "loss"),)
SEARCH_EPOCHS = 10  # of a search's last training, which stops before that where it is no better for it
SEARCH = {"encoder": ("rnn", "bag"), "units": (64, 128), "learning_rate": (0.0005, 0.001, 0.002)}
_RECURRENT = ("cell", "units", "layers", "layer_norm", "bidirectional", "pooling", "recurrent_dropout", "remat")
FEW = 15_000  # texts; with fewer a network learns them by heart, so it has more dropout

_DATA = (
    "Labelled texts: CSV, TSV, JSON Lines, Parquet, lines of '__label__x text' or 'label text', or a folder with a "
    "folder a class; compressed or not; - for stdin."
)


def idle(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Settings that do nothing beside these values: those of a recurrence, where there is none."""
    return _RECURRENT if values.get("encoder") == "bag" else ()


def _threshold(text: str) -> str:
    """Raises ValueError: neither f1 nor a probability."""
    if text == "f1":
        return text
    try:
        fits = 0 <= float(text) <= 1
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{text!r} is neither a probability between 0 and 1 nor f1")
    return text


@dataclass(frozen=True, kw_only=True)
class Columns(Settings):
    """The data."""

    text_column: str | None = setting(None, "Column of the texts, of a table.", None, "COLUMN", shown="found by name")
    label_column: str | None = setting(None, "Column of the labels, of a table.", None, "COLUMN", shown="found by name")
    label_separator: str | None = setting(
        None, "What stands between several labels of a text in their column, as in |.", None, "TEXT", shown="none"
    )
    encoding: str | None = encoding_setting("How the bytes of files are text.")

    @property
    def columns(self) -> "Columns":
        """The columns and the encoding alone."""
        return Columns(**{name: getattr(self, name) for name in settings_of(Columns)})

    @property
    def named(self) -> bool:
        """Whether a column was chosen, so that the texts stand in a table."""
        return self.text_column is not None or self.label_column is not None


@dataclass(frozen=True, kw_only=True)
class DataSource(Columns):
    """The data."""

    data: str | None = setting(None, f"{_DATA} Without: TFDS' imdb_reviews.", metavar="[DATA]", positional=True)
    validation: str | None = setting(
        None, "Labelled texts that choose the best epoch and calibrate.", None, "FILE", shown="drawn from DATA"
    )
    test: str | None = setting(
        None, "Labelled texts to score the model on.", None, "FILE", shown="drawn from DATA; imdb_reviews: its own"
    )
    data_dir: Path | None = setting(
        None, "Where TFDS' imdb_reviews is, or goes.", metavar="DIR", shown=DATA_DIR_DEFAULT
    )


@dataclass(frozen=True, kw_only=True)
class LabelledSource(Columns):
    """The data."""

    data: str = setting(REQUIRED, _DATA, metavar="DATA", positional=True)


@dataclass(frozen=True, kw_only=True)
class Parts(Settings):
    """The data."""

    validation_fraction: float = setting(0.1, "Share of each class's texts that validate.", FRACTION)
    test_fraction: float = setting(0.1, "Share of each class's texts that test.", HALF)
    labels_per_text: LabelCount = setting(
        "auto", "How many labels a text has: one, or several, or none; auto: as the training texts show."
    )

    @property
    def several(self) -> bool:
        """Whether a text has several labels, or none: each class is then a question of its own."""
        return self.labels_per_text == "several"


@dataclass(frozen=True, kw_only=True)
class Splitting(Settings):
    """How texts become words."""

    tokens: Tokens = setting(
        "words", "Words, their clitics (do n't) and signs; or the lecture's letters: runs of letters and apostrophes."
    )
    case: Case = setting("lower", "Lower-case the texts, or keep them.")
    punctuation: Punctuation = setting("keep", "Signs as words, or none.")
    max_chars: int = setting(0, "Characters of a text that are read; 0: all.", NOT_NEGATIVE)
    max_words: int = setting(400, "Words of a text that are read.", COUNT)
    cut: Cut = setting("both", "Which words of a longer text; both: half from either end.")
    vocabulary_size: int = setting(20_000, "Commonest words to know, with the padding.", COUNT)
    min_count: int = setting(2, "Times a word must come to be known.", COUNT)
    oov_buckets: int = setting(1000, "Vectors that unknown words share, by a hash.", Bounds(0, 10_000_000, metavar="N"))


@dataclass(frozen=True, kw_only=True)
class TextNetwork(Network):
    """The network."""

    encoder: Encoder = setting("rnn", "Recurrent layers; or a bag, the sum of the vectors over √n, and a dense layer.")
    embedding: int = setting(100, "Numbers of a word's vector.", UNITS)
    embeddings: str = setting(
        "",
        "Vectors to start from: GloVe's text, word2vec's text or binary, fastText's .vec; compressed or zipped. Or the "
        "folder of a TF-Hub text embedding, for whole texts (needs TensorFlow).",
        metavar="FILE",
        shown="none",
    )
    frozen: bool = setting(False, "Whether these vectors stay as they are.", names="--frozen/--fine-tuned")
    start: Start = setting(
        "naive-bayes",
        "How words' vectors begin: with how much likelier each class makes the word, as the training texts have it; or "
        "at random, as with --embeddings.",
    )
    layers: int = 1
    bidirectional: bool = setting(True, "Read texts from both ends.", names="--bidirectional/--unidirectional")
    pooling: Pooling = setting("concat", "A text is its last state, their mean, their maximum, or mean and maximum.")
    mask: bool = setting(True, "Stop where a text ends, or read the padding after it, too.", names="--mask/--no-mask")
    dense: int = setting(0, "Units of a dense layer before the last; 0: none.", Bounds(0, 16_384, metavar="N"))


@dataclass(frozen=True, kw_only=True)
class WordDropout(TextDropout):
    """Dropout."""

    dropout: float = setting(0.3, "Between layers, and before the last.", RATE)
    input_dropout: float = 0.3
    word_dropout: float = setting(0.0, "Words that are blanked out.", RATE)


@dataclass(frozen=True, kw_only=True)
class TextTraining(Training):
    """The training."""

    epochs: int = setting(2, "Passes over the training texts.", COUNT, by_data="few texts: more")
    learning_rate: float = 0.002
    patience: int = 2
    class_weights: ClassWeights = setting("none", "balanced: rare classes weigh as much in the loss as common ones.")


@dataclass(frozen=True, kw_only=True)
class SentimentSettings(WordDropout, TextTraining, TextNetwork, Splitting, Parts):
    """Everything that decides a run, besides the data and the word vectors."""

    # The slides: the first 300 characters, letters and apostrophes, 10,000 words and 1,000 buckets, Embedding(128),
    # 2×GRU(128) that read the padding too, Dense(1, sigmoid), 5 epochs. Their second model has a dense layer; by
    # default it reads all of a text, and has time for more epochs.
    presets: ClassVar[Presets] = {
        "bag": {"dense": 128, "max_words": 1000, "epochs": 10, "learning_rate": 0.001},
        f"fewer than {FEW:,} texts": {"input_dropout": 0.5, "dropout": 0.5},
        "lecture": {
            **{name: value for name, value in LECTURE.items() if name != "warmup"},
            "tokens": "letters",
            "case": "keep",
            "max_chars": 300,
            "max_words": 150,
            "cut": "head",
            "vocabulary_size": 10_000,
            "min_count": 1,
            "embedding": 128,
            "start": "random",
            "layers": 2,
            "bidirectional": False,
            "pooling": "last",
            "mask": False,
            "epochs": 5,
            "patience": 0,
            "word_dropout": 0.0,
            "input_dropout": 0.0,
            "dropout": 0.0,
        },
    }
    # set by a run, and by nobody else: the vectors are of whole texts, from a TF-Hub module, instead of words
    sentences: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.sentences, bool):
            raise ParameterError(f"`sentences` {self.sentences!r} is not true or false")


@dataclass(frozen=True, kw_only=True)
class SentimentPreset(Settings):
    """The training."""

    preset: Preset = setting(
        "default", "lecture: its cleaning, model and training: 300 characters, Embedding(128), 2xGRU(128), no mask."
    )


@dataclass(frozen=True, kw_only=True)
class SentimentSaving(Saving):
    """Saving."""

    checkpoint: Path | None = CHECKPOINT


@dataclass(frozen=True, kw_only=True)
class SavedClassifier(SavedModel):
    """The model."""

    checkpoint: Path = CHECKPOINT


@dataclass(frozen=True, kw_only=True)
class Labelling(Settings):
    """The labels."""

    text: tuple[str, ...] = setting(
        REQUIRED,
        "Texts; files with a text a line; - for stdin. With --text-column: a table, or - for one.",
        metavar="TEXT...|-",
        positional=True,
    )
    text_column: str | None = setting(
        None,
        "Read a CSV, TSV, JSON Lines or Parquet table, keep its columns, and append label and probability.",
        metavar="COLUMN",
        shown="lines of text",
    )
    encoding: str | None = encoding_setting("How the bytes of files and pipes are text.")
    system: Labeller = setting(
        "auto",
        "What labels: the network (model), the linear model of words and pairs (ngram), both, by the mean of their "
        "logits, or the one that was best on validation (auto).",
    )
    threshold: str | None = setting(
        None,
        "Give a label only from the probability P on; f1: from each class's own, with the best F1 on validation.",
        metavar="P|f1",
        shown="always",
        convert=_threshold,
    )
    otherwise: str = setting("", "The label of texts that reach no --threshold.", metavar="LABEL", shown="empty")
    top: int = setting(1, "Print the N likeliest labels, each with its probability.", COUNT)
    explain: bool = setting(False, "Add the words that the label comes from, with what each adds to its logit.")
