"""The text behind what a user names: the text itself, files, the data set that is meant, or a model's own text."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from rnncli.charlm.batches import Text
from rnncli.charlm.corpus import IN_MEMORY, TINY_SHAKESPEARE, Corpus, Pieces, read_corpus
from rnncli.charlm.settings import Reading
from rnncli.charlm.shakespeare import read_tiny_shakespeare
from rnncli.charlm.task import CharlmTask
from rnncli.errors import CheckpointError, DataError, ParameterError
from rnncli.files import names_file, read_blocks

if TYPE_CHECKING:
    from rnncli.charlm.api import Model

Say = Callable[[str], None]


@dataclass(frozen=True)
class TextPart:
    """A text that was read to be measured."""

    part: str  # "text", or "validation" of the model's own text
    sources: tuple[str, ...]  # as they were named; none for the model's own
    text: Text


def text_to_evaluate(
    model: "Model",
    text: Any,
    say: Say,
    *,
    skip_unknown: bool = False,
    data_dir: Path | None = None,
    encoding: str | None = None,
) -> TextPart:
    """A text in the model's tokens; the validation part of the model's own text if None.

    Raises DataError: the text cannot be read, or has characters that the model never saw. Raises CheckpointError: the
    text that the model was trained on is not there any more, or has changed.
    """
    settings = model.settings
    if text is not None and not (isinstance(text, tuple) and not text):
        reading = replace(settings, encoding=encoding or settings.encoding)
        corpus = read_text(text, reading, data_dir, say, vocabulary=model.vocabulary, skip_unknown=skip_unknown)
        if corpus.left_out:
            say(f"warning: {corpus.left_out:,} {model.vocabulary.unit}s that the model never saw are left out")
        return TextPart("text", corpus.sources, corpus.whole())
    task = model.result.task if model.result is not None else None
    if isinstance(task, CharlmTask):
        return TextPart("validation", (), task.corpus.parts(settings.validation_fraction)[1])
    named, folder = model.metadata["sources"], model.folder
    advice = "name a `text` to evaluate"
    for gone, what in (("-", "standard input"), (IN_MEMORY, "a text in memory")):
        if gone in named["named"]:
            raise CheckpointError(f"the model in '{folder}' was trained on {what}, which is gone; {advice}")
    failure = ""
    for names in (named["found"], named["named"]):  # where it was, or where this folder's neighbours are now
        try:
            own = {"beginning": model.vocabulary, "except_for": [folder] if folder else []}
            corpus = read_text(tuple(names), settings, data_dir, lambda _: None, **own)
        except DataError as error:
            failure = failure or f"the text that '{folder}' was trained on is not here ({error})"
            continue
        if corpus.digest == named.get("digest", model.metadata["data"]):
            return TextPart("validation", (), corpus.parts(settings.validation_fraction)[1])
        failure = f"{', '.join(names)} is not the text that '{folder}' was trained on"
    raise CheckpointError(f"{failure}; {advice}")


def read_text(text: Any, reading: Reading, data_dir: Path | None, say: Say, **how: Any) -> Corpus:
    """The text itself, or what files hold; TFDS' tiny_shakespeare if None.

    Raises ParameterError: it is something else.
    """
    if isinstance(text, str) and not names_file(text):
        try:
            raw = text.encode(reading.encoding, "surrogatepass" if reading.encoding.startswith("utf") else "strict")
        except UnicodeEncodeError as error:
            raise DataError(f"the text has {text[error.start]!r}, which {reading.encoding} has not") from error
        return read_corpus((IN_MEMORY,), reading, read=lambda _: iter([raw]), say=say, **how)
    names = (TINY_SHAKESPEARE,) if text is None else _paths(text)

    def read(name: str) -> Pieces:
        return read_tiny_shakespeare(data_dir) if name == TINY_SHAKESPEARE else read_blocks(name)

    return read_corpus(names, reading, read=read, say=say, **how)


def _paths(text: Any) -> tuple[str, ...]:
    paths = [text] if isinstance(text, str | os.PathLike) else text
    if isinstance(paths, GeneratorType):  # as a folder's `glob` gives
        paths = sorted(paths)
    if (
        not isinstance(paths, list | tuple)
        or not paths
        or not all(isinstance(each, str | os.PathLike) for each in paths)
    ):
        what = f"a {type(text).__name__}" if not isinstance(text, list | tuple) else f"{str(text)[:40]}"
        raise ParameterError(f"the `text` is {what}; give the text itself, a path, or a list of paths")
    return tuple(os.fspath(each) for each in paths)
