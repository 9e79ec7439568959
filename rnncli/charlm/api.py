"""Character language models as a library: fit, sample, evaluate, save, load. The command line calls nothing else."""

import functools
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from rnncli.charlm.batches import Text
from rnncli.charlm.corpus import Corpus
from rnncli.charlm.defaults import for_text
from rnncli.charlm.drawing import Drawing, Extent
from rnncli.charlm.model import CharModel, empty_network
from rnncli.charlm.reading import Say, read_text, text_to_evaluate
from rnncli.charlm.sample import Degrees, Sampler, compiled_for
from rnncli.charlm.score import Scored, Scorer
from rnncli.charlm.settings import CharlmSettings, Evaluation, Preset, TextSource
from rnncli.charlm.task import TASK, CharlmTask
from rnncli.charlm.vocabulary import Vocabulary
from rnncli.charlm.warm import warm_start
from rnncli.errors import DataError, ParameterError
from rnncli.settings import Chosen, distributed, preset_of
from rnncli.sharding import ALL, Sharding
from rnncli.training.checkpoint import check_folder
from rnncli.training.devices import operands, use_device
from rnncli.training.events import Doing, Evaluated, Event, Listener, Note, follow, ignore
from rnncli.training.model import TrainedModel, with_precision
from rnncli.training.restoring import loader, open_checkpoint
from rnncli.training.runner import run
from rnncli.training.settings import COLD, NOT_SAVED, PrecisionChoice, Saving, WarmStart

_PREVIEW, _PREVIEW_TEMPERATURE = 200, 0.8
_COMPILED = 8  # programs that are kept, for so many ways of drawing
Metrics = dict[str, dict[str, float]]  # protocol → metric → figure


@dataclass(frozen=True, kw_only=True)
class Model(TrainedModel):
    """A character language model that was trained or loaded; `vocabulary` leads from characters to tokens and back."""

    settings: CharlmSettings
    network: CharModel
    vocabulary: Vocabulary

    def sample(self, prompt: str = "", length: int = 500, *, seed: int = 0, **drawing: Any) -> str:
        """A text from the model.

        Args:
            prompt: what it begins with; nothing: the beginning of a text.
            length: how many characters are drawn.
            seed: the same seed gives the same text.
            **drawing: `temperature`, `top_k`, `top_p`, `min_p`, `repetition_penalty`.

        Returns:
            The prompt and what follows it.

        Raises:
            ParameterError: a parameter is unknown or wrong.
            DataError: the prompt has a character that the model never saw.

        Example:
            >>> model = rnncli.charlm.fit("to be or not to be, " * 50, units=16, epochs=1)
            >>> len(model.sample("to be", 20))
            25
        """
        if not isinstance(prompt, str):
            raise ParameterError(f"`prompt` is a {type(prompt).__name__}; give a text")
        kind, extent = Chosen(Drawing, drawing).over(), Extent(length=length, seed=seed)
        tokens, _ = self.vocabulary.encode(prompt, what="the prompt")
        drawn = list(self.stream(tokens, extent.length, kind, seed=extent.seed))
        return self.vocabulary.text(np.concatenate([tokens, *(each[:, 0] for each in drawn)]))

    def stream(
        self, prompt: np.ndarray, length: int, drawing: Drawing, *, samples: int | range = 1, seed: int = 0, **how: Any
    ) -> Iterator[np.ndarray]:
        """Tokens `[n, B]` that follow the prompt's, as they are drawn, `length` in all.

        `samples` are how many there are, or the numbers of those that are wanted. `how` has `most`, the greatest number
        of tokens that is drawn at once.
        """
        kind = compiled_for(drawing)
        if kind not in self._samplers:
            self._samplers[kind] = Sampler(self.network, self.vocabulary, kind)
            for oldest in [*self._samplers][:-_COMPILED]:
                del self._samplers[oldest]
        how |= {"samples": samples, "seed": seed, "degrees": Degrees.of(drawing)}
        return self._samplers[kind].sample(prompt, length, **how)

    @functools.cached_property
    def _samplers(self) -> dict[Drawing, Sampler]:
        """What was compiled for sampling."""
        return {}

    def evaluate(self, text: Any = None, *, skip_unknown: bool = False, window: Any = None, **files: Any) -> Metrics:
        """How well the model predicts a text.

        Args:
            text: as for `fit`; the validation part of the model's own text if None.
            skip_unknown: leave characters out that the model never saw, instead of refusing them.
            window: of the evaluation from cold states; as in training if None.
            **files: `encoding` of files; `data_dir`.

        Returns:
            For the protocols "carried" and "cold": loss in nats, bits per character, perplexity, accuracy, characters.

        Raises:
            DataError: the text cannot be read, or has characters that the model never saw.
            CheckpointError: the text that the model was trained on is not there any more, or has changed.

        Example:
            >>> model = rnncli.charlm.fit("to be or not to be, " * 50, units=16, epochs=1)
            >>> sorted(model.evaluate("to be, to be")["carried"])
            ['accuracy', 'bpc', 'characters', 'loss', 'perplexity']
        """
        window = Evaluation(window=window).window
        part = text_to_evaluate(self, text, lambda _: None, skip_unknown=skip_unknown, **files)
        return self.measure(part.text, window)[0]

    def measure(
        self, text: Text, window: int | None = None, kept: str | None = None, sharding: Sharding = ALL
    ) -> tuple[Metrics, Scored | None]:
        """The metrics of a text in both protocols, and every character's score in the protocol `kept`.

        The records of a `sharding` are the windows of the cold protocol, and the streams of the carried one.
        """
        scorer, params = Scorer(self.network), nnx.state(self.network, nnx.Param)
        carried = scorer.carried(params, text, share=sharding.slice)
        metrics, scored = _metrics("carried", carried), carried if kept == "carried" else None
        del carried  # five bytes a character
        cold = scorer.cold(params, text, window or self.settings.evaluation_window, sharding.slice)
        metrics |= _metrics("cold", cold)
        if not metrics:
            raise DataError(f"the text has too few windows for `shard` {sharding.shard}")
        return metrics, cold if kept == "cold" else scored


