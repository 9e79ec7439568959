"""From labelled texts to what is trained, validated and tested with."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from rnncli.errors import DataError, ParameterError
from rnncli.notation import is_number
from rnncli.sentiment import imdb
from rnncli.sentiment.kept import Chosen, Kept
from rnncli.sentiment.labelled import Labelled, collected
from rnncli.sentiment.records import parts_of, read_labelled
from rnncli.sentiment.settings import DataSource, Parts
from rnncli.sentiment.text import drawn

PARTS = ("train", "validation", "test")
_VERBS = {"train": "train", "validation": "validate", "test": "test"}  # what is done with a part, in messages


@dataclass(frozen=True)
class Part:
    """Texts and the indices of their classes."""

    texts: Sequence[str]
    labels: np.ndarray  # int `[n]`; of texts with several labels 0 and 1, `[n, C]`

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Dataset:
    """Training, validation and, mostly, test texts."""

    classes: tuple[str, ...]
    parts: dict[str, Part]
    sources: dict[str, str]
    several: bool = False  # whether a text has several labels, or none

    @cached_property
    def digest(self) -> str:
        """A hash of the classes and of the training and validation texts, 16 hexadecimal digits."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for part in PARTS[:2]:
            digest.update(self.parts[part].labels.astype("<i4").tobytes())
            for text in self.parts[part].texts:
                digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()[:16]


def described(source: DataSource) -> dict[str, str]:
    """The sources of the parts, and the columns, that were named: enough to read them again."""
    named = {"train": source.data or imdb.NAME, "validation": source.validation, "test": source.test}
    named |= source.columns.as_dict()
    return {name: value for name, value in named.items() if value is not None}


def split_data(
    labelled: dict[str, Labelled],
    sources: dict[str, str],
    fractions: Parts,
    say: Callable[[str], None],
    known: tuple[str, ...] = (),
) -> Dataset:
    """All parts; those that are not in `labelled` are drawn from the training texts, class by class.

    Classes that are `known` before come first. Old texts, the part "replay", join the training part.

    Raises DataError where there is one class only, or a part has a class that is not trained.
    """
    validation_fraction, test_fraction = fractions.validation_fraction, fractions.test_fraction
    if validation_fraction + test_fraction >= 1:
        both = f"`validation_fraction` {validation_fraction:g} and `test_fraction` {test_fraction:g}"
        raise ParameterError(f"{both} leave nothing to train; lower one")
    several = fractions.labels_per_text == "several" or (
        fractions.labels_per_text == "auto" and labelled["train"].several
    )
    classes = _class_names(labelled["train"], known, several=several)
    rest = with_classes(labelled["train"], classes, several=several)
    parts: dict[str, Part] = {}
    for part, fraction in (("test", test_fraction), ("validation", validation_fraction)):
        if part in labelled:
            parts[part] = with_classes(labelled[part], classes, several=several)
        elif fraction:
            share = fraction if part == "test" or "test" in labelled else fraction / (1 - test_fraction)
            rest, parts[part] = _drawn(rest, share, classes)
    parts["train"] = rest
    if "replay" in labelled:
        parts["train"] = _with_old(rest, with_classes(labelled["replay"], classes, several=several), say)
    parts = {part: parts[part] for part in PARTS if part in parts}
    counts = ", ".join(f"{len(parts[part]):,} {_VERBS[part]}" for part in parts)
    each = f", {rest.labels.sum() / len(rest):.1f} a text" if several else ""
    say(f"{len(classes)} classes ({_listed(classes)}){each}; texts: {counts}")
    return Dataset(classes, parts, sources, several)


