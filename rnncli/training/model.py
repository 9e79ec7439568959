"""What the models of all tasks share: settings, a network, what a checkpoint says besides, and saving."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flax import nnx

from rnncli.errors import ParameterError
from rnncli.settings import Chosen
from rnncli.training.checkpoint import export_model, save_model
from rnncli.training.devices import operands
from rnncli.training.settings import Training
from rnncli.training.stored import SUFFIX
from rnncli.training.task import Result, Scores


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A model that was trained or loaded.

    Attributes:
        settings: of its training.
        network: the Flax module, with its parameters.
        metadata: what its checkpoint says besides.
        result: of its training, with scores and history; None where it was loaded.
        folder: where it was saved or loaded from, if it was.
    """

    settings: Training
    network: nnx.Module
    metadata: dict[str, Any]
    result: Result | None = None
    folder: Path | None = None

    @property
    def scores(self) -> Scores:
        """Part of the data → system → metric → figure, of a model that was just trained; else nothing."""
        return {} if self.result is None else self.result.scored.scores

    def arrays(self) -> dict[str, Any]:
        """What is saved beside the network's parameters."""
        return {}

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the model to a folder, which is then the model: it may be moved anywhere.

        Args:
            folder: is made if it is not there.
            overwrite: whether a checkpoint that is there is replaced.

        Raises:
            CheckpointError: there is something in the folder, or it cannot be written.
        """
        best = nnx.state(self.network, nnx.Param)
        save_model(Path(folder), self.metadata, overwrite=overwrite, best=best, **self.arrays())

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file of safetensors, which `rnncli.load` and every `--checkpoint` read.

        Args:
            path: its name ends in .safetensors; a file that is there is replaced.

        Raises:
            ParameterError: the library is not installed (extra `export`), or the name has another ending.
            CheckpointError: the file cannot be written.
        """
        if Path(path).suffix.lower() != SUFFIX:
            raise ParameterError(f"'{path}': the name of an exported model ends in {SUFFIX}")
        best = nnx.state(self.network, nnx.Param)
        export_model(Path(path), self.metadata, best=best, **self.arrays())


def with_precision(chosen: Chosen[Any], units: int) -> Chosen[Any]:
    """What was chosen, with the precision that suits a network of so many units on this machine."""
    return chosen.replaced(precision=operands(chosen.get("precision", "auto"), units))
