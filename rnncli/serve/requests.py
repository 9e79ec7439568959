"""What clients ask for: settings of the tasks, checked as the command line checks them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rnncli.charlm.drawing import Drawing
from rnncli.errors import ParameterError
from rnncli.forecast.verb_settings import Quantiles
from rnncli.sentiment.settings import Labeller
from rnncli.settings import NOT_NEGATIVE, SEED, SHARE, Bounds, Settings, setting, settings_of

MOST_TEXTS = 10_000  # in a request
MOST_CHARACTERS = 100_000  # of a sample, and of its prompt


def _short(text: str) -> str:
    """Raises ValueError: the text is too long."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{len(text):,} characters are too many; send at most {MOST_CHARACTERS:,}")
    return text


@dataclass(frozen=True, kw_only=True)
class Labels(Settings):
    """What `POST /predict` takes of a classifier, beside `texts`."""

    system: Labeller = setting("auto", "Which system labels.")
    explain: bool = setting(False, "Tell what each word adds.")
    threshold: float | None = setting(None, "Probability from which on a label is given.", SHARE)
    otherwise: str = setting("", "The label of the others.")


@dataclass(frozen=True, kw_only=True)
class SampleOf(Drawing):
    """What `POST /sample` takes."""

    prompt: str = setting("", "What the text begins with.", convert=_short)
    length: int = setting(500, "Characters to draw.", Bounds(0, MOST_CHARACTERS))
    stop: tuple[str, ...] = setting((), "Strings before which it ends.")
    seed: int = setting(0, "The same seed gives the same text.", SEED)
    unknown: Literal["error", "skip"] = setting("skip", "What becomes of unknown characters of the prompt.")
    stream: bool = setting(False, "Send the text as it is drawn, as server-sent events.")

    @property
    def drawing(self) -> Drawing:
        """How a character is chosen."""
        return Drawing(**{name: getattr(self, name) for name in settings_of(Drawing)})


@dataclass(frozen=True, kw_only=True)
class Ahead(Quantiles):
    """What `POST /forecast` takes beside the series."""

    horizon: int | None = setting(None, "Steps ahead.", Bounds(1, 10_000))
    followed: int = setting(0, "Values of the end of each series that come back, too.", NOT_NEGATIVE)


def checked(cls: type[Settings], body: Mapping[str, Any], beside: Collection[str] = ()) -> Any:
    """The settings that a request's body has; the names `beside` them are read elsewhere.

    Raises ParameterError: there is no such name, or its value is not allowed.
    """
    known = settings_of(cls)
    for name in body:
        if name not in known and name not in beside:
            raise ParameterError(f"there is no {name!r}; there are: {', '.join([*beside, *known])}")
    for name, value in body.items():
        if name in known and known[name].base is bool and not isinstance(value, bool):
            raise ParameterError(f"`{name}`: {value!r} is neither true nor false")
        texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if name in known and known[name].base == tuple[str, ...] and not texts:
            raise ParameterError(f"`{name}`: {str(value)[:60]!r} is not a list of texts")
    return cls(**{name: value for name, value in body.items() if name in known and value is not None})
