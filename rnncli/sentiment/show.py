"""What the verbs of `rnncli sentiment` print: predictions, CSV or JSON on stdout, tables on stderr, plots in files."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from rnncli.console import Console
from rnncli.output import Output, csv_text, encoded, figure, json_text, scores_csv
from rnncli.sentiment.api import Model
from rnncli.sentiment.metrics import Evaluation, Measures
from rnncli.sentiment.plot import plot_evaluation, plot_training
from rnncli.sentiment.predict import Prediction, Predictor
from rnncli.sentiment.settings import CHECKPOINT, Labelling
from rnncli.sentiment.stream import Record, Records
from rnncli.sentiment.task import Measured, SentimentTask, as_dicts

_METRICS = ("accuracy", "f1", "precision", "recall", "loss", "ece")
_CSV = (*_METRICS, "texts")
NAMES = {"model": "network", "ngram": "words and pairs, linear", "both": "both together"}
_LONGEST_NAME = 20  # of a class in a confusion matrix
_WIDTH = 78  # of a table that fits a terminal of 80 columns, without its margins
_MOST_WORDS = 8  # of an explanation on a line


def show_training(model: Model, console: Console) -> None:
    """The scores, the plot, and what to do with the model."""
    result = model.result
    assert result is not None and isinstance(result.task, SentimentTask)
    measured: Measured = result.scored.details.measures
    part = "test" if "test" in measured else "validation"
    _score_tables(measured, model.classes, console)
    measures = measured[part]
    gains = [100 * (measures[name].accuracy - measures["ngram"].accuracy) for name in ("model", "both")]
    for note in result.notes():
        console.say(note)
    console.say(f"accuracy beside the linear model's: {gains[0]:+.1f} points, both together {gains[1]:+.1f}")
    where = "" if model.folder == CHECKPOINT else f" --checkpoint {model.folder}"
    console.say(f"saved in '{model.folder}'; label texts with 'rnncli sentiment predict{where} TEXT'")
    more = {
        "config": result.task.prepared.data.sources,
        "classes": list(model.classes),
        "temperatures": model.calibration.temperatures,
        "system": model.calibration.best,
    }
    console.show_scores(
        lambda: scores_csv(model.scores, "system", _CSV),
        lambda: result.document("sentiment train", model.folder, **more),
    )
    console.plot(lambda path: plot_training(result, part, measures["model"], model.classes, path))


def show_evaluation(model: Model, data: str, evaluation: Evaluation, seconds: float, console: Console) -> None:
    """The measures."""
    measured = {"text": evaluation.measures}
    _score_tables(measured, model.classes, console)
    scores = as_dicts(measured, model.classes)
    document = {
        "command": "sentiment evaluate",
        "config": {**model.settings.as_dict(), "data": data},
        "classes": list(model.classes),
        "scores": scores,
        "checkpoint": str(model.folder),
        "seconds": round(seconds, 3),
    }
    console.show_scores(lambda: scores_csv(scores, "system", _CSV), lambda: document)
    console.plot(lambda path: plot_evaluation(evaluation, model.classes, path))


def show_predictions(predictor: Predictor, records: Records, labelling: Labelling, output: Output) -> None:
    """A record for each text, written group by group as they come."""
    classes = predictor.model.classes
    table = records.form == "csv" and not output.json
    with output.stream() as write:
        if table:
            header = [*records.columns, *_added(records.columns, labelling, len(classes))]
            write(encoded(csv_text(header, separator=records.separator)))
        for group in records.groups:
            predictions = predictor([record.text for record in group])
            pairs: Iterator[tuple[Record, Prediction]] = zip(group, predictions, strict=True)
            if table:
                rows = [[*record.row.values(), *_fields(each, labelling)] for record, each in pairs]
                write(encoded(csv_text(*rows, separator=records.separator)))
            elif output.json or records.form == "json":
                write(encoded("".join(json_text(_document(record, each, classes)) for record, each in pairs)))
            else:
                write(encoded("".join("\t".join(_fields(each, labelling)) + "\n" for _, each in pairs)))


def _added(columns: tuple[str, ...], labelling: Labelling, classes: int) -> list[str]:
    """The names of the columns that a prediction appends: other ones where the table has such already."""
    ranks = range(1, min(labelling.top, classes) + 1)
    names = [f"{name}{'' if rank == 1 else f'_{rank}'}" for rank in ranks for name in ("label", "probability")]
    names += ["words"] if labelling.explain else []
    return [_free(name, columns) for name in names]


def _free(name: str, taken: Collection[str]) -> str:
    """A name for what is added, that nothing of the record has."""
    while name in taken:
        name = f"predicted_{name}"
    return name


def _fields(prediction: Prediction, labelling: Labelling) -> list[str]:
    if prediction.labels and labelling.top == 1:  # all that it got
        fields = [prediction.label, ",".join(f"{each:.6f}" for _, each in prediction.labels)]
    else:
        ranked = prediction.ranked if labelling.top > 1 else ((prediction.label, prediction.probability),)
        fields = [field for label, each in ranked[: labelling.top] for field in (label, f"{each:.6f}")]
    if prediction.explanation is not None and prediction.words is not None:
        added = prediction.explanation.contributions
        most = np.argsort(-np.abs(added), kind="stable")[:_MOST_WORDS]
        fields.append(" ".join(f"{prediction.words[index]}:{added[index]:+.3f}" for index in most))
    return fields


def _document(record: Record, prediction: Prediction, classes: tuple[str, ...]) -> dict[str, Any]:
    row = record.row or {"text": record.text}
    return row | {_free(name, row): value for name, value in prediction.document(classes).items()}


def _score_tables(measured: Measured, classes: tuple[str, ...], console: Console) -> None:
    header = ["", "accuracy", "F1", "precision", "recall", "log loss", "calibration error"]
    for part, systems in as_dicts(measured, classes).items():
        rows = [[NAMES[name], *(figure(metrics[metric]) for metric in _METRICS)] for name, metrics in systems.items()]
        console.table(f"{part} ({systems['model']['texts']:,} texts)", header, rows, style_row=0)
    model: Measures = measured["test" if "test" in measured else next(iter(measured))]["model"]
    rows = [
        [
            name,
            f"{model.support[index]:,}",
            *(figure(float(values[index])) for values in (model.precision, model.recall, model.f1)),
        ]
        for index, name in enumerate(classes)
    ]
    console.table("the network, class by class", ["class", "texts", "precision", "recall", "F1"], rows)
    confusion = confusion_table(model.confusion, classes)
    if confusion is not None:
        console.table("the network: class in rows, label in columns", *confusion)


def confusion_table(confusion: np.ndarray, classes: Sequence[str]) -> tuple[list[str], list[list[str]]] | None:
    """Header and rows of a confusion matrix `[C, C]`; None where it would be wider than a terminal of 80 columns.

    Where a text has several labels there is none.
    Columns have numbers where the names of the classes would be too wide.
    """
    if confusion.ndim == 3:
        return None
    counts = [[f"{count:,}" for count in row] for row in confusion]
    names = [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…" for name in classes]
    numbers = [str(number) for number in range(1, len(classes) + 1)]
    numbered = [f"{number} {name}" for number, name in zip(numbers, names, strict=True)]
    for columns, rows in ((names, names), (numbers, numbered)):
        widest = [max(map(len, column)) for column in zip(columns, *counts, strict=True)]
        if max(map(len, rows)) + sum(width + 3 for width in widest) <= _WIDTH:
            return ["", *columns], [[name, *row] for name, row in zip(rows, counts, strict=True)]
    return None
