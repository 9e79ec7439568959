"""From labelled texts and options to all that training needs: configuration, vocabulary, numbers, the baseline."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnncli.console import Messages
from rnncli.errors import DataError, OptionError
from rnncli.sentiment.config import Preset, SentimentConfig, for_data
from rnncli.sentiment.data import Dataset, Source, load_data
from rnncli.sentiment.hub import SentenceEncoder, Sentences
from rnncli.sentiment.ngram import NgramModel, fit_ngram
from rnncli.sentiment.records import is_folder
from rnncli.sentiment.text import Ragged, Vocabulary, Words, split_all
from rnncli.sentiment.vectors import read_vectors


@dataclass(frozen=True)
class Prepared:
    """Texts as the network and the baseline take them."""

    config: SentimentConfig
    data: Dataset
    vocabulary: Vocabulary
    texts: dict[str, Ragged | Sentences]  # of each part, as numbers, or as vectors
    ngram: NgramModel
    ngram_logits: dict[str, np.ndarray]
    vectors: dict[str, np.ndarray] | None  # of the words that have one in --embeddings


def load(source: Source, chosen: Mapping[str, Any], preset: Preset, messages: Messages) -> Prepared:
    """Read the texts, settle the configuration that suits them, make the vocabulary, train the baseline.

    Raises:
        DataError, OptionError: the data is at fault, or the options contradict it.
    """
    reading = for_data(chosen, 1, preset)
    if reading.frozen and not reading.embeddings:
        raise OptionError("--frozen keeps the vectors that --embeddings FILE gives; name a file")
    if reading.embeddings and "start" in chosen:
        raise OptionError("--start says how vectors begin that --embeddings FILE does not give; leave one of them out")
    data = load_data(source, reading.validation_fraction, reading.test_fraction, messages.say)
    config = for_data(chosen, len(data.parts["train"]), preset)
    words = {part: split_all(each.texts, config) for part, each in data.parts.items()}
    cut = {part: each.cut(config) for part, each in words.items()}
    vocabulary = Vocabulary.of(cut["train"], config)
    texts: dict[str, Ragged | Sentences] = {part: vocabulary.encode(each)[0] for part, each in cut.items()}
    longest = int(cut["train"].texts.lengths.max())
    if not longest:
        raise DataError(f"the texts of {data.sources['train']} have no words; is it the right --text-column?")
    if not texts["train"].lengths.max():
        raise DataError("no word of the training texts is known; raise --vocabulary-size or --oov-buckets")
    messages.say(
        f"{len(words['train'].spellings):,} different words, {len(vocabulary.words):,} of them known; "
        f"median length {np.median(words['train'].texts.lengths):.0f} words, "
        f"{np.mean(words['train'].texts.lengths > config.max_words):.0%} of the texts are cut to {config.max_words}"
    )
    if not config.mask:
        config = replace(config, max_words=min(config.max_words, longest))
        texts = {part: vocabulary.encode(each.cut(config))[0] for part, each in words.items()}
    vectors = None
    if config.embeddings and is_folder(config.embeddings):
        config, texts = _sentences(config, chosen, data, messages)
    elif config.embeddings:
        config, vectors = _vectors(config, chosen, vocabulary, cut["train"], messages)
    begun = time.monotonic()
    labels = {part: each.labels for part, each in data.parts.items()}
    ngram = fit_ngram(words["train"], labels["train"], len(data.classes), words["validation"], labels["validation"])
    logits = {part: ngram.logits(each) for part, each in words.items()}
    accuracy = float((logits["validation"].argmax(1) == labels["validation"]).mean())
    messages.say(
        f"baseline of {len(ngram.keys):,} words and pairs of words: validation accuracy {accuracy:.3f} "
        f"({time.monotonic() - begun:.0f} s)"
    )
    return Prepared(config, data, vocabulary, texts, ngram, logits, vectors)


def _vectors(
    config: SentimentConfig, chosen: Mapping[str, Any], vocabulary: Vocabulary, words: Words, messages: Messages
) -> tuple[SentimentConfig, dict[str, np.ndarray]]:
    read = read_vectors(config.embeddings, vocabulary.words)
    if chosen.get("embedding", read.dimension) != read.dimension:
        raise OptionError(
            f"--embedding {chosen['embedding']}, but the vectors in '{config.embeddings}' have {read.dimension} "
            "numbers; leave --embedding out"
        )
    if not read.found:
        raise DataError(f"none of the {read.rows:,} words of '{config.embeddings}' is in the training texts")
    counts = np.bincount(words.texts.flat, minlength=len(words.spellings))
    covered = sum(count for word, count in zip(words.spellings, counts.tolist(), strict=True) if word in read.found)
    messages.say(
        f"'{config.embeddings}': {read.rows:,} vectors of {read.dimension}; {len(read.found):,} of the known words "
        f"have one ({len(read.found) / len(vocabulary.words):.1%}), {covered / counts.sum():.1%} of the running words"
    )
    return replace(config, embedding=read.dimension), read.found


def _sentences(
    config: SentimentConfig, chosen: Mapping[str, Any], data: Dataset, messages: Messages
) -> tuple[SentimentConfig, dict[str, Ragged | Sentences]]:
    folder = os.path.abspath(config.embeddings)  # noqa: PTH100 - links stay links
    if config.encoder != "bag":
        raise OptionError(f"--embeddings '{folder}' is a folder, of vectors of whole texts: for --encoder bag")
    encoder = SentenceEncoder(folder)
    texts: dict[str, Ragged | Sentences] = {part: encoder(each.texts) for part, each in data.parts.items()}
    dimension = encoder(data.parts["train"].texts[:1]).vectors.shape[1]
    if chosen.get("embedding", dimension) != dimension:
        raise OptionError(f"--embedding {chosen['embedding']}, but the vectors of '{folder}' have {dimension} numbers")
    messages.say(f"'{folder}': vectors of {dimension} for whole texts")
    return replace(config, embedding=dimension, sentences=True, embeddings=folder), texts
