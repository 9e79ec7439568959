"""Characters a second of training, against torch and Keras on the same machine in the same run.

    python tests/benchmarks/training.py [--cell gru --units 128 --batch 32 --window 100 --repeats 5]
    python tests/benchmarks/training.py --cell simple --units 20 --batch 32 --window 50
    python tests/benchmarks/training.py --dropout 0.2 --recurrent-dropout 0.2

Two recurrent layers and a dense layer over 65 one-hot symbols, cross-entropy, Adam. A round is some steps of training
of each program in turn; medians of the rounds after a warm-up, and the ratios to the best mode of each peer. torch
runs `nn.GRU`, `nn.LSTM` or `nn.RNN` in float32 and under bfloat16 autocast, with one and with all threads; Keras runs
on jax. A peer that is not installed is left out, and a mode that the processor lacks; so is torch with dropout, as it
has none on the state.
"""

import argparse
import os
from functools import partial

import numpy as np
from _timing import (
    OURS,
    TORCH_LAYERS,
    Factories,
    Program,
    alternate,
    apart,
    compare,
    installed,
    no_evaluation,
    probed,
    torch_device,
    torch_modes,
)

SYMBOLS = 65


def ours(options: argparse.Namespace, tokens: np.ndarray, precision: str) -> Program:
    """The command's own loop, stateful, a dispatch of `--steps` steps a round."""
    from rnncli.charlm.batches import Streams, Text
    from rnncli.charlm.corpus import Corpus
    from rnncli.charlm.settings import CharlmSettings
    from rnncli.charlm.task import CharlmTask
    from rnncli.charlm.vocabulary import Vocabulary
    from rnncli.training.devices import use_device
    from rnncli.training.loop import fit, initial_state

    use_device("auto")
    settings = CharlmSettings(
        cell=options.cell,
        units=options.units,
        embedding=0,
        window=options.window,
        batch_size=options.batch,
        epochs=10_000,
        schedule="constant",
        clip=0.0,
        weight_decay=0.0,
        dropout=options.dropout,
        input_dropout=options.dropout,
        output_dropout=0.0,
        recurrent_dropout=options.recurrent_dropout,
        kernel_dropout=0.0,
        precision=precision,  # pyright: ignore[reportArgumentType]
    )
    text = Text(tokens, SYMBOLS - 1)
    corpus = Corpus(Vocabulary("chars", tuple(range(SYMBOLS - 1))), tokens, ("drawn",), 1)
    task = CharlmTask(settings, corpus, text, text)
    batches = Streams(text, options.batch, options.window, 0, chunk=options.steps)
    state = initial_state(task.model, task.optimizer, task.carry)
    reports = fit(task.model, task.optimizer, task.loss, no_evaluation, task.data, batches, task.plan, state)
    return lambda: next(reports)


def tokens_of(options: argparse.Namespace) -> np.ndarray:
    """A text of which an epoch is a round."""
    size = options.batch * options.window * options.steps
    return np.random.default_rng(0).integers(0, SYMBOLS - 1, size).astype(np.uint8)


def windows_of(options: argparse.Namespace, tokens: np.ndarray) -> list[np.ndarray]:
    """The same windows for the peers, `[window + 1, batch]` each."""
    from rnncli.charlm.batches import Streams, Text

    batches = Streams(Text(tokens, SYMBOLS - 1), options.batch, options.window, 0, chunk=options.steps)
    return list(batches(0)[0].astype(np.int64))


def torch_program(options: argparse.Namespace, tokens: np.ndarray, threads: int, bfloat16: bool) -> Program:
    import torch

    device = torch_device()
    network = getattr(torch.nn, TORCH_LAYERS[options.cell])(SYMBOLS, options.units, 2).to(device)
    dense = torch.nn.Linear(options.units, SYMBOLS).to(device)
    optimizer = torch.optim.Adam([*network.parameters(), *dense.parameters()], fused=True)
    windows = [torch.from_numpy(each).to(device) for each in windows_of(options, tokens)]

    def run() -> None:
        torch.set_num_threads(threads)
        state = None
        for window in windows:
            with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
                hidden, state = network(torch.nn.functional.one_hot(window[:-1], SYMBOLS).float(), state)
                logits = dense(hidden)
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), window[1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            state = tuple(each.detach() for each in state) if isinstance(state, tuple) else state.detach()
        if device == "cuda":
            torch.cuda.synchronize()

    return probed(run) if bfloat16 else run


def keras_program(options: argparse.Namespace, tokens: np.ndarray) -> Program:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    kind = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "simple": keras.layers.SimpleRNN}[options.cell]
    dropouts = {"dropout": options.dropout, "recurrent_dropout": options.recurrent_dropout}
    layers = [kind(options.units, return_sequences=True, **dropouts) for _ in range(2)]
    network = keras.Sequential([keras.Input((options.window, SYMBOLS)), *layers, keras.layers.Dense(SYMBOLS)])
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    windows = np.concatenate([each.T for each in windows_of(options, tokens)])
    inputs, targets = np.eye(SYMBOLS, dtype=np.float32)[windows[:, :-1]], windows[:, 1:]

    def run() -> None:
        network.fit(inputs, targets, batch_size=options.batch, epochs=1, shuffle=False, verbose=0)

    return run


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="gru", choices=["simple", "gru", "lstm"])
    for option, default in (("units", 128), ("batch", 32), ("window", 100), ("repeats", 5)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--steps", type=int, help="of a round; by default about half a second of them, 4 to 50")
    for option in ("dropout", "recurrent-dropout"):
        parser.add_argument(f"--{option}", type=float, default=0.0)
    options = parser.parse_args(arguments)
    work = options.batch * options.window * options.units**2
    options.steps = options.steps or max(4, min(50, 10 * 32 * 100 * 128**2 // work))
    return options


def factories(options: argparse.Namespace) -> Factories:
    """The programs, not made ready yet. None of them imports what only another one needs."""
    tokens = tokens_of(options)
    found: Factories = {f"{OURS} {each}": partial(ours, options, tokens, each) for each in ("float32", "bfloat16")}
    if not options.dropout and not options.recurrent_dropout:
        for name, (threads, bfloat16) in torch_modes().items():
            found[name] = partial(torch_program, options, tokens, threads, bfloat16)
    if installed("keras"):
        found["keras"] = partial(keras_program, options, tokens)
    return found


def main() -> None:
    options = parse()
    with apart(factories(options)) as programs:
        medians = alternate(programs, options.repeats)
    title = f"{options.cell} 2x{options.units}, batch {options.batch}, window {options.window}, {options.steps} steps"
    if options.dropout or options.recurrent_dropout:
        title += f", dropout {options.dropout:g}, recurrent dropout {options.recurrent_dropout:g}"
    compare(title, medians, options.batch * options.window * options.steps, "character")


if __name__ == "__main__":
    main()
