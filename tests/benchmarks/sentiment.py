"""Texts a second of a text classifier, in training and in prediction, against torch with packed sequences.

    python tests/benchmarks/sentiment.py [--texts 512 --units 128 --batch 32 --repeats 3]

The same network in both: word vectors of 100, a bidirectional GRU of one layer, its last hidden states into a dense
layer of one logit; Adam, no dropout. The texts are drawn: as long as film reviews (log-normal with a median of 175
words, cut at 400), of a vocabulary of 20,000 of which common words come often.

Both train on the same batches, texts of about a length padded to it; torch packs them with `pack_padded_sequence`. A
round is an epoch. It predicts on texts sorted by length and padded to the longest of their batch, of 32 and of 256.
The programs alternate within one run; medians after a warm-up. torch runs in float32 and under bfloat16 autocast, with
one and with all threads, its best mode counts; a mode that the processor lacks is left out.
"""

import argparse
from functools import partial
from typing import Any

import numpy as np
from _timing import (
    OURS,
    TORCH_LAYERS,
    Factories,
    Program,
    alternate,
    apart,
    compare,
    no_evaluation,
    probed,
    torch_device,
    torch_modes,
)

WORDS, FEATURES, LONGEST = 20_000, 100, 400
PREDICTION_BATCHES = (32, 256)


def texts_of(options: argparse.Namespace) -> tuple[Any, np.ndarray]:
    """Texts as numbers of words, and labels."""
    from rnncli.sentiment.text import Ragged

    generator = np.random.default_rng(0)
    lengths = np.clip(generator.lognormal(np.log(175), 0.75, options.texts), 10, LONGEST).astype(np.int64)
    # the n-th word comes about as often as 1 / n, and is never the padding, which is 0
    words = np.clip(WORDS ** generator.random(lengths.sum()), 1, WORDS - 1).astype(np.int32)
    return Ragged(words, np.concatenate([[0], np.cumsum(lengths)])), generator.integers(0, 2, options.texts)


def settings_of(options: argparse.Namespace, precision: str) -> Any:
    from rnncli.sentiment.settings import SentimentSettings

    return SentimentSettings(
        max_words=LONGEST,
        embedding=FEATURES,
        start="random",
        cell=options.cell,
        units=options.units,
        pooling="last",
        epochs=10_000,
        batch_size=options.batch,
        learning_rate=0.001,
        schedule="constant",
        patience=0,
        **dict.fromkeys(("clip", "weight_decay", "input_dropout", "dropout"), 0.0),
        precision=precision,  # pyright: ignore[reportArgumentType]
    )


def train_ours(options: argparse.Namespace, precision: str) -> Program:
    """The command's own loop without its evaluations."""
    from rnncli.sentiment.data import Dataset, Part
    from rnncli.sentiment.ngram import NgramModel
    from rnncli.sentiment.task import Prepared, SentimentTask
    from rnncli.sentiment.text import Vocabulary
    from rnncli.training.devices import use_device
    from rnncli.training.loop import fit, initial_state

    use_device("auto")
    texts, labels = texts_of(options)
    data = Dataset(("0", "1"), {"train": Part([""] * len(labels), labels)}, {})
    no_ngrams = NgramModel(np.zeros(0, np.uint64), np.zeros((0, 2), np.float32), np.zeros(2, np.float32))
    vocabulary = Vocabulary(("",) * (WORDS - 1), 0)
    task = SentimentTask(
        Prepared(settings_of(options, precision), data, vocabulary, {"train": texts}, no_ngrams, ngram_logits={})
    )
    state = initial_state(task.model, task.optimizer, task.carry)
    reports = fit(task.model, task.optimizer, task.loss, no_evaluation, task.data, task.batches, task.plan, state)

    def run() -> None:
        while next(reports).step % task.plan.steps_per_epoch:
            pass

    return run


