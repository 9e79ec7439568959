"""What may be larger than memory: arrays and texts that go to a temporary file, and what is made of them in blocks."""

import errno
import os
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli import spool
from rnncli.errors import DataError
from rnncli.files import peeked
from rnncli.sentiment import text as texts_module
from rnncli.sentiment.kept import Chosen, Kept
from rnncli.sentiment.records import read_labelled
from rnncli.sentiment.settings import Columns, SentimentSettings
from rnncli.sentiment.text import Vocabulary, split_all
from rnncli.spool import Spool
from rnncli.tables import reading

ANY_TEXT = st.text(st.characters(codec=None), max_size=9)  # half characters, too


@given(st.lists(st.lists(st.integers(0, 2**16 - 1), max_size=9), max_size=9), st.integers(0, 40))
def test_numbers_come_back_from_memory_and_from_a_file(pieces: list[list[int]], in_memory: int) -> None:
    kept = Spool(np.uint16, in_memory)
    for piece in pieces:
        kept.put(np.array(piece, int))
    numbers = [number for piece in pieces for number in piece]
    array = kept.array()
    assert (len(kept), array.dtype, array.tolist()) == (len(numbers), np.uint16, numbers)
    assert isinstance(array.base, np.memmap) == (2 * len(numbers) > in_memory)


def test_a_full_folder_of_temporary_files_is_told(monkeypatch) -> None:
    kept = Spool(np.uint8, 0)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", full)
    with pytest.raises(DataError, match="cannot write .* No space left on device; set TMPDIR to a folder with room"):
        kept.put(b"abc")


@pytest.mark.parametrize("ending", ["spool.array()", "del spool"])
def test_a_disk_that_fills_is_told_once_whoever_notices(ending: str, tmp_path: Path) -> None:
    script = f"""
import resource, signal, numpy as np
from rnncli.errors import DataError
from rnncli.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
spool = Spool(np.uint8, 1)
try:
    for _ in range(2**16 + 10 if "array" in "{ending}" else 2**20):
        spool.put(b"a")
    {ending if "array" in ending else "pass"}
except DataError as error:
    print(error)
{ending if "del" in ending else ""}
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    told = f"cannot write what was read to '{tmp_path}': File too large; set TMPDIR to a folder with room\n"
    assert (done.stdout, done.stderr) == (told, "")


@given(st.lists(ANY_TEXT, max_size=9), st.data())
def test_texts_come_back(texts: list[str], data: st.DataObject) -> None:
    kept = Kept(texts)
    assert list(kept) == texts
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=5) if texts else st.just([]))
    some = Chosen(kept, np.array(rows, int))
    assert [some[place] for place in range(len(some))] == [texts[row] for row in rows]
    assert some[1:] == [texts[row] for row in rows][1:]


@pytest.mark.parametrize("cut", ["head", "tail", "both"])
def test_blocks_and_files_change_nothing(cut: str, monkeypatch) -> None:
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(list("abcdefgh"), generator.integers(0, 30))) for _ in range(100)]
    settings = SentimentSettings(max_words=7, cut=cut, vocabulary_size=6, oov_buckets=0, min_count=1)

    def made() -> list[object]:
        words = split_all(texts, settings)
        short = words.cut(settings)
        vocabulary = Vocabulary.of(short, settings)
        numbers = vocabulary.encode(short)
        return [words.counts.tolist(), vocabulary.words, numbers.flat.tolist(), numbers.starts.tolist()]

    whole = made()
    monkeypatch.setattr(texts_module, "_TEXTS", 3)
    monkeypatch.setattr(spool, "_IN_MEMORY", 16)
    assert made() == whole


def test_labelled_texts_take_little_memory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(spool, "_IN_MEMORY", 2**16)
    monkeypatch.setattr(reading, "_BLOCK", 1000)
    count, words = 60_000, "some words of a text that says nothing at all and goes on for a while " * 3
    path = tmp_path / "texts.csv"
    rows = "".join(f"{words}{number % 99},{'ab'[number % 2]}\n" for number in range(count))
    path.write_text("text,label\n" + rows)
    settings = SentimentSettings(max_words=20)
    small = tmp_path / "small.csv"
    small.write_text("text,label\nx,a\ny,b\n")
    read_labelled(str(small), Columns())  # what is imported once counts no more
    tracemalloc.start()
    try:
        labelled = read_labelled(str(path), Columns())
        split = split_all(labelled.texts, settings)
        numbers = Vocabulary.of(split, settings).encode(split.cut(settings))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert labelled.texts[count - 1] == f"{words}{(count - 1) % 99}"
    assert len(numbers) == count
    assert numbers.flat.nbytes == 4 * 20 * count
    assert peak < len(rows)  # a block, and some bytes a text; with all in memory it was 12 times as much


@pytest.mark.parametrize(("pieces", "taken"), [([b"a\n"], 1), ([b"\x1f", b"\x8b", b"x"], 2), ([b"", b"B", b"a"], 3)])
def test_no_more_is_waited_for_than_tells_what_it_is(pieces: list[bytes], taken: int) -> None:
    """A pipe may give a short line, and the next one much later."""
    given = iter(pieces)
    head, blocks = peeked(given, telling=(b"\x1f\x8b", b"BZh"))
    assert head == b"".join(pieces[:taken])
    assert list(given) == pieces[taken:]
    assert list(blocks) == pieces[:taken]
