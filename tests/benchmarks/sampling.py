"""Characters a second of sampling, against a loop over torch's `GRUCell`s under `inference_mode`.

    python tests/benchmarks/sampling.py [--units 128 --layers 2 --symbols 66 --repeats 7]

Both draw from the softmax of the same sizes of network (one-hot input, GRU layers, a dense layer), one stream and 64;
the programs alternate within one run, medians after a warm-up. torch counts with the better of one and all threads.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
from flax import nnx

from rnncli.charlm.config import CharlmConfig
from rnncli.charlm.model import CharModel
from rnncli.charlm.sample import Drawing, Sampler
from rnncli.charlm.vocabulary import Vocabulary

LENGTHS = {1: 4000, 64: 1000}


def ours(streams: int, length: int, options: argparse.Namespace) -> Callable[[], object]:
    vocabulary = Vocabulary("chars", tuple(range(32, 31 + options.symbols)))
    config = CharlmConfig(units=options.units, layers=options.layers, embedding=0)
    sampler = Sampler(CharModel(config, vocabulary.size, rngs=nnx.Rngs(0)), vocabulary, Drawing(1.0))
    return lambda: list(sampler.sample(np.zeros(0, np.uint32), length, samples=streams))


def torch_program(streams: int, length: int, options: argparse.Namespace, threads: int) -> Callable[[], object] | None:
    try:
        import torch
    except ImportError:
        return None
    sizes = [options.symbols] + [options.units] * options.layers
    cells = [torch.nn.GRUCell(size, options.units) for size in sizes[:-1]]
    dense = torch.nn.Linear(options.units, options.symbols)

    def run() -> object:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            states = [torch.zeros(streams, options.units) for _ in cells]
            token = torch.zeros(streams, dtype=torch.long)
            said = []
            for _ in range(length):
                x = torch.nn.functional.one_hot(token, options.symbols).float()
                for number, cell in enumerate(cells):
                    states[number] = x = cell(x, states[number])
                token = torch.multinomial(torch.softmax(dense(x), -1), 1)[:, 0]
                said.append(token)
            return torch.stack(said)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option, default in (("units", 128), ("layers", 2), ("symbols", 66), ("repeats", 7)):
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args()
    for streams, length in LENGTHS.items():
        programs = {"rnncli": ours(streams, length, options)}
        for threads in sorted({1, os.cpu_count() or 1}):
            peer = torch_program(streams, length, options, threads)
            if peer is not None:
                programs[f"torch, {threads} threads"] = peer
        times: dict[str, list[float]] = {name: [] for name in programs}
        for repeat in range(options.repeats + 1):
            for name, program in programs.items():
                begun = time.perf_counter()
                program()
                if repeat:
                    times[name].append(time.perf_counter() - begun)
        rates = {name: streams * length / statistics.median(measured) for name, measured in times.items()}
        print(f"{streams} streams:", ", ".join(f"{name} {rate:,.0f} characters/s" for name, rate in rates.items()))
        peers = [rate for name, rate in rates.items() if name != "rnncli"]
        if peers:
            print(f"  {rates['rnncli'] / max(peers):.1f} times the better torch")


if __name__ == "__main__":
    main()
