"""Two CPU devices, the real data sets, and the command line as a function."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# as the commands set it, for tests that use JAX before any of them
os.environ.setdefault("XLA_FLAGS", "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion")

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

from rnncli.cli import run

jax.config.update("jax_num_cpu_devices", 2)

# programs that several tests, or their subprocesses, need are compiled once
_COMPILED = tempfile.TemporaryDirectory(prefix="rnncli-tests-")
jax.config.update("jax_compilation_cache_dir", _COMPILED.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED.name
os.environ["XDG_CACHE_HOME"] = _COMPILED.name  # and what was measured on this machine is measured anew
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.05"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the data sets of ../shared/data are not here")
    return SHARED


class Result:
    """What a command did."""

    def __init__(self, code: int, out: str, err: str):
        self.code, self.out, self.err = code, out, err

    @property
    def rows(self) -> list[list[str]]:
        """stdout as CSV rows."""
        return [line.split(",") for line in self.out.splitlines()]


@pytest.fixture
def rnncli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run the command line in this process."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a line of bash in which `rnncli` is the module under test."""

    def call(line: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
        preamble = f'rnncli() {{ "{sys.executable}" -m rnncli "$@"; }}; set -o pipefail; '
        return subprocess.run(
            ["bash", "-c", preamble + line], capture_output=True, text=True, timeout=300, check=False, **kwargs
        )  # pyright: ignore

    return call
