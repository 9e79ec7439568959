"""`charlm train`, `sample` and `evaluate`: where text, training, disk and screen meet."""

import math
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from rnncli.charlm.batches import Text
from rnncli.charlm.config import PRESETS, CharlmConfig, Preset, for_text
from rnncli.charlm.corpus import TINY_SHAKESPEARE, Corpus, Pieces, read_corpus
from rnncli.charlm.fit import Fitting, prepare, train
from rnncli.charlm.model import CharModel
from rnncli.charlm.sample import Drawing, Sampler
from rnncli.charlm.score import Scored, Scorer
from rnncli.charlm.shakespeare import read_tiny_shakespeare
from rnncli.charlm.vocabulary import Vocabulary
from rnncli.console import Messages, json_text
from rnncli.errors import CheckpointError, DataError, RnncliError
from rnncli.files import read_blocks
from rnncli.nn.precision import Operands
from rnncli.training.checkpoint import CheckpointWriter, Saving, read_metadata, restore, resumable
from rnncli.training.devices import PrecisionChoice, operands
from rnncli.training.loop import Report
from rnncli.training.watch import Pace, not_a_number, watch

TASK = "charlm"
_SCORED_MOST = 2**18  # characters of the training text that are scored, from its beginning
_PREVIEW, _PREVIEW_TEMPERATURE = 200, 0.8

Scores = dict[str, dict[str, dict[str, float]]]  # part → protocol → metric → figure


@dataclass(frozen=True)
class Outcome:
    """What training gave."""

    config: CharlmConfig
    corpus: Corpus
    fitting: Fitting
    scores: Scores
    seconds: float
    steps_per_second: float

    def document(self, checkpoint: Path) -> dict[str, Any]:
        """The JSON document of `charlm train --json`."""
        return {
            "command": "charlm train",
            "config": {**self.config.as_dict(), "text": list(self.corpus.sources)},
            "scores": self.scores,
            "checkpoint": str(checkpoint),
            "seconds": round(self.seconds, 3),
            "steps_per_second": round(self.steps_per_second, 2),
            "characters_per_second": round(
                self.steps_per_second * self.fitting.batches.batch * self.fitting.batches.window
            ),
            "best_epoch": self.fitting.best_epoch,
            "devices": int(self.fitting.state.devices),
            "history": self.fitting.history,
        }


@dataclass(frozen=True)
class Watching:
    """What is told while training goes on."""

    sample_every: int = 0  # epochs between previews; 0: none
    log: Path | None = None  # JSON Lines of the losses
    save_every: float = 15.0  # seconds between checkpoints


@dataclass(frozen=True)
class Model:
    """A saved model."""

    config: CharlmConfig
    vocabulary: Vocabulary
    network: CharModel
    metadata: dict[str, Any]


def load_text(
    sources: tuple[str, ...],
    chosen: Mapping[str, Any],
    preset: Preset,
    data_dir: Path | None,
    messages: Messages,
    except_for: Collection[Path] = (),
) -> tuple[CharlmConfig, Corpus, Text, Text]:
    """The text, the configuration that suits it, its training and its validation part.

    Files `except_for`, which the command writes itself, are no part of a folder's text.
    """
    reading = CharlmConfig(**{**PRESETS[preset], **chosen})  # refuses what does not go together before a text is read
    corpus = _read(sources or (TINY_SHAKESPEARE,), reading, data_dir, messages, except_for=except_for)
    training, validation = corpus.parts(reading.validation_fraction)
    config = for_text(chosen, len(training), preset)
    unit = corpus.vocabulary.unit
    messages.say(
        f"{len(corpus):,} {unit}s, {len(corpus.vocabulary.symbols):,} different"
        + (f", in {corpus.documents:,} documents" if corpus.documents > 1 else "")
        + f"; the first {len(training):,} train, the last {len(validation):,} validate"
    )
    for name in ("window", "batch_size"):
        fits = getattr(config, name)
        if fits < chosen.get(name, 0):
            messages.say(f"the text is short: --{name.replace('_', '-')} {fits} instead of {chosen[name]}")
    return config, corpus, training, validation