def predict_ours(options: argparse.Namespace, precision: str) -> Program:
    """The command's own scorer."""
    from flax import nnx

    from rnncli.sentiment.model import TextClassifier
    from rnncli.sentiment.score import Scorer
    from rnncli.training.devices import use_device

    use_device("auto")
    model = TextClassifier(settings_of(options, precision), WORDS, 2, operands=precision, rngs=nnx.Rngs(0))  # pyright: ignore[reportArgumentType]
    scorer, params, texts = Scorer(model, LONGEST), nnx.state(model, nnx.Param), texts_of(options)[0]
    return lambda: scorer.logits(params, texts)


def torch_network(options: argparse.Namespace) -> tuple[list[Any], Any]:
    """Its modules, and a function from tokens `[T, B]` and lengths `[B]` to logits `[B]`."""
    import torch

    device = torch_device()
    embedding = torch.nn.Embedding(WORDS, FEATURES).to(device)
    recurrent = getattr(torch.nn, TORCH_LAYERS[options.cell])(FEATURES, options.units, bidirectional=True).to(device)
    dense = torch.nn.Linear(2 * options.units, 1).to(device)

    def logits(tokens: Any, lengths: Any) -> Any:
        vectors = embedding(tokens.to(device))
        packed = torch.nn.utils.rnn.pack_padded_sequence(vectors, lengths, enforce_sorted=False)
        last = recurrent(packed)[1]
        last = last[0] if isinstance(last, tuple) else last
        return dense(torch.cat([last[0], last[1]], -1))[:, 0].float()

    return [embedding, recurrent, dense], logits


def train_torch(options: argparse.Namespace, threads: int, bfloat16: bool) -> Program:
    import torch

    from rnncli.sentiment.batches import Bucketed

    modules, logits = torch_network(options)
    device = torch_device()
    optimizer = torch.optim.Adam([each for module in modules for each in module.parameters()], fused=True)
    batches = Bucketed(*texts_of(options), options.batch, 0, longest=LONGEST, chunk=1, pad=False)
    drawn = [[torch.from_numpy(part[0]) for part in batches(step)[0]] for step in range(batches.steps_per_epoch)]

    def run() -> None:
        torch.set_num_threads(threads)
        for tokens, lengths, labels in drawn:
            with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
                found = logits(tokens, lengths)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(found, labels.float().to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return probed(run) if bfloat16 else run


def predict_torch(options: argparse.Namespace, batch: int, threads: int, bfloat16: bool) -> Program:
    import torch

    logits, texts, device = torch_network(options)[1], texts_of(options)[0], torch_device()
    order = np.argsort(-texts.lengths)  # as packing likes it

    def run() -> object:
        torch.set_num_threads(threads)
        found = np.zeros(len(texts), np.float32)
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            for first in range(0, len(texts), batch):
                lengths = texts.lengths[rows := order[first : first + batch]]
                tokens = torch.from_numpy(texts.padded(rows, int(lengths[0])))
                found[rows] = logits(tokens, torch.from_numpy(lengths)).cpu().numpy()
        return found

    return probed(run) if bfloat16 else run


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="gru", choices=["simple", "gru", "lstm"])
    for option, default in (("texts", 512), ("units", 128), ("batch", 32), ("repeats", 3)):
        parser.add_argument(f"--{option}", type=int, default=default)
    return parser.parse_args(arguments)


def factories(options: argparse.Namespace, work: str) -> Factories:
    """The programs of one kind of work, training or prediction, not made ready yet."""
    mine = {"training": train_ours, "prediction": predict_ours}[work]
    found: Factories = {f"{OURS} {each}": partial(mine, options, each) for each in ("float32", "bfloat16")}
    for name, mode in torch_modes().items():
        if work == "training":
            found[name] = partial(train_torch, options, *mode)
            continue
        for batch in PREDICTION_BATCHES:
            found[f"{name}, batches of {batch}"] = partial(predict_torch, options, batch, *mode)
    return found


def main() -> None:
    options = parse()
    for work in ("training", "prediction"):
        with apart(factories(options, work)) as programs:
            medians = alternate(programs, options.repeats)
        size = f"bidirectional {options.cell} {options.units}, {options.texts:,} texts"
        compare(f"{work}, {size}", medians, options.texts, "text")


if __name__ == "__main__":
    main()
