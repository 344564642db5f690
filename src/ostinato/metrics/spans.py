"""What spans a row of tags marks (names, phrases), and how many of them were found: precision, recall, F1.

Three ways of writing them are told apart: IOB1 (B only between two neighbours of a kind), BIO (every span begins with
B) and BIOES (E ends it, S is a span of one word). Scores read all of them alike, as the CoNLL shared tasks do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise

Tags = Sequence[str]
Span = tuple[str, int, int]

SCHEMES = ("bio", "iob1", "bioes")
_TAG = re.compile(r"O|([BIES])(?:-(.*))?", re.DOTALL)
OUTSIDE = "O"


def spans(tags: Tags) -> list[Span]:
    """(kind, first, last) of each span of one sentence, places counted from 0.

    A span begins with B or S, after O, after E or S, or where the kind changes; so I alone begins one too.

    Source: Tjong Kim Sang and De Meulder (2003), Introduction to the CoNLL-2003 Shared Task, and its script conlleval.

    >>> spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    [('PER', 0, 1), ('LOC', 3, 3), ('LOC', 4, 4)]
    """
    found: list[Span] = []
    before, kind, first = OUTSIDE, "", 0
    for k, tag in enumerate((*tags, OUTSIDE)):
        now, own = _parts(tag)
        if before != OUTSIDE and (now == OUTSIDE or _begins(before, now, kind, own)):
            found.append((kind, first, k - 1))
        if now != OUTSIDE and _begins(before, now, kind, own):
            first = k
        before, kind = now, own
    return found


def span_scores(prediction: Sequence[Tags], target: Sequence[Tags]) -> dict[str, float]:
    """precision, recall and f1 of all spans together, fractions 0 to 1; a span counts where kind and both ends agree.

        precision = hits / spans predicted,   recall = hits / spans there,   f1 = 2 hits / (predicted + there)

    0 / 0 counts 0.

    Raises:
        ValueError: the sentences do not fit together.

    >>> span_scores([["B-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "B-LOC"]])
    {'precision': 0.5, 'recall': 0.5, 'f1': 0.5}
    """
    hits, told, there = (sum(counts.values()) for counts in _counts(prediction, target))
    return _scores(hits, told, there)


def span_scores_each(prediction: Sequence[Tags], target: Sequence[Tags]) -> dict[str, dict[str, float]]:
    """The same for each kind of span by itself, with its support: how many spans of it there are.

    >>> span_scores_each([["B-PER", "O"]], [["B-PER", "B-LOC"]])["LOC"]
    {'precision': 0.0, 'recall': 0.0, 'f1': 0.0, 'support': 1}
    """
    hits, told, there = _counts(prediction, target)
    kinds = sorted(told | there)
    return {kind: _scores(hits[kind], told[kind], there[kind]) | {"support": there[kind]} for kind in kinds}


def scheme(sentences: Iterable[Tags]) -> str:
    """How the sentences write spans: "bio", "iob1", "bioes"; "mixed" where no rule holds; "" where tags mark no spans.

    >>> scheme([["O", "B-PER", "I-PER"], ["B-LOC"]]), scheme([["O", "I-PER"]]), scheme([["NOUN", "O"]])
    ('bio', 'iob1', '')
    """
    pairs = {pair for tags in sentences for pair in pairwise((OUTSIDE, *tags, OUTSIDE))}
    tags = set(chain.from_iterable(pairs))
    if not all(_TAG.fullmatch(tag) for tag in tags) or not _marks_spans(tags):
        return ""
    ends = {tag[0] for tag in tags} & {"E", "S"}
    for name in ("bioes",) if ends else ("bio", "iob1"):
        if all(_follows(name, *pair) for pair in pairs):
            return name
    return "mixed"


def forbidden(tags: Tags, scheme: str) -> list[tuple[int, int]]:
    """Pairs of numbers of tags (a, b) where b never follows a in this scheme; -1 stands for the sentence's two ends.

    >>> forbidden(["B-PER", "I-PER", "O"], "bio")
    [(-1, 1), (2, 1)]
    """
    if scheme not in SCHEMES:
        return []
    named = [(k, tag) for k, tag in enumerate(tags)] + [(-1, OUTSIDE)]
    found = [(a, b) for a, before in named for b, after in named if not _follows(scheme, before, after)]
    return sorted(pair for pair in found if pair != (-1, -1))


def _parts(tag: str) -> tuple[str, str]:
    """B-PER -> B, PER; what is no such tag is outside."""
    match = _TAG.fullmatch(tag)
    return (OUTSIDE, "") if match is None or match[1] is None else (match[1], match[2] or "")


def _begins(before: str, now: str, kind: str, own: str) -> bool:
    """Whether a span begins at `now`, which is not outside."""
    return now in "BS" or before in "OES" or kind != own


def _marks_spans(tags: set[str]) -> bool:
    """Not every set of one-letter tags does."""
    return {"B", "I"} <= tags or any(tag[1:2] == "-" for tag in tags)


def _follows(scheme: str, before: str, after: str) -> bool:
    """Whether one tag may follow another; the ends of a sentence are outside."""
    (a, kind), (b, own) = _parts(before), _parts(after)
    if scheme == "iob1":  # B is there to part two neighbours
        return b != "B" or (a != OUTSIDE and kind == own)
    inside = a in "BI" if scheme == "bioes" else a != OUTSIDE
    goes_on = b in "IE"
    if scheme == "bio" or not inside:
        return not goes_on or (inside and kind == own)
    return goes_on and kind == own


def _counts(prediction: Sequence[Tags], target: Sequence[Tags]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """By kind: spans that agree, that were predicted, that are there."""
    if len(prediction) != len(target):
        raise ValueError(f"{len(prediction)} sentences are predicted, {len(target)} are there")
    hits: Counter[str] = Counter()
    told: Counter[str] = Counter()
    there: Counter[str] = Counter()
    for row, (guess, truth) in enumerate(zip(prediction, target, strict=True)):
        if len(guess) != len(truth):
            raise ValueError(f"sentence {row}: {len(guess)} tags are predicted, {len(truth)} are there")
        ours, theirs = spans(guess), spans(truth)
        told.update(kind for kind, _, _ in ours)
        there.update(kind for kind, _, _ in theirs)
        hits.update(kind for kind, _, _ in set(ours) & set(theirs))
    return hits, told, there


def _scores(hits: int, told: int, there: int) -> dict[str, float]:
    both = told + there
    return {
        "precision": hits / told if told else 0.0,
        "recall": hits / there if there else 0.0,
        "f1": 2 * hits / both if both else 0.0,
    }
