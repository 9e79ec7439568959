"""Schemas: each document that is printed is valid by its schema, which allows no other names."""

import copy
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from samples import monthly_sales

from rnncli.schema.documents import NAMES, schema_of

TEXT = "The quick brown fox jumps over the lazy dog.\n" * 30
COMMANDS = {  # in this order: later ones use the checkpoints of earlier ones
    "forecast train sales.csv --horizon 2 --checkpoint f --quantiles 0.1,0.9": "forecast-train",
    "forecast train sales.csv --horizon 2 --cell gru --units 4 --epochs 1 --alert 100": "forecast-train",
    "forecast train long.csv --id shop --horizon 2": "forecast-train",
    "forecast train --cell linear --strategy direct --epochs 1": "forecast-train",
    "forecast train sales.csv --horizon 2 --sweep window=12,24": "forecast-train",
    "forecast predict sales.csv --checkpoint f --quantiles 0.05,0.975": "forecast-predict",
    "forecast backtest sales.csv --horizon 2 --origins 2": "forecast-backtest",
    "charlm train fox.txt --units 4 --layers 1 --epochs 1 --checkpoint c": "charlm-train",
    "charlm sample --checkpoint c --length 5 --num-samples 2 --stop o": "charlm-sample",
    "charlm evaluate fox.txt --checkpoint c": "charlm-evaluate",
    "charlm evaluate fox.txt --checkpoint c --per-char": "charlm-evaluate",
    "sentiment train reviews.csv --units 4 --epochs 1 --checkpoint s": "sentiment-train",
    "sentiment predict 'a good film' --checkpoint s --explain": "sentiment-predict",
    "sentiment predict reviews.csv --text-column text --checkpoint s": "sentiment-predict",
    "sentiment evaluate reviews.csv --checkpoint s": "sentiment-evaluate",
    "models list": "models-list",
    "models show c": "models-show",
    "models diff c s": "models-diff",
}
SLOW = {"forecast compare sales.csv --horizon 2 --epochs 1 --seeds 2": "forecast-compare"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schema")
    sales = monthly_sales(96)
    (folder / "sales.csv").write_text(sales)
    header, *rows = sales.split()
    long = [f"{shop},{row}\n" for shop in ("a", "b") for row in rows]
    (folder / "long.csv").write_text(f"shop,{header}\n{''.join(long)}")
    (folder / "fox.txt").write_text(TEXT)
    reviews = [f"{word} film {number},{word}\n" for number in range(20) for word in ("good", "bad")]
    (folder / "reviews.csv").write_text("text,label\n" + "".join(reviews))
    return folder


@pytest.mark.parametrize(
    ("command", "name"), [*COMMANDS.items(), *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW.items())]
)
def test_what_is_printed_is_what_its_schema_says(rnncli, place: Path, monkeypatch, command: str, name: str) -> None:
    monkeypatch.chdir(place)
    result = rnncli(*shlex.split(command), "--json", "-q")
    assert result.code == 0, result.err
    validator = Draft202012Validator(schema_of(name))
    documents = [json.loads(line) for line in result.out.splitlines()]
    assert documents
    for document in documents:
        validator.validate(document)
    if "config" in documents[0] and "units" in documents[0]["config"]:
        for wrong in ({"units": "many"}, {"learning_rate": -1}, {"cell": "nothing"}):
            changed: Any = copy.deepcopy(documents[0])
            changed["config"].update(wrong)
            if name != "models-show" and name != "forecast-compare":
                with pytest.raises(ValidationError):
                    validator.validate(changed)
    if "command" in documents[0]:
        with pytest.raises(ValidationError):
            validator.validate({**documents[0], "something": 1})


def test_every_document_has_a_schema_that_is_one(rnncli) -> None:
    assert {*COMMANDS.values(), *SLOW.values()} == set(NAMES)
    for name in NAMES:
        schema = json.loads(rnncli("schema", name).out)
        Draft202012Validator.check_schema(schema)
        assert schema["title"].endswith(f"rnncli {name.replace('-', ' ')} --json")
    listed = rnncli("schema")
    assert [row[0] for row in listed.rows] == ["name", *NAMES]
    wrong = rnncli("schema", "forecast-trian")
    assert (wrong.code, "'forecast-trian' is not one of 'forecast-train'" in wrong.err) == (2, True)


def test_json_and_csv_have_the_same_names_and_digits(rnncli, place: Path, monkeypatch) -> None:
    monkeypatch.chdir(place)
    for data in ("sales.csv", "long.csv --id shop"):
        command = ["forecast", *shlex.split(data), "--horizon", "3", "--quantiles", "0.1,0.9", "-q"]
        header, *rows = rnncli(*command).rows
        documents = json.loads(rnncli(*command, "--json").out)["forecast"]
        assert [list(document) for document in documents] == [header] * len(rows)
        for document, row in zip(documents, rows, strict=True):
            assert [value if isinstance(value, str) else float(value) for value in document.values()] == [
                *row[:-3],
                *map(float, row[-3:]),
            ]
