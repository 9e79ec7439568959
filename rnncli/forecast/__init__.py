"""Time series: `fit` a model, `predict` with it. Loaded when they are first used."""

from typing import TYPE_CHECKING

from rnncli.lazy import attach

if TYPE_CHECKING:
    from rnncli.forecast.api import Model as Model
    from rnncli.forecast.api import fit as fit

__getattr__, __dir__, __all__ = attach(__name__, dict.fromkeys(("fit", "Model"), "rnncli.forecast.api"))
