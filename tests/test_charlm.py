"""The parts of the character language model: text to tokens, batches, network, scores, sampling."""

import gzip
import io
import math
from pathlib import Path
from typing import Any

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from rnncli.charlm.batches import Streams, Text, Windows
from rnncli.charlm.corpus import _split, read_corpus
from rnncli.charlm.defaults import for_text
from rnncli.charlm.drawing import Drawing
from rnncli.charlm.model import CharModel, surprisals
from rnncli.charlm.sample import Sampler, draw, filtered, penalised
from rnncli.charlm.score import Scorer
from rnncli.charlm.settings import CharlmSettings
from rnncli.charlm.shakespeare import read_tiny_shakespeare, write_tiny_shakespeare
from rnncli.charlm.vocabulary import Vocabulary
from rnncli.errors import DataError, ParameterError
from rnncli.nn.cells import GRUCell
from rnncli.nn.dropout import DropoutKey
from rnncli.nn.layers import looked_up
from rnncli.nn.recurrence import unroll

TINY = CharlmSettings(units=8, embedding=5, layers=2)


def counting(size: int) -> Text:
    """A text in which each token tells its place; the boundary is 60,000."""
    return Text(np.arange(size, dtype=np.uint16), 60_000)


def vocabulary(symbols: str = "\nabcdefgh ", **changes) -> Vocabulary:
    return Vocabulary("chars", tuple(sorted(map(ord, symbols))), **changes)


# text to tokens


def test_lower_case_does_not_depend_on_where_a_text_is_cut() -> None:
    reading = CharlmSettings(lowercase=True)
    whole = "\u0391\u03a3\u0391 \u0391\u03a3 \u0130B"
    for size in range(1, len(whole)):
        pieces = [whole[place : place + size].encode() for place in range(0, len(whole), size)]
        corpus = read_corpus(["a"], reading, read=lambda _, pieces=pieces: pieces)
        assert corpus.vocabulary.text(corpus.tokens) == "\u03b1\u03c3\u03b1 \u03b1\u03c3 i\u0307b"


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=1))
def test_what_is_encoded_decodes_to_the_same(text: str) -> None:
    known = Vocabulary("chars", tuple(sorted({ord(char) for char in text})))
    assert known.text(known.encode(text)[0]) == text
    assert Vocabulary.from_dict(known.as_dict()) == known
    raw = Vocabulary("bytes", tuple(range(256)))
    assert raw.text(raw.encode(text)[0]) == text


@given(st.text(alphabet="ab-"), st.text(alphabet="-a", min_size=1, max_size=3), st.integers(1, 4))
def test_a_separator_is_found_wherever_blocks_are_cut(text: str, separator: str, size: int) -> None:
    blocks = (text[first : first + size] for first in range(0, len(text), size))
    joined = [""]
    for parts in _split(blocks, separator):
        joined[-1] += parts[0]
        joined += parts[1:]
    assert joined == text.split(separator)


def read(content: bytes, tmp_path: Path, **how) -> "object":
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    return read_corpus([str(path)], CharlmSettings(**how))


@pytest.mark.parametrize(
    ("content", "how", "decoded"),
    [
        (b"plain", {}, "plain"),
        ("\ufeffmarked".encode(), {}, "marked"),
        (b"one\r\ntwo\r\n", {}, "one\r\ntwo\r\n"),
        (b"nul\0 and \x1b", {}, "nul\0 and \x1b"),
        ("e\u0301 \U0001f469\u200d\U0001f680".encode(), {}, "e\u0301 \U0001f469\u200d\U0001f680"),
        ("ÄÖ".encode("latin-1"), {"encoding": "latin-1"}, "ÄÖ"),
        ("ÄÖ".encode("utf-16"), {"encoding": "utf-16"}, "ÄÖ"),
        ("ABC Ä".encode(), {"lowercase": True}, "abc ä"),
        ("Ä".encode(), {"vocabulary": "bytes"}, "Ä"),
        (gzip.compress(b"packed", mtime=0), {}, "packed"),
        (b"one;two;;three;", {"separator": ";"}, "one;two;three"),
        (b"oneENDtwoEND", {"separator": "END", "lowercase": True}, "oneENDtwo"),
        ("É".encode(), {"vocabulary": "bytes", "lowercase": True}, "É"),
    ],
)
def test_a_text_is_read_to_the_letter(content: bytes, how: dict, decoded: str, tmp_path: Path) -> None:
    corpus = read(content, tmp_path, **how)
    assert corpus.vocabulary.text(corpus.tokens) == decoded
    assert list(corpus.vocabulary.symbols) == sorted(corpus.vocabulary.symbols)


