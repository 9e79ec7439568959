"""What the verbs of `rnncli sentiment` print: predictions, CSV or JSON on stdout, tables on stderr, plots in files."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.console import (
    Messages,
    Output,
    csv_lines,
    csv_text,
    data_stream,
    encoded,
    figure,
    json_text,
    write_data,
    write_scores,
)
from rnncli.sentiment.explain import Explanation
from rnncli.sentiment.metrics import Measures
from rnncli.sentiment.options import CHECKPOINT
from rnncli.sentiment.predict import Model, Prediction, Predictor
from rnncli.sentiment.run import Outcome, Scores, as_dicts
from rnncli.sentiment.stream import Record, Records

_METRICS = ("accuracy", "f1", "precision", "recall", "loss", "ece")
_NAMES = {"model": "network", "ngram": "words and pairs, linear", "both": "both together"}
_MOST_CLASSES = 12  # in a confusion matrix for people
_MOST_WORDS = 8  # of an explanation on a line


@dataclass(frozen=True)
class Printing:
    """What is printed of a prediction."""

    as_json: bool
    top: int
    explain: bool


def show_training(outcome: Outcome, checkpoint: Path, seconds: float, output: Output, messages: Messages) -> None:
    """The scores, the plot, and what to do with the model."""
    classes = outcome.prepared.data.classes
    part = "test" if "test" in outcome.scores else "validation"
    _score_tables(outcome.scores, classes, messages)
    measures = outcome.scores[part]
    gains = [100 * (measures[name].accuracy - measures["ngram"].accuracy) for name in ("model", "both")]
    fitting = outcome.fitting
    messages.say(
        f"best epoch {fitting.best_epoch:g} of {fitting.config.epochs} by validation loss; {seconds:.0f} s; accuracy "
        f"beside the linear model's: {gains[0]:+.1f} points, both together {gains[1]:+.1f}"
    )
    if fitting.best_epoch == 0:
        messages.say("warning: no epoch was better than the untrained network; lower --learning-rate, or train longer")
    where = "" if checkpoint == CHECKPOINT else f" --checkpoint {checkpoint}"
    messages.say(f"saved in '{checkpoint}'; label texts with 'rnncli sentiment predict{where} TEXT'")
    if output.as_json:
        write_data(output.timed(outcome.document(checkpoint) | {"seconds": round(seconds, 3)}), output.file)
    else:
        write_scores(_scores_csv(outcome.scores, classes), output, messages)
    if output.plot is not None:
        from rnncli.sentiment.plot import plot_training

        plot_training(fitting.history, fitting.best_epoch, part, measures["model"], classes, output.plot)
        messages.say(f"plot in '{output.plot}'")


def show_evaluation(
    model: Model,
    data: str,
    measures: dict[str, Measures],
    judged: tuple[np.ndarray, np.ndarray],
    checkpoint: Path,
    begun: float,
    output: Output,
    messages: Messages,
) -> None:
    """The measures; `judged` are the network's probabilities `[n, C]` and the labels `[n]`."""
    scores = {"text": measures}
    _score_tables(scores, model.classes, messages)
    if output.as_json:
        document = {
            "command": "sentiment evaluate",
            "config": {**model.config.as_dict(), "data": data},
            "classes": list(model.classes),
            "scores": as_dicts(scores, model.classes),
            "checkpoint": str(checkpoint),
            "seconds": round(time.monotonic() - begun, 3),
        }
        write_data(output.timed(document), output.file)
    else:
        write_scores(_scores_csv(scores, model.classes), output, messages)
    if output.plot is not None:
        from rnncli.sentiment.plot import plot_evaluation

        plot_evaluation(*judged, measures["model"], model.classes, output.plot)
        messages.say(f"plot in '{output.plot}'")


