"""The verbs of `rnncli forecast`. Everything heavy is imported inside them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rnncli.errors import OptionError
from rnncli.forecast.config import (
    CellChoice,
    Fill,
    ForecastConfig,
    Loss,
    Normalize,
    Preset,
    Readout,
    Schedule,
    Strategy,
)
from rnncli.options import (
    checkpoint_options,
    device_options,
    given,
    interval,
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

_D = ForecastConfig
_FRACTION = interval(0, 0.5, open_low=True)
_RATE = interval(0, 1, open_high=True)
_COUNT = interval(1)
_WHOLE = interval(0)

SeriesArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[SERIES]",
        help="CSV, TSV, Parquet or JSON Lines, compressed or not; - for stdin. Without: the lecture's synthetic data.",
        show_default=False,
    ),
]


def data_options(
    *,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column to forecast.", show_default="the only numeric one")
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column of the time stamps.", show_default="found by name, content"),
    ] = None,
    fill: Annotated[
        Fill, typer.Option(help="What stands in for missing values and time steps; none refuses them.")
    ] = "linear",
) -> None:
    """Which columns of the table."""


def shape_options(
    *,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="Steps of the past a forecast sees.",
            show_default="50; series: whole seasons",
            callback=_COUNT,
        ),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="Steps ahead to forecast.",
            show_default="10; series: a season, at most 48",
            callback=_COUNT,
        ),
    ] = None,
    season: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="Steps in a season; 1: none.",
            show_default="from the time column, else from the autocorrelation",
            callback=_COUNT,
        ),
    ] = None,
    validation_fraction: Annotated[
        float | None,
        typer.Option(
            metavar="0..0.5",
            help="Share of the series before the test part, that chooses the best epoch; in whole horizons.",
            show_default=str(_D.validation_fraction),
            callback=_FRACTION,
        ),
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            metavar="0..0.5",
            help="Share of the series, at its end, held out for the scores; in whole horizons.",
            show_default=str(_D.test_fraction),
            callback=_FRACTION,
        ),
    ] = None,
    normalize: Annotated[
        Normalize | None,
        typer.Option(
            help="What is taken from each window and put back at the output: nothing (none: raw values; global: in "
            "units of the training part), its last value (shift), that and the mean distance to it (last), its mean "
            "and standard deviation (mean), its median and median deviation (median).",
            show_default="none; series: the best of shift, last, mean, global for the linear model on validation",
        ),
    ] = None,
) -> None:
    """What is forecast from what."""


def model_options(
    *,
    strategy: Annotated[
        Strategy | None,
        typer.Option(
            help="One step at a time (recursive), all at once (direct), all at every step of the window (seq2seq), "
            "or a decoder that goes on from the encoder's state (encoder-decoder).",
            show_default="seq2seq; series: direct",
        ),
    ] = None,
    cell: Annotated[
        CellChoice | None,
        typer.Option(help="Kind of network; linear is the closed-form model.", show_default=_D.cell),
    ] = None,
    layers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Recurrent layers; blocks of a wavenet.", show_default="2; series: 1", callback=_WHOLE
        ),
    ] = None,
    units: Annotated[
        int | None,
        typer.Option(metavar="N", help="Units of a layer.", show_default="32; series: 64", callback=_COUNT),
    ] = None,
    readout: Annotated[
        Readout | None,
        typer.Option(
            help="What forecasts from the top layer: a dense layer, or one more recurrent layer.",
            show_default=_D.readout,
        ),
    ] = None,
    bidirectional: Annotated[
        bool | None, typer.Option("--bidirectional", help="Read the window both ways (direct, recursive).")
    ] = None,
    layer_norm: Annotated[
        bool | None, typer.Option("--layer-norm", help="Normalise each gate's pre-activation.")
    ] = None,
    patch: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="Steps of the window joined into one input of the cells.",
            show_default="1; series: a season or a part of it",
            callback=_COUNT,
        ),
    ] = None,
    conv: Annotated[bool | None, typer.Option("--conv", help="A strided convolution before the cells.")] = None,
    conv_kernel: Annotated[
        int | None,
        typer.Option(metavar="STEPS", help="Its kernel.", show_default=str(_D.conv_kernel), callback=_COUNT),
    ] = None,
    conv_stride: Annotated[
        int | None,
        typer.Option(metavar="STEPS", help="Its stride.", show_default=str(_D.conv_stride), callback=interval(2)),
    ] = None,
    linear_skip: Annotated[
        bool | None,
        typer.Option(
            "--linear-skip/--no-linear-skip",
            help="Add the closed-form linear forecast to the network's and train both on.",
            show_default="no; series: yes, but for seq2seq",
        ),
    ] = None,
) -> None:
    """The network."""


def training_options(
    *,
    preset: Annotated[
        Preset, typer.Option(help="lecture: 20 units, Adam at a constant 0.001, every time step scored.")
    ] = "default",
    loss: Annotated[
        Loss | None, typer.Option(help="Error that training minimises.", show_default="mse; series: mae")
    ] = None,
    loss_from: Annotated[
        int | None,
        typer.Option(
            metavar="STEP",
            help="seq2seq: first step of the window whose forecasts count.",
            show_default="two fifths of the window",
            callback=_WHOLE,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Passes over the training part.", show_default="20; series: 800 batches", callback=_COUNT
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Windows in a batch.", show_default=str(_D.batch_size), callback=_COUNT),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Highest rate of Adam.",
            show_default="0.01; series: 0.001",
            callback=interval(0, open_low=True),
        ),
    ] = None,
    schedule: Annotated[
        Schedule | None,
        typer.Option(help="How the rate goes on: a cosine to 0 after --warmup, or constant.", show_default=_D.schedule),
    ] = None,
    warmup: Annotated[
        float | None,
        typer.Option(
            metavar="0..1", help="Share of the steps with a rising rate.", show_default=str(_D.warmup), callback=_RATE
        ),
    ] = None,
    clip: Annotated[
        float | None,
        typer.Option(
            metavar="NORM", help="Largest norm of the gradient; 0: any.", show_default=str(_D.clip), callback=_WHOLE
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="Of AdamW.", show_default=str(_D.weight_decay), callback=_WHOLE),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(metavar="0..1", help="On the input of each layer.", show_default=str(_D.dropout), callback=_RATE),
    ] = None,
    recurrent_dropout: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="On the state that a layer hands on.",
            show_default=str(_D.recurrent_dropout),
            callback=_RATE,
        ),
    ] = None,
    variational: Annotated[
        bool | None, typer.Option("--variational", help="One dropout mask a sequence instead of one a step.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Stop after N epochs without a better validation error; 0: never. The best epoch is kept either way.",
            show_default=str(_D.patience),
            callback=_WHOLE,
        ),
    ] = None,
) -> None:
    """The training."""


def seed_option(
    *,
    seed: Annotated[
        int, typer.Option(help="Of the first weights, the order and the dropout.", callback=_WHOLE)
    ] = _D.seed,
) -> None:
    """Where the randomness starts."""


@app.command("train")
@shared(
    data_options,
    shape_options,
    model_options,
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
    from rnncli.forecast.run import Saving, load, run_training
    from rnncli.forecast.show import show_training

    output, messages = _prepare(options)
    folder, resume, overwrite = (options.pop(name) for name in ("checkpoint", "resume", "overwrite"))
    if folder is None and (resume or overwrite):
        raise OptionError("--resume and --overwrite need a --checkpoint DIR")
    if resume and overwrite:
        raise OptionError("--resume goes on with a checkpoint, --overwrite replaces it: choose one")
    saving = None if folder is None else Saving(folder, resume, overwrite)
    source = _source(series, options)
    preset = options.pop("preset")
    config, data = load(source, given(options), preset, messages)
    show_training(run_training(config, data, messages, saving=saving), folder, output, messages)


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

    output, messages = _prepare(options)
    source = _source(series, options)
    assert source is not None
    read, forecast = run_predict(source, checkpoint, messages)
    show_forecast(read, forecast, output)


@app.command("compare")
@shared(
    data_options,
    shape_options,
    seed_option,
    output_options,
    device_options,
)
def compare(
    series: SeriesArgument = None,
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N", help="Train each network N times, from --seed on, and show the mean.", callback=_COUNT
        ),
    ] = 1,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Passes over the training part.", show_default="20; series: 800 batches", callback=_COUNT
        ),
    ] = None,
    **options: Any,
) -> None:
    """Train every system on the same data and put them into one table.

    On the lecture's data: the systems of its first part with its settings, beside its figures. On a series: every
    baseline, cell and strategy.
    """
    from rnncli.forecast.compare import compare_lecture, compare_series
    from rnncli.forecast.show import show_comparison

    output, messages = _prepare(options)
    first_seed = options.pop("seed")
    source = _source(series, options)
    seed_list = range(first_seed, first_seed + seeds)
    if source is None:
        unused = sorted(given(options).keys() - {"precision"})
        if unused:
            raise OptionError(
                f"--{unused[0].replace('_', '-')} is for a SERIES; the lecture's systems have their own settings"
            )
        show_comparison(compare_lecture(seed_list, epochs, options["precision"], messages), output, messages)
    else:
        chosen = given({**options, "epochs": epochs})
        show_comparison(compare_series(source, chosen, seed_list, messages), output, messages)


def _prepare(options: dict[str, Any]) -> tuple[Any, Any]:
    """Take the options of output and device out of `options`, check and apply them."""
    from rnncli.console import Messages
    from rnncli.forecast.show import Output
    from rnncli.training.devices import operands, use_device

    output = Output(options.pop("output"), options.pop("plot", None), as_json=options.pop("json"))
    output.check()
    messages = Messages(quiet=options.pop("quiet"))
    use_device(options.pop("device"))
    options["precision"] = operands(options["precision"])
    return output, messages


def _source(series: str | None, options: dict[str, Any]) -> Any:
    from rnncli.forecast.run import Source

    columns = {name: options.pop(name) for name in ("target", "time_column", "fill")}
    if series is None:
        if columns["target"] or columns["time_column"]:
            raise OptionError("--target and --time-column choose columns of a SERIES; name the file too")
        return None
    return Source(series, **columns)
