"""What a tagger's report shows: sentences with errors, what is taken for what, each kind beside the baselines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from ostinato.tasks.outcome import Chart, Line, Matrix, Passage, Reading
from ostinato.tasks.tagging.measure import Told, each_kind

if TYPE_CHECKING:
    from ostinato.data.text.tagged import Tagged
    from ostinato.tasks.tagging.learnt import Learnt

SHOWN = 8  # sentences with errors
LONGEST = 40  # words of a sentence that is shown
MOST = 20  # tags in a picture


def drawn(told: Told, others: Mapping[str, Told], data: Tagged, learnt: Learnt) -> Iterator[Chart | Matrix | Reading]:
    """All of it, the most telling first."""
    wrong = _readings(told, data)
    if wrong:
        yield Reading(
            "Sentences with errors",
            "Words that got a wrong tag are coloured; the line above says which they got, and which was right.", wrong,
        )  # fmt: skip
    yield _confusion(told, data)
    yield _kinds(told, others, data, learnt)
    if len(learnt.history) > 1:
        yield _training(learnt)


def _readings(told: Told, data: Tagged) -> list[Passage]:
    """Sentences with errors, spread over all there are; those with many words are passed over."""
    rows = [
        k
        for k, (guess, truth) in enumerate(zip(told, data.tags, strict=True))
        if list(guess) != truth and len(truth) <= LONGEST
    ]
    step = max(1, len(rows) // SHOWN)
    return [_passage(data.words[k], told[k], data.tags[k]) for k in rows[::step][:SHOWN]]


def _passage(words: Sequence[str], guess: Sequence[str], truth: Sequence[str]) -> Passage:
    wrong = [k for k in range(len(words)) if guess[k] != truth[k]]
    said = "; ".join(f"{words[k]}: {guess[k]}, right is {truth[k]}" for k in wrong)
    parts = [
        (piece, weight) for k, word in enumerate(words) for piece, weight in ((word, -float(k in wrong)), (" ", 0))
    ]
    return Passage(said, parts)


def _confusion(told: Told, data: Tagged) -> Matrix:
    pairs = Counter(zip(chain.from_iterable(data.tags), chain.from_iterable(told), strict=True))
    totals: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for (truth, guess), count in pairs.items():
        totals.update({truth: count, guess: 0})
        if truth != guess:
            wrong.update({truth: count, guess: count})
    # Of many tags those with the most mistakes, which the picture is there to show.
    names = sorted(sorted(totals, key=lambda tag: (-wrong[tag], -totals[tag], tag))[:MOST])
    values = np.array([[pairs[truth, guess] for guess in names] for truth in names])
    cut = f" The {MOST} of {len(totals)} tags with the most mistakes." if len(totals) > MOST else ""
    caption = f"How many words of each tag got which; rows are coloured by their shares.{cut}"
    return Matrix("What is taken for what", caption, names, names, values, "right tag", "predicted")


def _kinds(told: Told, others: Mapping[str, Told], data: Tagged, learnt: Learnt) -> Matrix:
    ours = each_kind(told, data, learnt)
    there = {kind: each["support"] for kind, each in ours.items() if each["support"]}
    names = sorted(sorted(there, key=lambda kind: -there[kind])[:MOST])
    rows = [ours, *(each_kind(other, data, learnt) for other in others.values())]
    values = np.array([[row.get(name, {"f1": 0.0})["f1"] for row in rows] for name in names])
    columns = ["ostinato", *(name.replace("_", " ") for name in others)]
    what = "kind of span" if learnt.plan.scheme else "tag"
    said = [f"{name or 'span'} ({there[name]:,.0f})" for name in names]
    cut = f" The {MOST} most frequent of {len(there)}." if len(there) > MOST else ""
    caption = f"F1 of each {what}, and how many there are, beside the baselines.{cut}"
    return Matrix(f"F1 of each {what}", caption, said, columns, values.reshape(len(names), len(rows)), full=1.0)


def _training(learnt: Learnt) -> Chart:
    history: Any = learnt.history
    what = "f1" if learnt.plan.scheme else "accuracy"
    x = np.array([row["epoch"] for row in history])
    marks = [(learnt.best, "best")] if learnt.best else []
    lines = [Line("loss in training", _column(history, "loss"), "plain")]
    if any(row.get(f"valid_{what}") is not None for row in history):
        lines.append(Line(f"{what} on validation", _column(history, f"valid_{what}"), "ours"))
    caption = "The weights of the marked epoch are kept."
    return Chart("Training", caption, x, lines, (), marks, "epoch", "")


def _column(history: Any, name: str) -> Any:
    return np.array([np.nan if row.get(name) is None else row[name] for row in history])
