"""The settings of single verbs: what is printed, how far ahead, from where."""

from dataclasses import dataclass
from pathlib import Path

from rnncli.forecast.settings import STEPS
from rnncli.settings import COUNT, POSITIVE, Settings, setting
from rnncli.training.settings import SavedModel


def _refit(text: str) -> str:
    """Raises ValueError: neither "never" nor a number of origins."""
    if text != "never" and not (text.isdecimal() and int(text) > 0):
        raise ValueError(f"{text!r} is neither never nor a number of origins")
    return text


def _levels(text: str) -> str:
    """Quantiles as they are written, in ascending order. Raises ValueError: one is no number between 0 and 1."""
    try:
        levels = sorted({float(level) for level in text.split(",") if level.strip()})
    except ValueError:
        raise ValueError(f"{text!r} is no list of numbers like 0.1,0.9") from None
    for level in levels:
        if not 0 < level < 1:
            raise ValueError(f"{level:g} is not between 0 and 1")
    return ",".join(f"{level:g}" for level in levels)


@dataclass(frozen=True, kw_only=True)
class Quantiles(Settings):
    """Intervals."""

    quantiles: str = setting(
        "",
        "Quantiles to print beside the forecast, as in 0.1,0.9: columns q10, q90.",
        None,
        "LEVELS",
        shown="none",
        convert=_levels,
    )
    conformal: bool = setting(
        True,
        "Quantiles of the errors at rolling origins, or of a normal distribution with errors of that size.",
        names="--conformal/--no-conformal",
    )

    @property
    def levels(self) -> dict[str, float]:
        """The quantiles by the names of their columns."""
        return {f"q{100 * float(level):g}": float(level) for level in self.quantiles.split(",") if level}


@dataclass(frozen=True, kw_only=True)
class Alert(Settings):
    """The scores."""

    alert: float | None = setting(
        None,
        "Exit with code 3, after all is written, where the model's error is larger.",
        POSITIVE,
        "MASE",
        shown="none",
    )


@dataclass(frozen=True, kw_only=True)
class Ahead(Settings):
    """What is forecast from what."""

    horizon: int | None = setting(
        None, "Steps ahead; beyond those of the training, forecasts follow forecasts.", STEPS, shown="as trained"
    )
    follow: bool = setting(
        False, "Rows come on stdin, after SERIES or, if that is -, after a header; a forecast follows each."
    )


@dataclass(frozen=True, kw_only=True)
class Backtesting(Settings):
    """What is forecast from what."""

    origins: int = setting(10, "Places in the series that forecasts begin at; the last has a whole horizon.", COUNT)
    stride: int | None = setting(None, "Steps between them.", STEPS, shown="a horizon")
    refit: str = setting(
        "never",
        "Train anew after so many origins on what is known by then; never: once, on what the first one knows.",
        None,
        "never|N",
        convert=_refit,
    )


@dataclass(frozen=True, kw_only=True)
class Seeds(Settings):
    """The training."""

    seeds: int = setting(1, "Train each network N times, from --seed on, and show the mean.", COUNT)


@dataclass(frozen=True, kw_only=True)
class SavedForecaster(SavedModel):
    """The model."""

    checkpoint: Path = Path("checkpoints/forecast")
