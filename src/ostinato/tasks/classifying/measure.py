"""How good a classifier is on texts with labels, and what the baselines reach on the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato import metrics
from ostinato.data import DataError
from ostinato.data.errors import shown
from ostinato.data.text.labelled import Labelled
from ostinato.tasks.classifying.learnt import LEAST, Learnt, probability
from ostinato.tasks.classifying.plan import Plan

Array = NDArray[Any]

LETTERS_AT_MOST = 10_000_000  # in all texts together, for n-grams of letters: more takes minutes
EVEN = 0.4  # share of the rarer of two classes below which its F1 says more than the accuracy


class Rival(NamedTuple):
    """A baseline's answers.

    Attributes:
        name: in metrics.json.
        probability: (texts, classes) of what was held out.
        notes: for the report.
    """

    name: str
    probability: Array
    notes: tuple[str, ...] = ()


def known(data: Labelled, classes: Sequence[str], skip: bool) -> Labelled:
    """Only rows whose label the model knows.

    Raises:
        DataError: a label that it has not learnt, where such rows are not to be left out.
    """
    there = [k for k, label in enumerate(data.labels) if label in set(classes)]
    strange = len(data) - len(there)
    if not strange:
        return data
    label = next(label for label in data.labels if label not in set(classes))
    learnt = ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")
    if not skip or not there:
        rows = "1 row has" if strange == 1 else f"{strange:,} rows have"
        found = f"the label {shown(label)} ({rows} such labels) was not learnt; known are {learnt}"
        raise DataError(data.source, found, "correct it, learn from data that have it, or --on-bad skip")
    kept = data.pick(there)
    note = f"left out {strange} rows with a label that was not learnt, such as {shown(label)}"
    return Labelled(kept.texts, kept.labels, kept.source, (*data.notes, note))


def positive(classes: Sequence[str], counts: Sequence[int]) -> str | None:
    """Of two classes the rarer in training, the later one where both are as frequent; None where there are more.

    >>> positive(["ham", "spam"], [90, 10]), positive(["0", "1"], [5, 5])
    ('spam', '1')
    """
    if len(classes) != 2:
        return None
    return classes[0] if counts[0] < counts[1] else classes[1]


def scores(p: Array, classes: Sequence[str], labels: Sequence[str], rarer: str | None) -> dict[str, float]:
    """accuracy, macro_f1, nll and calibration_error; of two classes f1 and auroc of the rarer too.

    Args:
        p: (texts, classes).
        rarer: see `positive`.
    """
    names, truth = np.array(classes), np.array(labels)
    places = {name: k for k, name in enumerate(classes)}
    guess = names[p.argmax(1)]
    own = p[np.arange(len(p)), [places[label] for label in labels]]
    found = {"accuracy": metrics.accuracy(guess, truth), "macro_f1": metrics.macro_f1(guess, truth)}
    if rarer is not None:
        found["f1"] = metrics.f1(guess, truth, rarer)
        both = 0 < int((truth == rarer).sum()) < len(truth)
        found["auroc"] = metrics.auroc(p[:, places[rarer]], truth == rarer) if both else float("nan")
    found["nll"] = metrics.nll(np.log(np.maximum(own, LEAST)))
    found["calibration_error"] = metrics.calibration_error(p.max(1), guess == truth)
    return found


def shown_metrics(classes: Sequence[str], counts: Sequence[int]) -> dict[str, str]:
    """The table's columns, the one to judge by first, and which way each is better."""
    names = ["accuracy", "macro_f1"]
    if len(classes) == 2:
        names = ["accuracy", "f1", "auroc"] if min(counts) >= EVEN * sum(counts) else ["f1", "accuracy", "auroc"]
    return dict.fromkeys(names, "max") | {"nll": "min", "calibration_error": "min"}


def rivals(train: Labelled, test: Labelled, classes: Sequence[str]) -> tuple[list[Rival], list[str]]:
    """Baselines that learn from the same texts, and words about those that were left out."""
    from ostinato.baselines.majority import Majority
    from ostinato.baselines.tfidf import Tfidf

    models: list[Any] = [Majority()]
    said = []
    if find_spec("sklearn") is None:
        said.append("TF-IDF + logistic regression are left out: they need scikit-learn (pip install ostinato[text])")
    else:
        models += [Tfidf("word"), Tfidf("char")]
        letters = sum(map(len, train.texts))
        if letters > LETTERS_AT_MOST:
            models.pop()
            said.append(f"tfidf_char is left out: {letters:,} letters would take it minutes")
    found = []
    for model in models:
        model.fit(train.texts, train.labels)
        p = np.zeros((len(test), len(classes)))
        p[:, [list(classes).index(name) for name in model.classes_]] = model.predict_proba(test.texts)
        found.append(Rival(model.name, p, tuple(model.notes)))
    return found, said


def feed_forward(learnt: Learnt, run: Any, test: Labelled, time_limit: float | None) -> Rival:
    """The network without memory, trained as ours on the same units."""
    import torch

    from ostinato.baselines import MeanOfEmbeddings

    plan: Plan = learnt.plan
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(plan.seed)
        network = MeanOfEmbeddings(
            len(learnt.units), len(learnt.classes), width=plan.width, hidden_size=plan.hidden_size,
            dropout=plan.dropout, weights=plan.weights,
        )  # fmt: skip
    run.train(network, plan.seed, quiet=True, time_limit=time_limit)
    return Rival("feed_forward", probability(network, learnt.ids(test.texts), len(learnt.classes)))


def table(rows: Sequence[Rival], classes: Sequence[str], test: Labelled, rarer: str | None) -> dict[str, Any]:
    """Each baseline's metrics."""
    return {row.name: scores(row.probability, classes, test.labels, rarer) for row in rows}


def confused(p: Array, classes: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
    """(classes, classes) how many texts of the row's class were told to be of the column's.

    >>> confused(np.eye(2)[[0, 1, 1]], ["no", "yes"], ["no", "no", "yes"]).tolist()
    [[1, 1], [0, 1]]
    """
    places = {name: k for k, name in enumerate(classes)}
    found = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(found, ([places[label] for label in labels], p.argmax(1)), 1)
    return found


def telling(p: Array, classes: Sequence[str], labels: Sequence[str], many: int = 6) -> Iterator[tuple[int, str]]:
    """Texts worth a look, and why: those told wrongly with the most certainty, the surest, the most doubtful."""
    right = np.array(classes)[p.argmax(1)] == np.array(labels)
    sure = p.max(1)
    order = np.argsort(-sure, kind="stable")
    wrong = [int(k) for k in order if not right[k]]
    good = [int(k) for k in order if right[k]]
    chosen = [(k, "wrong, and sure of it") for k in wrong[: many // 2]]
    others = {str(np.array(classes)[p[k].argmax()]): k for k in reversed(good)}  # the surest of each class
    chosen += [(k, "right, and sure of it") for k in sorted(others.values(), key=lambda k: -sure[k])[: many // 3]]
    chosen += [(k, "right, in doubt") for k in good[-1:] if k not in {number for number, _ in chosen}]
    yield from chosen
