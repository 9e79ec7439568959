"""Options that commands share, and how their values are checked. Nothing heavier than Typer is imported here."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from rnncli.training.devices import DeviceChoice, PrecisionChoice

Command = Callable[..., None]


def interval(
    low: float, high: float | None = None, *, open_low: bool = False, open_high: bool = False
) -> Callable[[float | None], float | None]:
    """A callback that refuses numbers outside the interval, naming the number and the bounds."""

    def check(value: float | None) -> float | None:
        if value is None:
            return None
        above = value > low if open_low else value >= low
        below = high is None or (value < high if open_high else value <= high)
        if not (above and below and value < float("inf")):
            raise typer.BadParameter(f"{value:g} is not {words}")
        return value

    words = f"above {low:g}" if open_low else f"at least {low:g}"
    if high is not None:
        words += f" and {'below' if open_high else 'at most'} {high:g}"
    return check


COUNT = interval(1, 1_000_000)
FRACTION = interval(0, 0.5, open_low=True)
RATE = interval(0, 1, open_high=True)
SEED = interval(0, 2**32 - 1)
UNITS = interval(1, 16_384)
WHOLE = interval(0)


def shared(*groups: Command) -> Callable[[Command], Command]:
    """Give a command the keyword options of the `groups`, functions that only declare them.

    The command receives them all in its `**options`.
    """

    def decorate(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True)
        parameters = [each for each in own.parameters.values() if each.kind is not each.VAR_KEYWORD]
        for group in groups:
            declared = inspect.signature(group, eval_str=True).parameters.values()
            parameters += [each.replace(kind=each.KEYWORD_ONLY) for each in declared]

        @functools.wraps(command)
        def with_options(*args: Any, **kwargs: Any) -> None:
            command(*args, **kwargs)

        del with_options.__wrapped__  # Typer would follow it to the command's own signature
        with_options.__signature__ = own.replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
        with_options.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_options

    return decorate


def setting(
    help: str, default: object, *names: str, metavar: str | None = None, check: Callable[[Any], Any] | None = None
) -> Any:
    """An option that is None until the configuration is made; the help shows the `default` that it then gets."""
    return typer.Option(*names, help=help, show_default=str(default), metavar=metavar, callback=check)


def begin(options: dict[str, Any], units: int | None = 0) -> tuple[Any, Any]:
    """Take the options of output and device out of a command's `options`; check and apply them.

    `units` are those of the network, on which the precision depends; None where a checkpoint will tell. Returns the
    `Output` and the `Messages`.
    """
    from rnncli.console import Messages, Output
    from rnncli.training.devices import CompileClock, operands, use_device

    clock = CompileClock()
    output = Output(options.pop("output"), options.pop("plot", None), as_json=options.pop("json"), clock=clock)
    output.check()
    messages = Messages(quiet=options.pop("quiet"))
    clock.start()
    use_device(options.pop("device"))
    if units is not None:
        options["precision"] = operands(options["precision"], units)
    return output, messages


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the user set: those that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def output_options(
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON: one document; of predict and sample, one a line.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the data to FILE instead of stdout.", show_default=False
        ),
    ] = None,
) -> None:
    """Where the data goes and how much is said."""


def plot_option(
    *,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the result into FILE (PNG, PDF or SVG).", show_default=False),
    ] = None,
) -> None:
    """The picture of the result."""


def device_options(
    *,
    device: Annotated[DeviceChoice, typer.Option(help="Where to compute.")] = "auto",
    precision: Annotated[PrecisionChoice, typer.Option(help="Type of the operands of matrix products.")] = "auto",
) -> None:
    """Where and how precisely to compute."""


ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the training saved in --checkpoint.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the model in --checkpoint.")]


def checkpoint_options(
    *,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to save the model in.", show_default="not saved")
    ] = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Saving, and what to do with what is there."""


def saving_options(folder: Path) -> Command:
    """The same for a command that always saves, in `folder` where nothing else is said."""

    def declared(
        *,
        checkpoint: Annotated[Path, typer.Option(metavar="DIR", help="Folder to save the model in.")] = folder,
        resume: ResumeOption = False,
        overwrite: OverwriteOption = False,
    ) -> None:
        pass

    return declared
