"""The pictures of a classification's report: confusions, what moved decisions, how training went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data.text.split import words_of
from ostinato.tasks.classifying.learnt import Learnt
from ostinato.tasks.classifying.measure import confused, telling
from ostinato.tasks.outcome import Chart, Line, Matrix, Passage, Reading

if TYPE_CHECKING:
    from ostinato.tasks.classifying.outcome import Measured

Array = NDArray[Any]

MOST_CLASSES = 20  # in the picture of confusions
MOST_PIECES = 80  # of a text that is shown
BINS = 10


def drawn(
    found: Measured, p: Array, ours: Mapping[str, float], others: Mapping[str, Mapping[str, float]]
) -> Iterator[Chart | Matrix | Reading]:
    """All of them, the most telling first."""
    learnt, test = found.learnt, found.test
    yield _confusion(p, learnt.classes, test.labels)
    yield _moved(found, p)
    if len(learnt.history) > 1:
        yield _training(learnt)
    if len(set(_bins(p))) > 1:
        yield _honesty(p, learnt.classes, test.labels)
    if found.curve:
        yield _learning(found, ours, others)


def _confusion(p: Array, classes: tuple[str, ...], labels: list[str]) -> Matrix:
    counts = confused(p, classes, labels)
    # Of many classes those that are mistaken most often: a square of 58 by 58 cannot be read.
    wrong = counts.sum(0) + counts.sum(1) - 2 * counts.diagonal()
    rows = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CLASSES])
    names = [classes[k] for k in rows]
    caption = "Each row is a true class, each column what was said: what lies off the diagonal is wrong."
    if len(classes) > len(rows):
        caption += f" The {len(rows)} of {len(classes)} classes with the most mistakes."
    return Matrix("Confusions", caption, names, names, counts[np.ix_(rows, rows)], "true", "predicted")


def _moved(found: Measured, p: Array) -> Reading:
    learnt, test = found.learnt, found.test
    # Short ones where there are any: each piece is a question of its own, and a page is read by a person.
    short = np.array([k for k, row in enumerate(learnt.ids(test.texts)) if len(row) <= MOST_PIECES] or range(len(p)))
    chosen = telling(p[short], learnt.classes, [test.labels[k] for k in short])
    where = [(int(short[n]), why) for n, why in chosen]
    passages = [_passage(learnt, test.texts[k], test.labels[k], p[k], why) for k, why in where]
    what = "letters" if learnt.plan.unit == "char" else "words"
    caption = (
        f"Held-out texts: blue {what} speak for the class that was said, orange ones against it. Measured by "
        "leaving each out: how the log-probability falls without it, against the largest such fall in the text."
    )
    return Reading("What moved decisions", caption, passages)


def _passage(learnt: Learnt, text: str, label: str, p: Array, why: str) -> Passage:
    from ostinato.insight.occlusion import leave_one_out, to_unit

    k = int(p.argmax())
    pieces = learnt.pieces([text])[0][:MOST_PIECES]
    shown, gap = pieces, ""
    if learnt.plan.unit == "word":
        written, gap = words_of(text)[: len(pieces)], " "
        shown = written if len(written) == len(pieces) else pieces  # lower case may divide a text otherwise
    weights = to_unit(leave_one_out(lambda several: learnt.of_pieces(several)[:, k], pieces))
    parts = [(piece + gap, float(w)) for piece, w in zip(shown, weights, strict=True)]
    more = [("...", 0.0)] if len(learnt.units.split(text)) > len(pieces) else []
    said = f"said {learnt.classes[k]} ({p[k]:.2f})"
    heading = f"{said}: {why}" if label == learnt.classes[k] else f"{said}, is {label}: {why}"
    return Passage(heading, [*parts, *more])


def _training(learnt: Learnt) -> Chart:
    history = learnt.history
    epochs = np.array([row["epoch"] for row in history], dtype=float)
    lines = [Line("training", _column(history, "loss"), "plain")]
    if any(row.get("valid_loss") is not None for row in history):
        lines.append(Line("validation", _column(history, "valid_loss"), "ours"))
    caption = "The first network's loss over the epochs; the weights of the best validation are kept."
    return Chart("Training", caption, epochs, lines, (), [(float(learnt.best), "best")], "epoch", "loss")


def _honesty(p: Array, classes: tuple[str, ...], labels: list[str]) -> Chart:
    """How often answers of a certainty are right."""
    sure, right = p.max(1), np.array(classes)[p.argmax(1)] == np.array(labels)
    place = _bins(p)
    count = np.bincount(place, minlength=BINS)
    share = np.where(count > 0, np.bincount(place, right, BINS) / np.maximum(count, 1), np.nan)
    mean = np.where(count > 0, np.bincount(place, sure, BINS) / np.maximum(count, 1), np.nan)
    lines = [Line("right", share[count > 0], "ours"), Line("as sure as right", mean[count > 0], "truth")]
    caption = "Of held-out answers given with a probability, how many were right: honest ones lie on the line."
    return Chart(
        "Are probabilities honest", caption, mean[count > 0], lines, (), (), "probability of the answer", "share right"
    )


def _bins(p: Array) -> Array:
    """In which tenth the probability of each answer lies."""
    return np.clip((p.max(1) * BINS).astype(int), 0, BINS - 1)


def _learning(found: Measured, ours: Mapping[str, float], others: Mapping[str, Mapping[str, float]]) -> Chart:
    """How the accuracy grows with the data."""
    sizes = np.array([size for size, _ in found.curve], dtype=float)
    lines = [Line("ostinato", np.array([score for _, score in found.curve]), "ours")]
    for name, row in others.items():
        lines.append(Line(f"{name.replace('_', ' ')}, all data", np.full(len(sizes), row["accuracy"]), "baseline"))
    caption = "Accuracy on the same held-out texts after learning from parts of the rest. Where it rises, more help."
    return Chart("How much the amount of data matters", caption, sizes, lines, (), (), "texts learnt from", "accuracy")


def _column(history: Any, name: str) -> Array:
    return np.array([np.nan if row.get(name) is None else row[name] for row in history], dtype=float)
