"""`rnncli charlm` as its users meet it: exact streams, exit codes, files, bad input."""

import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnncli.training.stored import read_metadata

QUICK = ("--epochs", 1, "--units", 12, "--layers", 1, "--embedding", 6)
SENTENCES = "The quick brown fox jumps over the lazy dog.\nHow are you, dog? said the fox.\n\n"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text that is easy to learn."""
    path = tmp_path_factory.mktemp("text") / "fox.txt"
    path.write_text(SENTENCES * 60)
    return path


@pytest.fixture(scope="module")
def model(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of it."""
    from rnncli.cli import run

    folder = tmp_path_factory.mktemp("model") / "fox"
    sizes = ["--units", "24", "--layers", "2", "--window", "24", "--epochs", "16", "--learning-rate", "0.01"]
    sizes += ["--dropout", "0", "--input-dropout", "0", "--output-dropout", "0", "--kernel-dropout", "0"]
    assert run(["charlm", "train", str(text), *sizes, "--checkpoint", str(folder), "-q"]) == 0
    return folder


def weights(folder: Path) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint's whole state."""
    from orbax.checkpoint import v1 as ocp

    step = max((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    stored = ocp.checkpointables_metadata(str(step.absolute())).metadata
    like = {
        item: {name: np.empty(leaf.shape, leaf.dtype) for name, leaf in stored[item].items()}
        for item in ("best", "state")
    }
    loaded = ocp.load_checkpointables(str(step.absolute()), like)
    return {f"{item}.{name}": np.asarray(leaf) for item in like for name, leaf in loaded[item].items()}


def test_training_prints_scores_and_saves_a_model_that_samples(rnncli, text: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    log, plot = tmp_path / "log.jsonl", tmp_path / "plot.png"
    trained = rnncli("charlm", "train", text, *QUICK, "--epochs", 2, "--log", log, "--plot", plot, "--sample-every", 2)
    assert trained.code == 0, trained.err
    assert trained.rows[0] == ["part", "protocol", "loss", "bpc", "perplexity", "accuracy", "characters"]
    assert [row[:2] for row in trained.rows[1:]] == [
        [part, protocol] for part in ("validation", "train") for protocol in ("carried", "cold")
    ]
    loss, bpc, perplexity = map(float, trained.rows[1][2:5])
    assert (bpc, perplexity) == pytest.approx((loss / math.log(2), math.exp(loss)), rel=1e-4)
    assert "4,680 characters, 33 different; the first 4,212 train, the last 468 validate" in trained.err
    assert "after epoch 2, at temperature 0.8:" in trained.err
    assert "saved in 'checkpoints/charlm'; sample from it with 'rnncli charlm sample" in trained.err
    assert plot.read_bytes().startswith(b"\x89PNG")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[-1]["epoch"] == 2
    assert {"loss", "bpc", "perplexity", "accuracy"} <= set(lines[-1]["validation"])
    sampled = rnncli("charlm", "sample", "--temperature", 0.5, "--length", 40)
    assert (sampled.code, len(sampled.out), sampled.err) == (0, 40, "")


def test_json_is_one_document(rnncli, text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    result = rnncli("charlm", "train", text, *QUICK, "--checkpoint", folder, "--json", "-q", "--stateless")
    document = json.loads(result.out)
    assert result.err == ""
    assert document["command"] == "charlm train"
    assert document["config"]["units"] == 12
    assert document["config"]["stateful"] is False
    assert document["config"]["text"] == [str(text)]
    assert set(document["scores"]) == {"train", "validation"}
    assert set(document["scores"]["validation"]) == {"carried", "cold"}
    assert {"loss", "bpc", "perplexity", "accuracy"} <= set(document["scores"]["validation"]["cold"])
    assert document["checkpoint"] == str(folder)
    assert document["steps_per_second"] > 0
    assert document["seconds"] > 0


@pytest.mark.parametrize("cell", ["simple", "lstm"])
def test_every_cell_trains_and_samples(rnncli, text: Path, tmp_path: Path, cell: str) -> None:
    options = ("--cell", cell, "--layer-norm", "--tied", "--checkpoint", tmp_path / "model")
    trained = rnncli("charlm", "train", text, *QUICK, *options)
    assert trained.code == 0, trained.err
    assert float(trained.rows[1][2]) < math.log(34)
    assert len(rnncli("charlm", "sample", "--checkpoint", tmp_path / "model", "--length", 9).out) == 9


def test_a_model_learns_and_goes_on_as_its_text_does(rnncli, model: Path) -> None:
    greedy = ("charlm", "sample", "--checkpoint", model, "--temperature", 0)
    assert rnncli(*greedy, "--prompt", "How are yo", "--length", 1).out == "How are you"
    said = rnncli(*greedy, "--prompt", "The quick brown", "--length", 29, "--no-echo").out
    assert said == " fox jumps over the lazy dog."


def test_entropy_grows_with_the_temperature(rnncli, model: Path) -> None:
    def entropy(temperature: float) -> float:
        out = rnncli(
            *("charlm", "sample", "--checkpoint", model, "--temperature", temperature),
            *("--num-samples", 20, "--length", 200, "--json"),
        ).out
        texts = [json.loads(line)["text"] for line in out.splitlines()]
        pairs = [text[place : place + 2] for text in texts for place in range(len(text) - 1)]
        shares = np.unique(pairs, return_counts=True)[1] / len(pairs)
        return float(-(shares * np.log(shares)).sum())

    low, middle, high = map(entropy, (0.2, 1.0, 2.0))
    assert low < middle - 0.02
    assert middle < high - 0.2


def test_samples_have_their_seeds_prompts_and_ends(rnncli, model: Path, tmp_path: Path) -> None:
    sample = ("charlm", "sample", "--checkpoint", model)
    one, same, other = (rnncli(*sample, "--length", 80, "--seed", seed).out for seed in (1, 1, 2))
    assert one == same != other
    assert rnncli(*sample, "--length", 30, "--seed", 1).out == one[:30]
    several = rnncli(*sample, "--length", 30, "--seed", 1, "--num-samples", 3).out
    assert several.startswith(one[:30] + "\n----\n")
    assert several.count("\n----\n") == 2
    (tmp_path / "prompt.txt").write_text("The fox\n")
    from_file = rnncli(*sample, "--prompt-file", tmp_path / "prompt.txt", "--length", 5).out
    assert from_file.startswith("The fox\n")
    assert len(from_file) == 13
    records = [
        json.loads(line) for line in rnncli(*sample, "--num-samples", 2, "--length", 9, "--json").out.splitlines()
    ]
    assert [record["sample"] for record in records] == [0, 1]
    assert all(len(record["text"]) == 9 for record in records)
    assert rnncli(*sample, "--length", 0, "--prompt", "fox").out == "fox"
    assert rnncli(*sample, "--length", 20, "-o", tmp_path / "out.txt", "--seed", 1).out == ""
    assert (tmp_path / "out.txt").read_text() == one[:20]


def test_a_stop_string_ends_the_text_before_it(rnncli, model: Path) -> None:
    sample = ("charlm", "sample", "--checkpoint", model, "--prompt", "The quick")
    greedy = (*sample, "--temperature", 0, "--length", 5000)
    assert rnncli(*greedy, "--stop", " dog").out == "The quick brown fox jumps over the lazy"
    assert rnncli(*greedy, "--stop", "never", "--stop", "x j", "--no-echo").out == " brown fo"
    record = json.loads(rnncli(*greedy, "--stop", "fox", "--json").out)
    assert (record["text"], record["stopped"]) == ("The quick brown ", "fox")
    whole = rnncli(*greedy[:-1], 29, "--no-echo").out
    assert rnncli(*greedy[:-1], 29, "--no-echo", "--stop", whole[-3:] + "!").out == whole, (
        "what was held back is printed"
    )


def test_stop_strings_do_not_depend_on_how_a_text_comes_in() -> None:
    from rnncli.charlm.stops import Sample
    from rnncli.charlm.vocabulary import Vocabulary

    known = Vocabulary("chars", tuple(range(97, 123)))
    tokens = known.encode("xabcabcd")[0]
    for cut in range(1, 9):
        sample = Sample(known, ("abcd", "c", "bc"), kept=True)
        for first in range(0, len(tokens), cut):
            sample.add(tokens[first : first + cut])
        sample.end()
        assert (bytes(sample.text), sample.stopped) == (b"xa", "bc"), cut


def test_filters_and_penalty_change_the_text(rnncli, model: Path) -> None:
    sample = ("charlm", "sample", "--checkpoint", model, "--length", 60, "--temperature", 3)
    plain = rnncli(*sample).out
    greedy = rnncli(*sample[:-1], 0).out
    assert rnncli(*sample, "--top-k", 1).out == greedy
    assert rnncli(*sample, "--min-p", 1).out == greedy
    assert rnncli(*sample, "--top-p", 0.3).out != plain
    assert rnncli(*sample, "--repetition-penalty", 1.5).out != plain


def test_an_unknown_character_of_a_prompt_is_named_with_the_nearest(rnncli, model: Path) -> None:
    sample = ("charlm", "sample", "--checkpoint", model, "--length", 3, "--prompt", "The f\u00f6x")
    refused = rnncli(*sample)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        "error: the prompt has 'ö' (U+00F6 LATIN SMALL LETTER O WITH DIAERESIS) at character 6, which the model never "
        "saw; the nearest that it knows is 'o' (U+006F LATIN SMALL LETTER O); --unknown skip leaves such characters "
        "out\n"
    )
    skipped = rnncli(*sample, "--unknown", "skip")
    assert skipped.code == 0
    assert skipped.out.startswith("The fx")
    assert "warning: 1 characters of the prompt" in skipped.err


def test_evaluation_equals_a_numpy_forward_pass(rnncli, model: Path, text: Path) -> None:
    """Over the checkpoint's own validation text, as the state is carried through it."""
    from rnncli.charlm.api import load_model

    loaded = load_model(model)
    validation = text.read_text()[-468:]
    nats = numpy_surprisals(loaded, validation)
    result = rnncli("charlm", "evaluate", "--checkpoint", model)
    assert result.rows[1][:2] == ["validation", "carried"]
    assert float(result.rows[1][2]) == pytest.approx(nats.mean(), abs=1e-4)
    lines = rnncli("charlm", "evaluate", "--checkpoint", model, "--per-char", "-q").out.splitlines()
    symbols, values = zip(*(line.split("\t") for line in lines), strict=True)
    assert "".join(symbols).replace("\\n", "\n") == validation
    np.testing.assert_allclose(np.array(values, float), nats, atol=1e-4)
    document = json.loads(rnncli("charlm", "evaluate", "--checkpoint", model, "--json").out)
    carried = document["scores"]["validation"]["carried"]
    assert sum(map(float, values)) == pytest.approx(carried["loss"] * carried["characters"], rel=1e-6)
    assert document["command"] == "charlm evaluate"
    drawn = rnncli("charlm", "evaluate", "--checkpoint", model, "--plot", "-")
    assert f"of all: {nats.mean():.4g}" in drawn.err
    assert drawn.out == result.out


def test_a_dialogue_continues_each_line_and_remembers_the_text(rnncli, model, monkeypatch) -> None:
    from rnncli.charlm.api import load_model

    loaded = load_model(model)

    def written(*lines: str) -> Any:
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
        return rnncli("charlm", "sample", "--checkpoint", model, "--interactive", "--length", 12, "--seed", 5)

    first = loaded.sample("the ", 12, seed=5)
    second = loaded.sample(first + "fox", 12, seed=6, temperature=0.5)
    talk = written("the ", ":temperature 0.5", "fox")
    assert talk.out == f"{first[4:]}\n{second[len(first) + 3 :]}\n"
    forgotten = written("the ", ":reset", ":seed 5", "the ")
    assert forgotten.out == f"{first[4:]}\n" * 2
    stop = first[8:10]
    shown = first[4 : first.index(stop, 4)]
    third = loaded.sample(f"the {shown}fox", 12, seed=6)
    stopping = written(f":stop {stop}", "the ", ":stop", "fox")
    assert stopping.out == f"{shown}\n{third[len(shown) + 7 :]}\n", "what was not shown was remembered"
    assert "Ctrl-D ends" in written(":nonsense").err
    assert "--temperature: -1 is not" in written(":temperature -1").err
    assert "'hot' is not a number" in written(":temperature hot").err
    refused = rnncli("charlm", "sample", "--checkpoint", model, "--interactive", "--json")
    assert (refused.code, refused.out) == (2, "")


def numpy_surprisals(loaded, text: str) -> np.ndarray:
    """−ln p of every character by the equations of the GRU, in float64."""
    import jax
    from flax import nnx

    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), nnx.to_pure_dict(nnx.state(loaded.network)))

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    tokens = loaded.vocabulary.encode(text)[0].tolist()
    cells = params["stack"]["forward"]
    states = [np.zeros(24) for _ in cells]
    found = []
    for previous, token in zip([loaded.vocabulary.boundary, *tokens], tokens, strict=False):
        x = params["embedding"]["vectors"][previous]
        for number in range(len(states)):
            cell, h = cells[number], states[number]
            x_r, x_z, x_n = np.split(x @ cell["kernel"] + cell["bias"], 3)
            h_r, h_z, h_n = np.split(h @ cell["recurrent_kernel"] + cell["recurrent_bias"], 3)
            z = sigmoid(x_z + h_z)
            states[number] = x = (1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h
        logits = x @ params["output"]["kernel"] + params["output"]["bias"]
        found.append(np.log(np.exp(logits).sum()) - logits[token])
    return np.array(found)


def test_evaluation_of_another_text(rnncli, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("The fox said: dog?\n" * 3)
    refused = rnncli("charlm", "evaluate", other, "--checkpoint", model)
    assert refused.code == 1
    assert "other.txt' has ':' (U+003A COLON) at character 13, which the model never saw" in refused.err
    result = rnncli("charlm", "evaluate", other, "--checkpoint", model, "--unknown", "skip", "--window", 10)
    assert result.rows[1][0] == "text"
    assert [row[-1] for row in result.rows[1:]] == ["54", "54"]
    assert "cold, 10 each" in result.err
    assert "warning: 3 characters that the model never saw are left out" in result.err
    surprised = rnncli("charlm", "evaluate", other, "--checkpoint", model, "--unknown", "skip", "--per-char", "--json")
    assert len(json.loads(surprised.out)["per_char"]) == 54


def test_evaluation_finds_the_training_text_by_its_hash(rnncli, tmp_path: Path, monkeypatch) -> None:
    own, folder = tmp_path / "own.txt", tmp_path / "model"
    own.write_text(SENTENCES * 3)
    assert rnncli("charlm", "train", own, *QUICK, "--checkpoint", folder, "-q").code == 0
    assert rnncli("charlm", "evaluate", "--checkpoint", folder).code == 0
    monkeypatch.chdir(tmp_path)
    assert rnncli("charlm", "train", "./own.txt", *QUICK, "--checkpoint", folder, "-q", "--resume").code == 0
    own.write_text(SENTENCES * 4)
    changed = rnncli("charlm", "evaluate", "--checkpoint", folder)
    assert changed.code == 1
    assert "is not the text that" in changed.err
    own.unlink()
    gone = rnncli("charlm", "evaluate", "--checkpoint", folder)
    assert gone.code == 1
    assert "is not here (no such file" in gone.err
    assert "name a TEXT to evaluate" in gone.err


def test_resumed_equals_never_stopped_and_refuses_other_texts(rnncli, text: Path, tmp_path: Path) -> None:
    train = ("charlm", "train", text, *QUICK, "--epochs", 4, "-q")
    assert rnncli(*train, "--checkpoint", tmp_path / "whole").code == 0
    refused = rnncli(*train, "--checkpoint", tmp_path / "whole")
    assert refused.code == 1
    assert "already holds a checkpoint; go on with --resume, replace it with --overwrite" in refused.err
    changed = rnncli(*train, "--units", 13, "--checkpoint", tmp_path / "whole", "--resume")
    assert changed.code == 1
    assert "--units 12 → 13" in changed.err
    other = tmp_path / "other.txt"
    other.write_text(SENTENCES * 59)
    wrong = rnncli("charlm", "train", other, *train[3:], "--checkpoint", tmp_path / "whole", "--resume")
    assert wrong.code == 1
    assert "was trained on other data; resume with the same data" in wrong.err


def test_a_run_at_a_constant_rate_goes_on_for_more_epochs(rnncli, text: Path, tmp_path: Path) -> None:
    train = ("charlm", "train", text, *QUICK, "--schedule", "constant", "-q")
    assert rnncli(*train, "--epochs", 1, "--checkpoint", tmp_path / "longer").code == 0
    assert rnncli(*train, "--epochs", 3, "--checkpoint", tmp_path / "longer", "--resume").code == 0
    assert rnncli(*train, "--epochs", 3, "--checkpoint", tmp_path / "at once").code == 0
    one, other = weights(tmp_path / "longer"), weights(tmp_path / "at once")
    for name, leaf in one.items():
        np.testing.assert_array_equal(leaf, other[name], err_msg=name)


def test_a_finished_cosine_is_stretched_for_more_epochs(rnncli, text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "annealed"
    assert rnncli("charlm", "train", text, *QUICK, "--epochs", 2, "--checkpoint", folder, "-q").code == 0
    first = read_metadata(folder, "charlm")["history"]
    longer = rnncli("charlm", "train", "--resume", "--epochs", 4, "--checkpoint", folder, "--json")
    assert longer.code == 0
    assert "--epochs 4 after 2: from epoch 2 on, the cosine is stretched to them" in longer.err
    history = json.loads(longer.out)["history"]
    assert [each["epoch"] for each in history] == [1, 2, 3, 4]
    assert history[:2] == first
    assert history[3]["train"] < history[1]["train"]  # at a rate of 0, which the old cosine had reached, nothing moves
    again = rnncli("charlm", "train", "--resume", "--checkpoint", folder, "--json")
    assert json.loads(again.out)["history"] == history
    assert "stretched" not in again.err


@pytest.mark.slow  # the conductor is one, and tests/test_cli_forecast.py and tests/test_signals.py stop it
def test_sigterm_saves_and_exits_143(text: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rnncli", "charlm", "train", str(text), "--epochs", "100000"]
    command += ["--units", "16", "--checkpoint", str(tmp_path / "model")]
    alone = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}  # else it is measured first whether two are faster
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=alone) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("training:"):
                break
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert process.returncode == 143
    assert rest.splitlines()[-1].endswith("saved; go on with --resume")
    assert any(path.name.isdigit() for path in (tmp_path / "model").iterdir())


def test_a_closed_pipe_ends_at_once_and_quietly(shell, model: Path) -> None:
    begun = time.monotonic()
    result = shell(
        f"rnncli charlm sample --checkpoint {model} --length 1000000 | head -c 1000 | wc -c; exit ${{PIPESTATUS[0]}}"
    )
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "1000", "")
    assert time.monotonic() - begun < 30


def test_text_and_prompt_come_through_pipes(shell, text: Path, model: Path, tmp_path: Path) -> None:
    options = " ".join(map(str, QUICK))
    trained = shell(f"gzip -c {text} | rnncli charlm train - {options} --checkpoint piped -q", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    line = "printf 'The quick' | rnncli charlm sample --prompt - --length 6 --temperature 0 --checkpoint"
    result = shell(f"{line} {model}; rnncli charlm evaluate --checkpoint piped", cwd=tmp_path)
    assert result.stdout == "The quick brown"
    assert "was trained on standard input, which is gone; name a TEXT" in result.stderr


CHINESE = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
ODD = {
    "50 characters": "To be, or not to be, that is the question: Whether",
    "one character": "a" * 400,
    "Chinese": CHINESE,
    "emoji and marks": "e\u0301a\u0308 \U0001f469\u200d\U0001f680\U0001f1e9\U0001f1ea " * 60,
    "CRLF": "one\r\ntwo\r\n\r\n" * 40,
    "NUL": "a\0b\x1b[31m\x07\t" * 60,
    "BOM": "\ufeffmarked text, marked text " * 20,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_texts_train_and_their_samples_are_of_their_alphabet(rnncli, tmp_path: Path, name: str) -> None:
    source, folder = tmp_path / "odd.txt", tmp_path / "model"
    source.write_bytes(ODD[name].encode())
    trained = rnncli("charlm", "train", source, *QUICK, "--checkpoint", folder)
    assert trained.code == 0, trained.err
    sampled = rnncli("charlm", "sample", "--checkpoint", folder, "--length", 70, "--temperature", 2, "--json")
    said = json.loads(sampled.out)["text"]
    assert len(said) == 70
    assert set(said) <= set(ODD[name])
    if name != "Chinese":  # of characters that stand there once nine tenths are validated by others, never seen
        evaluated = rnncli("charlm", "evaluate", source, "--checkpoint", folder, "--per-char", "-q")
        assert len(evaluated.out.splitlines()) == len(ODD[name].removeprefix("\ufeff"))


def test_bytes_and_documents(rnncli, tmp_path: Path) -> None:
    source, folder = tmp_path / "names.txt", tmp_path / "model"
    source.write_text("Ämilie\nBörje\n" * 100)
    raw = rnncli("charlm", "train", source, *QUICK, "--vocabulary", "bytes", "--checkpoint", folder)
    assert "1,500 bytes, 256 different" in raw.err
    out = tmp_path / "out.txt"
    rnncli("charlm", "sample", "--checkpoint", folder, "--prompt", "Ä", "--length", 50, "--temperature", 3, "-o", out)
    assert out.read_bytes().startswith("Ä".encode())
    assert len(out.read_bytes()) == 52
    divided = rnncli("charlm", "train", source, *QUICK, "--separator", "\n", "--checkpoint", folder, "--overwrite")
    assert "in 200 documents" in divided.err
    sampled = rnncli("charlm", "sample", "--checkpoint", folder, "--length", 300, "--temperature", 2).out
    assert "\n" in sampled


def test_without_a_text_it_is_tiny_shakespeare(rnncli, tmp_path: Path, shared_data: Path, monkeypatch) -> None:
    monkeypatch.setattr("rnncli.charlm.score._STREAM", 2**11)  # so that many parts are scored at once
    monkeypatch.setattr("rnncli.charlm.task._SCORED_MOST", 2**12)
    tiny = ("--units", 2, "--layers", 1, "--embedding", 2, "--epochs", 1, "--window", 20, "--batch-size", 100)
    result = rnncli("charlm", "train", *tiny, "--data-dir", shared_data / "tfds", "--checkpoint", tmp_path / "model")
    assert result.code == 0, result.err
    assert "1,115,394 characters, 65 different; the first 1,003,854 train, the last 111,540 validate" in result.err
    assert [row[-1] for row in result.rows[1:3]] == ["111540", "111540"]


BAD_SAMPLES = [
    (["--checkpoint", "{none}"], 1, "no checkpoint in '.*'; make one with 'rnncli charlm train"),
    (["--checkpoint", "{text}"], 1, "is a file, not a checkpoint folder"),
    (["--temperature", "-1"], 2, "-1 is not at least 0"),
    (["--top-p", "0"], 2, "0 is not above 0 and at most 1"),
    (["--prompt", "a", "--prompt-file", "{text}"], 2, "choose one"),
    (["--prompt-file", "{none}"], 1, "no such file"),
    (["--length", "-5"], 2, "-5 is not at least 0"),
    (["--output", "{none}/out.txt"], 1, "there is no folder"),
]
WILD = ("--learning-rate", "1e30", "--clip", "0", "--epochs", "2")
BAD_TRAININGS = [
    (["{none}"], 1, "no such file: '.*'"),
    (["{text}", "--encoding", "klingon"], 2, "'klingon' is no text encoding"),
    (["{text}", "--encoding", "rot13"], 2, "'rot13' is no text encoding"),
    (["a text itself, not its name. " * 20], 1, "cannot read 'a text itself"),
    (["{text}", "--validation-fraction", "0.9"], 2, "0.9 is not above 0 and at most 0.5"),
    (["{text}", "--tied", "--embedding", "0"], 2, "--tied makes the embedding"),
    (["{text}", "--resume", "--overwrite"], 2, "choose one"),
    (["{text}", "--log", "{none}/log.jsonl"], 1, "there is no folder"),
    (["{text}", *WILD, "--units", "4"], 1, "the loss is not a number after step"),
]


@pytest.mark.parametrize(
    ("verb", "options", "code", "message"),
    [("sample", *each) for each in BAD_SAMPLES] + [("train", *each) for each in BAD_TRAININGS],
)
def test_bad_input_gets_one_line(
    rnncli, text: Path, model: Path, tmp_path: Path, verb: str, options: list[str], code: int, message: str
) -> None:
    options = [option.format(none=tmp_path / "none", text=text) for option in options]
    if "--checkpoint" not in options:
        options += ["--checkpoint", str(model if verb == "sample" else tmp_path / "model")]
    result = rnncli("charlm", verb, *options, "-q")
    assert (result.code, result.out) == (code, ""), result.err
    assert re.search(message, result.err)
    assert result.err.count("\n") == 1
    assert not (tmp_path / "none").exists()
