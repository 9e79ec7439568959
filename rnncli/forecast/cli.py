"""The verbs of `rnncli forecast`. Everything heavy is imported inside them."""

from functools import partial
from typing import Annotated, Any

import typer

from rnncli.errors import ParameterError
from rnncli.forecast.settings import ForecastPreset, ForecastSettings, Windows
from rnncli.forecast.source import HistorySource, PastSource, SeriesSource
from rnncli.forecast.verb_settings import Ahead, Alert, Backtesting, Quantiles, SavedForecaster, Seeds
from rnncli.options import Only, verb
from rnncli.output import PlotOutput
from rnncli.settings import Chosen
from rnncli.sharding import Sharding
from rnncli.sweep.settings import Sweeping
from rnncli.training.settings import Computing, Device, Log, Machine, Saving, WarmStart
from rnncli.verbs import DefaultVerbGroup

app = typer.Typer(
    cls=DefaultVerbGroup,
    help="Forecast time series: train a network, compare it with baselines, predict with a saved one.",
    rich_markup_mode=None,
    add_completion=False,
)


@verb(
    app,
    examples=[
        "rnncli forecast sales.csv --horizon 12 --plot forecast.png",
        "rnncli forecast sales.csv --cell gru --strategy seq2seq --checkpoint model",
        "rnncli forecast sales.csv --horizon 3 --quantiles 0.1,0.9 --alert 1.5",
        "rnncli forecast sales.csv --sweep cell=gru,lstm --sweep window=24,36 --checkpoint best",
        "cat sales.csv | rnncli forecast - --quiet | tail -n +2 | cut -d, -f2",
    ],
)
def train(
    source: SeriesSource,
    chosen: Chosen[ForecastSettings],
    preset: ForecastPreset,
    quantiles: Quantiles,
    alert: Alert,
    saving: Saving,
    warm: WarmStart,
    sweeping: Sweeping,
    log: Log,
    output: PlotOutput,
    device: Machine,
) -> None:
    """Train on a series, score on held-out data beside the baselines, forecast the future.

    On a series, stdout is CSV: the time column and the forecast. On the lecture's data it is the table of scores.
    """
    from rnncli.console import Console
    from rnncli.forecast import api, show
    from rnncli.logs import logged

    with Console(output, device) as console, logged(log) as written:
        how: Any = {"preset": preset.preset, "warm": warm}
        if sweeping.asked_for:
            from rnncli.sweep.show import show_sweep

            make = partial(api.task_of, source.series, source, **how)
            beside = {"alert": alert.alert, "quantiles": quantiles.quantiles, **log.as_dict()}
            beside["read"] = (source.series, source.future)
            show_sweep("forecast", make, chosen, sweeping, saving, device.device, console, preset.preset, beside)
            return
        on_event = console.listener("training", written)
        model = api.train(source.series, source, chosen, **how, saving=saving, on_event=on_event)
        show.show_training(model, quantiles, console)
        show.sound(alert, model.scores["test"], "the test part")


@verb(
    app,
    examples=[
        "rnncli forecast predict sales.csv --checkpoint model --horizon 2",
        "cat sales.csv | rnncli forecast predict - --checkpoint model --follow",
    ],
)
def predict(
    source: PastSource,
    model: SavedForecaster,
    ahead: Ahead,
    sharding: Sharding,
    quantiles: Quantiles,
    output: PlotOutput,
    device: Computing,
) -> None:
    """Forecast what follows a series with a saved model; nothing is trained."""
    from rnncli.console import Console
    from rnncli.forecast import api, show

    with Console(output, device) as console:
        loaded = api.load_model(model.checkpoint)
        columns = {
            name: getattr(source, name) for name in ("id", "target", "time_column", "encoding", "fill", "future")
        }
        if ahead.follow:
            if output.plot is not None:
                raise ParameterError("`follow` has no end, and `plot` would be drawn there; leave one out")
            if sharding.shard is not None:
                raise ParameterError("`shard` shares out the series of a table, `follow` takes what comes; choose one")
            from rnncli.forecast.follow import follow

            rows = follow(loaded, source.series, console.say, horizon=ahead.horizon, **columns)
            show.show_following(rows, quantiles, console)
            return
        how: Any = {"horizon": ahead.horizon, "sharding": sharding, "on_event": console.listener()}
        forecasts = loaded.predict_all(source.series, **how, **columns)
        show.show_forecast(forecasts, quantiles, console)


@verb(
    app,
    examples=[
        "rnncli forecast backtest sales.csv --horizon 3 --origins 12 --stride 1",
        "rnncli forecast backtest sales.csv --horizon 3 --origins 6 --refit 1 --quantiles 0.1,0.9 --output past.csv",
    ],
)
def backtest(
    source: HistorySource,
    chosen: Chosen[ForecastSettings],
    plan: Backtesting,
    quantiles: Quantiles,
    alert: Alert,
    output: PlotOutput,
    device: Device,
) -> None:
    """Forecast from many places in the past, and compare with what came.

    Each forecast knows the values before its origin only. stdout is CSV with a row for each origin and step.
    """
    from rnncli.console import Console
    from rnncli.forecast import show
    from rnncli.forecast.backtest import backtest as run

    with Console(output, device) as console:
        found = run(source.series, source, chosen, plan, console.listener())
        show.show_backtest(found, quantiles, console)
        show.sound(alert, found.scores, "the backtest")


@verb(app, examples=["rnncli forecast compare sales.csv --horizon 3", "rnncli forecast compare --seeds 3 --json"])
def compare(
    source: SeriesSource,
    chosen: Annotated[Chosen[ForecastSettings], Only(Windows, "baselines", "epochs", "seed", "precision")],
    seeds: Seeds,
    output: PlotOutput,
    device: Device,
) -> None:
    """Train every system on the same data and put them into one table.

    On the lecture's data: the systems of its first part with its settings, beside its figures. On a series: every
    baseline, cell and strategy.
    """
    from rnncli.console import Console
    from rnncli.forecast import show
    from rnncli.forecast.compare import compare_any

    with Console(output, device) as console:
        show.show_comparison(compare_any(source, chosen, seeds.seeds, console.listener), console)
