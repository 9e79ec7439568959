"""Packages whose names are loaded when they are first used, so that importing them costs nothing."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def attach(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package.

    Args:
        package: its name.
        homes: by the name that the package offers, the module that has it; a module offers itself by its own last name.

    Example:
        >>> __getattr__, __dir__, __all__ = attach(__name__, {"fit": "rnncli.forecast.api"})
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(homes[name])
        value = module if homes[name] == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted([*homes, *vars(sys.modules[package])]), sorted(homes)
