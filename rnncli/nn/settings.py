"""The settings of recurrent networks, and the registry of cells. JAX is loaded where a cell is looked up."""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnncli.errors import ParameterError
from rnncli.settings import RATE, UNITS, Bounds, Settings, setting

if TYPE_CHECKING:
    from rnncli.nn.cells import Cell

# Where the class of each cell is, by the name that `cell` chooses it with. A new cell is a class and a line here.
CELLS: dict[str, "str | type[Cell]"] = {
    "simple": "rnncli.nn.cells:SimpleCell",
    "lstm": "rnncli.nn.cells:LSTMCell",
    "gru": "rnncli.nn.cells:GRUCell",
}


REGISTERED: "dict[str, type[Cell]]" = {}  # those from outside the package


def register_cell(name: str, cell: "type[Cell]") -> None:
    """Let `cell` choose a class from outside the package, in all three tasks.

    Args:
        name: the name that chooses it.
        cell: a subclass of `rnncli.nn.Cell`. What its methods compute depends on its fields and their arguments alone,
            not on variables that change: a compiled program is known by the class.

    Example:
        >>> class Leaky(rnncli.nn.SimpleCell):
        ...     @staticmethod
        ...     def step(vectors, carry, pre):
        ...         return (0.9 * carry[0] + 0.1 * jnp.tanh(pre[0]),)
        >>> rnncli.nn.register_cell("leaky", Leaky)
    """
    CELLS[name] = REGISTERED[name] = cell


def cell_class(name: str) -> "type[Cell]":
    """The class of a cell by its name. Raises ParameterError: there is none."""
    found = CELLS.get(name)
    if found is None:
        raise ParameterError(f"`cell` {name!r} is not one of {', '.join(map(repr, CELLS))}")
    if isinstance(found, str):
        module, _, attribute = found.partition(":")
        found = CELLS[name] = getattr(importlib.import_module(module), attribute)
    return found


def cell_names() -> tuple[str, ...]:
    """The names of all cells."""
    return tuple(CELLS)


@dataclass(frozen=True, kw_only=True)
class Network(Settings):
    """The network."""

    cell: str = setting("gru", "Kind of recurrent cell.", choose_from=cell_names)
    layers: int = setting(2, "Recurrent layers.", Bounds(1, 1_000, metavar="N"))
    units: int = setting(128, "Units of a layer.", UNITS)
    layer_norm: bool = setting(False, "Normalise each gate's pre-activation.")
    remat: bool = setting(False, "Compute states anew for the gradients: long windows need less memory.")


@dataclass(frozen=True, kw_only=True)
class Dropout(Settings):
    """Dropout."""

    dropout: float = setting(0.0, "On the input of each layer.", RATE)
    recurrent_dropout: float = setting(0.0, "On the state that a layer hands on.", RATE)


@dataclass(frozen=True, kw_only=True)
class TextDropout(Dropout):
    """Dropout."""

    input_dropout: float = setting(0.1, "On the vectors of characters or words.", RATE)
    kernel_dropout: float = setting(0.0, "On the recurrent kernels (DropConnect).", RATE)
