"""`rnncli forecast` as its users meet it: exact streams, exit codes, files, bad input."""

import gzip
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

QUICK = ("--epochs", 2, "--units", 4, "--window", 12, "--horizon", 6)


@pytest.fixture
def monthly(tmp_path: Path) -> Path:
    """Ten years of a monthly series with a trend and a season."""
    months = np.arange(120)
    values = 100 + months + 20 * np.sin(2 * np.pi * months / 12)
    rows = [
        f"{1950 + month // 12}-{month % 12 + 1:02d},{value:.1f}" for month, value in zip(months, values, strict=True)
    ]
    path = tmp_path / "monthly.csv"
    path.write_text("Month,Sales\n" + "\n".join(rows) + "\n")
    return path


def test_a_forecast_is_csv_with_the_stamps_that_follow(rnncli, monthly: Path) -> None:
    result = rnncli("forecast", monthly, *QUICK)
    assert result.code == 0
    assert result.rows[0] == ["Month", "forecast"]
    assert [row[0] for row in result.rows[1:]] == [f"1960-0{month}" for month in range(1, 7)]
    truth = 100 + np.arange(120, 126) + 20 * np.sin(2 * np.pi * np.arange(120, 126) / 12)
    np.testing.assert_allclose([float(row[1]) for row in result.rows[1:]], truth, atol=3)
    assert "seasonal naive" in result.err
    assert "1950-01 to 1959-12; season 12, window 12, 6 ahead" in result.err


def test_quiet_says_nothing(rnncli, monthly: Path) -> None:
    result = rnncli("forecast", monthly, *QUICK, "--quiet")
    assert result.err == ""
    assert len(result.rows) == 7


def test_json_is_one_document(rnncli, monthly: Path) -> None:
    result = rnncli("forecast", "train", monthly, *QUICK, "--json", "-q")
    document = json.loads(result.out)
    assert result.out.count("\n") == 1
    assert document["command"] == "forecast train"
    assert document["config"]["units"] == 4
    assert document["config"]["seed"] == 0
    assert set(document["scores"]) == {"test", "validation"}
    simple = {"naive", "seasonal_naive", "drift", "theta", "damped", "holt_winters"}
    assert set(document["scores"]["test"]) == {"model", "network", "linear", *simple}
    assert sum(document["combination"]["weights"].values()) == pytest.approx(1)
    assert {"mse", "mae", "rmse", "smape", "mase", "mape"} <= set(document["scores"]["test"]["model"])
    assert len(document["scores"]["test"]["model"]["mae_by_step"]) == 6
    assert document["checkpoint"] is None
    assert document["seconds"] > 0
    assert document["steps_per_second"] > 0
    assert document["forecast"][0]["Month"] == "1960-01"


