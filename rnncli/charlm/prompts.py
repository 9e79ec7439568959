"""What a sample begins with: from an argument, a file or a pipe, to tokens."""

from collections.abc import Callable

import numpy as np

from rnncli.charlm.api import Model
from rnncli.charlm.drawing import Prompt
from rnncli.charlm.settings import Unknown
from rnncli.errors import DataError, ParameterError
from rnncli.files import name_of, read_bytes
from rnncli.limits import LONGEST_PROMPT


def read_prompt(model: Model, prompt: Prompt, unknown: Unknown, say: Callable[[str], None]) -> np.ndarray:
    """The prompt's tokens.

    Raises DataError: a character that the model never saw, unless they are skipped. Raises ParameterError: it comes
    from two places.
    """
    vocabulary = model.vocabulary
    text = _text(model, prompt)
    tokens, skipped = vocabulary.encode(text, what="the prompt", skip_unknown=unknown == "skip")
    if skipped:
        say(f"warning: {skipped} {vocabulary.unit}s of the prompt, which the model never saw, are left out")
    return tokens


def _text(model: Model, prompt: Prompt) -> str:
    """The prompt from wherever it is; a file is read as the model's text was."""
    if prompt.prompt is not None and prompt.prompt_file is not None:
        raise ParameterError("`prompt` and `prompt_file` both say what the text begins with: choose one")
    source = "-" if prompt.prompt == "-" else None if prompt.prompt_file is None else str(prompt.prompt_file)
    if source is None:
        return prompt.prompt or ""
    raw = read_bytes(source, most=LONGEST_PROMPT)
    if model.vocabulary.kind == "bytes":
        return raw.decode("utf-8", "surrogateescape")
    encoding = model.settings.encoding
    try:
        return raw.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeError as error:
        raise DataError(f"{name_of(source)} is not {encoding.upper()}, as the model's text was: {error}") from error
