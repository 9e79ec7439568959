"""What the library has beside the three tasks."""

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rnncli.errors import CheckpointError
from rnncli.training.devices import use_device
from rnncli.training.stored import task_of

if TYPE_CHECKING:
    from rnncli.charlm.api import Model as CharModel
    from rnncli.forecast.api import Model as ForecastModel
    from rnncli.sentiment.api import Model as SentimentModel

_TASKS = ("forecast", "charlm", "sentiment")


def load(folder: str | os.PathLike[str]) -> "ForecastModel | CharModel | SentimentModel":
    """A model of any task from its checkpoint.

    Args:
        folder: where a `save`, or the command line, has put it.

    Returns:
        The model; it predicts what it predicted when it was saved. Text models compute in float32.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.

    Example:
        >>> model = rnncli.forecast.fit([112, 118, 132, 129, 121, 135, 148] * 9, horizon=2, epochs=1)
        >>> model.save("passengers")
        >>> rnncli.load("passengers").settings.horizon
        2
    """
    use_device()
    task = task_of(Path(folder))
    if task not in _TASKS:
        raise CheckpointError(f"the checkpoint in '{folder}' is of the task {task!r}, which rnncli does not have")
    return importlib.import_module(f"rnncli.{task}.api").load_model(Path(folder))
