"""Characters a second of sampling, against a loop over torch's `GRUCell`s under `inference_mode`.

    python tests/benchmarks/sampling.py [--units 128 --layers 2 --symbols 66 --repeats 7]
    python tests/benchmarks/sampling.py --predict [32]

Both draw from the softmax of the same sizes of network (one-hot input, GRU layers, a dense layer), one stream and 64;
the programs alternate within one run, medians after a warm-up. torch counts with the better of one and all threads.

With `--predict` the peer of the one stream is Keras' `model.predict` on a growing text, as the lecture does it: for
each new character all of the text so far is read again. A few dozen characters are timed, which flatters it: a longer
text only makes it slower. On jax each new length is compiled; the first time that a text is written, which has the
compilations, is printed by itself, and the ratio is to the later times, which have none.
"""

import argparse
import os
import time
from functools import partial

import numpy as np
from _timing import OURS, Factories, Program, alternate, apart, compare, installed, torch_device, torch_modes

LENGTHS = {1: 4000, 64: 1000}


def ours(streams: int, length: int, options: argparse.Namespace) -> Program:
    from flax import nnx

    from rnncli.charlm.model import CharModel
    from rnncli.charlm.sample import Sampler
    from rnncli.charlm.settings import CharlmSettings
    from rnncli.charlm.vocabulary import Vocabulary
    from rnncli.training.devices import operands, use_device

    use_device("auto")
    vocabulary = Vocabulary("chars", tuple(range(32, 31 + options.symbols)))
    settings = CharlmSettings(units=options.units, layers=options.layers, embedding=0)
    network = CharModel(settings, vocabulary.size, operands=operands("auto", options.units), rngs=nnx.Rngs(0))
    sampler = Sampler(network, vocabulary)
    return lambda: list(sampler.sample(np.zeros(0, np.uint32), length, samples=streams))


def torch_program(streams: int, length: int, options: argparse.Namespace, threads: int) -> Program:
    import torch

    device = torch_device()
    sizes = [options.symbols] + [options.units] * options.layers
    cells = [torch.nn.GRUCell(size, options.units).to(device) for size in sizes[:-1]]
    dense = torch.nn.Linear(options.units, options.symbols).to(device)

    def run() -> object:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            states = [torch.zeros(streams, options.units, device=device) for _ in cells]
            token = torch.zeros(streams, dtype=torch.long, device=device)
            said = []
            for _ in range(length):
                x = torch.nn.functional.one_hot(token, options.symbols).float()
                for number, cell in enumerate(cells):
                    states[number] = x = cell(x, states[number])
                token = torch.multinomial(torch.softmax(dense(x), -1), 1)[:, 0]
                said.append(token)
            return torch.stack(said).cpu()

    return run


def keras_program(length: int, options: argparse.Namespace) -> Program:
    """The lecture's way; its text begins with one character."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    layers = [keras.layers.GRU(options.units, return_sequences=True) for _ in range(options.layers)]
    dense = keras.layers.Dense(options.symbols, activation="softmax")
    network = keras.Sequential([keras.Input((None, options.symbols)), *layers, dense])
    one_hot, generator = np.eye(options.symbols, dtype=np.float32), np.random.default_rng(0)

    def run() -> list[int]:
        said = [0]
        for _ in range(length):
            likely = network.predict(one_hot[said][None], verbose=0)[0, -1].astype(np.float64)
            said.append(int(generator.choice(options.symbols, p=likely / likely.sum())))
        return said

    return run


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("units", 128), ("layers", 2), ("symbols", 66), ("repeats", 7)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--predict", type=int, nargs="?", const=32, metavar="CHARACTERS", help="time Keras' predict")
    return parser.parse_args(arguments)


def factories(options: argparse.Namespace, streams: int) -> Factories:
    """The programs of so many streams, not made ready yet."""
    length = LENGTHS[streams]
    found: Factories = {OURS: partial(ours, streams, length, options)}
    for name, (threads, bfloat16) in torch_modes().items():
        if not bfloat16:
            found[name] = partial(torch_program, streams, length, options, threads)
    return found


def predict(options: argparse.Namespace) -> None:
    """Time the lecture's way beside ours."""
    if not installed("keras"):
        raise SystemExit("--predict needs Keras, which is not installed")
    ready = {OURS: partial(ours, 1, LENGTHS[1], options), "keras": partial(keras_program, options.predict, options)}
    with apart(ready) as programs:
        programs[OURS]()
        begun = time.perf_counter()
        programs["keras"]()
        first = options.predict / (time.perf_counter() - begun)
        medians = alternate(programs, min(options.repeats, 3), warmup=0)
    rate, later = LENGTHS[1] / medians[OURS], options.predict / medians["keras"]
    print(f"1 stream: {OURS} {rate:,.0f} characters/s; Keras' predict, text growing to {options.predict} characters:")
    print(f"  {first:,.1f} characters/s with compilations, {later:,.1f} without; {rate / later:,.0f} times that")


def main() -> None:
    options = parse()
    if options.predict:
        predict(options)
        return
    for streams, length in LENGTHS.items():
        with apart(factories(options, streams)) as programs:
            medians = alternate(programs, options.repeats)
        compare(f"{streams} stream{'s' * (streams > 1)}", medians, streams * length, "character")


if __name__ == "__main__":
    main()
