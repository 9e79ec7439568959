"""From texts to numbers: cleaning, splitting, cutting, vocabulary, padding."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.sentiment.batches import Bucketed, padded_lengths
from rnncli.sentiment.settings import SentimentSettings
from rnncli.sentiment.text import Ragged, Vocabulary, Words, split, split_all

DEFAULT = SentimentSettings()
LECTURE = SentimentSettings(**SentimentSettings.presets["lecture"])

TEXTS = st.lists(st.text(alphabet="ab c'.", max_size=30), max_size=12)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("This movie was faaaaaantastic", "This movie was faaaaaantastic"),
        ("It's<br /><br />good, 10/10 - isn't it?", "It's good isn't it"),
        ("a" * 298 + " bcd", "a" * 298 + " b"),
        ("", ""),
    ],
)
def test_the_lectures_cleaning(text: str, words: str) -> None:
    assert split(text, LECTURE) == words.split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't LIKE it.", "i do n't like it ."),
        ("The film's end: can\u2019t wait!", "the film 's end : ca n't wait !"),
        ("one<br/>two<BR />three", "one two three"),
        ("snake_case 3.5 stars", "snake _ case 3 . 5 stars"),
        ("很好 very\u3042", "很 好 very \u3042"),
        ("\x00\x1b[0m\t ok", "\x00 \x1b [ 0m ok"),
        ("\u00e9t\u00e9 Stra\u00dfe", "\u00e9t\u00e9 stra\u00dfe"),
        ("e\u0301te\u0301 x\u0308y", "\u00e9t\u00e9 \u1e8dy"),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u0639\u064e\u0631\u064e\u0628",
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u0639\u064e\u0631\u064e\u0628",
        ),
        ("  \n ", ""),
    ],
)
def test_words_clitics_and_signs(text: str, words: str) -> None:
    assert split(text, DEFAULT) == words.split(" ") if words else split(text, DEFAULT) == []


def test_case_and_punctuation_are_options() -> None:
    text = "Well, I don't!"
    assert split(text, replace(DEFAULT, case="keep")) == ["Well", ",", "I", "do", "n't", "!"]
    assert split(text, replace(DEFAULT, punctuation="drop")) == ["well", "i", "do", "n't"]


@given(TEXTS, st.integers(1, 8), st.sampled_from(["head", "tail", "both"]))
def test_a_cut_text_keeps_its_ends(texts: list[str], most: int, cut: str) -> None:
    settings = SentimentSettings(max_words=most, cut=cut)  # pyright: ignore[reportArgumentType]
    words = split_all(texts, settings).cut(settings)
    head = {"head": most, "tail": 0, "both": most // 2}[cut]
    for number, text in enumerate(texts):
        whole = split(text, settings)
        kept = whole if len(whole) <= most else whole[:head] + whole[len(whole) - (most - head) :]
        assert words.of(number) == kept


@given(TEXTS, st.integers(0, 3), st.integers(1, 2))
def test_words_become_numbers_that_do_not_depend_on_the_others(texts: list[str], buckets: int, least: int) -> None:
    settings = SentimentSettings(vocabulary_size=4, oov_buckets=buckets, min_count=least)
    words = split_all(texts, settings)
    vocabulary = Vocabulary.of(words, settings)
    numbers, known = vocabulary.encode(words), vocabulary.knows(words)
    together = [numbers.select(np.array([row])).flat.tolist() for row in range(len(texts))]
    alone = [vocabulary.encode(split_all([text], settings)).flat.tolist() for text in texts]
    assert together == alone
    assert all(0 < number < vocabulary.size for number in numbers.flat)
    assert len(known) == sum(len(split(text, settings)) for text in texts)


def test_the_vocabulary_has_the_commonest_words_and_hashes_the_others() -> None:
    settings = SentimentSettings(vocabulary_size=3, oov_buckets=7, min_count=2)
    words = split_all(["the a a", "b b the the", "rare"], settings)
    vocabulary = Vocabulary.of(words, settings)
    assert vocabulary.words == ("the", "a")  # the padding is the third; a before b, which is as common
    assert vocabulary.size == 3 + 7
    numbers = vocabulary.encode(split_all(["the a rare never"], settings))
    assert numbers.flat.tolist() == [1, 2, 3 + zlib.crc32(b"rare") % 7, 3 + zlib.crc32(b"never") % 7]
    bare, three = Vocabulary(("the", "a"), 0), split_all(["the rare a"], settings)
    assert bare.encode(three).flat.tolist() == [1, 2]
    assert bare.knows(three).tolist() == [True, False, True]


def ragged(lengths: list[int]) -> Ragged:
    starts = np.cumsum([0, *lengths])
    return Ragged(np.arange(1, starts[-1] + 1, dtype=np.int32), starts)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9), st.data())
def test_padding_stands_after_each_text(lengths: list[int], data: st.DataObject) -> None:
    texts = ragged(lengths)
    rows = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=9)))
    padded = texts.padded(rows, 7)
    selected = texts.select(rows)
    for column, row in enumerate(rows):
        text = list(range(texts.starts[row] + 1, texts.starts[row + 1] + 1))
        assert padded[:, column].tolist() == text + [0] * (7 - len(text))
        assert selected.flat[selected.starts[column] : selected.starts[column + 1]].tolist() == text


@given(st.integers(1, 3000))
def test_padded_lengths_reach_the_longest_in_steps_of_a_half_at_most(longest: int) -> None:
    lengths = padded_lengths(longest)
    assert lengths[-1] == longest
    assert (np.diff(lengths) > 0).all()
    assert (lengths[1:] <= 1.7 * lengths[:-1]).all()


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.integers(1, 6), st.integers(1, 4), st.booleans())
def test_an_epoch_has_every_text_and_can_be_entered_anywhere(
    lengths: list[int], batch: int, chunk: int, pad: bool
) -> None:
    texts, labels = ragged(lengths), np.arange(len(lengths))
    batches = Bucketed(texts, labels, batch, 3, longest=60, chunk=chunk, pad=pad)
    for epoch in range(2):
        step, seen, steps_seen = epoch * batches.steps_per_epoch, [], []
        while step < (epoch + 1) * batches.steps_per_epoch:
            found, steps = batches(step)
            assert found.tokens.shape[0] == found.labels.shape[0] == chunk
            for number in range(steps):
                seen += found.labels[number].tolist()
                steps_seen.append(found.labels[number].tolist())
                one, _ = Bucketed(texts, labels, batch, 3, longest=60, chunk=chunk, pad=pad)(step + number)
                assert (one.labels[0] == found.labels[number]).all()
                assert (one.tokens[0] == found.tokens[number]).all()
                for column, label in enumerate(found.labels[number]):
                    assert found.lengths[number, column] == lengths[label]
                    assert (found.tokens[number, :, column] > 0).sum() == lengths[label]
            step += steps
        assert set(seen) == set(range(len(lengths)))
        assert len(steps_seen) == batches.steps_per_epoch


def test_words_are_counted_once_each() -> None:
    words = split_all(["a b a", "", "b"], DEFAULT)
    assert isinstance(words, Words)
    assert (words.spellings, words.of(0), words.of(1)) == (["a", "b"], ["a", "b", "a"], [])