def run_training(
    config: CharlmConfig,
    corpus: Corpus,
    training: Text,
    validation: Text,
    messages: Messages,
    *,
    saving: Saving,
    watching: Watching,
) -> Outcome:
    """Train, save while training goes on, score the best epoch.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the checkpoint holds what was reached.
        RnncliError: the loss was no number from the start.
    """
    begun = time.monotonic()
    fitting = prepare(config, training, corpus.vocabulary.size)
    described = _described(corpus)
    if saving.resume:
        metadata = resumable(saving.folder, TASK, _metadata(fitting, described), "text", messages.say)
        if metadata is not None:
            fitting.state = restore(saving.folder, TASK, "state", fitting.state)
            fitting.history = list(metadata["history"])
    writer = CheckpointWriter(saving)

    def save(**scores: Any) -> None:
        metadata = _metadata(fitting, described) | scores
        writer.save(metadata, best=fitting.best_params, state=fitting.state)

    before = int(fitting.state.step)
    training_begun = time.monotonic()
    _train(fitting, corpus, validation, messages, save, watching)
    spent = time.monotonic() - training_begun
    save()
    scores = _score(fitting, training, validation)
    save(scores=scores)
    writer.close()
    steps = int(fitting.state.step) - before
    return Outcome(config, corpus, fitting, scores, time.monotonic() - begun, steps / spent)


def load_model(folder: Path, precision: PrecisionChoice = "float32") -> Model:
    """The model in a checkpoint, its products in `precision`, whatever it was trained in.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    metadata = read_metadata(folder, TASK)
    try:
        config = CharlmConfig(**metadata["config"])
        vocabulary = Vocabulary.from_dict(metadata["vocabulary"])
        _ = metadata["sources"]["named"], metadata["sources"]["found"], metadata["data"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"the checkpoint in '{folder}' is damaged: {error} in its configuration") from error
    network = _empty(config, vocabulary.size, operands(precision, config.units))
    nnx.update(network, restore(folder, TASK, "best", nnx.state(network, nnx.Param)))
    return Model(config, vocabulary, network, metadata)


def _empty(config: CharlmConfig, symbols: int, precision: Operands = "float32") -> CharModel:
    """The network with shapes in the place of arrays: first weights would be drawn for nothing."""
    return nnx.eval_shape(lambda: CharModel(config, symbols, operands=precision, rngs=nnx.Rngs(0)))


def sample(
    model: Model, prompt: np.ndarray, length: int, drawing: Drawing, *, samples: int, seed: int
) -> Iterator[np.ndarray]:
    """Tokens `[n, samples]` as they come; see `Sampler.sample`."""
    return Sampler(model.network, model.vocabulary, drawing).sample(prompt, length, samples=samples, seed=seed)


def text_to_evaluate(
    model: Model,
    sources: tuple[str, ...],
    folder: Path,
    messages: Messages,
    *,
    skip_unknown: bool = False,
    data_dir: Path | None = None,
    encoding: str | None = None,
) -> tuple[str, Text]:
    """The text that `sources` name as part "text"; without any, the checkpoint's "validation" part.

    Raises:
        DataError: the text cannot be read, or has characters that the model never saw.
        CheckpointError: the text that the model was trained on is not there any more, or has changed.
    """
    config = model.config
    if sources:
        reading = CharlmConfig(**{**config.as_dict(), "encoding": encoding or config.encoding})
        corpus = _read(sources, reading, data_dir, messages, vocabulary=model.vocabulary, skip_unknown=skip_unknown)
        if corpus.left_out:
            messages.say(f"warning: {corpus.left_out:,} {model.vocabulary.unit}s that the model never saw are left out")
        return "text", corpus.whole()
    named = model.metadata["sources"]
    advice = "name a TEXT to evaluate"
    if "-" in named["named"]:
        raise CheckpointError(f"the model in '{folder}' was trained on standard input, which is gone; {advice}")
    failure = ""
    for names in (named["found"], named["named"]):  # where it was, or where this folder's neighbours are now
        try:
            corpus = _read(tuple(names), config, data_dir, Messages(quiet=True), except_for=[folder])
        except DataError as error:
            failure = failure or f"the text that '{folder}' was trained on is not here ({error})"
            continue
        if corpus.digest() == model.metadata["data"]:
            return "validation", corpus.parts(config.validation_fraction)[1]
        failure = f"{', '.join(names)} is not the text that '{folder}' was trained on"
    raise CheckpointError(f"{failure}; {advice}")


def evaluate(
    model: Model, text: Text, window: int, kept: str | None = None
) -> tuple[dict[str, dict[str, float]], Scored | None]:
    """The metrics of a text in both protocols, and every character's score in the protocol `kept`."""
    scorer, params = Scorer(model.network), nnx.state(model.network, nnx.Param)
    carried = scorer.carried(params, text)
    metrics, found = {"carried": carried.metrics()}, carried if kept == "carried" else None
    del carried  # five bytes a character
    cold = scorer.cold(params, text, window)
    return metrics | {"cold": cold.metrics()}, cold if kept == "cold" else found


