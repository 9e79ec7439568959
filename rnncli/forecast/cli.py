"""The verbs of `rnncli forecast`. Everything heavy is imported inside them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rnncli.errors import OptionError
from rnncli.forecast.options import (
    SeriesArgument,
    data_options,
    epochs_option,
    model_options,
    seed_option,
    shape_options,
    training_options,
)
from rnncli.options import (
    COUNT,
    begin,
    checkpoint_options,
    device_options,
    given,
    output_options,
    plot_option,
    shared,
)
from rnncli.verbs import DefaultVerbGroup

app = typer.Typer(
    cls=DefaultVerbGroup,
    help="Forecast time series: train a network, compare it with baselines, predict with a saved one.",
    rich_markup_mode=None,
)


@app.command("train")
@shared(
    data_options,
    shape_options,
    model_options,
    epochs_option,
    training_options,
    seed_option,
    checkpoint_options,
    output_options,
    plot_option,
    device_options,
)
def train(series: SeriesArgument = None, **options: Any) -> None:
    """Train on a series, score on held-out data beside the baselines, forecast the future.

    On a series, stdout is CSV: the time column and the forecast. On the lecture's data it is the table of scores.
    """
    from rnncli.forecast.run import load, run_training
    from rnncli.forecast.show import show_training
    from rnncli.training.checkpoint import saving_options

    output, messages = begin(options)
    saving = saving_options(options)
    source = _source(series, options)
    preset = options.pop("preset")
    config, data = load(source, given(options), preset, messages)
    outcome = run_training(config, data, messages, source=source, saving=saving)
    show_training(outcome, saving.folder if saving else None, output, messages)


@app.command("predict")
@shared(data_options, output_options, plot_option, device_options)
def predict(
    series: Annotated[str, typer.Argument(metavar="SERIES", help="The past: a table as for train; - for stdin.")],
    checkpoint: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the saved model.")] = Path(
        "checkpoints/forecast"
    ),
    **options: Any,
) -> None:
    """Forecast what follows a series with a saved model; nothing is trained."""
    from rnncli.forecast.run import predict as run_predict
    from rnncli.forecast.show import show_forecast

    output, messages = begin(options)
    source = _source(series, options)
    assert source is not None
    read, forecast = run_predict(source, checkpoint, messages)
    show_forecast(read, forecast, output)


@app.command("compare")
@shared(
    data_options,
    shape_options,
    epochs_option,
    seed_option,
    output_options,
    device_options,
)
def compare(
    series: SeriesArgument = None,
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N", help="Train each network N times, from --seed on, and show the mean.", callback=COUNT
        ),
    ] = 1,
    **options: Any,
) -> None:
    """Train every system on the same data and put them into one table.

    On the lecture's data: the systems of its first part with its settings, beside its figures. On a series: every
    baseline, cell and strategy.
    """
    from rnncli.forecast.compare import compare_lecture, compare_series
    from rnncli.forecast.show import show_comparison

    output, messages = begin(options)
    first_seed = options.pop("seed")
    source = _source(series, options)
    seed_list = range(first_seed, first_seed + seeds)
    if source is None:
        unused = sorted(given(options).keys() - {"precision", "epochs"})
        if unused:
            raise OptionError(
                f"--{unused[0].replace('_', '-')} is for a SERIES; the lecture's systems have their own settings"
            )
        show_comparison(compare_lecture(seed_list, options["epochs"], options["precision"], messages), output, messages)
    else:
        show_comparison(compare_series(source, given(options), seed_list, messages), output, messages)


def _source(series: str | None, options: dict[str, Any]) -> Any:
    from rnncli.forecast.run import Source

    columns = {name: options.pop(name) for name in ("target", "time_column", "fill")}
    if series is None:
        if columns["target"] or columns["time_column"]:
            raise OptionError("--target and --time-column choose columns of a SERIES; name the file too")
        return None
    return Source(series, **columns)