def test_the_same_seed_gives_the_same_bytes(rnncli, monthly: Path) -> None:
    first, again, other = (
        rnncli("forecast", monthly, *QUICK, "--system", "network", "--no-linear-skip", "-q", "--seed", seed).out
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_predict_gives_the_numbers_of_train_wherever_the_folder_is(rnncli, monthly: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    trained = rnncli("forecast", monthly, *QUICK, "--checkpoint", folder)
    assert trained.code == 0
    folder.rename(tmp_path / "moved")
    predicted = rnncli("forecast", "predict", monthly, "--checkpoint", tmp_path / "moved")
    assert predicted.out == trained.out
    lines = rnncli("forecast", "predict", monthly, "--checkpoint", tmp_path / "moved", "--json").out.splitlines()
    assert len(lines) == 6
    assert json.loads(lines[0])["Month"] == "1960-01"


def test_predict_looks_as_far_ahead_as_it_is_asked_to(rnncli, monthly: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    trained = rnncli("forecast", monthly, "--horizon", 6, "--quantiles", "0.9", "--checkpoint", folder, "-q")
    less = rnncli("forecast", "predict", monthly, "--checkpoint", folder, "--horizon", 2, "--quantiles", "0.9")
    assert less.rows == trained.rows[:3]
    more = rnncli("forecast", "predict", monthly, "--checkpoint", folder, "--horizon", 7)
    assert len(more.rows) == 8
    assert more.out.splitlines()[1:7] == [",".join(row[:2]) for row in trained.rows[1:]]


def test_an_alert_ends_with_code_3_after_all_is_written(rnncli, monthly: Path, tmp_path: Path) -> None:
    fine = rnncli("forecast", monthly, "--horizon", 6, "--alert", 10, "-q")
    assert (fine.code, len(fine.rows)) == (0, 7)
    worse = rnncli("forecast", monthly, "--horizon", 6, "--alert", "1e-30", "--checkpoint", tmp_path / "m", "-q")
    assert (worse.code, worse.out) == (3, fine.out)
    assert worse.err.startswith("error: the error on the test part, MASE ")
    assert worse.err.endswith("is above --alert 1e-30\n")
    assert rnncli("forecast", "predict", monthly, "--checkpoint", tmp_path / "m").out == fine.out
    past = rnncli("forecast", "backtest", monthly, "--horizon", 6, "--origins", 3, "--alert", "1e-30", "-q")
    assert (past.code, len(past.rows)) == (3, 19)


def test_predict_refuses_other_columns_with_both_lists(rnncli, monthly: Path, tmp_path: Path) -> None:
    assert rnncli("forecast", monthly, *QUICK, "--checkpoint", tmp_path / "model", "-q").code == 0
    other = tmp_path / "other.csv"
    other.write_text("Day,Temp\n2020-01-01,3\n2020-01-02,4\n")
    result = rnncli("forecast", "predict", other, "--checkpoint", tmp_path / "model")
    assert result.code == 1
    assert "it has 'Month', 'Sales', the table 'Day', 'Temp'" in result.err
    short = tmp_path / "short.csv"
    short.write_text("\n".join(monthly.read_text().splitlines()[:6]))
    result = rnncli("forecast", "predict", short, "--checkpoint", tmp_path / "model")
    assert (result.code, len(result.rows)) == (0, 7)
    assert "5 rows are too few: the model looks at the last 12; left out: network, linear" in result.err
    assert rnncli("forecast", monthly, *QUICK, "--system", "network", "--checkpoint", tmp_path / "n", "-q").code == 0
    result = rnncli("forecast", "predict", short, "--checkpoint", tmp_path / "n")
    assert (result.code, result.out) == (1, "")
    assert "5 rows are too few: the model looks at the last 12; give more of the past" in result.err


def test_a_checkpoint_is_not_overwritten_unasked_and_resumes(rnncli, monthly: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    first = rnncli("forecast", monthly, *QUICK, "--checkpoint", folder, "-q")
    refused = rnncli("forecast", monthly, *QUICK, "--checkpoint", folder)
    assert refused.code == 1
    assert "--resume" in refused.err
    assert "--overwrite" in refused.err
    resumed = rnncli("forecast", monthly, *QUICK, "--checkpoint", folder, "--resume", "-q")
    assert (resumed.code, resumed.out) == (0, first.out)
    changed = rnncli("forecast", monthly, *QUICK, "--checkpoint", folder, "--resume", "--units", 5)
    assert changed.code == 1
    assert "--units 4 → 5" in changed.err
    anew = rnncli("forecast", monthly, *QUICK, "--checkpoint", tmp_path / "none", "--resume")
    assert (anew.code, anew.out) == (0, first.out)
    assert "nothing to resume in" in anew.err
    replaced = rnncli("forecast", monthly, *QUICK, "--checkpoint", folder, "--overwrite", "--units", 5, "-q")
    assert replaced.code == 0


def test_stdin_gzip_and_output_file(rnncli, shell, monthly: Path, tmp_path: Path) -> None:
    wanted = rnncli("forecast", monthly, *QUICK, "-q").out
    packed = tmp_path / "monthly.csv.gz"
    packed.write_bytes(gzip.compress(monthly.read_bytes()))
    assert rnncli("forecast", packed, *QUICK, "-q", "-o", tmp_path / "out.csv").out == ""
    assert (tmp_path / "out.csv").read_text() == wanted
    options = " ".join(map(str, QUICK))
    piped = shell(f"cat {monthly} | rnncli forecast - {options} --quiet | tail -n +2 | cut -d, -f2")
    assert piped.returncode == 0
    assert piped.stdout.split() == [line.split(",")[1] for line in wanted.splitlines()[1:]]


def test_a_closed_pipe_ends_quietly(shell, monthly: Path) -> None:
    result = shell(f"rnncli forecast {monthly} {' '.join(map(str, QUICK))} -q | true")
    assert (result.returncode, result.stderr) == (0, "")


def test_output_leaves_links_and_devices_what_they_are(rnncli, monthly: Path, tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    assert rnncli("forecast", monthly, *QUICK, "-q", "-o", link).code == 0
    assert link.is_symlink()
    assert target.read_text().startswith("Month,forecast")
    assert rnncli("forecast", monthly, *QUICK, "-q", "-o", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()


def test_a_closed_stderr_does_not_stop_the_work(shell, monthly: Path, tmp_path: Path) -> None:
    options = " ".join(map(str, QUICK))
    result = shell(f"rnncli forecast {monthly} {options} -o {tmp_path}/out.csv 2> >(true)")
    assert result.returncode == 0
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 7


def test_predict_fills_as_the_training_did(rnncli, tmp_path: Path) -> None:
    values = [str(10 + place % 7) for place in range(90)]
    values[85] = ""
    path = tmp_path / "gap.csv"
    path.write_text("x\n" + "".join(f"{value or 'NA'}\n" for value in values))
    options = ("--fill", "zero", "--window", 7, "--horizon", 3, "--epochs", 1)
    trained = rnncli("forecast", path, *options, "--checkpoint", tmp_path / "model", "-q")
    assert trained.code == 0
    assert rnncli("forecast", "predict", path, "--checkpoint", tmp_path / "model", "-q").out == trained.out


def test_a_training_that_diverges_is_told(rnncli, monthly: Path, tmp_path: Path) -> None:
    wild = ("--learning-rate", 1e30, "--clip", 0, "--schedule", "constant", "--no-linear-skip")
    result = rnncli("forecast", monthly, *QUICK, *wild)
    assert "warning: no epoch was better than the untrained network; lower --learning-rate" in result.err
    worse = rnncli("forecast", monthly, *QUICK, *wild, "--loss", "mse", "--epochs", 20)
    assert (worse.code, worse.out) == (1, "")
    assert "the loss is not a number after step" in worse.err


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_plot_is_drawn(rnncli, monthly: Path, tmp_path: Path, suffix: str) -> None:
    plot = tmp_path / f"plot.{suffix}"
    assert rnncli("forecast", monthly, *QUICK, "--plot", plot, "-q").code == 0
    assert plot.stat().st_size > 5_000


def test_the_linear_cell_and_every_strategy_run(rnncli, monthly: Path) -> None:
    for cell, strategy in (
        ("linear", "recursive"),
        ("gru", "seq2seq"),
        ("simple", "encoder-decoder"),
        ("wavenet", "direct"),
    ):
        result = rnncli("forecast", monthly, *QUICK, "--cell", cell, "--strategy", strategy, "-q")
        assert (result.code, len(result.rows)) == (0, 7), (cell, strategy, result.err)


@pytest.mark.slow
def test_regularisation_options_change_what_is_learnt(rnncli, monthly: Path) -> None:
    base = (
        *QUICK,
        "--system",
        "network",
        "--no-linear-skip",
        "--patch",
        3,
        "-q",
        "--epochs",
        10,
        "--learning-rate",
        0.01,
    )
    plain = rnncli("forecast", monthly, *base).out
    for extra in (["--dropout", 0.3], ["--recurrent-dropout", 0.3], ["--layer-norm"], ["--weight-decay", 0.5]):
        assert rnncli("forecast", monthly, *base, *extra).out != plain, extra


def test_synthetic_data_gives_the_table_of_scores(rnncli) -> None:
    result = rnncli("forecast", "--cell", "linear", "--strategy", "direct")
    assert result.code == 0
    assert result.rows[0][:4] == ["part", "system", "mse", "mae"]
    table = {(row[0], row[1]): row for row in result.rows[1:]}
    assert float(table["validation", "naive"][2]) == pytest.approx(0.257, abs=5e-4)
    assert float(table["validation", "linear"][2]) == pytest.approx(0.0155, abs=5e-5)
    assert float(table["validation", "model"][2]) == pytest.approx(0.0155, abs=5e-5)


@pytest.mark.slow
def test_compare_on_a_series_lists_every_system(rnncli, monthly: Path) -> None:
    result = rnncli("forecast", "compare", monthly, "--epochs", 1, "--window", 12, "--horizon", 3)
    assert result.code == 0
    systems = [row[0] for row in result.rows[1:]]
    assert len(systems) == len(set(systems)) == 4 + 2 + 3 * 4 + 3
    assert {"naive", "seasonal_naive", "drift", "linear", "gru encoder-decoder", "wavenet seq2seq"} <= set(systems)
    errors = [float(row[2]) for row in result.rows[1:]]
    assert errors == sorted(errors)


@pytest.mark.slow
def test_compare_on_the_lectures_data_has_its_exact_rows(rnncli) -> None:
    result = rnncli("forecast", "compare", "--epochs", 1, "--json")
    rows = {row["system"]: row for row in json.loads(result.out)["rows"]}
    for system, wanted in (("naive, 1 step", 0.020211), ("linear, 1 step", 0.00293), ("linear, 10 steps", 0.0155)):
        assert rows[system]["validation_mse"] == pytest.approx(wanted, rel=5e-3)


def interrupted(monthly: Path, folder: Path, number: int) -> subprocess.CompletedProcess[str]:
    """Start a long training and send it a signal once it trains."""
    command = [
        sys.executable,
        "-m",
        "rnncli",
        "forecast",
        monthly,
        "--epochs",
        200_000,
        "--units",
        4,
        "--checkpoint",
        folder,
        "--save-every",
        0.5,
    ]
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 100
        while not list(folder.glob("[0-9]*/_CHECKPOINT_METADATA")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


INTERRUPTS = [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]  # see test_signals.py


@pytest.mark.parametrize(("number", "code"), INTERRUPTS)
def test_a_signal_saves_and_the_run_can_be_resumed(monthly: Path, tmp_path: Path, number: int, code: int) -> None:
    from rnncli.training.stored import read_metadata

    begun = time.monotonic()
    result = interrupted(monthly, tmp_path / "model", number)
    assert result.returncode == code
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].endswith("saved; go on with --resume")
    assert "Traceback" not in result.stderr
    assert time.monotonic() - begun < 100
    assert len(read_metadata(tmp_path / "model", "forecast")["history"]) >= 1


BAD_TABLES = {
    "nothing in it": ("", "is empty"),
    "blank cells only": ('""\n""\n', "is empty: it has blank cells only"),
    "a header only": ("Month,Sales\n", "no rows"),
    "one row": ("Month,Sales\n1950-01,3\n", "only one row"),
    "ragged rows": ("Month,Sales\n1950-01,3\n1950-02\n", "ragged: line 3"),
    "text in the target": ("Month,Sales\n1950-01,3\n1950-02,4\n1950-03,x\n", "row 3: 'x' is not a number"),
    "nothing but gaps": ("Month,Sales\n1950-01,\n1950-02,\n", "all 2 are missing"),
    "a constant": ("Sales\n" + "4\n" * 30, "constant: every value is 4"),
    "infinity": ("Sales\n1\n2\ninf\n", "row 3: 'inf' is infinite"),
    "a huge number": ("Sales\n1\n2\n1e300\n", "row 3: 1e300 is too large"),
    "too few rows": ("Sales\n" + "".join(f"{n}\n" for n in range(20)), "20 rows are too few for a network"),
    "a stamp twice": ("Month,Sales\n1950-01,3\n1950-01,4\n1950-02,5\n", "the time '1950-01' twice"),
    "two targets": ("a,b\n1,2\n3,4\n", "--target: 'a', 'b'"),
    "a binary file": ("\x00\x01\x02\x03", "is a binary file"),
}


@pytest.mark.parametrize("kind", BAD_TABLES)
def test_bad_tables(rnncli, tmp_path: Path, kind: str) -> None:
    content, message = BAD_TABLES[kind]
    path = tmp_path / "bad.csv"
    path.write_text(content)
    window = ("--window", 15, "--cell", "gru") if kind == "too few rows" else ()
    result = rnncli("forecast", path, *window, "--checkpoint", tmp_path / "model")
    assert (result.code, result.out) == (1, "")
    assert message in result.err
    assert_one_line(result.err)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("values", [[1, 2], [3, 1, 4], [5, 5, 6, 5, 5, 7], list(range(16))])
def test_a_short_series_gets_a_forecast_and_is_told_what_could_not_be_scored(rnncli, tmp_path: Path, values) -> None:
    path = tmp_path / "short.csv"
    path.write_text("Sales\n" + "".join(f"{value}\n" for value in values))
    result = rnncli("forecast", path, "--horizon", 8)
    assert (result.code, len(result.rows)) == (0, 9)
    assert all(np.isfinite(float(row[1])) for row in result.rows[1:])
    assert "the series is too short for a test part" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.csv"], 1, "no such file: 'nowhere.csv'"),
        (["."], 1, "'.' is a folder"),
        (["{series}", "--target", "Sale"], 1, "no column 'Sale'; did you mean 'Sales'?"),
        (["{series}", "--season", "1", "--system", "holt_winters"], 1, "--system holt_winters needs a season"),
        (["{series}", "--season", "1", "--system", "seasonal_naive"], 1, "--system seasonal_naive needs a season"),
        (["{series}", "--window", "110", "--system", "linear"], 1, "--system linear needs at least two whole windows"),
        (["{series}", "--system", "prophet"], 2, "'--system'"),
        (["--system", "theta"], 2, "--system chooses what forecasts a SERIES"),
        (["{series}", "--horizon", "0"], 2, "'--horizon': 0 is not at least 1"),
        (["{series}", "--horizon", "3.5"], 2, "'--horizon': '3.5' is no whole number"),
        (["{series}", "--dropout=half"], 2, "'--dropout': 'half' is no number"),
        (["{series}", "--learning-rate", "-0.1"], 2, "'--learning-rate': -0.1 is not above 0"),
        (["{series}", "--dropout", "1"], 2, "'--dropout': 1 is not at least 0 and below 1"),
        (["{series}", "--dropout", "nan"], 2, "nan is not"),
        (["{series}", "--cell", "lstn"], 2, "'--cell'"),
        (["{series}", "--seed", str(2**63)], 2, "'--seed'"),
        (["{series}", "--horizon", str(10**20)], 2, "'--horizon'"),
        (["{series}", "--units", "2000000000"], 2, "'--units'"),
        (["{series}", "--season", "100"], 1, "--season 100 does not fit twice into the 120 rows of the series"),
        (["{series}", "-o", "x" * 250], 1, "the name is too long"),
        (["{series}", "--epoch", "3"], 2, "--epoch"),
        (["{series}", "--fill", "magic"], 2, "'--fill'"),
        (["{series}", "-o", "nowhere/out.csv"], 1, "cannot write 'nowhere/out.csv': there is no folder"),
        (["{series}", "-o", "."], 1, "cannot write '.': it is a folder"),
        (["{series}", "--plot", "out.txt"], 2, "the name must end in .pdf, .png, .svg"),
        (["{series}", "--checkpoint", "{series}"], 1, "is a file, not a checkpoint folder"),
        (["{series}", "--checkpoint", "{folder}"], 1, "is no checkpoint folder: it holds 'letter.txt'"),
        (["{series}", "--resume"], 2, "--resume and --overwrite need a --checkpoint DIR"),
        (["{series}", "--device", "tpu"], 1, "no tpu here; JAX sees: cpu"),
        (["--target", "Sales"], 2, "are of a SERIES; name the file"),
        (["--cell", "linear", "--strategy", "seq2seq"], 2, "--cell linear knows"),
        (["predict", "{series}", "--checkpoint", "{new}"], 1, "make one with 'rnncli forecast train"),
        (["predict", "{series}", "--checkpoint", "{folder}"], 1, "no checkpoint in 'folder'"),
        (["compare", "--window", "20"], 2, "--window is for a SERIES"),
    ],
)
def test_bad_arguments(
    rnncli, monthly: Path, tmp_path: Path, monkeypatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "letter.txt").touch()
    before = sorted(tmp_path.rglob("*"))
    places = {"series": monthly.name, "folder": "folder", "new": "new"}
    result = rnncli("forecast", *(argument.format(**places) for argument in arguments))
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert_one_line(result.err)
    assert sorted(tmp_path.rglob("*")) == before


def assert_one_line(err: str) -> None:
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert err.splitlines()[-1] == errors[0]
    assert "Traceback" not in err


@pytest.mark.parametrize(("name", "options"), [("airline-passengers", ["--horizon", 12]), ("gas", []), ("lynx", [])])
def test_small_real_series_beat_the_seasonal_naive_forecast(rnncli, shared_data, name: str, options: list) -> None:
    result = rnncli("forecast", shared_data / f"series/{name}.csv", *options, "--json", "-q")
    scores = json.loads(result.out)["scores"]["test"]
    assert scores["model"]["mae"] < scores["seasonal_naive"]["mae"]
    if name == "airline-passengers":
        assert scores["seasonal_naive"]["mape"] == pytest.approx(9.99, abs=0.005)
        assert scores["model"]["mape"] <= 5


@pytest.mark.slow
def test_the_defaults_on_the_lectures_data(rnncli) -> None:
    scores = json.loads(rnncli("forecast", "--json").out)["scores"]
    assert scores["test"]["model"]["mse"] <= 0.0020
