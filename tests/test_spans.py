"""Spans of tags against seqeval, the schemes by hand, and what follows what."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from ostinato.metrics import spans as own

PREFIXES = {"bio": "BI", "bioes": "BIES", "iob1": "BI"}


def drawn(random: np.random.Generator, prefixes: str) -> list[list[str]]:
    """Sentences of any length of any tags, in order or not."""
    tags = ["O", "O", *(f"{p}-{kind}" for p in prefixes for kind in ("PER", "LOC", "a-b"))]
    return [[str(tag) for tag in random.choice(tags, size=n)] for n in random.integers(0, 12, size=80)]


@pytest.mark.parametrize("prefixes", ["BI", "BIES", "I"])
@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_seqevals(prefixes: str, seed: int) -> None:
    judge = pytest.importorskip("seqeval.metrics")
    theirs = pytest.importorskip("seqeval.metrics.sequence_labeling")
    random = np.random.default_rng(seed)
    target = drawn(random, prefixes)
    guess = [
        [g if random.random() < 0.5 else t for g, t in zip(a, b, strict=True)]
        for a, b in zip(drawn_like(target, random, prefixes), target, strict=True)
    ]
    for tags in target:
        if tags:
            assert own.spans(tags) == theirs.get_entities(tags)
    ours = own.span_scores(guess, target)
    assert ours["precision"] == pytest.approx(judge.precision_score(target, guess))
    assert ours["recall"] == pytest.approx(judge.recall_score(target, guess))
    assert ours["f1"] == pytest.approx(judge.f1_score(target, guess))
    report: Any = judge.classification_report(target, guess, output_dict=True)
    for kind, each in own.span_scores_each(guess, target).items():
        assert each["f1"] == pytest.approx(report[kind]["f1-score"])
        assert each["precision"] == pytest.approx(report[kind]["precision"])
        assert each["recall"] == pytest.approx(report[kind]["recall"])
        assert each["support"] == report[kind]["support"]


def drawn_like(target: list[list[str]], random: np.random.Generator, prefixes: str) -> list[list[str]]:
    tags = ["O", *(f"{p}-{kind}" for p in prefixes for kind in ("PER", "LOC"))]
    return [[str(tag) for tag in random.choice(tags, size=len(row))] for row in target]


def test_nothing_found_and_nothing_there_count_zero() -> None:
    assert own.span_scores([["O"]], [["O"]]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    with pytest.raises(ValueError, match="sentence 1: 2 tags are predicted, 1 are there"):
        own.span_scores([["O"], ["O", "O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match="1 sentences are predicted, 2 are there"):
        own.span_scores([["O"]], [["O"], ["O"]])


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("B-X I-X O B-Y", "bio"),
        ("I-X I-X O I-Y B-Y", "iob1"),
        ("B-X E-X O S-Y", "bioes"),
        ("B-X I-X O I-Y", "mixed"),
        ("B-X O S-Y E-Y", "mixed"),
        ("B I O", "bio"),
        ("NOUN B-X", ""),
        ("S I O", ""),
        ("B-X", "bio"),
    ],
)
def test_the_scheme_is_told(sentence: str, name: str) -> None:
    assert own.scheme([sentence.split(), []]) == name


@pytest.mark.parametrize("name", own.SCHEMES)
def test_what_is_allowed_is_what_writes_spans_in_the_scheme(name: str) -> None:
    """Every row of four tags that passes is a row that the scheme would write for its own spans, and no other is."""
    tags = ["O", *(f"{p}-{kind}" for p in PREFIXES[name] for kind in "XY")]
    never = set(own.forbidden(tags, name))
    for row in product(range(len(tags)), repeat=4):
        allowed = not any(pair in never for pair in zip((-1, *row), (*row, -1), strict=True))
        words = [tags[k] for k in row]
        assert allowed == (written(own.spans(words), name) == words)


def written(found: list[own.Span], name: str) -> list[str]:
    """The tags of spans, by the book."""
    row = ["O"] * 4
    ends = {last: kind for kind, _, last in found}
    for kind, first, last in found:
        for k in range(first, last + 1):
            row[k] = f"I-{kind}"
        if name == "bio" or (name == "bioes" and first < last) or ends.get(first - 1) == kind:
            row[first] = f"B-{kind}"
        if name == "bioes":
            row[last] = f"{'S' if first == last else 'E'}-{kind}"
    return row


def test_other_tags_forbid_nothing() -> None:
    assert own.forbidden(["NOUN", "VERB"], "") == []
    assert own.forbidden(["B-X", "O"], "mixed") == []
