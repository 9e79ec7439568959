"""Models as ONNX: the network with what belongs to it before and after, for runtimes of other languages.

- forecast: `values` of the last window → `forecast`, both in the unit of the series. It is the network's forecast, not
  that of the combination.
- charlm: a `token` and the `state_…` after the text before → `logits` of the next symbol, and the states to hand on.
- sentiment: `tokens` of the words, filled up with 0, and how many there are, `length` → `probabilities`, calibrated.

What is text stays outside. The entry `rnncli` in the model's metadata has what is needed for it, the vocabulary above
all. jax2onnx translates the computation, and onnxruntime checks that it gives our own numbers.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.extend as jex
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rnncli.errors import CheckpointError, ParameterError
from rnncli.files import whole_file
from rnncli.library import load
from rnncli.training.stored import HEADER

_TOLERANCE = 1e-4  # of the largest output


class _Graph(NamedTuple):
    """A computation with the names of what goes in and comes out, and inputs to try it with."""

    run: Callable[..., tuple[Any, ...]]
    inputs: dict[str, np.ndarray]
    outputs: list[str]


def export_onnx(path: Path, file: Path) -> dict[str, Any]:
    """Write the model at `path` to a file; tell its inputs, its outputs, and how far its numbers are from ours.

    Raises ParameterError: the libraries are not installed, or the model has inputs that ONNX would not have.
    CheckpointError: there is no such model, or the translation gives other numbers.
    """
    try:
        import jax2onnx
        import onnxruntime
    except ImportError as error:
        raise ParameterError("`file` .onnx needs two libraries: pip install 'rnncli[onnx]'") from error
    model = load(path)
    graph = {"forecast": _forecast, "charlm": _charlm, "sentiment": _sentiment}[model.metadata["task"]](model)
    shapes = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in graph.inputs.values()]
    names: dict[str, Any] = {"input_names": list(graph.inputs), "output_names": graph.outputs}
    with _left_alone():
        try:
            proto: Any = jax2onnx.to_onnx(graph.run, shapes, model_name="rnncli", **names)
        except Exception as error:  # what jax2onnx cannot translate, it tells in many ways
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise CheckpointError(f"'{path}' cannot be exported to ONNX: {reason}; use .safetensors") from error
    entry = proto.metadata_props.add()
    entry.key, entry.value = HEADER, json.dumps(model.metadata)
    raw = proto.SerializeToString()
    session = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
    ours = [np.asarray(each) for each in jax.jit(graph.run)(*map(jnp.asarray, graph.inputs.values()))]
    theirs = session.run(graph.outputs, graph.inputs)
    far = max(float(np.abs(a - b).max() / max(1e-9, np.abs(a).max())) for a, b in zip(ours, theirs, strict=True))
    if not far < _TOLERANCE:
        raise CheckpointError(f"'{path}' cannot be exported: in ONNX its outputs are {far:.2g} off; use .safetensors")
    with whole_file(file) as temporary:
        temporary.write_bytes(raw)
    shapes_of = {each.name: each.shape for each in (*session.get_inputs(), *session.get_outputs())}
    described = {name: f"{name}[{','.join(map(str, shape))}]" for name, shape in shapes_of.items()}
    return {
        "format": "onnx",
        "inputs": " ".join(described[name] for name in graph.inputs),
        "outputs": " ".join(described[name] for name in graph.outputs),
        "difference": far,
    }


@contextmanager
def _left_alone() -> Iterator[None]:
    """Let the block leave no trace: jax2onnx puts functions of its own into JAX, and complains of absent libraries."""
    before = [(vars(module), dict(vars(module))) for module in (jnp, jax.nn, jax.lax, nnx)]
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        for names, values in before:
            names.update(values)


def _forecast(model: Any) -> _Graph:
    settings, network = model.settings, model.network
    if not settings.has_network or model.combination is None:
        raise ParameterError("only a network that was trained on a series is exported to ONNX; `cell` gru trains one")
    if any(network.sizes):
        raise ParameterError("a model with covariates is not exported to ONNX; use .safetensors")
    scaler = model.combination.network.scaler
    mean, std = (np.asarray(each, np.float32) for each in scaler.units.of(np.array([0])))
    units = {} if len(scaler.units.mean) == 1 else {"mean": mean, "std": std}  # of many series, each has its own

    def run(values: jax.Array, *units: jax.Array) -> tuple[Any, ...]:
        level, scale = units or (mean, std)
        scaled = ((jnp.log(values) if scaler.log else values) - level) / scale
        forecast = network(scaled) * scale + level
        return (jnp.exp(forecast) if scaler.log else forecast,)

    scaled = np.sin(np.arange(settings.window, dtype=np.float32))[None] * std + mean
    values = (np.exp(scaled) if scaler.log else scaled).astype(np.float32)
    return _Graph(run, {"values": values, **units}, ["forecast"])


def _charlm(model: Any) -> _Graph:
    network = model.network
    leaves, structure = jax.tree.flatten(network.initial_carries(1))
    names = [f"state_{index}" for index in range(len(leaves))]

    def run(token: jax.Array, *states: jax.Array) -> tuple[Any, ...]:
        logits, carries = network.step(token, jax.tree.unflatten(structure, states))
        return (logits, *jax.tree.leaves(carries))

    inputs = {"token": np.array([1], np.int32)}
    inputs |= {name: np.full(leaf.shape, 0.1, np.float32) for name, leaf in zip(names, leaves, strict=True)}
    return _Graph(run, inputs, ["logits", *(f"new_{name}" for name in names)])


def _sentiment(model: Any) -> _Graph:
    settings, network = model.settings, model.network
    if settings.sentences:
        raise ParameterError("a model of whole texts' vectors is not exported to ONNX; use .safetensors")
    temperature = model.calibration.temperatures["model"]
    squash = jax.nn.sigmoid if settings.several else jax.nn.softmax

    def run(tokens: jax.Array, length: jax.Array) -> tuple[Any, ...]:
        return (squash(network(tokens.T, length) / temperature),)

    tokens = np.zeros((1, settings.max_words), np.int32)
    tokens[0, :5] = np.arange(1, 6) % model.vocabulary.size
    inputs = {"tokens": tokens, "length": np.array([5], np.int32)}
    return _Graph(_without_reverse(run, inputs.values()), inputs, ["probabilities"])


def _without_reverse(run: Callable[..., Any], arguments: Iterable[np.ndarray]) -> Callable[..., tuple[Any, ...]]:
    """The same computation with flipped arrays in the place of scans from the end, which jax2onnx does not know."""
    closed = jax.make_jaxpr(run)(*arguments)

    def evaluated(jaxpr: Any, constants: Any, values: Any) -> list[Any]:
        known: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *values], strict=True))
        for each in jaxpr.eqns:
            inputs = [known[atom] if isinstance(atom, jex.core.Var) else atom.val for atom in each.invars]
            inner = each.params.get("call_jaxpr", each.params.get("jaxpr"))
            if each.primitive.name == "scan" and each.params["reverse"]:
                first = each.params["num_consts"] + each.params["num_carry"]
                flipped = [value if place < first else jnp.flip(value, 0) for place, value in enumerate(inputs)]
                found = each.primitive.bind(*flipped, **{**each.params, "reverse": False})
                last = each.params["num_carry"]
                found = [value if place < last else jnp.flip(value, 0) for place, value in enumerate(found)]
            elif inner is not None and each.primitive.name in ("jit", "pjit", "custom_vjp_call", "custom_jvp_call"):
                found = evaluated(inner.jaxpr, inner.consts, inputs)
            else:
                found = each.primitive.bind(*inputs, **each.params)
            found = found if each.primitive.multiple_results or inner is not None else [found]
            known.update(zip(each.outvars, found, strict=True))
        return [known[atom] if isinstance(atom, jex.core.Var) else atom.val for atom in jaxpr.outvars]

    return lambda *values: tuple(evaluated(closed.jaxpr, closed.consts, values))
