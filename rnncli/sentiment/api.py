"""Text classification as a library: fit, predict, evaluate, save, load. The command line calls nothing else."""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from flax import nnx

from rnncli.sentiment.batches import Encoded
from rnncli.sentiment.calibration import Calibration
from rnncli.sentiment.data import Part, described, read_parts, split_data, with_classes
from rnncli.sentiment.explain import Explainer
from rnncli.sentiment.hub import SentenceEncoder
from rnncli.sentiment.labelled import Labelled
from rnncli.sentiment.metrics import Evaluation, measure
from rnncli.sentiment.model import TextClassifier, empty_network
from rnncli.sentiment.ngram import NgramModel, as_arrays, empty_arrays, from_arrays
from rnncli.sentiment.predict import Prediction, Predictor
from rnncli.sentiment.records import labelled_of, read_labelled, texts_of
from rnncli.sentiment.score import Scorer
from rnncli.sentiment.settings import Columns, DataSource, Labeller, Preset, SentimentSettings
from rnncli.sentiment.task import TASK, Classifier, SentimentTask, check_choices, prepare
from rnncli.sentiment.text import Ragged, Vocabulary, Words, split_all
from rnncli.sentiment.warm import warm_start
from rnncli.settings import Chosen, distributed
from rnncli.training.checkpoint import check_folder
from rnncli.training.devices import operands, use_device
from rnncli.training.events import Doing, Listener, Note, follow, ignore
from rnncli.training.model import TrainedModel, with_precision
from rnncli.training.restoring import loader, open_checkpoint
from rnncli.training.runner import run
from rnncli.training.settings import COLD, NOT_SAVED, PrecisionChoice, Saving, WarmStart