def test_tokens_are_as_small_as_they_can_be(tmp_path: Path) -> None:
    assert read(b"abc", tmp_path).tokens.dtype == np.uint8
    chinese = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    assert read(chinese.encode(), tmp_path).tokens.dtype == np.uint16


def test_files_and_folders_are_documents_in_sorted_order(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.txt").write_text("second")
    (folder / "a.txt").write_text("first")
    (folder / "sub" / "c.txt.gz").write_bytes(gzip.compress(b"third"))
    (folder / "picture.png").write_bytes(b"\x89PNG\0\0")
    (folder / ".hidden").write_text("never")
    said: list[str] = []
    corpus = read_corpus([str(folder)], CharlmSettings(), say=said.append)
    assert corpus.vocabulary.text(corpus.tokens) == "first\nsecond\nthird"
    assert corpus.documents == 3
    assert corpus.vocabulary.documents
    boundaries = np.flatnonzero(corpus.tokens == corpus.vocabulary.boundary)
    assert boundaries.tolist() == [5, 12]
    assert "1 files" in said[0]
    assert "picture.png" in said[0]


def test_bad_bytes_are_told_with_file_offset_and_remedy(tmp_path: Path) -> None:
    content = b"x" * 100_000 + b"\xe9" + b"y" * 10
    with pytest.raises(
        DataError, match=r"text.txt' is not UTF-8: byte 0xE9 at offset 100,000 .*`encoding`.*`vocabulary`"
    ):
        read(content, tmp_path)
    with pytest.raises(DataError, match="is not UTF-16: .*BOM"):
        read(b"no mark here", tmp_path, encoding="utf-16")
    with pytest.raises(DataError, match="surrogates"):
        read(b"+2AA-", tmp_path, encoding="utf-7")
    with pytest.raises(DataError, match="offset 3 .*unexpected end"):
        read(b"abc" + "é".encode()[:1], tmp_path)
    assert len(read(content, tmp_path, vocabulary="bytes")) == len(content)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is empty"):
        read(b"", tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_corpus(["nowhere.txt"], CharlmSettings())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no text file in it"):
        read_corpus([str(tmp_path / "empty")], CharlmSettings())
    with pytest.raises(DataError, match="2 characters are too few: at least 2 train and 1 validates"):
        read(b"ab", tmp_path).parts(0.1)


def test_what_a_command_writes_itself_is_no_part_of_a_folders_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    step = tmp_path / "checkpoints/charlm/3"
    step.mkdir(parents=True)
    (step / "_CHECKPOINT_METADATA").write_text("{}")
    (tmp_path / "log.jsonl").write_text("{}")
    corpus = read_corpus([str(tmp_path)], CharlmSettings(), except_for=[tmp_path / "log.jsonl"])
    assert corpus.vocabulary.text(corpus.tokens) == "text"


def test_a_known_vocabulary_names_what_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text("abc \u00e9X")
    known = vocabulary("abce x")
    with pytest.raises(DataError, match=r"other.txt' has 'é' \(U\+00E9 .*\) at character 5, .* nearest .* 'e'"):
        read_corpus([str(path)], CharlmSettings(), vocabulary=known)
    corpus = read_corpus([str(path)], CharlmSettings(), vocabulary=known, skip_unknown=True)
    assert (known.text(corpus.tokens), corpus.left_out) == ("abc ", 2)
    path.write_text("abc;;abZ")
    with pytest.raises(DataError, match="at character 8,"):
        read_corpus([str(path)], CharlmSettings(separator=";"), vocabulary=known)
    path.write_text("ZZZ")
    with pytest.raises(DataError, match="has no character that the model knows"):
        read_corpus([str(path)], CharlmSettings(), vocabulary=known, skip_unknown=True)


@pytest.mark.parametrize(("char", "nearest"), [("Q", "q"), ("é", "e"), ("É", "e"), ("“", '"'), ("ﬁ", "f"), ("—", "-")])
def test_the_nearest_symbol_is_one_that_a_person_would_take(char: str, nearest: str) -> None:
    assert vocabulary('abcdefq".-!\n ').nearest(ord(char)) == ord(nearest)


def test_the_same_text_has_the_same_digest(tmp_path: Path) -> None:
    one, same, other = read(b"text one", tmp_path), read(b"text one", tmp_path), read(b"text two", tmp_path)
    assert one.digest == same.digest != other.digest


def test_the_standard_split(shared_data: Path) -> None:
    corpus = read_corpus([str(shared_data / "tinyshakespeare/input.txt")], CharlmSettings())
    training, validation = corpus.parts(0.1)
    assert (len(training), len(validation), len(corpus.vocabulary.symbols)) == (1_003_854, 111_540, 65)


def test_tiny_shakespeare_is_read_from_and_written_for_tfds(shared_data: Path, tmp_path: Path, monkeypatch) -> None:
    import sys

    text = (shared_data / "tinyshakespeare/input.txt").read_bytes()
    assert b"".join(read_tiny_shakespeare(shared_data / "tfds")) == text
    write_tiny_shakespeare(text, tmp_path)
    assert b"".join(read_tiny_shakespeare(tmp_path)) == text
    assert "tensorflow" not in sys.modules

    def unreachable(*_, **__):
        raise OSError("no route")

    (tmp_path / "tf/tiny_shakespeare/1.0.0").mkdir(parents=True)
    with pytest.raises(DataError, match="not in the form of array_record"):
        list(read_tiny_shakespeare(tmp_path / "tf"))
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(
        DataError, match=r"could not be fetched \(no route\); name a TEXT, or a --data-dir .* download https"
    ):
        list(read_tiny_shakespeare(tmp_path / "other"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(b"something else"))
    with pytest.raises(DataError, match="is not tiny_shakespeare"):
        list(read_tiny_shakespeare(tmp_path / "other"))


# batches


def test_a_text_begins_with_its_boundary() -> None:
    np.testing.assert_array_equal(counting(10).windows(np.array([0, 4]), 3), [[60_000, 3], [0, 4], [1, 5], [2, 6]])


@given(st.integers(4, 500), st.integers(1, 8), st.integers(1, 20), st.integers(0, 3))
def test_streams_go_on_from_batch_to_batch_and_never_overlap(size: int, batch: int, window: int, epoch: int) -> None:
    window = min(window, size)
    batch = min(batch, size // window)
    streams = Streams(counting(size), batch, window, 0, chunk=10_000)
    arrays, steps = streams(epoch * streams.steps_per_epoch)
    assert steps == streams.steps_per_epoch >= 1
    targets = arrays[:, 1:].transpose(2, 0, 1).reshape(batch, -1)  # a row a stream
    assert (np.diff(targets.astype(int), axis=1) == 1).all()
    assert len(np.unique(targets)) == targets.size
    if epoch == 0:
        assert targets[0, 0] == 0
        assert arrays[0, 0, 0] == 60_000
    np.testing.assert_array_equal(arrays[1:, 0], arrays[:-1, -1])


def test_streams_are_shifted_from_epoch_to_epoch() -> None:
    streams = Streams(counting(10_000), 4, 50, 0, chunk=10)
    shifts = {int(streams.starts(epoch, 0, 1)[0, 1]) for epoch in range(20)}
    assert len(shifts) > 10
    assert max(shifts) - min(shifts) < 50


@pytest.mark.parametrize("size", [45, 100, 500, 2000, 10_000])
def test_no_part_of_a_text_is_left_out_in_every_epoch(size: int) -> None:
    settings = for_text({}, size)
    streams = Streams(counting(size), settings.batch_size, settings.window, 0, chunk=10_000)
    seen = np.zeros(size, bool)
    for epoch in range(min(settings.epochs, 400)):
        arrays, steps = streams(epoch * streams.steps_per_epoch)
        seen[arrays[:steps, 1:].ravel()] = True
    assert seen.mean() > 0.99


def test_windows_cover_every_offset_once_in_as_many_epochs_as_a_window_is_long() -> None:
    windows = Windows(counting(61), 3, 7, 0, chunk=100)
    seen = []
    for epoch in range(7):
        arrays, steps = windows(epoch * windows.steps_per_epoch)
        starts = arrays[:steps, 1].ravel()
        assert len(set(starts % 7)) == 1, "windows of an epoch do not overlap"
        seen += sorted(set(starts.tolist()))
    assert sorted(seen) == list(range(55 - 55 % 7)) or sorted(seen) == list(range(len(seen)))
    assert len(seen) >= 49


@pytest.mark.parametrize("kind", [Streams, Windows])
@pytest.mark.parametrize("chunk", [1, 3])
def test_the_cut_into_dispatches_changes_no_batch(kind, chunk: int) -> None:
    whole, cut = kind(counting(500), 4, 9, 1, chunk=1000), kind(counting(500), 4, 9, 1, chunk=chunk)
    pieces, step = [], 2 * whole.steps_per_epoch
    while step < 3 * whole.steps_per_epoch:
        arrays, steps = cut(step)
        pieces.append(arrays[:steps])
        step += steps
    np.testing.assert_array_equal(np.concatenate(pieces), whole(2 * whole.steps_per_epoch)[0])


def test_the_configuration_fits_the_text() -> None:
    usual = for_text({}, 1_003_854)
    assert (usual.window, usual.batch_size, usual.epochs) == (64, 64, CharlmSettings.epochs)
    small = for_text({}, 45)
    assert 2 * small.window <= 45
    assert small.batch_size * small.window <= 45
    assert for_text({}, 100_000_000).epochs == 1
    assert for_text({"epochs": 7}, 45).epochs == 7
    assert for_text({}, 10**6, "lecture").epochs == 2000
    assert for_text({"stateful": True}, 10**6, "lecture").epochs == 50
    with pytest.raises(ParameterError, match="`tied`"):
        for_text({"tied": True, "embedding": 0}, 100)


# the network


@pytest.fixture(scope="module")
def network() -> CharModel:
    return CharModel(TINY, 11, rngs=nnx.Rngs(3))


@pytest.mark.parametrize(
    "changes", [{}, {"embedding": 0}, {"tied": True}, {"tied": True, "embedding": 8}, {"cell": "lstm"}]
)
def test_a_step_is_a_call_with_one_step(changes: dict) -> None:
    model = CharModel(CharlmSettings(**{"units": 8, "embedding": 5, **changes}), 11, rngs=nnx.Rngs(3))
    tokens = jnp.array([[1, 2], [3, 10], [0, 4]], jnp.uint8)
    whole, last = model(tokens)
    for projected in (None, model.projected_symbols()):
        carries = model.initial_carries(2)
        for number, row in enumerate(tokens):
            logits, carries = model.step(row, carries, projected)
            np.testing.assert_allclose(logits, whole[number], atol=1e-5)
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5), carries, last)
    assert whole.shape == (3, 2, 11)


@pytest.mark.parametrize("embedding", [0, 5])
def test_symbols_projected_once_give_the_loss_and_the_gradients_of_vectors(embedding: int) -> None:
    model = CharModel(CharlmSettings(units=8, embedding=embedding), 11, rngs=nnx.Rngs(3))
    graph, params = nnx.split(model)
    windows = jax.random.randint(jax.random.key(0), (2, 9, 6), 0, 11).astype(jnp.uint8)

    def of_vectors(params: Any, window: jax.Array) -> jax.Array:
        model = nnx.merge(graph, params)
        hidden, _ = model.stack(model.embedding(window[:-1]))
        return surprisals(model.output(hidden), window[1:]).mean()

    def as_trained(params: Any, window: jax.Array) -> jax.Array:
        return nnx.merge(graph, params).loss(window, None, None)[0]

    for window in (windows[0], windows[1][:3, :1]):  # many places, and fewer than symbols
        wanted, got = (jax.jit(jax.value_and_grad(loss))(params, window) for loss in (of_vectors, as_trained))
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-6), got, wanted)


