"""How good tags are, and what others make of the same sentences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from ostinato.baselines.hidden_markov import HiddenMarkov
from ostinato.metrics import accuracy, macro_f1, spans

if TYPE_CHECKING:
    from ostinato.data.text.tagged import Tagged
    from ostinato.tasks.tagging.learnt import Learnt

Told = Sequence[Sequence[str]]

BASELINES = ("hidden_markov", "most_frequent_tag", "feed_forward")
MOST_STATES = 500  # tags from which on a Markov model's table of pairs is not worth its time


def scores(told: Told, data: Tagged, learnt: Learnt) -> dict[str, float]:
    """What metrics.json holds: accuracy of words, of words never seen in training, of whole sentences, and F1.

    precision, recall and f1 are of spans where the training's tags mark some; elsewhere macro_f1 is the mean over tags.
    """
    ours, theirs = list(chain.from_iterable(told)), list(chain.from_iterable(data.tags))
    found = {"accuracy": accuracy(ours, theirs)}
    new = [k for k, word in enumerate(chain.from_iterable(data.words)) if not learnt.usual.knows(word)]
    if new:
        found["unknown_accuracy"] = accuracy([ours[k] for k in new], [theirs[k] for k in new])
    rows = [(guess, truth) for guess, truth in zip(told, data.tags, strict=True) if truth]
    found["exact_match"] = sum(list(guess) == list(truth) for guess, truth in rows) / len(rows)
    if learnt.plan.scheme:
        return spans.span_scores(told, data.tags) | found
    return found | {"macro_f1": macro_f1(ours, theirs)}


def best(learnt: Learnt) -> dict[str, str]:
    """The table's columns, that which is trained for first."""
    names = ("f1", "precision", "recall", "accuracy") if learnt.plan.scheme else ("accuracy", "macro_f1")
    return dict.fromkeys((*names, "unknown_accuracy", "exact_match"), "max")


def baselines(
    train: Tagged, words: Told, learnt: Learnt, rival: Learnt | None, asked: Sequence[str]
) -> dict[str, Told]:
    """What each baseline that was asked for says of the words; all of them where none is named."""
    found: dict[str, Told] = {}
    wanted = asked or BASELINES
    if "hidden_markov" in wanted and len(learnt.kinds) <= MOST_STATES:
        found["hidden_markov"] = HiddenMarkov().fit(train.words, train.tags).predict(words)
    if "most_frequent_tag" in wanted:
        found["most_frequent_tag"] = learnt.usual.predict(words)
    if rival is not None:
        found["feed_forward"] = rival.tags(words)
    return found


def each_kind(told: Told, data: Tagged, learnt: Learnt) -> dict[str, dict[str, float]]:
    """precision, recall, f1 and support of each kind of span, or of each tag."""
    if learnt.plan.scheme:
        return spans.span_scores_each(told, data.tags)
    alone = [[[f"S-{tag}" for tag in row] for row in side] for side in (told, data.tags)]  # each word a span of its own
    return spans.span_scores_each(*alone)
