"""What starting costs: a help text loads nothing heavy."""

import subprocess
import sys

import pytest

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
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom rnncli.cli import run\n"
        f"code = run({arguments!r})\n"
        "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)\nsys.exit(code)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert result.stdout
    loaded = set(result.stderr.split("LOADED", 1)[1].split())
    assert not loaded & HEAVY


def test_version_and_module() -> None:
    from rnncli import __version__

    result = subprocess.run([sys.executable, "-m", "rnncli", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"rnncli {__version__}\n"


def test_completion_knows_verbs_and_the_options_of_the_default_verb() -> None:
    import os

    env = {**os.environ, "_RNNCLI_COMPLETE": "complete_bash", "COMP_WORDS": "rnncli forecast --ce", "COMP_CWORD": "2"}
    script = "from rnncli.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=env)
    assert result.stdout.split() == ["--cell"]