def _metrics(protocol: str, scored: Scored) -> Metrics:
    """None for a share of a text that has no characters in this protocol."""
    return {protocol: scored.metrics()} if len(scored.nats) else {}


def fit(text: Any = None, *, preset: Preset = "default", on_event: Listener = ignore, **parameters: Any) -> Model:
    """Train a model on a text, and score it on the text's end.

    Args:
        text: the text itself, or a path, or a list of paths, to files and folders; TFDS' tiny_shakespeare if None. A
            string that names a file is a path.
        preset: "default", "small", "large", or "lecture" for the settings of the lecture's slides.
        on_event: hears what happens; see `rnncli.training.events`.
        **parameters: the options of `rnncli charlm train`, as in `units=512`, `lowercase=True`, `checkpoint="folder"`.

    Returns:
        The trained model: its best epoch by the validation part.

    Raises:
        ParameterError: a parameter is unknown, wrong, or does not go with the others.
        DataError: the text cannot be read or is too short.
        CheckpointError: the `checkpoint` folder cannot be used.

    Example:
        >>> model = rnncli.charlm.fit("to be or not to be, " * 50, units=16, epochs=1)
        >>> sorted(model.scores["validation"])
        ['carried', 'cold']
    """
    use_device()
    source, saving, warm, chosen = distributed(parameters, (TextSource, Saving, WarmStart), CharlmSettings)
    return train(text, source, chosen, preset=preset, saving=saving, warm=warm, on_event=on_event)


def train(
    text: Any,
    source: TextSource,
    chosen: Chosen[CharlmSettings],
    *,
    preset: Preset = "default",
    saving: Saving = NOT_SAVED,
    warm: WarmStart = COLD,
    on_event: Listener = ignore,
    sample_every: int = 0,
    except_for: Collection[Path] = (),
) -> Model:
    """The same as `fit`, with parameters that were checked.

    A sample is told every `sample_every` epochs. Files `except_for`, which the caller writes, are no part of a text.
    """
    check_folder(saving)  # refuses a folder that may not be written before the text is read
    task = task_of(text, source, chosen, preset=preset, warm=warm, on_event=on_event, except_for=except_for)
    if sample_every:
        on_event = _with_previews(task, sample_every, on_event)
    result = follow(run(task, saving), on_event)
    return Model(
        settings=task.settings,
        network=result.scored.details,
        metadata=result.metadata,
        result=result,
        folder=saving.checkpoint,
        vocabulary=task.corpus.vocabulary,
    )


