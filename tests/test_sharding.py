"""Shares of the work, and the whole that they make."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import monthly_sales

import rnncli as library
from rnncli.errors import ParameterError
from rnncli.sharding import Sharding, in_turn


@given(items=st.lists(st.integers()), count=st.integers(1, 7), sizes=st.lists(st.integers(0, 4), max_size=20))
def test_shares_in_turn_are_the_whole(items: list[int], count: int, sizes: list[int]) -> None:
    shares = [Sharding(shard=f"{index}/{count}").of(items) for index in range(count)]
    assert list(in_turn(shares)) == items
    groups, first = [], 0
    for size in [*sizes, len(items)]:
        groups.append(items[first : first + size])
        first += size
    for index, share in enumerate(shares):
        grouped = Sharding(shard=f"{index}/{count}").of_groups(groups)
        assert [item for group in grouped for item in group] == share


@given(parts=st.lists(st.lists(st.integers(), max_size=4), min_size=1, max_size=4))
def test_parts_of_other_wholes_are_refused(parts: list[list[int]]) -> None:
    sizes = [len(part) for part in parts]
    fitting = all(sizes[0] - 1 <= size <= sizes[0] for size in sizes) and sizes == sorted(sizes, reverse=True)
    try:
        merged = list(in_turn(parts))
    except ValueError:
        assert not fitting
    else:
        assert fitting
        assert len(merged) == sum(sizes)


@pytest.mark.parametrize("shard", ["", "1", "2/2", "-1/2", "0/0", "a/b", "0/2/3", "1.0/2", "/2"])
def test_what_is_no_share_is_refused(shard: str) -> None:
    with pytest.raises(ParameterError, match="is not I/N with I from 0 to N - 1"):
        Sharding(shard=shard)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of the three tasks, and what they are to answer."""
    place = tmp_path_factory.mktemp("shards")
    library.charlm.fit("to be, or not to be, that is the question: " * 40, units=8, epochs=1).save(place / "charlm")
    texts = [f"a {word} film of {index}" for index in range(30) for word in ("good", "bad")]
    library.sentiment.fit(texts, ["pos", "neg"] * 30, units=4, epochs=1).save(place / "sentiment")
    stores = [line.split(",") for line in monthly_sales(36).splitlines()[1:]]
    rows = [f"{store},{month},{float(value) + store}\n" for store in range(5) for month, value in stores]
    (place / "stores.csv").write_text("store,month,value\n" + "".join(rows))
    how = {"id": "store", "horizon": 3, "cell": "linear"}
    library.forecast.fit(str(place / "stores.csv"), **how).save(place / "forecast")
    (place / "lines.txt").write_text('a good film\n\na bad one\nfine\ndull\na good "one"\n\n')
    quoted = '"a good\nfilm, of two lines"'
    (place / "table.csv").write_text(
        "id,text\n" + "".join(f"{n},{quoted if n % 2 else 'a bad film'}\n" for n in range(7))
    )
    return place


VERBS = {
    "lines": (["sentiment", "predict", "lines.txt", "--checkpoint", "sentiment"], []),
    "table": (
        ["sentiment", "predict", "table.csv", "--text-column", "text", "--checkpoint", "sentiment"],
        ["--header"],
    ),
    "json": (["sentiment", "predict", "lines.txt", "--json", "--checkpoint", "sentiment"], []),
    "series": (["forecast", "predict", "stores.csv", "--checkpoint", "forecast"], ["--by", "store"]),
    "series as json": (["forecast", "predict", "stores.csv", "--json", "--checkpoint", "forecast"], ["--by", "store"]),
    "samples": (["charlm", "sample", "--num-samples", "5", "--length", "30", "--json", "--checkpoint", "charlm"], []),
}


@pytest.mark.parametrize("name", list(VERBS))
@pytest.mark.parametrize("count", [2, 3])
def test_what_shares_print_is_merged_into_what_one_prints(
    name: str, count: int, place: Path, monkeypatch: pytest.MonkeyPatch, rnncli: Callable[..., Any]
) -> None:
    monkeypatch.chdir(place)
    arguments, how = VERBS[name]
    whole = rnncli(*arguments, "-q")
    assert whole.code == 0, whole.err
    parts = []
    for index in range(count):
        parts.append(f"{name}-{index}.part")
        result = rnncli(*arguments, "-q", "--shard", f"{index}/{count}", "--output", parts[-1])
        assert (result.code, result.out) == (0, ""), result.err
    merged = rnncli("merge", *how, *parts)
    assert (merged.code, merged.out) == (0, whole.out)


def test_shares_of_a_text_and_of_labels_are_measured(
    place: Path, monkeypatch: pytest.MonkeyPatch, rnncli: Callable[..., Any]
) -> None:
    monkeypatch.chdir(place)
    (place / "new.txt").write_text("or to be, that is not the question: " * 40)
    arguments = ["charlm", "evaluate", "new.txt", "--window", "32", "--checkpoint", "charlm", "-q"]
    whole = rnncli(*arguments).rows
    shares = [rnncli(*arguments, "--shard", f"{index}/3").rows for index in range(3)]
    assert [[row[1] for row in share[1:]] for share in shares] == [["carried", "cold"], ["cold"], ["cold"]]
    cold = [share[-1] for share in shares]
    characters = [int(row[-1]) for row in cold]
    assert sum(characters) == int(whole[2][-1])
    mean = sum(float(row[2]) * size for row, size in zip(cold, characters, strict=True)) / sum(characters)
    assert mean == pytest.approx(float(whole[2][2]), abs=1e-5)
    (place / "labels.csv").write_text("text,label\na good film,pos\na bad film,neg\na fine film,neg\n")
    arguments = ["sentiment", "evaluate", "labels.csv", "--checkpoint", "sentiment", "-q"]
    shares = [rnncli(*arguments, "--shard", f"{index}/2").rows for index in range(2)]
    assert [int(share[1][-1]) for share in shares] == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["charlm", "sample", "--shard", "0/2", "--checkpoint", "charlm"], "--shard of samples: give --json"),
        (["charlm", "evaluate", "lines.txt", "--per-char", "--shard", "0/2"], "leave --per-char and --plot out"),
        (["forecast", "predict", "stores.csv", "--shard", "7/8", "--checkpoint", "forecast"], "too few series"),
        (["sentiment", "predict", "x", "--shard", "2/2"], "'2/2' is not I/N"),
        (["merge", "lines.txt", "absent.txt"], "cannot read 'absent.txt': No such file or directory"),
        (["merge", "broken.txt"], "'broken.txt' ends within a line"),
        (["merge", "one.txt", "three.txt"], "has a record more than the part before it"),
        (["merge", "--header", "stores.csv", "table.csv"], "'table.csv' has other columns than 'stores.csv'"),
        (["merge", "--by", "shop", "stores.csv"], "there is no column 'shop' for --by; there are: store, month, value"),
    ],
)
def test_bad_input(
    arguments: list[str], told: str, place: Path, monkeypatch: pytest.MonkeyPatch, rnncli: Callable[..., Any]
) -> None:
    monkeypatch.chdir(place)
    (place / "broken.txt").write_text("one\ntwo")
    (place / "one.txt").write_text("one\n")
    (place / "three.txt").write_text("one\ntwo\nthree\n")
    result = rnncli(*arguments)
    assert result.code in (1, 2)
    assert told in result.err
    assert result.err.count("\n") == 1