def show_predictions(predictor: Predictor, records: Records, printing: Printing, output: Output) -> None:
    """A record for each text, written group by group as they come."""
    classes = predictor.model.classes
    table = records.form == "csv" and not printing.as_json
    with data_stream(output.file) as write:
        if table:
            header = [*records.columns, *_added(records.columns, printing, len(classes))]
            write(encoded(csv_lines([header], records.separator)))
        for group in records.groups:
            predictions = predictor([record.text for record in group])
            pairs: Iterator[tuple[Record, Prediction]] = zip(group, predictions, strict=True)
            if table:
                rows = [[*record.row.values(), *_fields(each, classes, printing)] for record, each in pairs]
                write(encoded(csv_lines(rows, records.separator)))
            elif printing.as_json or records.form == "json":
                write(encoded("".join(json_text(_document(record, each, classes)) for record, each in pairs)))
            else:
                write(encoded("".join("\t".join(_fields(each, classes, printing)) + "\n" for _, each in pairs)))


def _added(columns: tuple[str, ...], printing: Printing, classes: int) -> list[str]:
    """The names of the columns that a prediction appends: other ones where the table has such already."""
    numbers = range(1, min(printing.top, classes) + 1)
    names = [f"{name}{'' if number == 1 else f'_{number}'}" for number in numbers for name in ("label", "probability")]
    names += ["words"] if printing.explain else []
    return [_free(name, columns) for name in names]


def _free(name: str, taken: Collection[str]) -> str:
    """A name for what is added, that nothing of the record has."""
    while name in taken:
        name = f"predicted_{name}"
    return name


def _fields(prediction: Prediction, classes: tuple[str, ...], printing: Printing) -> list[str]:
    best = np.argsort(-prediction.probabilities, kind="stable")[: printing.top]
    fields = [field for number in best for field in (classes[number], f"{prediction.probabilities[number]:.6f}")]
    if prediction.explanation is not None and prediction.words is not None:
        added = prediction.explanation.contributions
        most = np.argsort(-np.abs(added), kind="stable")[:_MOST_WORDS]
        fields.append(" ".join(f"{prediction.words[number]}:{added[number]:+.3f}" for number in most))
    return fields


def _document(record: Record, prediction: Prediction, classes: tuple[str, ...]) -> dict[str, Any]:
    best = int(prediction.probabilities.argmax())
    added: dict[str, Any] = {
        "label": classes[best],
        "probability": float(prediction.probabilities[best]),
        "probabilities": dict(zip(classes, map(float, prediction.probabilities), strict=True)),
    }
    if prediction.explanation is not None and prediction.words is not None:
        added["explanation"] = _explained(prediction.words, prediction.explanation)
    row = record.row or {"text": record.text}
    return row | {_free(name, row): value for name, value in added.items()}


def _explained(words: list[str], explanation: Explanation) -> dict[str, Any]:
    return {
        "logit": explanation.logit,
        "blank": explanation.blank,
        "words": [[word, float(added)] for word, added in zip(words, explanation.contributions, strict=True)],
    }


def _scores_csv(scores: Scores, classes: tuple[str, ...]) -> str:
    rows = []
    for part, systems in as_dicts(scores, classes).items():
        for system, values in systems.items():
            rows.append((part, system, *(f"{values[name]:.6g}" for name in _METRICS), values["texts"]))
    return csv_text(("part", "system", *_METRICS, "texts"), rows)


def _score_tables(scores: Scores, classes: tuple[str, ...], messages: Messages) -> None:
    for part, systems in scores.items():
        texts = systems["model"].texts
        values = {name: each.as_dict(classes) for name, each in systems.items()}
        rows = [[_NAMES[name], *(figure(each[metric]) for metric in _METRICS)] for name, each in values.items()]
        header = ["", "accuracy", "F1", "precision", "recall", "log loss", "calibration error"]
        messages.table(f"{part} ({texts:,} texts)", header, rows, style_row=0)
    model = scores["test" if "test" in scores else next(iter(scores))]["model"]
    shown = list(classes) if len(classes) <= _MOST_CLASSES else []
    rows = [
        [
            name,
            f"{model.support[number]:,}",
            *(figure(float(each[number])) for each in (model.precision, model.recall, model.f1)),
            *(f"{model.confusion[number, other]:,}" for other in range(len(shown))),
        ]
        for number, name in enumerate(classes)
    ]
    header = ["class", "texts", "precision", "recall", "F1", *(f"taken for {name}" for name in shown)]
    messages.table("the network, class by class", header, rows)
