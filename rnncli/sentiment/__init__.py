"""Labelled texts: `fit` a classifier. Loaded when they are first used."""

from typing import TYPE_CHECKING

from rnncli.lazy import attach

if TYPE_CHECKING:
    from rnncli.sentiment.api import Model as Model
    from rnncli.sentiment.api import Prediction as Prediction
    from rnncli.sentiment.api import fit as fit

__getattr__, __dir__, __all__ = attach(__name__, dict.fromkeys(("fit", "Model", "Prediction"), "rnncli.sentiment.api"))