def test_inputs_are_dropped_from_however_often_a_symbol_stands_in_a_batch() -> None:
    settings = CharlmSettings(
        units=8, embedding=5, dropout=0.0, input_dropout=0.5, output_dropout=0.0, kernel_dropout=0.0
    )
    model, tokens = CharModel(settings, 11, rngs=nnx.Rngs(3)), jnp.ones((9, 6), jnp.uint8)
    one, other = (model(tokens, None, DropoutKey.of_batch(jax.random.key(seed), 6))[0] for seed in (1, 2))
    assert not np.allclose(one, other)
    with pytest.raises(ValueError, match="projected already"):
        model.stack(looked_up(model.projected_symbols(), tokens), key=DropoutKey.of_batch(jax.random.key(1), 6))


def test_dropout_needs_a_key_and_a_kernel_mask_is_a_masked_kernel(network: CharModel) -> None:
    tokens = jnp.ones((3, 2), jnp.uint8)
    np.testing.assert_array_equal(network(tokens)[0], network(tokens)[0])
    one, other = (network(tokens, None, DropoutKey.of_batch(jax.random.key(seed), 2))[0] for seed in (1, 2))
    assert not np.allclose(one, other)
    cell = GRUCell(4, 6, rngs=nnx.Rngs(0))
    x, mask = jax.random.normal(jax.random.key(0), (5, 2, 4)), jnp.ones((6, 18)).at[2, 3].set(0.0)
    masked = unroll(cell, x, kernel_dropout=mask)[0]
    cell.recurrent_kernel[...] = cell.recurrent_kernel[...] * mask
    np.testing.assert_allclose(masked, unroll(cell, x)[0], rtol=1e-6)


