"""Each cell against its equations, written out in NumPy in torch's conventions."""

import numpy as np
import pytest
from flax import nnx

from rnncli.nn.cells import Cell, GRUCell, LSTMCell, SimpleCell
from rnncli.nn.recurrence import unroll
from rnncli.nn.settings import cell_class

STEPS, BATCH, FEATURES, UNITS = 6, 3, 4, 5


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def layer_norm(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * scale + shift


def reference(cell: Cell, x: np.ndarray) -> np.ndarray:
    """Hidden states `[T, B, H]` in float64, one gate after the other."""
    w, u = np.asarray(cell.kernel[...], np.float64), np.asarray(cell.recurrent_kernel[...], np.float64)
    b = np.asarray(cell.bias[...], np.float64)

    def gate(array: np.ndarray, index: int) -> np.ndarray:
        return array[..., index * UNITS : (index + 1) * UNITS]

    def norm(pre: np.ndarray, index: int) -> np.ndarray:
        if not cell.layer_norm:
            return pre
        return layer_norm(pre, np.asarray(cell.norm_scale[...])[index], np.asarray(cell.norm_shift[...])[index])

    h = c = np.zeros((x.shape[1], UNITS))
    outputs = []
    for x_t in x:
        a, r = x_t @ w + b, h @ u
        if isinstance(cell, SimpleCell):
            h = np.tanh(norm(a + r, 0))
        elif isinstance(cell, LSTMCell):
            i, f, g, o = (norm(gate(a + r, index), index) for index in range(4))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            r = r + np.asarray(cell.recurrent_bias[...], np.float64)
            reset, update = (sigmoid(norm(gate(a + r, index), index)) for index in range(2))
            n = np.tanh(norm(gate(a, 2) + reset * gate(r, 2), 2))
            h = (1 - update) * n + update * h
        outputs.append(h)
    return np.stack(outputs)


def random_cell(name: str, *, layer_norm: bool) -> Cell:
    """A cell whose vectors are not zero either."""
    cell = cell_class(name)(FEATURES, UNITS, layer_norm=layer_norm, rngs=nnx.Rngs(0))
    draw = np.random.default_rng(1)
    for param in (cell.bias, cell.recurrent_bias, cell.norm_scale, cell.norm_shift):
        if param is not None:
            param[...] = param[...] + draw.normal(size=param.shape).astype(np.float32)
    return cell


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("name", ["simple", "lstm", "gru"])
def test_cell_equals_its_equations(name: str, layer_norm: bool) -> None:
    cell = random_cell(name, layer_norm=layer_norm)
    x = np.random.default_rng(0).normal(size=(STEPS, BATCH, FEATURES)).astype(np.float32)
    hidden, _ = unroll(cell, x)
    np.testing.assert_allclose(hidden, reference(cell, x), atol=2e-6)


@pytest.mark.parametrize("name", ["simple", "lstm", "gru"])
def test_weights_of_torch_can_be_carried_over(name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is in the bench extra")
    module = {"simple": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[name](FEATURES, UNITS)
    cell = cell_class(name)(FEATURES, UNITS, rngs=nnx.Rngs(0))
    weights = {key: value.detach().numpy() for key, value in module.named_parameters()}
    cell.kernel[...] = weights["weight_ih_l0"].T
    cell.recurrent_kernel[...] = weights["weight_hh_l0"].T
    if isinstance(cell, GRUCell):
        cell.bias[...], cell.recurrent_bias[...] = weights["bias_ih_l0"], weights["bias_hh_l0"]
    else:
        cell.bias[...] = weights["bias_ih_l0"] + weights["bias_hh_l0"]
    x = np.random.default_rng(0).normal(size=(STEPS, BATCH, FEATURES)).astype(np.float32)
    hidden, _ = unroll(cell, x)
    np.testing.assert_allclose(hidden, module(torch.from_numpy(x))[0].detach().numpy(), atol=2e-6)


def test_initialisation_is_that_of_keras() -> None:
    cell = LSTMCell(30, 40, rngs=nnx.Rngs(0))
    bound = np.sqrt(6 / (30 + 4 * 40))
    kernel = np.asarray(cell.kernel[...])
    assert np.abs(kernel).max() <= bound
    assert np.abs(kernel).max() > 0.98 * bound
    recurrent = np.asarray(cell.recurrent_kernel[...])
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(40), atol=1e-5)
    i, f, g, o = np.split(np.asarray(cell.bias[...]), 4)
    assert (f == 1).all()
    assert not (i.any() or g.any() or o.any())
