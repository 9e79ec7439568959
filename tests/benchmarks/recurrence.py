"""The hoisted recurrence against `jax.grad` of a plain `lax.scan`, and against torch where installed.

    python tests/benchmarks/recurrence.py [--units 128 --batch 32 --steps 100 --features 65 --repeats 11]

One training-like evaluation (forward and gradients of two layers), alternating between the programs within one run;
medians after a warm-up, and ratios to the plain scan.
"""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from _timing import TORCH_LAYERS, Program, alternate, installed
from flax import nnx
from jax import lax

from rnncli.nn.cells import Cell
from rnncli.nn.recurrence import unroll
from rnncli.nn.settings import cell_class


def plain(cell: Cell, x: jax.Array) -> jax.Array:
    """The same maths as one `lax.scan`, differentiated by JAX."""
    vectors, kernels = cell.vectors(), cell.recurrent_kernels()

    def body(carry: Any, projected: Any) -> tuple[Any, jax.Array]:
        recurrent = tuple(carry[0] @ kernel for kernel in kernels)
        carry = cell.step(vectors, carry, cell.pre_activations(projected, recurrent))
        return carry, carry[0]

    return lax.scan(body, cell.initial_carry(x.shape[1]), cell.project(x))[1]


def ours(name: str, run: Callable[[Cell, jax.Array], jax.Array], x: jax.Array, units: int) -> Program:
    sizes = (x.shape[-1], units)
    graph, params = nnx.split([cell_class(name)(size, units, rngs=nnx.Rngs(0)) for size in sizes])

    @jax.jit
    def gradients(params: Any, x: jax.Array) -> Any:
        def loss(params: Any) -> jax.Array:
            first, second = nnx.merge(graph, params)
            return jnp.square(run(second, run(first, x))).mean()

        return jax.grad(loss)(params)

    return lambda: jax.block_until_ready(gradients(params, x))


def torch_program(name: str, x: jax.Array, units: int) -> Program:
    import numpy as np
    import torch

    layers = getattr(torch.nn, TORCH_LAYERS[name])
    module, tensor = layers(x.shape[-1], units, 2), torch.from_numpy(np.asarray(x).copy())

    def step() -> None:
        module.zero_grad()
        module(tensor)[0].square().mean().backward()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("units", 128), ("batch", 32), ("steps", 100), ("features", 65), ("repeats", 11)):
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args()
    x = jax.random.normal(jax.random.key(0), (options.steps, options.batch, options.features))
    for name in ("simple", "lstm", "gru"):
        programs = {
            "plain scan": ours(name, plain, x, options.units),
            "hoisted": ours(name, lambda cell, x: unroll(cell, x)[0], x, options.units),
        }
        if installed("torch"):
            programs["torch"] = torch_program(name, x, options.units)
        medians = alternate(programs, options.repeats, warmup=2)
        base = medians["plain scan"]
        figures = ", ".join(
            f"{label} {1e3 * median:.1f} ms ({base / median:.2f} x)" for label, median in medians.items()
        )
        print(f"{name}: {figures}")


if __name__ == "__main__":
    main()
