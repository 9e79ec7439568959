"""The configuration of a character language model: the only home of its defaults.

The fields' defaults are what serves a newcomer within minutes; the README says what they were settled on.
`PRESETS["lecture"]` is the model and the training of the lecture's slides.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from rnncli.errors import OptionError

CellChoice = Literal["simple", "lstm", "gru"]
VocabularyKind = Literal["chars", "bytes"]
Schedule = Literal["constant", "cosine"]
Preset = Literal["default", "lecture", "small", "large"]


@dataclass(frozen=True)
class CharlmConfig:
    """Everything that decides a run, besides the text."""

    # the text
    vocabulary: VocabularyKind = "chars"
    encoding: str = "utf-8"
    lowercase: bool = False
    separator: str = ""  # what stands between two documents; "": every file is one document
    validation_fraction: float = 0.1
    # the model
    cell: CellChoice = "gru"
    layers: int = 2
    units: int = 256
    embedding: int = 128  # features of a symbol; 0: one-hot
    tied: bool = False  # the embedding is the last layer's kernel, too
    layer_norm: bool = False
    # the training
    stateful: bool = True
    window: int = 64  # characters that back-propagation reaches back
    evaluation_window: int = 256  # of the evaluation from cold states
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 0.003
    schedule: Schedule = "cosine"
    warmup: float = 0.05  # fraction of the steps
    clip: float = 1.0  # global norm of the gradient; 0: none
    weight_decay: float = 0.01
    dropout: float = 0.3  # between the layers
    input_dropout: float = 0.1
    output_dropout: float = 0.3
    recurrent_dropout: float = 0.0
    kernel_dropout: float = 0.2
    variational: bool = True
    patience: int = 0  # epochs; 0: train them all
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        if self.tied and not self.embedding:
            raise OptionError("--tied makes the embedding the last layer's kernel, and --embedding 0 has none")

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON types, in their order."""
        return asdict(self)


# Beside the default, which trains in minutes. The slides: one-hot symbols, 2×GRU(128), dropouts of 0.2 (Keras draws a
# mask a sequence), Adam at a constant 0.001. A lecture's epoch has the windows at every offset, so it is `window`
# passes over the text: its 20 are 2,000 of ours. The book behind the slides trains the stateful network for 50.
PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "default": {},
    "lecture": {
        "units": 128,
        "embedding": 0,
        "stateful": False,
        "window": 100,
        "evaluation_window": 100,
        "epochs": 2000,
        "batch_size": 32,
        "learning_rate": 0.001,
        "schedule": "constant",
        "warmup": 0.0,
        "clip": 0.0,
        "weight_decay": 0.0,
        "dropout": 0.2,
        "input_dropout": 0.2,
        "output_dropout": 0.0,
        "recurrent_dropout": 0.2,
        "kernel_dropout": 0.0,
    },
    "small": {"units": 128, "embedding": 64, "epochs": 8, "dropout": 0.1, "output_dropout": 0.1, "kernel_dropout": 0.0},
    "large": {"units": 512, "epochs": 26, "dropout": 0.5, "output_dropout": 0.5, "kernel_dropout": 0.3},
}
_STATEFUL_LECTURE_EPOCHS = 50

_USUAL_SIZE = 1_000_000  # characters of the text that the presets' epochs are meant for
_LEAST_STEPS = 1_000  # a short text is passed over more often, until there are so many steps
_LEAST_BATCHES = 16  # in an epoch; a short text is read in fewer streams


def for_text(chosen: Mapping[str, Any], size: int, preset: Preset = "default") -> CharlmConfig:
    """The configuration for training on `size` characters: what the user chose over the preset over the defaults.

    What would not fit a short text is made to fit: the window and the batch. Unless chosen, the number of epochs
    follows the size of the text, so that training takes about as long on any text up to a few million characters.
    """
    given = {**PRESETS[preset], **chosen}
    config = CharlmConfig(**given)
    window = min(config.window, max(1, size // 2))
    fitting = max(1, size // window)
    if "batch_size" not in chosen and preset != "lecture":
        fitting = max(1, fitting // _LEAST_BATCHES)
    batch = min(config.batch_size, fitting)
    epochs = config.epochs
    if "epochs" not in chosen:
        if preset == "lecture":
            epochs = _STATEFUL_LECTURE_EPOCHS if config.stateful else epochs
        else:
            scaled = round(epochs * _USUAL_SIZE / max(size, _USUAL_SIZE))
            epochs = max(1, scaled, -(-_LEAST_STEPS * batch * window // size))
    return replace(config, window=window, batch_size=batch, epochs=epochs)
