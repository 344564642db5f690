"""What a tagger's experiment found: metrics, predictions, and words about what was done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ostinato.tasks.outcome import Outcome
from ostinato.tasks.tagging import charts
from ostinato.tasks.tagging.measure import Told, best, scores

if TYPE_CHECKING:
    from ostinato.data.text.tagged import Tagged
    from ostinato.tasks.tagging.learnt import Learnt

FIRST = 12  # words that the terminal gets
SCHEMES = {"bio": "BIO", "iob1": "IOB1", "bioes": "BIOES", "mixed": "no one scheme"}


def describe(
    learnt: Learnt,
    told: Told,
    others: Mapping[str, Told],
    data: Tagged,
    *,
    name: str,
    notes: Sequence[str],
    began: float,
) -> Outcome:
    """The outcome of an experiment, or of an evaluation.

    Args:
        told: what the network says of the words of `data`.
        others: what the baselines say.
        notes: what was done.
        began: time.monotonic() at the start.
    """
    return Outcome(
        task="tag", data=name, metrics=scores(told, data, learnt),
        baselines={other: scores(said, data, learnt) for other, said in others.items()}, best=best(learnt),
        parameters=learnt.parameters, seconds=time.monotonic() - began, epochs=len(learnt.history) or learnt.best,
        seed=learnt.plan.seed, columns=predictions(data.words, told, data.tags),
        notes=(*notes, *_notes(learnt, data)), settings=_settings(learnt),
        charts=tuple(charts.drawn(told, others, data, learnt)), history=learnt.history or None,  # type: ignore[arg-type]
        answer=_answer(told, data),
    )  # fmt: skip


def predictions(words: Told, told: Told, tags: Told | None = None) -> dict[str, list[Any]]:
    """Columns of a table: sentence (from 1), word, what the tag is where that is known, and what was predicted."""
    found: dict[str, list[Any]] = {
        "sentence": [k for k, row in enumerate(words, 1) for _ in row], "word": [word for row in words for word in row]
    }  # fmt: skip
    if tags is not None:
        found["tag"] = [tag for row in tags for tag in row]
    return found | {"predicted": [tag for row in told for tag in row]}


def _answer(told: Told, data: Tagged) -> tuple[list[str], list[list[str]]]:
    rows = zip(data.words, data.tags, told, strict=True)
    lines = [list(line) for sentence in rows for line in zip(*sentence, strict=True)]
    return ["word", "tag", "predicted"], lines[:FIRST]


def _notes(learnt: Learnt, data: Tagged) -> Iterator[str]:
    plan = learnt.plan
    if plan.scheme:
        rule = "the chain allows no tag where the scheme has none" if plan.scheme in _ruled(plan.head) else "no rule"
        yield f"tags mark spans, in {SCHEMES[plan.scheme]}; {rule}"
    strange = [tag for row in data.tags for tag in row if tag not in learnt.kinds]
    if strange:
        named = ", ".join(sorted(set(strange))[:5])
        yield f"{len(strange)} words have tags that training had not, and count as errors: {named}"
    if any(row.get("valid_loss") is not None for row in learnt.history):
        yield f"epoch {learnt.best} of {len(learnt.history)} was best on the validation part, and is kept"


def _ruled(head: str) -> tuple[str, ...]:
    return ("bio", "iob1", "bioes") if head == "crf" else ()


def _settings(learnt: Learnt) -> dict[str, Any]:
    plan = learnt.plan
    both = "both directions" if plan.bidirectional else "forwards"
    return {
        "cell": plan.cell, "stack": f"{plan.num_layers} x {plan.hidden_size}, {both}", "head": plan.head,
        "letters": plan.letters, "dropout": f"{plan.dropout:g}", "epochs at most": plan.epochs,
        "batch": f"{plan.batch_size} sentences", "learning rate": f"{plan.learning_rate:g}, falling to 0",
        "tags": len(learnt.kinds), "words known": f"{len(learnt.forms.words):,}",
    }  # fmt: skip


def summary(learnt: Learnt) -> str:
    """What was trained, in a few lines."""
    plan, kinds = learnt.plan, learnt.kinds
    shown = ", ".join(kinds[:12]) + (", ..." if len(kinds) > 12 else "")
    both = "both directions" if plan.bidirectional else "forwards"
    letters = "" if plan.letters == "none" else f" and their letters ({plan.letters})"
    lines = (
        f"Tagger of {len(kinds)} tags: {shown}",
        f"  reads {len(learnt.forms.words):,} words{letters}",
        f"  {plan.cell}, {plan.num_layers} x {plan.hidden_size}, {both}, {plan.head} head: "
        f"{learnt.parameters:,} parameters, epoch {learnt.best}",
    )
    return "\n".join(lines)