@dataclass(frozen=True, kw_only=True)
class Model(TrainedModel):
    """A text classifier that was trained or loaded.

    Attributes:
        classes: the labels, in the order of probabilities.
        vocabulary: between words and numbers.
        calibration: the temperatures that make probabilities believable.
        ngram: the linear model of words and pairs of words beside the network.
        encoder: of whole texts, where a TF-Hub module has the vectors.
    """

    settings: SentimentSettings
    network: TextClassifier
    classes: tuple[str, ...]
    vocabulary: Vocabulary
    calibration: Calibration
    ngram: NgramModel
    encoder: SentenceEncoder | None = None

    @functools.cached_property
    def scorer(self) -> Scorer:
        """The network as a function from texts to logits, compiled once."""
        return Scorer(self.network, self.settings.max_words)

    @functools.cached_property
    def explainer(self) -> Explainer:
        """The network as a function from texts to explanations, compiled once."""
        return Explainer(self.network, self.settings.max_words)

    def arrays(self) -> dict[str, Any]:
        """The linear model."""
        return {"ngram": as_arrays(self.ngram)}

    def predict(
        self,
        texts: str | Sequence[str],
        *,
        system: Labeller = "auto",
        threshold: float | Literal["f1"] | None = None,
        otherwise: str = "",
        explain: bool = False,
    ) -> list[Prediction]:
        """Label texts.

        Args:
            texts: one, or several.
            system: "model" for the network, "ngram" for the linear model, "both" for the mean of their logits, "auto"
                for the one that was best on validation.
            threshold: the probability from which on a label is given; "f1" for each class's own, with the best F1 on
                validation.
            otherwise: the label of texts that reach no threshold.
            explain: whether each prediction tells what every word adds to the label's logit.

        Returns:
            A prediction for each text, in their order.

        Raises:
            ParameterError: there is no explaining with that system, or that model.

        Example:
            >>> model = rnncli.sentiment.fit(["good film", "bad film"] * 30, ["pos", "neg"] * 30, units=4)
            >>> model.predict("a good one")[0].label
            'pos'
        """
        predictor = Predictor(self, system, explain=explain, threshold=threshold, otherwise=otherwise)
        return list(predictor(texts_of(texts)))

    def evaluate(self, texts: Any, labels: Sequence[Any] | None = None, **columns: Any) -> dict[str, dict[str, Any]]:
        """Measure the model on labelled texts.

        Args:
            texts: as for `fit`.
            labels: as for `fit`.
            **columns: `text_column`, `label_column`.

        Returns:
            System → metric → figure, as in the documents of the command line.

        Raises:
            DataError: the texts cannot be read, or have a label that the model does not know.

        Example:
            >>> model = rnncli.sentiment.fit(["good film", "bad film"] * 30, ["pos", "neg"] * 30, units=4)
            >>> model.evaluate(["good", "bad"], ["pos", "neg"])["both"]["accuracy"]
            1.0
        """
        (chosen,) = distributed(columns, (), Columns)
        measures = self.measure(labelled_of(texts, labels, chosen.over(), self.classes)).measures
        return {system: each.as_dict(self.classes) for system, each in measures.items()}

    def measure(self, labelled: Labelled) -> Evaluation:
        """The measures of each system, and what they are made of."""
        several = self.settings.several
        part: Part = with_classes(labelled, self.classes, several=several)
        probability = self.calibration.probabilities(Predictor(self, "both").logits(part.texts), several=several)
        measures = {system: measure(each, part.labels) for system, each in probability.items()}
        return Evaluation(measures, probability["model"], part.labels)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Texts as words, and as numbers or vectors."""
        words = split_all(texts, self.settings)
        if self.encoder is not None:
            return Encoded(words, self.encoder(texts))
        return Encoded(words, self.vocabulary.encode(words.cut(self.settings)))

    def read(self, encoded: Encoded) -> Ragged:
        """The places, among all words of the texts, of those that the network reads."""
        texts, spellings = encoded.words.texts, encoded.words.spellings
        places = Words(Ragged(np.arange(len(texts.flat)), texts.starts), []).cut(self.settings).texts
        return places.where(self.vocabulary.knows(Words(Ragged(texts.flat[places.flat], places.starts), spellings)))


def fit(
    texts: Any = None,
    labels: Sequence[Any] | None = None,
    *,
    validation: Any = None,
    test: Any = None,
    preset: Preset = "default",
    on_event: Listener = ignore,
    **parameters: Any,
) -> Model:
    """Train a classifier on labelled texts, and score it beside a linear model.

    Args:
        texts: texts (a list, an array, a column) with `labels`; or without them a data frame, or a path, as the command
            line takes it; TFDS' imdb_reviews if None.
        labels: the label of each text.
        validation: a path, a data frame or a pair (texts, labels), to choose the best epoch and calibrate; drawn from
            the texts if None.
        test: the same, to score the model on.
        preset: "default", or "lecture" for the settings of the lecture's slides.
        on_event: hears what happens; see `rnncli.training.events`.
        **parameters: the options of `rnncli sentiment train`, as in `encoder="bag"`, `checkpoint="folder"`.

    Returns:
        The trained model: its best epoch by the validation texts.

    Raises:
        ParameterError: a parameter is unknown, wrong, or does not go with the others.
        DataError: the texts cannot be read, or have one class only.
        CheckpointError: the `checkpoint` folder cannot be used.

    Example:
        >>> model = rnncli.sentiment.fit(["good film", "bad film"] * 30, ["pos", "neg"] * 30, units=4)
        >>> sorted(model.scores["test"])
        ['both', 'model', 'ngram']
    """
    use_device()
    source, saving, warm, chosen = distributed(parameters, (DataSource, Saving, WarmStart), SentimentSettings)
    columns = source.columns
    given: dict[str, Labelled] = {}
    if labels is not None or not isinstance(texts, str | os.PathLike | None):
        given["train"] = labelled_of(texts, labels, columns)
    elif texts is not None:
        source = replace(source, data=os.fspath(texts))
    for part, data in (("validation", validation), ("test", test)):
        if isinstance(data, str | os.PathLike):
            source = replace(source, **{part: os.fspath(data)})
        elif data is not None:
            part_texts, part_labels = data if isinstance(data, tuple) else (data, None)
            given[part] = labelled_of(part_texts, part_labels, columns)
    return train(source, chosen, given=given, preset=preset, saving=saving, warm=warm, on_event=on_event)


def train(
    source: DataSource,
    chosen: Chosen[SentimentSettings],
    *,
    given: dict[str, Labelled] | None = None,
    preset: Preset = "default",
    saving: Saving = NOT_SAVED,
    warm: WarmStart = COLD,
    on_event: Listener = ignore,
) -> Model:
    """The same as `fit`, with parameters that were checked; parts that are `given` are not read."""
    check_folder(saving)  # refuses a folder that may not be written before the texts are read
    task = task_of(source, chosen, given=given, preset=preset, warm=warm, on_event=on_event)
    result, prepared = follow(run(task, saving), on_event), task.prepared
    classifier: Classifier = result.scored.details
    return Model(
        settings=prepared.settings,
        network=classifier.network,
        metadata=result.metadata,
        result=result,
        folder=saving.checkpoint,
        classes=prepared.data.classes,
        vocabulary=prepared.vocabulary,
        calibration=classifier.calibration,
        ngram=prepared.ngram,
        encoder=prepared.encoder,
    )


def task_of(
    source: DataSource,
    chosen: Chosen[SentimentSettings],
    *,
    given: dict[str, Labelled] | None = None,
    preset: Preset = "default",
    warm: WarmStart = COLD,
    on_event: Listener = ignore,
) -> SentimentTask:
    """What `train` trains: the texts are read, the settings are settled, the linear model is fitted."""

    def say(text: str) -> None:
        on_event(Note(text))

    start = None
    if warm.from_model is not None:
        chosen, start = warm_start(load_model(warm.from_model), warm.from_model, chosen)
        start = replace(start, source=warm.said())
        say(f"begins with the model in '{warm.from_model}'")
    chosen = with_precision(chosen, chosen.get("units", SentimentSettings.units))
    reading = check_choices(chosen, preset)
    on_event(Doing("reading the texts"))
    labelled = dict(given or {})
    sources = described(source)
    if "train" in labelled:
        sources["train"] = labelled["train"].name
    else:
        labelled = read_parts(source) | labelled
    if warm.replay is not None:
        labelled["replay"] = read_labelled(warm.replay, source.columns)
    data = split_data(labelled, sources, reading, say, () if start is None else start.classes)
    on_event(Doing("splitting the texts into words, and fitting the linear model"))
    return SentimentTask(prepare(data, chosen, preset, say, start))


@loader
def load_model(folder: Path, precision: PrecisionChoice = "float32") -> Model:
    """The model in a checkpoint, its products in `precision`, whatever it was trained in.

    Raises CheckpointError: there is none, or it is damaged.
    """
    checkpoint = open_checkpoint(folder, TASK)
    metadata = checkpoint.metadata
    settings = SentimentSettings(**metadata["config"])
    classes = tuple(metadata["classes"])
    vocabulary = Vocabulary(metadata["vocabulary"], settings.oov_buckets)
    calibration, ngrams = Calibration.from_dict(metadata), int(metadata["ngrams"])
    network = empty_network(settings, vocabulary.size, len(classes), operands(precision, settings.units))
    nnx.update(network, checkpoint.restore("best", nnx.state(network, nnx.Param)))
    linear = from_arrays(jax.tree.map(np.asarray, checkpoint.restore("ngram", empty_arrays(ngrams, len(classes)))))
    encoder = SentenceEncoder(settings.embeddings) if settings.sentences else None
    return Model(
        settings=settings,
        network=network,
        metadata=metadata,
        folder=folder,
        classes=classes,
        vocabulary=vocabulary,
        calibration=calibration,
        ngram=linear,
        encoder=encoder,
    )
