"""What a classification's experiment found: metrics beside the baselines, predictions, charts, and words about it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data.text.labelled import Labelled, counts
from ostinato.tasks.classifying import charts
from ostinato.tasks.classifying.learnt import Learnt
from ostinato.tasks.classifying.measure import Rival, positive, scores, shown_metrics, table
from ostinato.tasks.outcome import Outcome

Array = NDArray[Any]

SHOWN = 5


@dataclass(frozen=True)
class Measured:
    """An experiment before it is described.

    Attributes:
        learnt: what was trained.
        test: what was held out.
        rivals: the baselines' answers to it.
        began: when, on the monotonic clock.
        notes: what was done, before what can be told from the rest.
        curve: (texts learnt from, accuracy), of parts of the data.
    """

    learnt: Learnt
    test: Labelled
    rivals: Sequence[Rival]
    began: float
    notes: Sequence[str] = ()
    curve: Sequence[tuple[int, float]] = field(default=())


def describe(found: Measured) -> Outcome:
    """The outcome."""
    learnt, test = found.learnt, found.test
    classes = learnt.classes
    rarer = positive(classes, learnt.counts)
    network = learnt.of_networks(test.texts)
    ngrams = learnt.of_ngrams(test.texts, network)
    p = np.exp(learnt.trust.mixed(network, ngrams))
    ours = scores(p, classes, test.labels, rarer)
    others = table(found.rivals, classes, test, rarer)
    guess = [classes[k] for k in p.argmax(1)]
    columns = {"text": test.texts, "label": test.labels, "predicted": guess, "probability": p.max(1).tolist()}
    notes = [*found.notes, *_notes(found, rarer), *_alone(learnt, test, network, ngrams)]
    notes += [note for rival in found.rivals for note in rival.notes]
    return Outcome(
        task="classify", data=test.source, metrics=ours, baselines=others, best=shown_metrics(classes, learnt.counts),
        parameters=learnt.parameters, seconds=time.monotonic() - found.began,
        epochs=len(learnt.history) or learnt.best, seed=learnt.plan.seed, columns=columns, notes=tuple(notes),
        settings=_settings(learnt), charts=tuple(charts.drawn(found, p, ours, others)),
        history=learnt.history, answer=_answer(columns), answer_title="Some of what was held out",  # type: ignore[arg-type]
    )  # fmt: skip


def _answer(columns: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    rows, step = [], max(1, len(columns["text"]) // SHOWN)  # a few from all over, for files may be sorted by label
    for text, label, guess, p in list(zip(*columns.values(), strict=True))[::step][:SHOWN]:
        short = " ".join(text.split())
        rows.append([short if len(short) <= 60 else short[:57] + "...", label, guess, f"{p:.2f}"])
    return ["text", "label", "predicted", "probability"], rows


def _notes(found: Measured, rarer: str | None) -> Iterator[str]:
    learnt = found.learnt
    plan = learnt.plan
    read = {"word": "word by word", "char": "letter by letter", "bpe": "by byte pairs"}[plan.unit]
    yield f"texts are read {read} ({len(learnt.units):,} units; --unit to change it)"
    cut = sum(len(row) >= plan.longest for row in learnt.ids(found.test.texts))
    if cut:
        yield f"of long texts the first {plan.longest} are read ({cut} of {len(found.test)} held-out texts are cut)"
    if len(set(plan.weights)) > 1:
        yield "texts of rare classes count more in training (--balance)"
    if rarer is not None:
        yield (
            f"f1 and auroc are of {rarer!r}, the rarer class"
            if len(set(learnt.counts)) > 1
            else (f"f1 and auroc are of {rarer!r}, the later of two classes as frequent")
        )
    if learnt.vectors:
        yield learnt.vectors
    if len(learnt.networks) > 1:
        yield f"probabilities are the mean of {len(learnt.networks)} networks"


def _alone(learnt: Learnt, test: Labelled, network: Array, ngrams: Array) -> Iterator[str]:
    """What each of the two would say by itself."""
    if learnt.ngrams is None:
        yield f"probabilities are tempered by {learnt.trust.network:.2f}, found on the validation part"
        return
    truth = [learnt.classes.index(label) for label in test.labels]
    alone = [float((each.argmax(1) == truth).mean()) for each in (network, ngrams)]
    yield (
        f"a bag of n-grams stands beside the networks: log-probabilities count {learnt.trust.network:.2f} and "
        f"{learnt.trust.ngrams:.2f}, found on the validation part; alone the networks are right in {alone[0]:.1%}, "
        f"the n-grams in {alone[1]:.1%} (--no-ngrams to leave them out)"
    )


def _settings(learnt: Learnt) -> dict[str, Any]:
    said = learnt.plan.model_dump(exclude={"weights"})
    said |= {"units": len(learnt.units), "classes": len(learnt.classes), "best epoch": learnt.best}
    return {key: value for key, value in said.items() if value is not None}


def held_words(train: Labelled, valid: Labelled, test: Labelled, how: str) -> str:
    """What was learnt from and what was not."""
    return (
        f"learnt from {len(train):,} texts ({counts(train.labels)}); {len(valid):,} decided when to stop and how far "
        f"to trust; measured on {len(test):,} others, {how}: nothing was learnt or chosen by them"
    )


def summary(learnt: Learnt) -> str:
    """What was trained, in a few lines."""
    plan = learnt.plan
    names = ", ".join(learnt.classes[:8]) + (", ..." if len(learnt.classes) > 8 else "")
    ways = "both directions" if plan.bidirectional and plan.cell != "conv" else "one direction"
    lines = [
        f"TextClassifier of {len(learnt.classes)} classes: {names}",
        f"  learnt from {sum(learnt.counts):,} texts, read by {plan.unit} ({len(learnt.units):,} units)",
        f"  {len(learnt.networks)} x {plan.cell}, {plan.num_layers} x {plan.hidden_size}, {ways}, {plan.pooling}: "
        f"{learnt.parameters:,} parameters in all, {learnt.best} epochs",
        f"  believed: networks {learnt.trust.network:.2f}, n-grams {learnt.trust.ngrams:.2f}",
    ]
    return "\n".join([*lines, *([f"  {learnt.vectors}"] if learnt.vectors else [])])