def _read(
    sources: tuple[str, ...], config: CharlmConfig, data_dir: Path | None, messages: Messages, **how: Any
) -> Corpus:
    def read(name: str) -> Pieces:
        return read_tiny_shakespeare(data_dir) if name == TINY_SHAKESPEARE else read_blocks(name)

    return read_corpus(sources, config, read=read, say=messages.say, **how)


def _described(corpus: Corpus) -> dict[str, Any]:
    return {
        "vocabulary": corpus.vocabulary.as_dict(),
        "data": corpus.digest(),
        "sources": {"named": list(corpus.sources), "found": [_absolute(name) for name in corpus.sources]},
    }


def _absolute(name: str) -> str:
    """A path that holds in another folder, too."""
    return name if name in ("-", TINY_SHAKESPEARE) else os.path.abspath(name)  # noqa: PTH100 - links stay links


def _metadata(fitting: Fitting, described: dict[str, Any]) -> dict[str, Any]:
    return {"task": TASK, "config": fitting.config.as_dict(), "history": fitting.history, **described}


def _train(
    fitting: Fitting,
    corpus: Corpus,
    validation: Text,
    messages: Messages,
    save: Callable[[], None],
    watching: Watching,
) -> None:
    pace = Pace(int(fitting.state.step))
    size = fitting.batches.batch * fitting.batches.window
    preview = _previewer(fitting, corpus.vocabulary, messages) if watching.sample_every else None
    begun = time.monotonic()

    def detail(report: Report) -> str:
        epochs = fitting.config.epochs
        losses = f"epoch {min(int(report.epoch) + 1, epochs)} of {epochs}, loss {_both(report.train_loss)}"
        if fitting.history:
            losses += f", validation {_both(fitting.history[-1]['validation'])}"
        return f"{losses}, {pace.steps_per_second(report) * size:,.0f} {corpus.vocabulary.unit}s/s"

    def heard(report: Report) -> None:
        if watching.log is not None:
            _log(watching.log, report, time.monotonic() - begun)
        if preview is not None and report.epoch % watching.sample_every == 0:
            preview(report)

    last = watch(
        train(fitting, validation),
        epochs=fitting.config.epochs,
        messages=messages,
        label="training",
        detail=detail,
        save=save,
        save_every=watching.save_every,
        heard=heard,
    )
    if last is not None and not math.isfinite(last.train_loss):
        config = fitting.config
        not_a_number(last.step, config.learning_rate, config.clip, messages, kept=int(fitting.state.best_step) > 0)


def _both(nats: float) -> str:
    """A loss in nats and in bits."""
    return f"{nats:.3f} nats ({nats / math.log(2):.3f} bits)"


def _log(path: Path, report: Report, seconds: float) -> None:
    line = {
        "step": report.step,
        "epoch": report.epoch,
        "seconds": round(seconds, 3),
        "train": report.train_loss,
        "validation": report.metrics,
    }
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json_text(line))
    except OSError as error:
        raise RnncliError(f"cannot write '{path}': {error.strerror}") from error


def _previewer(fitting: Fitting, vocabulary: Vocabulary, messages: Messages) -> Callable[[Report], None]:
    sampler = Sampler(fitting.model, vocabulary, Drawing(temperature=_PREVIEW_TEMPERATURE))
    nothing = np.zeros(0, np.uint32)

    def preview(report: Report) -> None:
        drawn = sampler.sample(nothing, _PREVIEW, seed=fitting.config.seed, params=report.state.params)
        text = vocabulary.text(np.concatenate([tokens[:, 0] for tokens in drawn]))
        messages.say(f"after epoch {report.epoch:g}, at temperature {_PREVIEW_TEMPERATURE}:\n{text}\n")

    return preview


def _score(fitting: Fitting, training: Text, validation: Text) -> Scores:
    """The best epoch in both protocols."""
    scorer, params = Scorer(_empty(fitting.config, fitting.symbols)), fitting.best_params
    window = fitting.config.evaluation_window
    parts = {"validation": validation, "train": Text(training.tokens[:_SCORED_MOST], training.boundary)}
    return {
        name: {
            "carried": scorer.carried(params, part).metrics(),
            "cold": scorer.cold(params, part, window).metrics(),
        }
        for name, part in parts.items()
    }


def read_prompt(model: Model, prompt: str, messages: Messages, *, skip_unknown: bool) -> np.ndarray:
    """The prompt's tokens.

    Raises:
        DataError: a character that the model never saw, unless they are skipped.
    """
    vocabulary = model.vocabulary
    tokens, left_out = vocabulary.encode(prompt, what="the prompt", skip_unknown=skip_unknown)
    if left_out:
        messages.say(f"warning: {left_out} {vocabulary.unit}s of the prompt, which the model never saw, are left out")
    return tokens