# scores


def test_carried_and_cold_are_what_a_loop_over_steps_gives(network: CharModel) -> None:
    rng = np.random.default_rng(0)
    text = Text(rng.integers(0, 10, 50).astype(np.uint8), 10)
    scorer, params = Scorer(network), nnx.state(network, nnx.Param)

    def by_hand(window: int) -> list[float]:
        nats, previous = [], np.concatenate([[10], text.tokens[:-1]])
        for place, (token, target) in enumerate(zip(previous, text.tokens, strict=True)):
            if place % window == 0:
                carries = network.initial_carries(1)
            logits, carries = network.step(jnp.array([token]), carries)
            nats.append(-float(jax.nn.log_softmax(logits)[0, target]))
        return nats

    np.testing.assert_allclose(scorer.carried(params, text).nats, by_hand(50), atol=1e-5)
    np.testing.assert_allclose(scorer.cold(params, text, 8).nats, by_hand(8), atol=1e-5)
    metrics = scorer.cold(params, text, 8).metrics()
    assert metrics["loss"] == pytest.approx(np.mean(by_hand(8)), abs=1e-5)
    assert metrics["bpc"] == pytest.approx(metrics["loss"] / math.log(2))
    assert metrics["perplexity"] == pytest.approx(math.exp(metrics["loss"]))
    assert 0 <= metrics["accuracy"] <= 1


