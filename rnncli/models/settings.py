"""What the verbs of `rnncli models` are told."""

from dataclasses import dataclass
from pathlib import Path

from rnncli.settings import REQUIRED, Settings, setting

_MODEL = "Folder of a saved model, or a file that was exported."


@dataclass(frozen=True, kw_only=True)
class Below(Settings):
    """The models."""

    folder: Path = setting(
        Path(), "Where to look for models, also in the folders below.", metavar="[FOLDER]", positional=True
    )


@dataclass(frozen=True, kw_only=True)
class One(Settings):
    """The model."""

    model: Path = setting(REQUIRED, _MODEL, metavar="DIR", positional=True)


@dataclass(frozen=True, kw_only=True)
class File(Settings):
    """The model."""

    file: Path = setting(REQUIRED, "File to write, NAME.safetensors or NAME.onnx.", metavar="FILE", positional=True)


@dataclass(frozen=True, kw_only=True)
class Two(Settings):
    """The models."""

    first: Path = setting(REQUIRED, _MODEL, metavar="A", positional=True)
    second: Path = setting(REQUIRED, "The one to compare it with.", metavar="B", positional=True)
