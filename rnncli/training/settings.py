"""The settings that all trainings have, and those of saving, watching and computing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rnncli.errors import ParameterError
from rnncli.settings import COUNT, NOT_NEGATIVE, POSITIVE, RATE, SEED, Bounds, Settings, setting

Schedule = Literal["constant", "cosine"]
DeviceChoice = Literal["auto", "cpu", "gpu", "tpu"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class Precision(Settings):
    """Computing."""

    precision: PrecisionChoice = setting("auto", "Type of the operands of matrix products.")


@dataclass(frozen=True, kw_only=True)
class Device(Settings):
    """Computing."""

    device: DeviceChoice = setting("auto", "Where to compute.")


def grid_of(mesh: str) -> dict[str, int]:
    """The sizes of the axes that a text names. Raises ValueError: it names something else."""
    sizes: dict[str, int] = {}
    for part in mesh.split(","):
        name, _, size = part.partition("=")
        if name not in ("data", "model") or name in sizes or not size.isdecimal() or not 0 < int(size[:9]) < 10**6:
            raise ValueError(f"{mesh!r} is no grid of devices; write it as in data=4,model=2")
        sizes[name] = int(size)
    return sizes


def _grid(mesh: str) -> str:
    grid_of(mesh)
    return mesh


@dataclass(frozen=True, kw_only=True)
class Machine(Device):
    """Computing."""

    mesh: str | None = setting(
        None,
        "Devices that share each batch, and large arrays: data=4,model=2.",
        metavar="GRID",
        shown="as many as are fastest",
        convert=_grid,
    )
    distributed: bool = setting(False, "Train with the other processes of a cluster: SLURM, Open MPI, Kubernetes, TPU.")
    coordinator: str | None = setting(None, "Where process 0 of several listens.", None, "HOST:PORT")
    num_processes: int | None = setting(None, "How many there are.", COUNT)
    process_id: int | None = setting(None, "Which of them this is, from 0 on.", Bounds(0, 1_000_000, metavar="I"))


@dataclass(frozen=True, kw_only=True)
class Computing(Device, Precision):
    """Computing."""


@dataclass(frozen=True, kw_only=True)
class Training(Precision):
    """The training."""

    epochs: int = setting(20, "Passes over the training data.", COUNT)
    batch_size: int = setting(32, "Windows, streams or texts in a batch.", COUNT)
    learning_rate: float = setting(0.001, "Highest rate of Adam.", POSITIVE, "RATE")
    schedule: Schedule = setting("cosine", "How the rate goes on: a cosine to 0 after --warmup, or constant.")
    warmup: float = setting(0.05, "Share of the steps with a rising rate (cosine).", RATE)
    clip: float = setting(1.0, "Largest norm of the gradient; 0: any.", NOT_NEGATIVE, "NORM")
    weight_decay: float = setting(0.01, "Of AdamW.", NOT_NEGATIVE, "RATE")
    accumulate: int = setting(1, "Parts of a batch that follow each other, to need less memory.", COUNT)
    patience: int = setting(
        0, "Stop after N epochs without a better validation loss; 0: never. The best epoch is kept.", NOT_NEGATIVE
    )
    seed: int = setting(0, "Of the first weights, the order and the dropout.", SEED)

    @property
    def operands(self) -> Literal["float32", "bfloat16"]:
        """The type of the operands of products; float32 until `training.devices.operands` has settled "auto"."""
        return "float32" if self.precision == "auto" else self.precision


DATA_DIR_DEFAULT = "TFDS_DATA_DIR, else ~/tensorflow_datasets"  # in words
# What the lecture's slides say of each of its trainings: Adam at a constant rate.
LECTURE = {"learning_rate": 0.001, "schedule": "constant", "warmup": 0.0, "clip": 0.0, "weight_decay": 0.0}


@dataclass(frozen=True, kw_only=True)
class Saving(Settings):
    """Saving."""

    checkpoint: Path | None = setting(None, "Folder to save the model in.", metavar="DIR", shown="not saved")
    resume: bool = setting(False, "Go on with the training saved in --checkpoint.")
    overwrite: bool = setting(False, "Replace the model in --checkpoint.")
    save_every: float = setting(15.0, "Time between checkpoints.", POSITIVE, "SECONDS")
    detect_anomaly: bool = setting(False, "Name the module where a loss that is not a number comes from.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.checkpoint is None and (self.resume or self.overwrite):
            raise ParameterError("`resume` and `overwrite` need a `checkpoint` DIR")
        if self.resume and self.overwrite:
            raise ParameterError("`resume` goes on with a checkpoint, `overwrite` replaces it: choose one")


NOT_SAVED = Saving()  # a training that leaves nothing on the disk


@dataclass(frozen=True, kw_only=True)
class WarmStart(Settings):
    """Saving."""

    from_model: Path | None = setting(
        None,
        "Folder of a saved model to begin with, on other data.",
        metavar="DIR",
        shown="first weights",
        names="--from",
    )
    replay: str | None = setting(
        None, "Old data, like the new: a fifth of each batch, so that it is not forgotten.", None, "FILE"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.replay is not None and self.from_model is None:
            raise ParameterError("`replay` keeps what a saved model knows: name that with `from_model`")

    def said(self) -> dict[str, str]:
        """What was named, as JSON types: what a training that goes on is not told again."""
        return {name: value for name, value in self.as_dict().items() if value is not None}


COLD = WarmStart()  # a training that begins with first weights


@dataclass(frozen=True, kw_only=True)
class SavedModel(Settings):
    """The model."""

    checkpoint: Path = setting(Path(), "Folder of the saved model.", metavar="DIR")


@dataclass(frozen=True, kw_only=True)
class Log(Settings):
    """Output."""

    log: Path | None = setting(None, "Append the losses to FILE as JSON Lines.", metavar="FILE.jsonl")
    tensorboard: Path | None = setting(
        None, "Write the losses to a folder for TensorBoard (extra tensorboard).", metavar="DIR"
    )
    profile: Path | None = setting(
        None, "Trace the training's beginning, for TensorBoard, XProf or Perfetto.", metavar="DIR"
    )

    @property
    def paths(self) -> list[Path]:
        """Where something is written."""
        return [path for path in (self.log, self.tensorboard, self.profile) if path is not None]