def task_of(
    text: Any,
    source: TextSource,
    chosen: Chosen[CharlmSettings],
    *,
    preset: Preset = "default",
    warm: WarmStart = COLD,
    on_event: Listener = ignore,
    except_for: Collection[Path] = (),
) -> CharlmTask:
    """What `train` trains: the text is read, the settings are settled."""

    def say(note: str) -> None:
        on_event(Note(note))

    start = None
    if warm.from_model is not None:
        chosen, start = warm_start(load_model(warm.from_model), warm.from_model, chosen)
        say(f"begins with the model in '{warm.from_model}'")
    units = chosen.get("units", preset_of(CharlmSettings, preset, Preset).get("units", CharlmSettings.units))
    chosen = with_precision(chosen, units)
    own = {"except_for": except_for} | ({} if start is None else {"beginning": start.vocabulary})
    on_event(Doing("reading the text"))
    settings, corpus, training, validation = prepare(text, source, chosen, preset, say, **own)
    if start is not None:
        start = replace(start, replay=_replayed(warm.replay, settings, corpus, say), source=warm.said())
    return CharlmTask(settings, corpus, training, validation, start)


def prepare(
    text: Any,
    source: TextSource,
    chosen: Chosen[CharlmSettings],
    preset: Preset,
    say: Say,
    **how: Any,
) -> tuple[CharlmSettings, Corpus, Text, Text]:
    """The settings that suit a text, the text, its training and its validation part; `how` is that of `read_corpus`."""
    reading = chosen.over(preset_of(CharlmSettings, preset, Preset))  # refuses what does not go together at once
    corpus = read_text(text, reading, source.data_dir, say, **how)
    training, validation = corpus.parts(reading.validation_fraction)
    settings = for_text(chosen, len(training), preset)
    unit = corpus.vocabulary.unit
    say(
        f"{len(corpus):,} {unit}s, {len(corpus.vocabulary.symbols):,} different"
        + (f", in {corpus.documents:,} documents" if corpus.documents > 1 else "")
        + f"; the first {len(training):,} train, the last {len(validation):,} validate"
    )
    for name in ("window", "batch_size"):
        fits = getattr(settings, name)
        if fits < chosen.get(name, 0):
            say(f"the text is short: `{name}` {fits} instead of {chosen[name]}")
    return settings, corpus, training, validation


def _replayed(name: str | None, settings: CharlmSettings, corpus: Corpus, say: Say) -> Text | None:
    """The old text that is replayed, as far as it has the symbols that are known."""
    if name is None:
        return None
    old = read_text((name,), settings, None, say, vocabulary=corpus.vocabulary, skip_unknown=True)
    if len(old) < settings.window + settings.batch_size:
        raise DataError(f"the {len(old):,} {corpus.vocabulary.unit}s of `replay` '{name}' are too few; give more")
    say(f"replays {len(old):,} {corpus.vocabulary.unit}s of '{name}', a fifth of each batch")
    return old.whole()


@loader
def load_model(folder: Path, precision: PrecisionChoice = "float32") -> Model:
    """The model in a checkpoint, its products in `precision`, whatever it was trained in.

    Raises CheckpointError: there is none, or it is damaged.
    """
    checkpoint = open_checkpoint(folder, TASK)
    metadata = checkpoint.metadata
    settings = CharlmSettings(**metadata["config"])
    vocabulary = Vocabulary.from_dict(metadata["vocabulary"])
    _ = metadata["sources"]["named"], metadata["sources"]["found"], metadata["data"]
    network = empty_network(settings, vocabulary.size, operands(precision, settings.units))
    nnx.update(network, checkpoint.restore("best", nnx.state(network, nnx.Param)))
    return Model(settings=settings, network=network, metadata=metadata, folder=folder, vocabulary=vocabulary)


def _with_previews(task: CharlmTask, every: int, on_event: Listener) -> Listener:
    """A listener that tells a sample of the model as it stands, every so many epochs."""
    vocabulary = task.corpus.vocabulary
    sampler = Sampler(task.model, vocabulary, Drawing(temperature=_PREVIEW_TEMPERATURE))
    nothing = np.zeros(0, np.uint32)

    def listen(event: Event) -> None:
        on_event(event)
        if isinstance(event, Evaluated) and event.epoch % every == 0:
            drawn = sampler.sample(nothing, _PREVIEW, seed=task.settings.seed, params=event.params)
            text = vocabulary.text(np.concatenate([tokens[:, 0] for tokens in drawn]))
            on_event(Note(f"after epoch {event.epoch:g}, at temperature {_PREVIEW_TEMPERATURE}:\n{text}\n"))

    return listen
