"""The JSON schema of each document (draft 2020-12): settings from their declarations, the rest written down here."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rnncli.settings import Setting, settings_of

Schema = dict[str, Any]

_CLASSES = {"forecast": "ForecastSettings", "charlm": "CharlmSettings", "sentiment": "SentimentSettings"}
_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string", Path: "string"}
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
MAYBE: Schema = {"type": ["number", "null"]}  # where the data gives none
WHOLE: Schema = {"type": "integer"}
NAME: Schema = {"type": ["string", "null"]}

_ERRORS = ("mse", "mae", "rmse", "smape", "mape", "mase")


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object with these entries and no others."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


def _each(value: Schema) -> Schema:
    """An object with entries of any name."""
    return {"type": "object", "additionalProperties": value}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _of_setting(each: Setting) -> Schema:
    """The type and the bounds of a setting, and what it is."""
    found: Schema = {"description": each.help}
    kinds = [_TYPES.get(each.base, "string")]
    if each.default is None or "None" in str(each.type):
        kinds.append("null")
    found["type"] = kinds[0] if len(kinds) == 1 else kinds
    if each.choices:
        found["enum"] = [*each.choices, *([None] if "null" in kinds else [])]
    if each.bounds is not None:
        found["exclusiveMinimum" if each.bounds.open_low else "minimum"] = each.bounds.low
        if each.bounds.high is not None:
            found["exclusiveMaximum" if each.bounds.open_high else "maximum"] = each.bounds.high
    return found


def _config(task: str) -> Schema:
    """All settings of a task; beside them the data, as the command line names it."""
    declared = settings_of(getattr(importlib.import_module(f"rnncli.{task}.settings"), _CLASSES[task]))
    properties = {name: _of_setting(each) for name, each in declared.items()}
    return {"type": "object", "properties": properties, "required": [*properties]}


def _scores(metrics: Schema) -> Schema:
    return {**_each(_each(metrics)), "description": "part of the data → system → metric → figure"}


def _forecast_metrics() -> Schema:
    more = {"mse_by_step": _list(MAYBE), "mae_by_step": _list(MAYBE)}
    rest = {"coverage": MAYBE, "crps": MAYBE, "owa": MAYBE, "mae_std": MAYBE, **more}
    return {**_object({}, {**dict.fromkeys(_ERRORS, MAYBE), **rest}), "required": ["mse"]}


def _text_metrics() -> Schema:
    return _object(dict.fromkeys(("loss", "bpc", "perplexity", "accuracy", "characters"), NUMBER))


def _label_metrics() -> Schema:
    by_class = _each(_object({**dict.fromkeys(("precision", "recall", "f1"), NUMBER), "texts": WHOLE}))
    means = dict.fromkeys(("accuracy", "f1", "precision", "recall", "loss", "ece"), NUMBER)
    return _object({**means, "texts": WHOLE, "confusion_matrix": _list({"type": "array"}), "classes": by_class})


_METRICS: dict[str, Callable[[], Schema]] = {
    "forecast": _forecast_metrics,
    "charlm": _text_metrics,
    "sentiment": _label_metrics,
}


def _common(command: str, task: str) -> Schema:
    return {
        "command": {"const": command},
        "config": _config(task),
        "scores": _scores(_METRICS[task]()),
        "checkpoint": {**NAME, "description": "folder of the model; null: not saved"},
        "seconds": NUMBER,
        "compile_seconds": NUMBER,
    }


def _training(task: str, required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    point = {**_each(MAYBE), "required": ["epoch", "train", "validation"]}
    trained = {"steps_per_second": NUMBER, "best_epoch": NUMBER, "devices": WHOLE, "history": _list(point)}
    one = _object({**_common(f"{task} train", task), **trained, **required}, optional)
    return {"anyOf": [one, _object({**_common(f"{task} train", task), "sweep": _sweep()})]}


def _sweep() -> Schema:
    row = {
        "values": _each({}),
        "figures": _list(NUMBER),
        "mean": MAYBE,
        "std": MAYBE,
        "epochs": NUMBER,
        "seconds": NUMBER,
        "errors": _list(TEXT),
    }
    found = {
        "metric": TEXT,
        "budget": NAME,
        "rows": _list(_object(row)),
        "best": _each({}),
        "whole": {"type": "boolean"},
    }
    return {**_object(found), "description": "with --sweep, --seeds or --budget; the best first"}


def _row_of_forecast() -> Schema:
    """Named like the columns of the table: id and time as in the data, `forecast`, quantiles."""
    return {
        "type": "object",
        "properties": {"forecast": NUMBER, "target": TEXT, "origin": TEXT},
        "patternProperties": {r"^q\d+(\.\d+)?$": NUMBER},
        "additionalProperties": TEXT,
        "required": ["forecast"],
    }


def _weights() -> Schema:
    return _object({"weights": _each(NUMBER), "errors": _each(MAYBE)}, {})


def _forecast_train() -> Schema:
    by_series = {**_each({"type": "object"}), "description": "scores of each series, by id, target, or both"}
    optional = {"combination": _weights(), "series": by_series}
    return _training("forecast", {"forecast": _list(_row_of_forecast())}, optional)


def _forecast_backtest() -> Schema:
    more = {"combination": _weights(), "mae_by_origin": _list(MAYBE)}
    return _object({**_common("forecast backtest", "forecast"), **more})


def _forecast_compare() -> Schema:
    row = {**_each({"type": ["string", "number", "null"]}), "required": ["system", "seconds"]}
    found = {**_common("forecast compare", "forecast"), "steps_per_second": NUMBER, "rows": _list(row)}
    return _object({**found, "config": {"type": "object"}})


def _charlm_train() -> Schema:
    return _training("charlm", {"characters_per_second": NUMBER})


def _charlm_evaluate() -> Schema:
    pair = {"type": "array", "prefixItems": [TEXT, NUMBER], "minItems": 2, "maxItems": 2}
    return _object(_common("charlm evaluate", "charlm"), {"per_char": _list(pair)})


def _charlm_sample() -> Schema:
    return _object({"sample": WHOLE, "seed": WHOLE, "prompt": TEXT, "text": TEXT, "stopped": NAME})


def _sentiment_train() -> Schema:
    more = {"classes": _list(TEXT), "temperatures": _each(NUMBER), "system": {"enum": ["model", "ngram", "both"]}}
    return _training("sentiment", more)


def _sentiment_evaluate() -> Schema:
    return _object({**_common("sentiment evaluate", "sentiment"), "classes": _list(TEXT)})


def _sentiment_predict() -> Schema:
    """The record that was read, and the prediction; names that the record has already begin with `predicted_`."""
    pair = {"type": "array", "prefixItems": [TEXT, NUMBER], "minItems": 2, "maxItems": 2}
    explanation = _object({"logit": NUMBER, "blank": NUMBER, "words": _list(pair)})
    found = {"label": TEXT, "probability": NUMBER, "probabilities": _each(NUMBER), "explanation": explanation}
    found["labels"] = _list(TEXT)  # where a text has several
    return {"type": "object", "properties": {}, "anyOf": [
        {"properties": found, "required": ["label", "probability", "probabilities"]},
        {"properties": {f"predicted_{name}": each for name, each in found.items()}, "required": ["predicted_label"]},
    ]}  # fmt: skip


def _listed() -> Schema:
    return {
        "model": TEXT,
        "task": {"enum": [*_CLASSES]},
        "metric": TEXT,
        "figure": MAYBE,
        "bytes": WHOLE,
        "saved": {"type": "string", "format": "date-time"},
    }


def _models_list() -> Schema:
    found = {"command": {"const": "models list"}, "models": _list(_object(_listed())), "compile_seconds": NUMBER}
    return _object(found)


def _models_show() -> Schema:
    more = {"config": {"type": "object"}, "source": _each({}), "sizes": _each(WHOLE), "weights": _each(WHOLE)}
    more |= {"scores": {"type": "object"}, "history": _list({"type": "object"}), "train": TEXT}
    return _object({"command": {"const": "models show"}, **_listed(), **more})


def _models_diff() -> Schema:
    pair = {"type": "array", "minItems": 2, "maxItems": 2}
    found = {"command": {"const": "models diff"}, "models": _list(TEXT), "differences": _each(pair)}
    return _object({**found, "compile_seconds": NUMBER})


_DOCUMENTS: dict[str, tuple[Callable[[], Schema], str]] = {
    "forecast-train": (_forecast_train, "The document of rnncli forecast train --json"),
    "forecast-predict": (_row_of_forecast, "A line of rnncli forecast predict --json"),
    "forecast-backtest": (_forecast_backtest, "The document of rnncli forecast backtest --json"),
    "forecast-compare": (_forecast_compare, "The document of rnncli forecast compare --json"),
    "charlm-train": (_charlm_train, "The document of rnncli charlm train --json"),
    "charlm-sample": (_charlm_sample, "A line of rnncli charlm sample --json"),
    "charlm-evaluate": (_charlm_evaluate, "The document of rnncli charlm evaluate --json"),
    "sentiment-train": (_sentiment_train, "The document of rnncli sentiment train --json"),
    "sentiment-predict": (_sentiment_predict, "A line of rnncli sentiment predict --json"),
    "sentiment-evaluate": (_sentiment_evaluate, "The document of rnncli sentiment evaluate --json"),
    "models-list": (_models_list, "The document of rnncli models list --json"),
    "models-show": (_models_show, "The document of rnncli models show --json"),
    "models-diff": (_models_diff, "The document of rnncli models diff --json"),
}
NAMES = tuple(_DOCUMENTS)


def title_of(name: str) -> str:
    """What a document is."""
    return _DOCUMENTS[name][1]


def schema_of(name: str) -> Schema:
    """The schema of a document, by one of `NAMES`."""
    make, title = _DOCUMENTS[name]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **make()}
