"""`rnncli merge`."""

from dataclasses import dataclass

import typer

from rnncli.options import verb
from rnncli.output import Output
from rnncli.settings import REQUIRED, Settings, setting

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True, kw_only=True)
class Merging(Settings):
    """The parts."""

    parts: tuple[str, ...] = setting(
        REQUIRED, "What --shard 0/N, 1/N, … printed, in this order.", metavar="PART...", positional=True
    )
    header: bool = setting(False, "The parts are tables: each begins with the names of the columns.")
    by: str | None = setting(
        None, "Rows that follow each other with the same value there are one record, as a series is.", None, "COLUMN"
    )


@verb(
    app,
    examples=["rnncli merge part-0.txt part-1.txt", "rnncli merge --by store store-0.csv store-1.csv --output all.csv"],
)
def merge(merging: Merging, output: Output) -> None:
    """Join the outputs of --shard 0/N to N-1/N: a record of each in turn, as one process would have printed them.

    Parts are lines, JSON Lines, or tables (with --header, or by a column). Nothing is sorted, or held in memory.
    """
    from rnncli.merge.records import merged

    output.check()
    with output.stream() as write:
        for record in merged(merging.parts, header=merging.header, by=merging.by):
            write(record)
