"""What the number of texts makes of the defaults."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rnncli.sentiment.settings import FEW, Preset, SentimentSettings
from rnncli.settings import Chosen, preset_of

_LEAST_STEPS = 1_000  # fewer texts are passed over more often, until there are so many steps …
_MOST_EPOCHS = 30  # … or so many epochs


def for_data(chosen: Mapping[str, Any], texts: int, preset: Preset = "default") -> SentimentSettings:
    """The settings for training on `texts`: what the user chose, over the preset, over the defaults.

    Unless chosen, the number of epochs and the dropout follow the number of texts: few are passed over more often,
    with more dropout.
    """
    bag, few, _ = SentimentSettings.presets.values()
    default = preset == "default"
    defaults: dict[str, Any] = {}
    if chosen.get("encoder") == "bag":
        defaults |= bag if default else {"dense": bag["dense"]}
    if texts < FEW and default:
        defaults |= few
    settings = Chosen(SentimentSettings, chosen).over(defaults, preset_of(SentimentSettings, preset, Preset))
    batch = min(settings.batch_size, texts)
    epochs = settings.epochs
    if "epochs" not in chosen and default:
        epochs = max(epochs, min(_MOST_EPOCHS, -(-_LEAST_STEPS * batch // texts)))
    return replace(settings, batch_size=batch, epochs=epochs)