def test_scores_in_small_pieces_are_the_same(network: CharModel, monkeypatch) -> None:
    text = Text(np.random.default_rng(2).integers(0, 10, 300).astype(np.uint8), 10)
    params = nnx.state(network, nnx.Param)
    usual = Scorer(network)
    monkeypatch.setattr("rnncli.charlm.score._NUMBERS", 40 * (11 + 64))  # forty characters at a time
    small = Scorer(network)
    for scored in (lambda scorer: scorer.carried(params, text), lambda scorer: scorer.cold(params, text, 90)):
        np.testing.assert_allclose(scored(small).nats, scored(usual).nats, atol=1e-5)


def test_streams_with_a_warm_up_give_the_scores_of_one_pass(network: CharModel) -> None:
    text = Text(np.random.default_rng(1).integers(0, 10, 3001).astype(np.uint8), 10)
    scorer, params = Scorer(network), nnx.state(network, nnx.Param)
    one = scorer.carried(params, text, streams=1)
    several = scorer.carried(params, text, streams=7, warm_up=600)
    np.testing.assert_allclose(several.nats, one.nats, atol=1e-4)
    np.testing.assert_array_equal(several.hit, one.hit)


# sampling

LOGITS = jnp.array([[2.0, 1.0, 0.5, 0.0, -1.0, -3.0]])


def test_draws_follow_the_softmax() -> None:
    """χ² of 100,000 draws, 5 degrees of freedom: 20.5 is passed once in a thousand."""
    noise = jax.random.gumbel(jax.random.key(0), (100_000, 6))
    for temperature in (0.5, 1.0, 2.0):
        drawn = draw(jnp.tile(LOGITS, (100_000, 1)), noise, Drawing(temperature=temperature))
        counts = np.bincount(drawn, minlength=6)
        expected = 100_000 * np.asarray(jax.nn.softmax(LOGITS[0] / temperature))
        assert (np.square(counts - expected) / expected).sum() < 20.5


