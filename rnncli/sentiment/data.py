"""From labelled texts to what is trained, validated and tested with."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.errors import DataError, OptionError
from rnncli.sentiment import imdb
from rnncli.sentiment.records import ANY, Columns, Labelled, parts_of, read_labelled

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Source:
    """Where the texts are."""

    data: str | None  # None: TFDS' imdb_reviews
    validation: str | None = None
    test: str | None = None
    columns: Columns = ANY
    data_dir: Path | None = None

    def named(self) -> dict[str, str]:
        """The source of each part that was named."""
        named = {"train": self.data or imdb.NAME, "validation": self.validation, "test": self.test}
        return {part: name for part, name in named.items() if name}

    def described(self) -> dict[str, str]:
        """The same, and the columns that were named: enough to read them again."""
        columns = {"text_column": self.columns.text, "label_column": self.columns.label}
        return self.named() | {option: name for option, name in columns.items() if name is not None}


@dataclass(frozen=True)
class Part:
    """Texts and the numbers of their classes."""

    texts: list[str]
    labels: np.ndarray  # int `[n]`

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Dataset:
    """Training, validation and, mostly, test texts."""

    classes: tuple[str, ...]
    parts: dict[str, Part]
    sources: dict[str, str]

    def digest(self) -> str:
        """A short name of what is trained and validated with."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for part in PARTS[:2]:
            digest.update(self.parts[part].labels.astype("<i4").tobytes())
            for text in self.parts[part].texts:
                digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()[:16]


def load_data(source: Source, validation_fraction: float, test_fraction: float, say: Callable[[str], None]) -> Dataset:
    """Read all parts; those that are not named are drawn from the training texts, class by class.

    Raises:
        DataError: they cannot be read, have one class only, or a part has a class that is not trained.
    """
    if validation_fraction + test_fraction >= 1:
        fractions = f"--validation-fraction {validation_fraction:g} and --test-fraction {test_fraction:g}"
        raise OptionError(f"{fractions} leave nothing to train; lower one")
    labelled = _read(source)
    classes = class_names(labelled["train"])
    rest = with_classes(labelled["train"], classes)
    parts: dict[str, Part] = {}
    for part, fraction in (("test", test_fraction), ("validation", validation_fraction)):
        if part in labelled:
            parts[part] = with_classes(labelled[part], classes)
        elif fraction:
            share = fraction if part == "test" or "test" in labelled else fraction / (1 - test_fraction)
            rest, parts[part] = _drawn(rest, share, classes)
    parts["train"] = rest
    counts = ", ".join(f"{len(parts[part]):,} {verb}" for part, verb in _VERBS if part in parts)
    say(f"{len(classes)} classes ({_listed(classes)}); texts: {counts}")
    return Dataset(classes, {part: parts[part] for part in PARTS if part in parts}, source.described())


_VERBS = (("train", "train"), ("validation", "validate"), ("test", "test"))


def class_names(labelled: Labelled) -> tuple[str, ...]:
    """The labels, in the order of their numbers if they are numbers, else of the alphabet.

    Raises:
        DataError: there is only one.
    """
    names = set(labelled.labels)
    odd = next((name for name in sorted(names) if not name.isprintable()), None)
    if odd is not None:
        raise DataError(f"{labelled.name} has the label {ascii(odd)[:60]}; a label is one line of printable characters")
    if len(names) < 2:
        raise DataError(
            f"every text of {labelled.name} has the label '{labelled.labels[0]}'; a classifier needs two classes"
        )
    if len(names) > max(50, len(labelled) // 2):
        raise DataError(
            f"the {len(labelled):,} texts of {labelled.name} have {len(names):,} different labels, as "
            f"'{sorted(names)[0][:40]}'; name the right column with --label-column"
        )
    return tuple(sorted(names, key=lambda name: (_number(name), name)))


def with_classes(labelled: Labelled, classes: Sequence[str]) -> Part:
    """Labels as the numbers of their classes.

    Raises:
        DataError: a label is none of the classes.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    for record, label in enumerate(labelled.labels, 1):
        if label not in numbers:
            raise DataError(
                f"record {record} of {labelled.name} has the label '{label[:40]}', which no training text has; "
                f"there are: {_listed(classes)}"
            )
    return Part(labelled.texts, np.array([numbers[label] for label in labelled.labels], np.int32))


def _read(source: Source) -> dict[str, Labelled]:
    named = source.named()
    if source.data is None:
        if source.columns != ANY:
            raise OptionError("--text-column and --label-column choose columns of DATA; name the file too")
        labelled = {
            part: _imdb(source.data_dir, part) for part in ("train", "test") if part == "train" or not source.test
        }
        named.pop("train")
    else:
        named = {**parts_of(source.data), **{part: name for part, name in named.items() if part != "train"}}
        named.setdefault("train", source.data)
        labelled = {"train": read_labelled(named.pop("train"), source.columns)}
    known = set(labelled["train"].labels)
    return labelled | {part: read_labelled(name, source.columns, known) for part, name in named.items()}


def _imdb(data_dir: Path | None, part: str) -> Labelled:
    return Labelled(*imdb.read_imdb_reviews(data_dir, part), f"the {part} part of {imdb.NAME}")


def _drawn(part: Part, fraction: float, classes: Sequence[str]) -> tuple[Part, Part]:
    """What is left of a part, and a fraction of it, of each class. The same whatever the seed, so that runs compare."""
    generator = np.random.default_rng(0)
    sizes = np.bincount(part.labels, minlength=len(classes))
    wanted = fraction * sizes
    taken = np.floor(wanted).astype(int)
    # largest remainders first, so that of many small classes some texts are drawn, too
    for number in np.argsort(taken - wanted, kind="stable")[: round(wanted.sum()) - taken.sum()]:
        taken[number] += 1
    drawn: list[Any] = []
    for number, count in enumerate(np.minimum(taken, sizes - 1)):
        drawn.append(generator.permutation(np.flatnonzero(part.labels == number))[:count])
    inside = np.zeros(len(part), bool)
    inside[np.concatenate(drawn)] = True
    if not inside.any():
        raise DataError(
            f"{len(part)} texts of {len(classes)} classes are too few to draw {fraction:.0%} of them for validation "
            "or test; raise --validation-fraction and --test-fraction, or name files with --validation and --test"
        )
    return _selected(part, ~inside), _selected(part, inside)


def _selected(part: Part, rows: np.ndarray) -> Part:
    return Part([part.texts[row] for row in np.flatnonzero(rows)], part.labels[rows])


def _number(label: str) -> float:
    try:
        number = float(label)
    except ValueError:
        return math.inf
    return number if math.isfinite(number) else math.inf


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f", … ({len(names)} in all)" if len(names) > 10 else "")
