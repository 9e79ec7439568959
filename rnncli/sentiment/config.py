"""The configuration of a text classifier: the only home of its defaults.

The fields' defaults are what serves a newcomer within minutes; the README says what they were settled on.
`PRESETS["lecture"]` is the cleaning, the model and the training of the lecture's slides.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

CellChoice = Literal["simple", "lstm", "gru"]
Encoder = Literal["rnn", "bag"]
Pooling = Literal["last", "mean", "max", "concat"]
Tokens = Literal["words", "letters"]
Case = Literal["lower", "keep"]
Punctuation = Literal["keep", "drop"]
Cut = Literal["head", "tail", "both"]
ClassWeights = Literal["none", "balanced"]
Start = Literal["naive-bayes", "random"]
Schedule = Literal["constant", "cosine"]
Preset = Literal["default", "lecture"]

TASK = "sentiment"


@dataclass(frozen=True)
class SentimentConfig:
    """Everything that decides a run, besides the data and the word vectors."""

    # the text
    tokens: Tokens = "words"  # letters: the lecture's, runs of letters and apostrophes
    case: Case = "lower"
    punctuation: Punctuation = "keep"
    max_chars: int = 0  # a longer text loses its end before it is cut into words; 0: none does
    max_words: int = 400
    cut: Cut = "both"  # which words of a longer text stay; both: half from its head, half from its tail
    vocabulary_size: int = 20_000  # the padding is one of them
    min_count: int = 2  # a word that is rarer in the training texts is unknown
    oov_buckets: int = 1000  # vectors that unknown words share, by a hash
    # its parts, where they are not given
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    # the model
    encoder: Encoder = "rnn"
    embedding: int = 100  # features of a word's vector
    embeddings: str = ""  # where the vectors were read from, of the words that have one there
    sentences: bool = False  # they are of whole texts, from a TF-Hub module, instead of words
    frozen: bool = False  # the vectors are not trained
    start: Start = "naive-bayes"  # what a word's vector begins with, unless it was read
    cell: CellChoice = "gru"
    layers: int = 1
    units: int = 128
    bidirectional: bool = True
    pooling: Pooling = "concat"
    mask: bool = True  # False: padding, up to the longest training text, is read as a word
    layer_norm: bool = False
    dense: int = 0  # units of a hidden dense layer; 0: none
    # the training
    epochs: int = 2
    batch_size: int = 32
    learning_rate: float = 0.002
    schedule: Schedule = "cosine"
    warmup: float = 0.05  # fraction of the steps
    clip: float = 1.0  # global norm of the gradient; 0: none
    weight_decay: float = 0.01
    word_dropout: float = 0.0  # words that are replaced by nothing
    input_dropout: float = 0.3
    dropout: float = 0.3  # between the layers, and before the last one
    recurrent_dropout: float = 0.0
    kernel_dropout: float = 0.0
    class_weights: ClassWeights = "none"
    patience: int = 2  # epochs; 0: train them all
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON types, in their order."""
        return asdict(self)


# Beside the default, which trains in minutes. The slides: the first 300 characters, letters and apostrophes, 10,000
# words and 1,000 buckets, Embedding(128), 2×GRU(128) that read the padding too, Dense(1, sigmoid), Adam, 5 epochs.
PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "default": {},
    "lecture": {
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
        "learning_rate": 0.001,
        "schedule": "constant",
        "clip": 0.0,
        "weight_decay": 0.0,
        "word_dropout": 0.0,
        "input_dropout": 0.0,
        "dropout": 0.0,
        "patience": 0,
    },
}
# The second model of the slides has a dense layer; by default it reads all of a text, and has time for more epochs.
_BAG: Mapping[str, Any] = {"dense": 128}
_DEFAULT_BAG: Mapping[str, Any] = {"max_words": 1000, "epochs": 10, "learning_rate": 0.001}

FEW = 15_000  # texts; with fewer a network learns them by heart, so
FEW_DROPOUT: Mapping[str, Any] = {"input_dropout": 0.5, "dropout": 0.5}
_LEAST_STEPS = 1_000  # fewer texts are passed over more often, until there are so many steps …
_MOST_EPOCHS = 30  # … or so many epochs


def for_data(chosen: Mapping[str, Any], texts: int, preset: Preset = "default") -> SentimentConfig:
    """The configuration for training on `texts`: what the user chose over the preset over the defaults.

    Unless chosen, the number of epochs and the dropout follow the number of texts: few are passed over more often,
    with more dropout.
    """
    bag, default = chosen.get("encoder") == "bag", preset == "default"
    more = {**(_BAG if bag else {}), **(_DEFAULT_BAG if bag and default else {})}
    more |= FEW_DROPOUT if texts < FEW and default else {}
    config = SentimentConfig(**{**more, **PRESETS[preset], **chosen})
    batch = min(config.batch_size, texts)
    epochs = config.epochs
    if "epochs" not in chosen and default:
        epochs = max(epochs, min(_MOST_EPOCHS, -(-_LEAST_STEPS * batch // texts)))
    return replace(config, batch_size=batch, epochs=epochs)
