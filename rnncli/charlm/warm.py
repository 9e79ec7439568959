"""Beginning with a saved language model, on another text, whose further characters begin as the mean of the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jax import Array

from rnncli.charlm.batches import Text
from rnncli.charlm.model import CharModel
from rnncli.charlm.settings import CharlmSettings, CharNetwork
from rnncli.charlm.vocabulary import Vocabulary
from rnncli.settings import Chosen, settings_of
from rnncli.training.loop import Params
from rnncli.training.warm import NEW, adapted, kept, placed

if TYPE_CHECKING:
    from rnncli.charlm.api import Model

_KEPT = (*settings_of(CharNetwork), "vocabulary", "lowercase")
_SYMBOLS = {"embedding.vectors": 0, "output.kernel": -1, "output.bias": -1, "tied_bias": 0}  # their axis of a leaf


@dataclass(frozen=True)
class Start:
    """What a training begins with: a saved model, and old text, some of which is in each batch."""

    network: CharModel
    vocabulary: Vocabulary
    replay: Text | None = None
    source: Mapping[str, Any] = field(default_factory=dict)  # how the command line names both

    def parameters(self, model: CharModel, vocabulary: Vocabulary) -> Params:
        """Those of the saved model, for a network of the same architecture and at least its symbols."""
        known = {symbol: token for token, symbol in enumerate(self.vocabulary.symbols)}
        places = np.array([*(known.get(symbol, NEW) for symbol in vocabulary.symbols), self.vocabulary.boundary])
        tied, one_hot = model.tied_bias is not None, model.embedding.vectors is None

        def adapt(name: str, leaf: Array) -> Array:
            axis = 0 if one_hot and name == "stack.forward.0.kernel" else _SYMBOLS.get(name)
            if axis is None or (tied and name.startswith("output")):
                return leaf
            return placed(leaf, places, axis % leaf.ndim)

        return adapted(self.network, adapt)


def warm_start(model: "Model", folder: Path, chosen: Chosen[CharlmSettings]) -> tuple[Chosen[CharlmSettings], Start]:
    """What was chosen, with the architecture of the model that was saved in a folder, and that model.

    Raises ParameterError: another architecture was chosen.
    """
    return chosen.replaced(**kept(chosen, model.settings, _KEPT, folder)), Start(model.network, model.vocabulary)
