"""What the length of a text makes of the defaults."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rnncli.charlm.settings import CharlmSettings, Preset
from rnncli.settings import Chosen, preset_of

_STATEFUL_LECTURE_EPOCHS = 50
_USUAL_SIZE = 1_000_000  # characters of the text that the presets' epochs are meant for
_LEAST_STEPS = 1_000  # a short text is passed over more often, until there are so many steps
_LEAST_BATCHES = 16  # in an epoch; a short text is read in fewer streams


def for_text(chosen: Mapping[str, Any], size: int, preset: Preset = "default") -> CharlmSettings:
    """The settings for training on `size` characters: what the user chose, over the preset, over the defaults.

    What would not fit a short text is made to fit: the window and the batch. Unless chosen, the number of epochs
    follows the size of the text, so that training takes about as long on any text up to a few million characters.
    """
    settings = Chosen(CharlmSettings, chosen).over(preset_of(CharlmSettings, preset, Preset))
    window = min(settings.window, max(1, size // 2))
    fitting = max(1, size // window)
    if "batch_size" not in chosen and preset != "lecture":
        fitting = max(1, fitting // _LEAST_BATCHES)
    batch = min(settings.batch_size, fitting)
    epochs = settings.epochs
    if "epochs" not in chosen:
        if preset == "lecture":
            epochs = _STATEFUL_LECTURE_EPOCHS if settings.stateful else epochs
        else:
            scaled = round(epochs * _USUAL_SIZE / max(size, _USUAL_SIZE))
            epochs = max(1, scaled, -(-_LEAST_STEPS * batch * window // size))
    return replace(settings, window=window, batch_size=batch, epochs=epochs)
