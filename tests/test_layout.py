"""Grids of devices, and batches in parts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import monthly_sales

from rnncli.errors import ParameterError
from rnncli.sentiment.batches import Bucketed
from rnncli.sentiment.text import Ragged
from rnncli.training.layout import WHOLE, Layout, choose_layout, cut
from rnncli.training.processes import agreed, count, first
from rnncli.training.settings import Machine, Training
from rnncli.training.step import axis_of


@pytest.fixture(autouse=True)
def _nothing_chosen() -> Any:
    yield
    choose_layout(None)


@pytest.mark.parametrize(
    "mesh", ["", "data", "data=0", "data=2,data=2", "rows=2", "data=2.5", "data=99999999999", "data=-1"]
)
def test_what_is_no_grid_is_refused(mesh: str) -> None:
    with pytest.raises(ParameterError, match="is no grid of devices; write it as in data=4,model=2"):
        Machine(mesh=mesh)


def test_a_grid_has_to_fit_the_devices() -> None:
    with pytest.raises(ParameterError, match="`mesh` data=2,model=2 has 4 devices, there are 2$"):
        choose_layout("data=2,model=2")
    with pytest.raises(ParameterError, match="has 1 devices, there are 2 in 2 processes"):
        choose_layout("data=1", processes=2)


@pytest.mark.parametrize(
    ("batch", "accumulate", "told"),
    [
        (33, 1, "a batch of 33 cannot be shared equally by 2 devices; choose `batch_size` 32 or 34"),
        (34, 2, "by 2 devices in `accumulate` 2 parts; choose `batch_size` 32 or 36"),
        (1, 1, "choose `batch_size` 2$"),
    ],
)
def test_a_batch_has_to_be_cut_into_equal_parts(batch: int, accumulate: int, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        Layout(2).check(batch, accumulate)
    Layout(2).check(32, 2)


def test_the_largest_axis_of_large_arrays_is_cut() -> None:
    arrays = {
        "wide": jnp.zeros((64, 256)),
        "tall": jnp.zeros((512, 64)),
        "odd": jnp.zeros((101, 101)),
        "partly": jnp.zeros((128, 129)),
        "small": jnp.zeros(64),
        "count": jnp.zeros(()),
    }
    specs = cut(arrays, Layout(1, 2))
    assert (specs["odd"], specs["small"], specs["count"]) == (WHOLE,) * 3
    assert [tuple(specs[name]) for name in ("wide", "tall", "partly")] == [
        (None, "model"),
        ("model", None),
        ("model", None),
    ]
    assert set(jax.tree.leaves(cut(arrays, Layout(2)), is_leaf=lambda each: each == WHOLE)) == {WHOLE}


def test_alone_a_process_agrees_with_itself() -> None:
    assert (count(), first(), agreed(3, 0)) == (1, True, [3, 0])


def test_texts_with_several_labels_are_cut_by_texts() -> None:
    labels = np.array([[1, 0, 1], [0, 1, 0]] * 8)
    texts = Ragged(np.ones(32, np.int32), np.arange(17) * 2)
    batch, _ = Bucketed(texts, labels, 8, 0, longest=2, chunk=2, pad=False)(0, slice(2, 6))
    assert [leaf.shape[axis_of(leaf)] for leaf in jax.tree.leaves(batch)] == [4, 4, 4]


def test_grids_are_not_for_sweeps(rnncli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("to be, or not to be, that is the question: " * 40)
    how = ["--sweep", "units=4,8", "--mesh", "data=2", "-q", "--checkpoint", tmp_path / "swept"]
    result = rnncli("charlm", "train", tmp_path / "text.txt", *how)
    told = "error: --mesh and --distributed are for one training; leave them out of a sweep\n"
    assert (result.code, result.err) == (2, told)


SMALL = {
    "charlm": {"units": 8, "layers": 1, "embedding": 4, "batch_size": 8, "window": 16, "recurrent_dropout": 0.1},
    "sentiment": {"units": 8, "embedding": 4, "batch_size": 8, "dropout": 0.1},
    "forecast": {"cell": "lstm", "units": 8, "horizon": 2, "batch_size": 8, "ensemble": 2, "patience": 0},
}


def fitted(task: str, **how: Any) -> list[np.ndarray]:
    import rnncli

    common = {**SMALL[task], "epochs": 2, "precision": "float32", **how}
    if task == "charlm":
        model = rnncli.charlm.fit("to be, or not to be, that is the question: " * 40, **common)
    elif task == "sentiment":
        texts = [f"a {word} film of {index}" for index in range(32) for word in ("good", "bad")]
        model = rnncli.sentiment.fit(texts, ["pos", "neg"] * 32, **common)
    else:
        model = rnncli.forecast.fit(list(np.sin(np.arange(90) / 3)), **common)
    from flax import nnx

    return [np.asarray(each) for each in jax.tree.leaves(nnx.state(model.network, nnx.Param))]


@pytest.mark.parametrize("task", list(SMALL))
def test_parts_and_states_that_are_computed_anew_change_nothing_but_the_rounding(task: str) -> None:
    whole = fitted(task)
    for how in ({"accumulate": 4}, {"remat": True}):
        for ours, theirs in zip(fitted(task, **how), whole, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-5, err_msg=str(how))


def test_parts_of_a_batch_have_to_be_equal(rnncli: Callable[..., Any], tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("to be, or not to be, that is the question: " * 40)
    result = rnncli("charlm", "train", text, "--units", 8, "--batch-size", 8, "--window", 16, "--accumulate", 3, "-q")
    told = (
        "error: a batch of 8 cannot be shared equally by 1 device in --accumulate 3 parts; choose --batch-size 6 or 9\n"
    )
    assert (result.code, result.err) == (2, told)


def test_one_part_is_the_default() -> None:
    assert Training().accumulate == 1


def test_batches_of_few_examples_are_filled_up_to_what_devices_share(rnncli, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(monthly_sales(75))  # 35 slices for the first fit, 49 for the last one
    how = ["--cell", "gru", "--units", 2, "--window", 24, "--horizon", 3, "--epochs", 1, "--mesh", "data=2", "-q"]
    saved = ["--checkpoint", tmp_path / "model"]
    trained = rnncli("forecast", path, *how, *saved, "--system", "network", "--batch-size", 128)
    assert (trained.code, trained.err) == (0, "")
    for size in (32, 34):
        replayed = rnncli(
            "forecast", path, "--from", tmp_path / "model", "--replay", path, *how[6:], "--batch-size", size
        )
        assert (replayed.code, replayed.err) == (0, ""), size
