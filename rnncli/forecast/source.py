"""What the user says of the data: which table, which columns, what is done to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rnncli.encodings import encoding_setting
from rnncli.settings import REQUIRED, Settings, setting

Fill = Literal["linear", "previous", "zero", "none"]
Multivariate = Literal["shared", "joint"]

CALENDAR = ("hour", "weekday", "monthday", "yearday", "workdays")  # what `calendar` chooses from


def _calendar(text: str) -> str:
    """Raises ValueError: neither none, nor auto, nor names of calendar features."""
    names = [name.strip() for name in text.split(",")]
    if text not in ("none", "auto") and not set(names) <= set(CALENDAR):
        unknown = next(name for name in names if name not in CALENDAR)
        raise ValueError(f"{unknown!r} is not one of none, auto, {', '.join(CALENDAR)}")
    return ",".join(names)


@dataclass(frozen=True, kw_only=True)
class Table(Settings):
    """The data."""

    series: str | None = setting(
        None,
        "CSV, TSV, Parquet or JSON Lines, compressed or not; - for stdin. Without: the lecture's synthetic data.",
        metavar="[SERIES]",
        positional=True,
    )
    target: str | None = setting(
        None, "Column to forecast, or several, as in a,b.", None, "COLUMN", shown="the only numeric one"
    )
    id: str | None = setting(None, "Column that tells several series apart: one model for all.", None, "COLUMN")
    time_column: str | None = setting(
        None, "Column of the time stamps; none: count the rows.", None, "COLUMN", shown="found by name, content"
    )
    encoding: str | None = encoding_setting("How the bytes of tables are text.")
    fill: Fill | None = setting(
        None,
        "What stands in for missing values and time steps; none refuses them.",
        shown="linear; predict: as trained",
    )
    future: str | None = setting(
        None,
        "Table with the future covariates of the steps to forecast.",
        None,
        "FILE",
        shown="the rows after the last value",
    )


@dataclass(frozen=True, kw_only=True)
class SeriesSource(Table):
    """The data."""

    past_covariates: str | None = setting(
        None, "Columns that are known until the forecast begins, as in a,b.", None, "COLUMNS"
    )
    future_covariates: str | None = setting(
        None, "Columns that are known for the steps to forecast, too, as in price,holiday.", None, "COLUMNS"
    )
    static: str | None = setting(
        None, "Columns that say the same of a series at every step; for the network.", None, "COLUMNS"
    )
    calendar: str = setting(
        "none",
        "What of the time stamps is a future covariate: none, what suits the step (auto), or some of "
        f"{', '.join(CALENDAR)}.",
        None,
        "NAMES",
        convert=_calendar,
    )
    holidays: str | None = setting(
        None, "Country, or part of one, whose holidays are a future covariate (extra holidays).", None, "DE|US-CA"
    )
    multivariate: Multivariate = setting(
        "shared",
        "Of several targets: one model, told one at a time (shared), or the network sees the others too (joint).",
    )

    @property
    def covariates(self) -> bool:
        """Whether there is anything beside the target."""
        named = self.past_covariates, self.future_covariates, self.static, self.holidays
        return any(named) or self.calendar != "none" or self.multivariate == "joint"


@dataclass(frozen=True, kw_only=True)
class PastSource(Table):
    """The data."""

    series: str = setting(REQUIRED, "The past: a table as for train; - for stdin.", metavar="SERIES", positional=True)


@dataclass(frozen=True, kw_only=True)
class HistorySource(SeriesSource):
    """The data."""

    series: str = setting(REQUIRED, "The past: a table as for train; - for stdin.", metavar="SERIES", positional=True)


def columns_of(text: str | None, columns: Sequence[str]) -> list[str]:
    """The columns that a list names; a name that has a comma itself is one, too."""
    if text is None:
        return []
    return [text] if text in columns else list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
