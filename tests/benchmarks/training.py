"""Characters a second of training, against torch and Keras on the same machine in the same run.

    python tests/benchmarks/training.py [--cell gru --units 128 --batch 32 --window 100 --repeats 5]

Two recurrent layers and a dense layer over 65 one-hot symbols, cross-entropy, Adam. A round is some steps of training
of each program in turn; medians of the rounds after a warm-up, and the ratio to the best mode of the best peer. torch
runs `nn.GRU`/`nn.LSTM` in float32 and under bfloat16 autocast, with one and with all threads; Keras runs on jax. A peer
that is not installed is left out.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rnncli.charlm.batches import Streams, Text
from rnncli.charlm.config import CharlmConfig
from rnncli.charlm.fit import prepare
from rnncli.training.loop import fit, optimizer_of

SYMBOLS = 65
Program = Callable[[], Any]


def ours(options: argparse.Namespace, tokens: np.ndarray, precision: str) -> Program:
    """The command's own loop, stateful, a dispatch of `--steps` steps a round."""
    config = CharlmConfig(
        cell=options.cell,
        units=options.units,
        embedding=0,
        window=options.window,
        batch_size=options.batch,
        epochs=10_000,
        schedule="constant",
        clip=0.0,
        weight_decay=0.0,
        dropout=0.0,
        input_dropout=0.0,
        output_dropout=0.0,
        kernel_dropout=0.0,
        precision=precision,  # pyright: ignore[reportArgumentType]
    )
    text = Text(tokens, SYMBOLS - 1)
    fitting = prepare(config, text, SYMBOLS)
    batches = Streams(text, options.batch, options.window, 0, chunk=options.steps)

    def objective(model: Any, carry: Any, data: None, windows: Any, key: Any) -> Any:
        return model.loss(windows, carry, key)

    reports = fit(
        fitting.model,
        optimizer_of(config, fitting.plan),
        objective,
        lambda params: {"loss": 0.0},
        None,
        batches,
        fitting.plan,
        fitting.state,
    )
    return lambda: next(reports)


def windows_of(options: argparse.Namespace, tokens: np.ndarray) -> list[np.ndarray]:
    batches = Streams(Text(tokens, SYMBOLS - 1), options.batch, options.window, 0, chunk=options.steps)
    return list(batches(0)[0].astype(np.int64))


def torch_program(options: argparse.Namespace, tokens: np.ndarray, threads: int, bfloat16: bool) -> Program | None:
    try:
        import torch
    except ImportError:
        return None
    kind = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM, "simple": torch.nn.RNN}[options.cell]
    network, dense = kind(SYMBOLS, options.units, 2), torch.nn.Linear(options.units, SYMBOLS)
    optimizer = torch.optim.Adam([*network.parameters(), *dense.parameters()])
    windows = [torch.from_numpy(each) for each in windows_of(options, tokens)]

    def run() -> None:
        torch.set_num_threads(threads)
        state = None
        for window in windows:
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                hidden, state = network(torch.nn.functional.one_hot(window[:-1], SYMBOLS).float(), state)
                logits = dense(hidden)
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), window[1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            state = tuple(each.detach() for each in state) if isinstance(state, tuple) else state.detach()

    return run


def keras_program(options: argparse.Namespace, tokens: np.ndarray) -> Program | None:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    try:
        import keras
    except ImportError:
        return None
    layer = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "simple": keras.layers.SimpleRNN}[options.cell]
    layers = [layer(options.units, return_sequences=True) for _ in range(2)]
    network = keras.Sequential([keras.Input((options.window, SYMBOLS)), *layers, keras.layers.Dense(SYMBOLS)])
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    windows = np.concatenate([each.T for each in windows_of(options, tokens)])
    inputs, targets = np.eye(SYMBOLS, dtype=np.float32)[windows[:, :-1]], windows[:, 1:]

    def run() -> None:
        network.fit(inputs, targets, batch_size=options.batch, epochs=1, shuffle=False, verbose=0)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cell", default="gru", choices=["simple", "gru", "lstm"])
    for option, default in (("units", 128), ("batch", 32), ("window", 100), ("steps", 10), ("repeats", 5)):
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args()
    size = options.batch * options.window * options.steps  # an epoch is a round
    tokens = np.random.default_rng(0).integers(0, SYMBOLS - 1, size).astype(np.uint8)
    programs: dict[str, Program | None] = {
        f"rnncli {precision}": ours(options, tokens, precision) for precision in ("float32", "bfloat16")
    }
    for threads in sorted({1, os.cpu_count() or 1}):
        for bfloat16 in (False, True):
            name = f"torch {'bfloat16' if bfloat16 else 'float32'}, {threads} threads"
            programs[name] = torch_program(options, tokens, threads, bfloat16)
    programs["keras"] = keras_program(options, tokens)
    there = {name: program for name, program in programs.items() if program is not None}
    times: dict[str, list[float]] = {name: [] for name in there}
    for repeat in range(options.repeats + 1):
        for name, program in there.items():
            begun = time.perf_counter()
            program()
            if repeat:
                times[name].append(time.perf_counter() - begun)
    characters = options.batch * options.window * options.steps
    rates = {name: characters / statistics.median(measured) for name, measured in times.items()}
    print(f"{options.cell} 2x{options.units}, batch {options.batch}, window {options.window}:")
    for name, rate in rates.items():
        print(f"  {name}: {rate:,.0f} characters/s")
    best = max(rate for name, rate in rates.items() if name.startswith("rnncli"))
    peers = {name: rate for name, rate in rates.items() if not name.startswith("rnncli")}
    if peers:
        name = max(peers, key=peers.__getitem__)
        print(f"  {best / peers[name]:.2f} times {name}")


if __name__ == "__main__":
    main()
