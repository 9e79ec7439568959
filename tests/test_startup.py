"""What starting costs: what is loaded, and how many programs are compiled."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

import rnncli
from rnncli.cli import run

HEAVY = {
    "jax",
    "numpy",
    "flax",
    "optax",
    "orbax",
    "pandas",
    "matplotlib",
    "rich",
    "tensorflow_datasets",
    "scipy",
    "sklearn",
}
UNNEEDED = {"pandas", "pyarrow", "scipy.sparse", "scipy.special", "sklearn", "matplotlib", "tensorflow_datasets"}
TINY = ["--units", "4", "--epochs", "1", "-q"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["forecast", "--help"],
        ["forecast", "predict", "--help"],
        ["charlm", "sample", "--help"],
        ["sentiment", "--help"],
        ["sentiment", "predict", "--help"],
        ["models", "--help"],
        ["models", "show", "--help"],
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    out, loaded, _ = _started(arguments)
    assert out
    assert not loaded & HEAVY


def test_sampling_loads_only_what_it_needs_and_compiles_one_program(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("the quick brown fox\n" * 20)
    model = ["--checkpoint", str(tmp_path / "model")]
    assert run(["charlm", "train", str(tmp_path / "text"), *TINY, *model]) == 0
    _, loaded, compiled = _started(["charlm", "sample", "--length", "5", *model])
    assert not loaded & UNNEEDED
    assert compiled == 1


def test_labelling_loads_only_what_it_needs_and_compiles_one_program(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("good a wonderful film\nbad a dreadful film\n" * 30)
    model = ["--checkpoint", str(tmp_path / "model")]
    assert run(["sentiment", "train", str(tmp_path / "texts"), *TINY, *model]) == 0
    for system, programs in (("model", 1), ("ngram", 0), ("both", 1)):
        _, loaded, compiled = _started(["sentiment", "predict", "-", "--system", system, *model], "a wonderful film\n")
        assert not loaded & UNNEEDED
        assert compiled == programs


def test_a_forecast_from_a_checkpoint_compiles_one_program(tmp_path: Path) -> None:
    series = tmp_path / "series.csv"
    series.write_text("value\n" + "\n".join(str(step % 7) for step in range(120)))
    model = ["--checkpoint", str(tmp_path / "model")]
    assert run(["forecast", str(series), "--horizon", "2", *TINY, *model]) == 0
    _, _, compiled = _started(["forecast", "predict", str(series), *model])
    assert compiled == 1


def _started(arguments: list[str], stdin: str = "") -> tuple[str, set[str], int]:
    """A command in a process of its own: its stdout, the modules that it loads, the programs that it compiles."""
    script = (
        "import logging, sys\nfrom rnncli.cli import run\n"
        f"code = run({arguments!r})\n"
        "print('LOADED', *sys.modules, file=sys.stderr)\nsys.exit(code)"
    )
    env = {**os.environ, "JAX_LOG_COMPILES": "1"}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=env)
    assert result.returncode == 0, result.stderr
    messages, loaded = result.stderr.rsplit("LOADED", 1)
    return result.stdout, set(loaded.split()), messages.count("Finished XLA compilation")


def test_version_and_module() -> None:
    from rnncli import __version__

    result = subprocess.run([sys.executable, "-m", "rnncli", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"rnncli {__version__}\n"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("forecast --ce", ["--cell"]),
        ("forecast co", ["compare"]),
        ("forecast ", ["train", "predict", "backtest", "compare"]),
        ("forecast sal", []),  # the shell completes names of files
        ("forecast --cell g", ["gru"]),
        ("sentiment pre", ["predict"]),
        ("charlm s", ["sample"]),
        ("models sh", ["show"]),
    ],
)
def test_completion_knows_verbs_options_and_values(words: str, offered: list[str]) -> None:
    words = f"rnncli {words}"
    env = {"_RNNCLI_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    script = "from rnncli.__main__ import main; main()"
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **env})
    assert result.stdout.split() == offered


@pytest.mark.parametrize(
    ("given", "devices", "flags"),
    [
        ({}, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(), "multi_output"),
        ({"JAX_NUM_CPU_DEVICES": "1", "XLA_FLAGS": "--xla_cpu_enable_fast_min_max=true"}, 1, "min_max"),
    ],
)
def test_every_core_is_a_device_unless_somebody_said_otherwise(
    given: dict[str, str], devices: int, flags: str, tmp_path: Path
) -> None:
    code = (
        "import os; from rnncli.training.devices import use_device; use_device('cpu'); "
        "import jax; print(jax.device_count(), os.environ['XLA_FLAGS'])"
    )
    environment = {
        name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")
    }
    environment |= {"XDG_CACHE_HOME": str(tmp_path), **given}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    count, told = done.stdout.split(maxsplit=1)
    assert int(count) == devices
    assert flags in told


def test_the_next_seed_compiles_nothing() -> None:
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: compiled.append(event))
    values = [100 + month + 20 * (month % 12) for month in range(120)]
    for seed in (0, 1):
        compiled.clear()
        rnncli.charlm.fit("the quick brown fox jumps. " * 60, units=8, layers=1, epochs=1, seed=seed)
        rnncli.forecast.fit(values, cell="gru", units=4, window=12, horizon=3, epochs=1, seed=seed)
        assert ("/jax/core/compile/backend_compile_duration" in compiled) == (seed == 0)


def test_a_longer_series_and_the_last_fit_compile_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a backtest that fits anew at each origin compiles once."""
    counts: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: counts.append(event))
    values = [100 + month + 20 * (month % 12) + (7 * month) % 5 for month in range(132)]
    compiled = []
    for length in (120, 126, 132):
        counts.clear()
        how: Any = {"units": 5, "window": 12, "horizon": 3, "epochs": 3, "learning_rate": 0.01, "linear_skip": False}
        how |= {"normalize": "global", "transform": "none"}  # what would be found in the data
        model = rnncli.forecast.fit(values[:length], cell="gru", **how)
        assert model.result.best_epoch, "there is a last fit"  # pyright: ignore
        compiled.append(counts.count("/jax/core/compile/backend_compile_duration"))
    assert compiled[0] > 3
    assert max(compiled[1:]) <= 2  # the orders of other numbers of examples
