"""The verbs of `rnncli sentiment`. Everything heavy is imported inside them."""

import time
from dataclasses import replace
from functools import partial
from typing import Any

import typer

from rnncli.errors import DataError
from rnncli.options import verb
from rnncli.output import Output, PlotOutput
from rnncli.sentiment.settings import (
    DataSource,
    LabelledSource,
    Labelling,
    SavedClassifier,
    SentimentPreset,
    SentimentSaving,
    SentimentSettings,
)
from rnncli.settings import Chosen
from rnncli.sharding import Sharding
from rnncli.sweep.settings import Sweeping
from rnncli.training.settings import Computing, Log, Machine, WarmStart
from rnncli.verbs import DefaultVerbGroup

app = typer.Typer(
    cls=DefaultVerbGroup,
    help="Classify texts: train on labelled ones, beside a linear baseline; label others; measure and explain.",
    rich_markup_mode=None,
    add_completion=False,
)


@verb(
    app,
    examples=[
        "rnncli sentiment reviews.csv --plot reviews.png",
        "rnncli sentiment reviews.csv --test others.csv --encoder bag --checkpoint bag",
        "rnncli sentiment reviews.csv --sweep encoder=rnn,bag --budget 30s --checkpoint searched",
        "rnncli sentiment others.csv --from checkpoints/sentiment --replay reviews.csv --checkpoint both",
    ],
)
def train(
    source: DataSource,
    chosen: Chosen[SentimentSettings],
    preset: SentimentPreset,
    saving: SentimentSaving,
    warm: WarmStart,
    sweeping: Sweeping,
    log: Log,
    output: PlotOutput,
    device: Machine,
) -> None:
    """Train on labelled texts (without any: TFDS' imdb_reviews), and score the best epoch beside a linear model.

    stdout is the table of scores as CSV: accuracy; F1, precision and recall as means over the classes; log loss in
    nats; expected calibration error.
    """
    from rnncli.console import Console
    from rnncli.logs import logged
    from rnncli.sentiment import api, show

    with Console(output, device) as console, logged(log) as written:
        how: Any = {"preset": preset.preset, "warm": warm}
        if sweeping.asked_for:
            from rnncli.sweep.show import show_sweep

            beside = {**log.as_dict(), "read": (source.data, source.validation, source.test)}
            make = partial(api.task_of, source, **how)
            show_sweep("sentiment", make, chosen, sweeping, saving, device.device, console, preset.preset, beside)
            return
        model = api.train(source, chosen, **how, saving=saving, on_event=console.listener("training", written))
        show.show_training(model, console)


@verb(
    app,
    examples=[
        "rnncli sentiment predict 'What a wonderful little film' --explain",
        "cat comments.txt | rnncli sentiment predict - --system both",
        "rnncli sentiment predict others.csv --text-column text --output labelled.csv",
    ],
)
def predict(
    labelling: Labelling, model: SavedClassifier, sharding: Sharding, output: Output, device: Computing
) -> None:
    """Label texts: a line 'label<TAB>probability' for each, as they come. --json: the probability of each class."""
    from rnncli.console import Console
    from rnncli.sentiment import api, show
    from rnncli.sentiment.predict import Predictor
    from rnncli.sentiment.stream import records_of

    with Console(output, device) as console:
        records = records_of(list(labelling.text), labelling.text_column, labelling.encoding)
        records = replace(records, groups=sharding.of_groups(records.groups))
        loaded = api.load_model(model.checkpoint, device.precision)
        threshold = labelling.threshold if labelling.threshold in (None, "f1") else float(labelling.threshold)
        how = {"explain": labelling.explain, "threshold": threshold, "otherwise": labelling.otherwise}
        predictor = Predictor(loaded, labelling.system, **how)
        if labelling.system == "auto":
            console.say(f"labels by {show.NAMES[predictor.system]}, the best on validation; see `system`")
        show.show_predictions(predictor, records, labelling, output)


@verb(
    app,
    examples=["rnncli sentiment evaluate others.csv --plot others.png", "rnncli sentiment evaluate others.csv --json"],
)
def evaluate(
    source: LabelledSource, model: SavedClassifier, sharding: Sharding, output: PlotOutput, device: Computing
) -> None:
    """Measure a model on labelled texts: accuracy, precision, recall and F1, confusion matrix, calibration.

    stdout is a table as CSV, a row each for the network, the linear model, and both together.
    """
    from rnncli.console import Console
    from rnncli.sentiment import api, show
    from rnncli.sentiment.records import read_labelled

    with Console(output, device) as console:
        begun = time.monotonic()
        loaded = api.load_model(model.checkpoint, device.precision)
        console.doing("reading and scoring the texts")
        labelled = read_labelled(source.data, source.columns, loaded.classes).share(sharding.slice)
        if not labelled.texts:
            raise DataError(f"{labelled.name} has too few records for `shard` {sharding.shard}")
        evaluation = loaded.measure(labelled)
        show.show_evaluation(loaded, source.data, evaluation, time.monotonic() - begun, console)