def _with_old(part: Part, old: Part, say: Callable[[str], None]) -> Part:
    """A part with as many old texts that they are a fifth of it: the same ones for every seed."""
    count = min(len(old), max(1, len(part) // 4))
    say(f"{count:,} of {len(old):,} old texts are replayed among the {len(part):,} new ones")
    old = _selected(old, drawn(len(old), count))
    return Part(Kept(chain(part.texts, old.texts)), np.concatenate([part.labels, old.labels]))


def _class_names(labelled: Labelled, known: tuple[str, ...], *, several: bool) -> tuple[str, ...]:
    """The labels, rising numbers before others by the alphabet; those that are known first.

    Raises DataError where they are no classes.
    """
    if labelled.several and not several:
        raise DataError(f"texts of {labelled.name} have several labels, and `labels_per_text` is one")
    names = labelled.label_names.union(known)
    odd = next((name for name in sorted(names) if not name.isprintable()), None)
    if odd is not None:
        raise DataError(f"{labelled.name} has the label {ascii(odd)[:60]}; a label is one line of printable characters")
    if len(names) < 2:
        label = next(iter(names), "")
        if several:
            raise DataError(f"the texts of {labelled.name} have no label but '{label}'; a classifier needs two classes")
        raise DataError(f"every text of {labelled.name} has the label '{label}'; a classifier needs two classes")
    if len(names) > max(50, len(labelled) // 2):
        raise DataError(
            f"the {len(labelled):,} texts of {labelled.name} have {len(names):,} different labels, as "
            f"'{min(names)[:40]}'; name the right column with `label_column`"
        )
    return (*known, *sorted(names.difference(known), key=lambda name: (_rank(name), name)))


def with_classes(labelled: Labelled, classes: Sequence[str], *, several: bool = False) -> Part:
    """The texts with the indices of their classes. Raises DataError where a label is none of the classes."""
    indices = {name: index for index, name in enumerate(classes)}
    kinds = dict(enumerate(labelled.kinds))
    odd = {kind for kind, labels in kinds.items() if len(labels) != 1} if not several else set()
    unknown = {kind for kind, labels in kinds.items() if not indices.keys() >= set(labels)}
    if bad := (odd | unknown).intersection(labelled.labels.tolist()):
        row = labelled.first_with(bad)
        labels = kinds[labelled.labels[row]]
        record = f"record {labelled.record_with(bad)} of {labelled.name}"
        if len(labels) != 1 and not several:
            raise DataError(f"{record} has {len(labels)} labels; a text has one here")
        label = next(label for label in labels if label not in indices)
        raise DataError(
            f"{record} has the label '{label[:40]}', which no training text has; there are: {_listed(classes)}"
        )
    meant = np.zeros((len(kinds), len(classes)), np.int32)
    for kind in set(kinds) - odd - unknown:
        meant[kind, [indices[label] for label in kinds[kind]]] = 1
    return Part(labelled.texts, (meant if several else meant.argmax(1).astype(np.int32))[labelled.labels])


def read_parts(source: DataSource) -> dict[str, Labelled]:
    """The labelled texts of each part that was named. Raises DataError where one has none, or cannot be read."""
    columns = source.columns
    named = {part: name for part, name in (("validation", source.validation), ("test", source.test)) if name}
    if source.data is None:
        if columns.named:
            raise ParameterError("`text_column` and `label_column` choose columns of `data`; name the file too")
        labelled = {
            part: collected(imdb.read_imdb_reviews(source.data_dir, part), f"the {part} part of {imdb.NAME}")
            for part in (("train",) if source.test else ("train", "test"))
        }
    else:
        named = {**parts_of(source.data), **named}
        labelled = {"train": read_labelled(named.pop("train", source.data), columns)}
    known = labelled["train"].label_names
    return labelled | {part: read_labelled(name, columns, known) for part, name in named.items()}


def _drawn(part: Part, fraction: float, classes: Sequence[str]) -> tuple[Part, Part]:
    """What is left of a part, and a fraction of each class of it: the same for every seed, so that runs compare."""
    generator = np.random.default_rng(0)
    kinds = part.labels
    if kinds.ndim == 2:  # drawn by the rarest label of each, so that no part takes all texts of a class
        rarity = np.where(part.labels > 0, part.labels.sum(0), len(part) + 1)
        kinds = np.where(part.labels.any(1), rarity.argmin(1), len(classes))
    sizes = np.bincount(kinds, minlength=len(classes))
    wanted = fraction * sizes
    taken = np.floor(wanted).astype(int)
    # largest remainders first, so that of many small classes some texts are drawn, too
    taken[np.argsort(taken - wanted, kind="stable")[: round(wanted.sum()) - taken.sum()]] += 1
    inside = np.zeros(len(part), bool)
    for index, count in enumerate(np.minimum(taken, np.maximum(sizes - 1, 0))):
        inside[generator.permutation(np.flatnonzero(kinds == index))[:count]] = True
    if not inside.any():
        raise DataError(
            f"{len(part)} texts of {len(classes)} classes are too few to draw {fraction:.0%} of them for validation "
            "or test; raise `validation_fraction` and `test_fraction`, or name files with `validation` and `test`"
        )
    return _selected(part, ~inside), _selected(part, inside)


def _selected(part: Part, rows: np.ndarray) -> Part:
    places = np.arange(len(part))[rows]
    return Part(Chosen(part.texts, places), part.labels[places])


def _rank(label: str) -> float:
    """The number that a label is, infinity for another label."""
    number = float(label) if is_number(label) else math.inf
    return number if math.isfinite(number) else math.inf


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f", … ({len(names)} in all)" if len(names) > 10 else "")
