"""A character language model as a task for the runner."""

import hashlib
import os
from typing import Any

import jax
from flax import nnx
from jax import Array

from rnncli.charlm.batches import Replayed, Streams, Text, Windows
from rnncli.charlm.corpus import IN_MEMORY, TINY_SHAKESPEARE, Corpus
from rnncli.charlm.model import CharModel, empty_network
from rnncli.charlm.score import Scorer
from rnncli.charlm.settings import CharlmSettings
from rnncli.charlm.warm import Start
from rnncli.errors import DataError
from rnncli.nn.dropout import DropoutKey
from rnncli.nn.initial import initialised, seedless, with_parameters
from rnncli.training.devices import computing_devices
from rnncli.training.events import Metrics
from rnncli.training.layout import filled, gathered
from rnncli.training.loop import Params, Plan
from rnncli.training.optimizer import optimizer_of
from rnncli.training.task import Scored
from rnncli.training.warm import add_weights

TASK = "charlm"
_REPLAYED = 4  # an old stream, or window, for so many new ones, where an old text is replayed
_VALIDATION_STREAMS = 64  # after each epoch the validation text is read in so many streams at once, at most …
_VALIDATION_STREAM = 1024  # … of so many characters, at least
_VALIDATION_MOST = 2**20  # characters that are scored after each epoch, at most
_SCORED_MOST = 2**18  # characters of the training text that are scored at the end, from its beginning
_EVALUATE_EVERY = 2**21  # characters of training, roughly; a longer epoch has several evaluations
_DISPATCH_FLOP = 5e10  # a second or two of work on two cores: how often training reports, and hears Ctrl-C
_ACCELERATED = 100  # how much more an accelerator does in that time, roughly


class CharlmTask:
    """See `training.task.Task`."""

    name, criterion, data = TASK, "loss", None

    def __init__(
        self, settings: CharlmSettings, corpus: Corpus, training: Text, validation: Text, start: Start | None = None
    ):
        """`training` and `validation` are parts of the corpus; `start` says what to begin with."""
        self.settings, self.corpus, self._start = settings, corpus, start
        self.has_prior = start is not None
        self._training, self._validation = training, validation
        symbols = corpus.vocabulary.size
        self.model = initialised(CharModel, settings.seed, seedless(settings), symbols)
        if start is not None:
            self.model = with_parameters(self.model, start.parameters(self.model, corpus.vocabulary))
        weights = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(self.model, nnx.Param)))
        flop = _DISPATCH_FLOP * (1 if computing_devices()[0].platform == "cpu" else _ACCELERATED)
        chunk = max(1, round(flop / (6 * weights * settings.batch_size * settings.window)))
        kind = Streams if settings.stateful else Windows
        batches = kind(training, settings.batch_size, settings.window, settings.seed, chunk=chunk)
        self.batches: Streams | Windows | Replayed = batches
        if start is not None and start.replay is not None:
            share = max(1, settings.batch_size // _REPLAYED)
            share = filled(batches.batch + share, settings.accumulate) - batches.batch
            old = kind(start.replay, share, settings.window, settings.seed, chunk=chunk)
            if not old.steps_per_epoch:
                few = f"the {len(start.replay):,} {corpus.vocabulary.unit}s of `replay` are too few"
                raise DataError(f"{few} for {share} windows of {settings.window} a batch; give more")
            self.batches = Replayed(batches, old)
        evaluations = max(1, round(len(training) / _EVALUATE_EVERY))
        self.plan = Plan.of(settings, self.batches.steps_per_epoch, -(-self.batches.steps_per_epoch // evaluations))
        self.optimizer = optimizer_of(settings, self.plan)
        self.carry = self.model.initial_carries(self.batches.batch) if settings.stateful else ()
        self.examples, self.unit = self.batches.batch * self.batches.window, f"{corpus.vocabulary.unit}s"
        self.loss = _carried_loss if settings.stateful else _cold_loss
        self._scorer = Scorer(self.model)

    def evaluate(self, params: Params) -> Metrics:
        """The metrics of the validation text: stateful, in several streams at once; else in cold windows."""
        text = Text(self._validation.tokens[:_VALIDATION_MOST], self._validation.boundary)
        if self.settings.stateful:
            streams = max(1, min(_VALIDATION_STREAMS, len(text) // _VALIDATION_STREAM))
            metrics = self._scorer.carried(params, text, streams=streams, warm_up=0).metrics()
        else:
            metrics = self._scorer.cold(params, text, self.settings.evaluation_window).metrics()
        del metrics["characters"]
        return metrics

    def score(self, params: Params, epochs: float) -> Scored:
        """The metrics of the validation text, and of the training text's beginning, in both protocols."""
        scorer = Scorer(empty_network(self.settings, self.corpus.vocabulary.size))
        parts = {
            "validation": self._validation,
            "train": Text(self._training.tokens[:_SCORED_MOST], self._training.boundary),
        }
        window = self.settings.evaluation_window
        scores = {
            name: {
                "carried": scorer.carried(params, part).metrics(),
                "cold": scorer.cold(params, part, window).metrics(),
            }
            for name, part in parts.items()
        }
        return Scored(scores, details=with_parameters(self.model, gathered(params)))

    @property
    def source(self) -> dict[str, Any]:
        """The files of the text, but where it was given by itself, or is TFDS'; what it began with."""
        named = [name for name in self.corpus.sources if name not in (TINY_SHAKESPEARE, IN_MEMORY)]
        return ({"text": named} if named else {}) | ({} if self._start is None else dict(self._start.source))

    def metadata(self) -> dict[str, Any]:
        """The vocabulary, a digest of the text, and where it was."""
        sources = list(self.corpus.sources)
        return {
            "vocabulary": self.corpus.vocabulary.as_dict(),
            "data": self._digest(),
            "sources": {
                "named": sources,
                "found": [_absolute(name) for name in sources],
                "digest": self.corpus.digest,
            },
        }

    def _digest(self) -> str:
        """Of the text, and of what training begins with, if not with first weights."""
        if self._start is None:
            return self.corpus.digest
        digest = hashlib.sha256(self.corpus.digest.encode())
        add_weights(digest, self.model)
        if self._start.replay is not None:
            digest.update(self._start.replay.tokens.tobytes())
        return digest.hexdigest()

    def arrays(self) -> dict[str, Any]:
        """Nothing beside the network."""
        return {}


def _carried_loss(model: CharModel, carry: Any, data: None, batch: Array, key: DropoutKey) -> tuple[Array, Any]:
    """The cross-entropy of windows `[T + 1, B]` that go on where the last ones ended."""
    return model.loss(batch, carry, key)


def _cold_loss(model: CharModel, carry: Any, data: None, batch: Array, key: DropoutKey) -> tuple[Array, Any]:
    """The same of windows that begin with a state of zero."""
    return model.loss(batch, None, key)[0], carry


def _absolute(name: str) -> str:
    """A path that holds in another folder, too."""
    return name if name in ("-", TINY_SHAKESPEARE, IN_MEMORY) else os.path.abspath(name)  # noqa: PTH100 - links stay links
