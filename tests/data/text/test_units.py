"""Units of text: there and back, kept as plain JSON, the same for the same texts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.data.text import Units, words_of

TEXTS = ["the cat sat on the mat", "the hat of the cat, naïve and 我喜欢", "a <unk> and a <pad> cat"] * 4
KINDS = ("word", "char", "bpe")
text = st.text(st.characters(codec="utf-8"), max_size=30)


@pytest.fixture(scope="module")
def pairs() -> Units:
    return Units.fit("bpe", TEXTS, size=300)


@given(text)
def test_byte_pairs_write_every_text(pairs: Units, written: str) -> None:
    assert pairs.decode(pairs.encode(written)) == written
    assert pairs.unknown not in pairs.encode(written)


@given(text)
def test_characters_there_and_back(written: str) -> None:
    assert (units := Units.fit("char", [written])).decode(units.encode(written)) == written


@given(text)
def test_words_are_as_many_as_there_are(written: str) -> None:
    units = Units.fit("word", TEXTS)
    assert len(units.encode(written)) == len(words_of(written))
    words = [units.vocabulary[k] for k in units.encode(written)]
    known = set(units.vocabulary[2:])
    assert words == [word if word in known else "<unk>" for word in words_of(written)]


@pytest.mark.parametrize("kind", KINDS)
def test_kept_as_plain_json(kind: str) -> None:
    units = Units.fit(kind, TEXTS, lower=True, extra=("<s>", "</s>"), size=400)  # type: ignore[arg-type]
    again = Units.from_json(json.loads(json.dumps(units.to_json())))
    assert again == units
    assert again.vocabulary == units.vocabulary
    assert again.encode("The CAT sat, naïve ☃") == units.encode("the cat sat, naïve ☃")
    assert again.extras == {"<s>": 2, "</s>": 3}


@pytest.mark.parametrize("kind", KINDS)
def test_special_units_are_never_read(kind: str) -> None:
    """A text that spells <pad> or <s> must not become padding or a begin."""
    units = Units.fit(kind, ["<pad> <s> <unk> a <pad> <s> a"] * 9, extra=("<s>",), size=300)  # type: ignore[arg-type]
    found = units.encode("<pad> <s> a")
    assert not {units.padding, units.extras["<s>"]} & set(found)
    assert units.decode([units.padding, units.extras["<s>"]]) == ""
    if kind == "bpe":
        assert units.decode(found) == "<pad> <s> a"


def test_frequent_units_come_first_and_size_bounds() -> None:
    units = Units.fit("word", ["c c c b b a a"], size=4)
    assert units.vocabulary == ("<pad>", "<unk>", "c", "a")  # of equals, by the alphabet
    assert Units.fit("word", ["c c c b b a"], least=2).vocabulary[2:] == ("c", "b")
    assert len(Units.fit("bpe", TEXTS, size=280)) == 280


@given(st.lists(st.text("abcd ", max_size=20), max_size=5))
def test_counts(texts: list[str]) -> None:
    units = Units.fit("char", ["ab"])
    counted = Counter(letter if letter in "ab" else "<unk>" for written in texts for letter in written)
    assert dict(zip(units.vocabulary, units.count(texts).tolist(), strict=True)) == {
        unit: counted[unit] for unit in units.vocabulary
    }


def test_words_that_are_divided_already_stay() -> None:
    units = Units.fit("word", [["don't", "New York"]])
    assert units.encode(["New York", "don't"]) == [3, 2] or units.encode(["New York", "don't"]) == [2, 3]
    assert units.split(["New York"]) == ["New York"]


def test_byte_pairs_as_the_paper_has_them(pairs: Units) -> None:
    """Against the slow way: merge the pair that was learnt first, again and again."""
    plain = pairs.to_json()
    ranks = {tuple(pair): k for k, pair in enumerate(plain["merges"])}
    for word in ("the", "cat", "mathat", "hatter"):
        parts = list(word)
        while True:
            found = [(ranks[pair], k) for k, pair in enumerate(pairwise(parts)) if pair in ranks]
            if not found:
                break
            k = min(found)[1]
            parts[k : k + 2] = [parts[k] + parts[k + 1]]
        assert [pairs.vocabulary[k] for k in pairs.encode(word)] == parts


def test_the_same_units_in_every_process() -> None:
    code = (
        "import json; from ostinato.data.text import Units\n"
        f"print(json.dumps([Units.fit(kind, {TEXTS!r}).to_json() for kind in ('word', 'char', 'bpe')]))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert runs[0] == runs[1]


BROKEN = {
    "no kind": {"lower": False, "extra": [], "units": ["a"]},
    "another kind": {"kind": "syllable", "lower": False, "extra": [], "units": ["a"]},
    "units that are no list": {"kind": "word", "lower": False, "extra": [], "units": 3},
    "a unit twice": {"kind": "word", "lower": False, "extra": [], "units": ["a", "a"]},
    "a unit that is special": {"kind": "word", "lower": False, "extra": [], "units": ["<pad>"]},
    "bytes missing": {"kind": "bpe", "lower": False, "extra": [], "units": ["a"], "merges": []},
}


@pytest.mark.parametrize("name", BROKEN)
def test_json_that_is_none_of_ours(name: str) -> None:
    with pytest.raises(ValueError):
        Units.from_json(BROKEN[name])


@pytest.mark.parametrize("merge", [["th", "zzz"], ["t"], "th", 5])
def test_merges_that_are_not_of_the_vocabulary(pairs: Units, merge: object) -> None:
    plain = pairs.to_json()
    with pytest.raises(ValueError):
        Units.from_json(plain | {"merges": [*plain["merges"], merge]})


def test_arguments() -> None:
    with pytest.raises(ValueError, match="word, char or bpe"):
        Units.fit("letter", ["a"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="size"):
        Units.fit("word", ["a"], size=2)
    with pytest.raises(ValueError, match="at least 256"):
        Units.fit("bpe", ["a"], size=100)
    with pytest.raises(ValueError, match="no unit"):
        Units.fit("char", ["a"]).decode([3])
