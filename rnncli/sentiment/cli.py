"""The verbs of `rnncli sentiment`. Everything heavy is imported inside them."""

import time
from typing import Annotated, Any, Literal

import typer

from rnncli.options import COUNT, begin, device_options, given, output_options, plot_option, saving_options, shared
from rnncli.sentiment.options import (
    CHECKPOINT,
    CheckpointOption,
    column_options,
    data_options,
    model_options,
    text_options,
    training_options,
)
from rnncli.verbs import DefaultVerbGroup

app = typer.Typer(
    cls=DefaultVerbGroup,
    help="Classify texts: train on labelled ones, beside a linear baseline; label others; measure and explain.",
    rich_markup_mode=None,
)

_DATA_HELP = (
    "Labelled texts: CSV, TSV, JSON Lines, Parquet, lines of '__label__x text' or 'label text', or a folder with a "
    "folder a class; compressed or not; - for stdin."
)


@app.command("train")
@shared(
    data_options,
    column_options,
    text_options,
    model_options,
    training_options,
    saving_options(CHECKPOINT),
    output_options,
    plot_option,
    device_options,
)
def train(
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help=f"{_DATA_HELP} Without: TFDS' imdb_reviews.", show_default=False),
    ] = None,
    **options: Any,
) -> None:
    """Train on labelled texts (without any: TFDS' imdb_reviews), and score the best epoch beside a linear model.

    stdout is the table of scores as CSV: accuracy; F1, precision and recall as means over the classes; log loss in
    nats; expected calibration error.
    """
    from rnncli.sentiment.config import SentimentConfig
    from rnncli.sentiment.prepare import load
    from rnncli.sentiment.run import run_training
    from rnncli.sentiment.show import show_training
    from rnncli.training.checkpoint import CheckpointWriter
    from rnncli.training.checkpoint import saving_options as saving_of

    begun = time.monotonic()
    output, messages = begin(options, options["units"] or SentimentConfig.units)
    saving = saving_of(options)
    assert saving is not None
    CheckpointWriter(saving)  # refuses a folder that may not be written before the texts are read
    preset, save_every = options.pop("preset"), options.pop("save_every")
    prepared = load(_source(data, options), given(options), preset, messages)
    outcome = run_training(prepared, messages, saving=saving, save_every=save_every)
    show_training(outcome, saving.folder, time.monotonic() - begun, output, messages)


@app.command("predict")
@shared(output_options, device_options)
def predict(
    text: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT...|-",
            help="Texts; files with a text a line; - for stdin. With --text-column: a table, or - for one.",
        ),
    ],
    checkpoint: CheckpointOption = CHECKPOINT,
    text_column: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Read a CSV, TSV, JSON Lines or Parquet table, keep its columns, and append label and probability.",
            show_default="lines of text",
        ),
    ] = None,
    system: Annotated[
        Literal["model", "ngram", "both"],
        typer.Option(
            help="What labels: the network, the linear model of words and pairs, or both: their logits' mean."
        ),
    ] = "model",
    top: Annotated[
        int, typer.Option(metavar="N", help="Print the N likeliest labels, each with its probability.", callback=COUNT)
    ] = 1,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Add the words that the label comes from, with what each adds to its logit."),
    ] = False,
    **options: Any,
) -> None:
    """Label texts: a line 'label<TAB>probability' for each, as they come. --json: the probability of each class."""
    from rnncli.sentiment.predict import Predictor, load_model
    from rnncli.sentiment.show import Printing, show_predictions
    from rnncli.sentiment.stream import records_of

    output, _ = begin(options, None)
    records = records_of(text, text_column)
    predictor = Predictor(load_model(checkpoint, options["precision"]), system, explain=explain)
    show_predictions(predictor, records, Printing(output.as_json, top, explain), output)


@app.command("evaluate")
@shared(column_options, output_options, plot_option, device_options)
def evaluate(
    data: Annotated[str, typer.Argument(metavar="DATA", help=_DATA_HELP)],
    checkpoint: CheckpointOption = CHECKPOINT,
    **options: Any,
) -> None:
    """Measure a model on labelled texts: accuracy, precision, recall and F1, confusion matrix, calibration.

    stdout is a table as CSV, a row each for the network, the linear model, and both together.
    """
    from rnncli.sentiment.predict import evaluate as run_evaluate
    from rnncli.sentiment.predict import load_model
    from rnncli.sentiment.show import show_evaluation

    begun = time.monotonic()
    output, messages = begin(options, None)
    model = load_model(checkpoint, options.pop("precision"))
    measures, probability, part = run_evaluate(model, _source(data, options))
    show_evaluation(model, data, measures, (probability, part.labels), checkpoint, begun, output, messages)


def _source(data: str | None, options: dict[str, Any]) -> Any:
    """Take what says where the texts are out of the options."""
    from rnncli.sentiment.data import Source
    from rnncli.sentiment.records import Columns

    columns = Columns(options.pop("text_column"), options.pop("label_column"))
    validation, test = options.pop("validation", None), options.pop("test", None)
    return Source(data, validation, test, columns, options.pop("data_dir", None))
