"""Two CPU devices, the real data sets, and the command line as a function."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most programs here run for milliseconds, so they are compiled as quickly as can be: with the pass that the commands
# ask for, but without LLVM's optimisations. What trains for longer, and the README's examples, are compiled as users
# have it, by `own_compiler`.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion"
    " --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
)

import gc
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest

from rnncli.cli import run

jax.config.update("jax_num_cpu_devices", 2)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # where a script began the tests with &; commands inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Programs that several tests, or their subprocesses, need are compiled once: pytest-xdist's workers inherit the folder
# from the process that starts them. What the environment names is kept, for the next time.
_FOLDER = tempfile.TemporaryDirectory(prefix="rnncli-tests-")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _FOLDER.name)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
os.environ["XDG_CACHE_HOME"] = _FOLDER.name  # and what was measured on this machine is measured anew
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


# The files that take longest come first, so that at the end no worker is left alone with one of them; pytest-xdist
# would begin with those that have the most tests.
_LONGEST = ["processes", "cli_charlm", "together", "cli_forecast", "library", "help", "warm_start", "readme", "kills"]
_LONGEST += ["cli_sentiment", "hostile", "runner", "sweep", "warm_texts", "sentiment", "startup"]


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}.py": place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # what was imported stays
    gc.set_threshold(20_000, 10, 50)


@pytest.fixture(scope="module", autouse=True)
def _forgotten() -> Iterator[None]:
    """Programs that no test of another file will need are let go of: they slow the collection of garbage."""
    yield
    jax.clear_caches()


def pytest_unconfigure() -> None:
    _FOLDER.cleanup()


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
def own_compiler() -> dict[str, str]:
    """The environment in which commands are compiled as users have it: slower, to train faster."""
    return {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}


@pytest.fixture
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a line of bash in which `rnncli` is the module under test."""

    def call(line: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
        preamble = f'rnncli() {{ "{sys.executable}" -m rnncli "$@"; }}; set -o pipefail; '
        return subprocess.run(
            ["bash", "-c", preamble + line], capture_output=True, text=True, timeout=300, check=False, **kwargs
        )  # pyright: ignore

    return call