def test_filters_keep_what_they_say() -> None:
    def kept(**how) -> list[int]:
        return np.flatnonzero(np.isfinite(filtered(LOGITS, Drawing(**how))[0])).tolist()

    probabilities = np.asarray(jax.nn.softmax(LOGITS[0]))
    assert kept() == [0, 1, 2, 3, 4, 5]
    assert kept(top_k=2) == [0, 1]
    assert kept(top_k=99) == [0, 1, 2, 3, 4, 5]
    assert kept(top_p=float(probabilities[0]) - 0.01) == [0]
    assert kept(top_p=float(probabilities[:2].sum()) + 0.01) == [0, 1, 2]
    assert kept(top_p=1e-9) == [0]
    assert kept(min_p=1.0) == [0]
    assert kept(min_p=math.exp(-1.6)) == [0, 1, 2]
    assert kept(min_p=math.exp(-1.6), temperature=0.5) == [0]
    assert kept(top_k=3, top_p=0.5) == [0]
    assert filtered(LOGITS, Drawing(temperature=1e-38))[0].argmax() == 0


def test_a_repetition_penalty_lowers_recent_symbols_but_not_exempt_ones() -> None:
    recent = jnp.array([[-1, 0, 5, 1]])
    exempt = jnp.array([False, True, False, False, False, False])
    np.testing.assert_allclose(penalised(LOGITS, recent, 2.0, exempt)[0], [1.0, 1.0, 0.5, 0.0, -1.0, -6.0])


def tokens_of(sampler: Sampler, prompt: str, length: int, **how) -> np.ndarray:
    encoded, _ = vocabulary().encode(prompt)
    parts = list(sampler.sample(encoded, length, **how))
    return np.concatenate(parts) if parts else np.zeros((0, how.get("samples", 1)), int)


def test_the_same_seed_gives_the_same_text_however_it_is_cut(network: CharModel, monkeypatch) -> None:
    sampler = Sampler(network, vocabulary())
    whole = tokens_of(sampler, "abc", 90, samples=3, seed=5)
    assert whole.shape == (90, 3)
    np.testing.assert_array_equal(tokens_of(sampler, "abc", 40, samples=3, seed=5), whole[:40])
    np.testing.assert_array_equal(tokens_of(sampler, "abc", 90, samples=1, seed=5), whole[:, :1])
    shared = tokens_of(sampler, "abc", 90, samples=16, seed=5)  # by two devices
    monkeypatch.setattr("rnncli.charlm.sample.possible", lambda samples: [1])
    np.testing.assert_array_equal(tokens_of(Sampler(network, vocabulary()), "abc", 90, samples=16, seed=5), shared)
    assert (tokens_of(sampler, "abc", 90, samples=1, seed=6) != whole[:, :1]).any()
    assert (whole[:, 0] != whole[:, 1]).any()
    monkeypatch.setattr("rnncli.charlm.sample._CHUNK", 7)
    np.testing.assert_array_equal(tokens_of(Sampler(network, vocabulary()), "abc", 90, samples=3, seed=5), whole)


def test_greedy_takes_the_likeliest_each_time(network: CharModel) -> None:
    known = vocabulary()
    said = tokens_of(Sampler(network, known, Drawing(temperature=0)), "ab", 12)[:, 0]
    carries, wanted = network.initial_carries(1), []
    for token in [known.boundary, *known.encode("ab")[0].tolist()]:
        logits, carries = network.step(jnp.array([token]), carries)
    for _ in range(12):
        wanted.append(int(logits[0, : known.boundary].argmax()))  # a model of one document never says a boundary
        logits, carries = network.step(jnp.array(wanted[-1:]), carries)
    assert said.tolist() == wanted


def test_a_boundary_is_said_only_by_models_of_several_documents(network: CharModel) -> None:
    for documents in (False, True):
        known = vocabulary(documents=documents)
        said = tokens_of(Sampler(network, known), "", 300, samples=4)
        assert (said == known.boundary).any() == documents


@hypothesis.settings(deadline=None, max_examples=5)
@given(st.integers(0, 40), st.integers(0, 40))
def test_as_many_symbols_as_were_asked_for(prompt: int, length: int) -> None:
    model = CharModel(CharlmSettings(units=4, embedding=2, layers=1), 11, rngs=nnx.Rngs(0))
    assert tokens_of(Sampler(model, vocabulary()), "a" * prompt, length).shape == (length, 1)
