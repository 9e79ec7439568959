"""In shells as people have them: pipes that close, odd locales, small terminals, no home, names of any bytes."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from samples import monthly_sales

import rnncli as library

Shell = Callable[..., subprocess.CompletedProcess[str]]
TRAIN = "rnncli forecast sales.csv --cell gru --units 4 --window 8 --horizon 2 --epochs 2"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "sales.csv").write_text(monthly_sales(40))
    return tmp_path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "fox"
    library.charlm.fit("the quick brown fox jumps, ö. " * 60, units=8, layers=1, epochs=1, checkpoint=folder)
    return folder


@pytest.mark.parametrize("reader", ["head -n 1", "tee copy.txt | head -c 5", "true"])
def test_a_reader_that_has_enough_is_no_error(shell: Shell, place: Path, model: Path, reader: str) -> None:
    sample = f"rnncli charlm sample --checkpoint {model} --length 3000 -q"
    drawn = shell(f"{sample} | {reader}; exit ${{PIPESTATUS[0]}}", cwd=place)
    assert (drawn.returncode, drawn.stderr) == (0, "")


def test_an_error_shows_through_a_pipe(shell: Shell, place: Path) -> None:
    result = shell("rnncli forecast gone.csv | cat", cwd=place)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)


def test_the_same_bytes_in_any_locale_without_colours_in_pipes(shell: Shell, place: Path, model: Path) -> None:
    plain = shell(f"rnncli charlm sample --checkpoint {model} --length 60", cwd=place)
    assert plain.returncode == 0
    for setting in ("LC_ALL=POSIX PYTHONUTF8=0 FORCE_COLOR=1 COLUMNS=20", "LC_ALL=C NO_COLOR=1 TERM=dumb"):
        other = shell(f"export {setting}; rnncli charlm sample --checkpoint {model} --length 60", cwd=place)
        assert (other.returncode, other.stdout) == (0, plain.stdout), setting
        assert "\x1b" not in other.stderr, setting


def test_no_home_and_a_working_folder_that_is_read_only(shell: Shell, place: Path) -> None:
    elsewhere = place / "read only"
    elsewhere.mkdir()
    elsewhere.chmod(0o555)
    line = "unset HOME XDG_CACHE_HOME; " + TRAIN.replace("sales.csv", str(place / "sales.csv")) + " -q"
    result = shell(line, cwd=elsewhere)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Month,forecast\n")


def test_files_and_folders_may_have_any_name(place: Path) -> None:
    name = b"-by\xfft\xc3\xb6s [red] new\nline"
    os.rename(place / "sales.csv", os.path.join(os.fsencode(place), name + b".csv"))  # noqa: PTH104, PTH118
    command = [sys.executable.encode(), b"-m", b"rnncli", b"forecast", *(word.encode() for word in TRAIN.split()[3:])]
    command += [b"--checkpoint", b"./m" + name, b"--output", b"./o" + name, b"--", name + b".csv"]
    done = subprocess.run(command, cwd=place, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    with open(os.path.join(os.fsencode(place), b"o" + name), encoding="utf-8") as file:  # noqa: PTH118, PTH123
        assert file.readline() == "Month,forecast\n"
    assert os.path.isdir(os.path.join(os.fsencode(place), b"m" + name))  # noqa: PTH112, PTH118


def on_terminal(command: list[str], place: Path, columns: int) -> tuple[int, str]:
    """Exit code and screen output of a command on a terminal of so many columns."""
    main, other = pty.openpty()
    env = {**os.environ, "COLUMNS": str(columns), "LINES": "24", "TERM": "xterm"}
    process = subprocess.Popen(command, cwd=place, env=env, stdin=other, stdout=other, stderr=other)
    os.close(other)
    seen, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([main], [], [], 0.2)[0]:
            try:
                piece = os.read(main, 2**16)
            except OSError:  # the other side is closed
                break
            seen += piece
        elif process.poll() is not None:
            break
    os.close(main)
    return process.wait(10), seen.decode()


def test_a_terminal_of_20_columns(place: Path) -> None:
    code, screen = on_terminal([sys.executable, "-m", *TRAIN.split()], place, 20)
    assert code == 0
    assert "forecast" in screen
    assert "Traceback" not in screen


# the same seed, the same bytes


def test_samples_do_not_depend_on_how_many_are_drawn_at_once(model: Path) -> None:
    loaded = library.load(model)
    one = loaded.sample("the", 200, seed=5)  # pyright: ignore[reportAttributeAccessIssue]
    assert loaded.sample("the", 200, seed=5) == one  # pyright: ignore[reportAttributeAccessIssue]
    tokens, _ = loaded.vocabulary.encode("the")  # pyright: ignore[reportAttributeAccessIssue]
    from rnncli.charlm.drawing import Drawing

    for samples, most in ((1, 7), (3, 64)):
        drawn = [*loaded.stream(tokens, 200, Drawing(), samples=samples, seed=5, most=most)]  # pyright: ignore
        assert "the" + loaded.vocabulary.text(np.concatenate(drawn)[:, 0]) == one  # pyright: ignore


def test_predictions_do_not_depend_on_how_many_come_at_once(rnncli, tmp_path: Path) -> None:
    words = ["good", "bad", "fine", "dull", "long", "short"]
    texts = [" ".join(np.random.default_rng(n).choice(words, 1 + n % 9)) for n in range(40)]
    labels = ["pos" if "good" in text else "neg" for text in texts]
    folder = tmp_path / "m"
    library.sentiment.fit(texts, labels, units=6, embedding=6, epochs=1, checkpoint=folder)
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(texts) + "\n")
    whole = rnncli("sentiment", "predict", path, "--checkpoint", folder, "-q").out
    assert rnncli("sentiment", "predict", path, "--checkpoint", folder, "-q").out == whole
    path.write_text("\n".join(texts[:7]) + "\n")
    rows = whole.splitlines()
    assert rnncli("sentiment", "predict", path, "--checkpoint", folder, "-q").out.splitlines() == rows[: len(rows) - 33]


# machines that are not as they should be


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("JAX_PLATFORMS=foo {sample}", "JAX finds no device: Unable to initialize backend 'foo'"),
        ("XLA_FLAGS=--foo {sample}", "XLA refuses its flags: Unknown flag in XLA_FLAGS: --foo"),
        ("{sample} > /dev/full", "cannot write to stdout: No space left on device"),
        ("{sample} --output /dev/full", "cannot write '/dev/full': No space left on device"),
        (
            "mkdir gone; cd gone; rmdir ../gone; " + TRAIN.replace("sales", "../sales") + " -q --checkpoint m",
            "the working folder is not there",
        ),
    ],
)
def test_what_is_wrong_with_the_machine_is_told_in_a_line(
    shell: Shell, place: Path, model: Path, line: str, said: str
) -> None:
    result = shell(line.format(sample=f"rnncli charlm sample --checkpoint {model} --length 20"), cwd=place)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert said in result.stderr


def test_an_output_keeps_the_rights_of_the_file_that_it_replaces(rnncli, place: Path, model: Path) -> None:
    for rights in (0o600, 0o640):
        (place / "out.txt").touch()
        (place / "out.txt").chmod(rights)
        rnncli("charlm", "sample", "--checkpoint", model, "--length", 5, "--output", place / "out.txt")
        assert (place / "out.txt").stat().st_mode & 0o777 == rights
        assert len((place / "out.txt").read_text()) == 5


def test_extreme_temperatures_draw_as_their_limits_do(rnncli, model: Path) -> None:
    def drawn(temperature: str) -> str:
        result = rnncli("charlm", "sample", "--checkpoint", model, "--length", 80, "--temperature", temperature)
        assert (result.code, result.err) == (0, "")
        return result.out

    assert drawn("1e300") == drawn("1e6") == drawn("1e38")
    assert drawn("1e-300") == drawn("0")
    assert len(set(drawn("1e300"))) > 10
