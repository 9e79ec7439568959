"""Recurrent networks on JAX: from data to a trained, measured, reusable model, in a shell, a script or a notebook.

    import rnncli

    model = rnncli.forecast.fit("sales.csv", horizon=12)     # or an array, a list, a data frame
    model.predict()                                          # what follows
    model.save("sales-model")
    rnncli.load("sales-model").predict("newer-sales.csv")

`rnncli.forecast`, `rnncli.charlm` and `rnncli.sentiment` are the three tasks, `rnncli.nn` has the cells and layers.
Nothing heavy is loaded before it is used.
"""

from typing import TYPE_CHECKING

from rnncli.lazy import attach

if TYPE_CHECKING:
    from rnncli import charlm as charlm
    from rnncli import errors as errors
    from rnncli import forecast as forecast
    from rnncli import nn as nn
    from rnncli import sentiment as sentiment
    from rnncli.library import load as load

__version__ = "0.1.0"

_TASKS = ("forecast", "charlm", "sentiment")
_HOMES = {name: f"rnncli.{name}" for name in (*_TASKS, "nn", "errors")} | {"load": "rnncli.library"}
__getattr__, __dir__, __all__ = attach(__name__, _HOMES)
