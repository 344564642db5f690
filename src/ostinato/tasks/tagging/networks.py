"""The network of a plan."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ostinato.data.text.forms import Forms
    from ostinato.models.tagger import WordTagger
    from ostinato.tasks.tagging.plan import Plan

WINDOW = 5  # words that the feed-forward network sees, that in the middle is tagged


def build(
    plan: Plan, forms: Forms, kinds: Sequence[str], *, network: str = "recurrent", counts: Tensor | None = None,
    vectors: Tensor | None = None,
) -> WordTagger:  # fmt: skip
    """A network, drawn from the plan's seed; the caller's random stream stays as it was.

    Args:
        forms, kinds: words, letters and tags by their numbers.
        network: "recurrent", or "feed_forward": the same words and head, without a memory.
        counts: how often each word was seen in training; rare ones are now and then taken for unknown.
        vectors: (words, width) pretrained ones to begin with.

    Raises:
        ValueError: an unknown cell.
    """
    import torch

    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(plan.seed)
        return _drawn(plan, forms, kinds, network, counts, vectors)


def _drawn(
    plan: Plan, forms: Forms, kinds: Sequence[str], network: str, counts: Tensor | None, vectors: Tensor | None
) -> WordTagger:
    from ostinato import heads
    from ostinato.metrics import spans
    from ostinato.models.letters import Letters
    from ostinato.models.tagger import WordTagger
    from ostinato.models.words import WordVectors

    letters = None
    if plan.letters != "none" and forms.letters is not None:
        letters = Letters(len(forms.letters), plan.letters_width, kind=plan.letters)
    words = WordVectors(
        len(forms.words), plan.word_width, counts=counts, letters=letters, pretrained=vectors, dropout=plan.dropout
    )
    options: dict[str, Any] = {"forbidden": spans.forbidden(kinds, plan.scheme)} if plan.head == "crf" else {}
    head = partial(heads.build, plan.head, outputs=len(kinds), **options)
    return WordTagger(words, _encoder(plan, words.features, network), head, plan.dropout)


def _encoder(plan: Plan, inputs: int, network: str) -> Any:
    from ostinato.baselines import FeedForward
    from ostinato.models.tagger import EachStep

    if network == "feed_forward":
        hidden = 2 * plan.hidden_size
        return FeedForward(inputs, WINDOW, hidden, dropout=plan.dropout, each_step=True, ahead=WINDOW // 2)
    return EachStep(plan.cell, inputs, plan.hidden_size, plan.num_layers, plan.dropout, plan.bidirectional)
