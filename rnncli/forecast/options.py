"""The options of `rnncli forecast`: one function a group, which only declares them. Nothing heavy is imported."""

from typing import Annotated

import typer

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
from rnncli.options import COUNT, FRACTION, RATE, SEED, UNITS, WHOLE, interval

_D = ForecastConfig

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
        Fill | None,
        typer.Option(
            help="What stands in for missing values and time steps; none refuses them.",
            show_default="linear; predict: as trained",
        ),
    ] = None,
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
            callback=COUNT,
        ),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="Steps ahead to forecast.",
            show_default="10; series: a season, at most 48",
            callback=COUNT,
        ),
    ] = None,
    season: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="Steps in a season; 1: none.",
            show_default="from the time column, else from the autocorrelation",
            callback=COUNT,
        ),
    ] = None,
    validation_fraction: Annotated[
        float | None,
        typer.Option(
            metavar="0..0.5",
            help="Share of the series before the test part, that chooses the best epoch; in whole horizons.",
            show_default=str(_D.validation_fraction),
            callback=FRACTION,
        ),
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            metavar="0..0.5",
            help="Share of the series, at its end, held out for the scores; in whole horizons.",
            show_default=str(_D.test_fraction),
            callback=FRACTION,
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
            metavar="N",
            help="Recurrent layers; blocks of a wavenet.",
            show_default="2; series: 1",
            callback=interval(0, 1_000),
        ),
    ] = None,
    units: Annotated[
        int | None,
        typer.Option(metavar="N", help="Units of a layer.", show_default="32; series: 64", callback=UNITS),
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
            callback=COUNT,
        ),
    ] = None,
    conv: Annotated[bool | None, typer.Option("--conv", help="A strided convolution before the cells.")] = None,
    conv_kernel: Annotated[
        int | None,
        typer.Option(metavar="STEPS", help="Its kernel.", show_default=str(_D.conv_kernel), callback=COUNT),
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


def epochs_option(
    *,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Passes over the training part.", show_default="20; series: 800 batches", callback=COUNT
        ),
    ] = None,
) -> None:
    """How long to train."""


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
            callback=WHOLE,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Windows in a batch.", show_default=str(_D.batch_size), callback=COUNT),
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
            metavar="0..1", help="Share of the steps with a rising rate.", show_default=str(_D.warmup), callback=RATE
        ),
    ] = None,
    clip: Annotated[
        float | None,
        typer.Option(
            metavar="NORM", help="Largest norm of the gradient; 0: any.", show_default=str(_D.clip), callback=WHOLE
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="Of AdamW.", show_default=str(_D.weight_decay), callback=WHOLE),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(metavar="0..1", help="On the input of each layer.", show_default=str(_D.dropout), callback=RATE),
    ] = None,
    recurrent_dropout: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="On the state that a layer hands on.",
            show_default=str(_D.recurrent_dropout),
            callback=RATE,
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
            callback=WHOLE,
        ),
    ] = None,
) -> None:
    """The training."""


def seed_option(
    *,
    seed: Annotated[
        int, typer.Option(help="Of the first weights, the order and the dropout.", callback=SEED)
    ] = _D.seed,
) -> None:
    """Where the randomness starts."""
