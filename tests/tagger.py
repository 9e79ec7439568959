"""A task from outside the package: a network that tags each letter of a text, for the tests of the runner.

`python tests/tagger.py FOLDER EPOCHS SECONDS` trains it, with a checkpoint in FOLDER every so many seconds.
"""

import hashlib
import sys
from pathlib import Path
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from rnncli.nn import Dense, Embedding, RecurrentStack
from rnncli.nn.compiled import compiled
from rnncli.nn.initial import initialised
from rnncli.training.batches import Shuffled
from rnncli.training.events import follow
from rnncli.training.loop import Plan, evaluation
from rnncli.training.optimizer import optimizer_of
from rnncli.training.runner import run
from rnncli.training.settings import Saving, Training
from rnncli.training.task import Scored


class Network(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.embedding, self.stack = Embedding(26, 8, rngs=rngs), RecurrentStack("gru", 8, 16, rngs=rngs)
        self.output = Dense(16, 2, rngs=rngs)

    def __call__(self, letters, key=None):
        return self.output(self.stack(self.embedding(letters), key=key)[0])


def error(model: Network, data: dict, rows, key=None):
    logits = model(data["letters"][:, rows], key)
    return optax.softmax_cross_entropy_with_integer_labels(logits, data["tags"][:, rows]).mean()


VALIDATION = np.arange(300, 400)


def validation_error(model: Network, data: dict):
    return {"loss": error(model, data, VALIDATION)}


class Tagger:
    """Tag 1: the letter came in the word before."""

    name, criterion, unit, has_prior, carry = "tagger", "loss", "words", False, ()
    source: ClassVar = {}

    def __init__(self, settings: Training):
        self.settings, self.model = settings, initialised(Network, settings.seed)
        letters = np.random.default_rng(0).integers(0, 26, (12, 400))
        seen = (letters[None] == letters[:, None]) & np.tri(12, k=-1, dtype=bool)[:, :, None]
        self.data = {"letters": jnp.asarray(letters), "tags": jnp.asarray(seen.any(1).astype(np.int32))}
        self.batches = Shuffled(300, settings.batch_size, settings.seed, chunk=20)
        self.examples, self.plan = self.batches.batch, Plan.of(settings, self.batches.steps_per_epoch)
        self.optimizer = optimizer_of(settings, self.plan)
        self.evaluate = evaluation(self.model, validation_error, self.data)

    @staticmethod
    def loss(model, carry, data, batch, key):
        return error(model, data, batch, key), carry

    def score(self, params, epochs) -> Scored:
        logits = compiled(Network.__call__, self.model)(params, self.data["letters"][:, VALIDATION])
        right = logits.argmax(-1) == self.data["tags"][:, VALIDATION]
        return Scored({"validation": {"model": {"accuracy": float(right.mean())}}})

    def metadata(self) -> dict:
        return {"data": hashlib.sha256(np.asarray(self.data["letters"]).tobytes()).hexdigest(), "letters": 26}

    def arrays(self) -> dict:
        return {}


if __name__ == "__main__":
    saving = Saving(checkpoint=Path(sys.argv[1]), resume=True, save_every=float(sys.argv[3]))
    print(follow(run(Tagger(Training(epochs=int(sys.argv[2]))), saving)).scored.scores)
