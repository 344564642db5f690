"""What comes next: p(x[t + 1] | x[1], ..., x[t]), of text or of music."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ostinato import heads
from ostinato.heads import Head
from ostinato.layers.linear import Linear
from ostinato.models.stack import LockedStack, State
from ostinato.ops import random

Array = NDArray[np.float64]

SPREAD = 0.1  # of a word's first numbers, on both sides of 0
AT_ONCE = 4_000_000  # logits that are held while a text is measured: steps x columns x tokens
LONGEST = 1000  # steps in one call


class Embedding(nn.Embedding):
    """A row for each token; with `word_dropout` all uses of some tokens are left out of a batch (Gal 2016)."""

    def __init__(self, tokens: int, features: int, word_dropout: float = 0.0) -> None:
        super().__init__(tokens, features)
        self.word_dropout = word_dropout
        nn.init.uniform_(self.weight, -SPREAD, SPREAD)

    def forward(self, input: Tensor) -> Tensor:
        """Tokens (...) -> (..., features)."""
        found = super().forward(input)
        if not (self.training and self.word_dropout):
            return found
        mask = random.scaled_mask(random.draw_key(), 0, (self.num_embeddings, 1), self.word_dropout, self.weight)
        return found * F.embedding(input, mask)


class Language(nn.Module):
    """The law of the next step, read off a recurrent state.

        h[t], s[t] = stack(inputs(x[t]), s[t - 1]);    p(x[t + 1]) = head(P h[t])

    Args:
        inputs: x[t] -> features: an `Embedding`, or nothing for frames of notes.
        stack: the layers.
        head: the law.
        project: P; none where the state is as wide as the head wants it.

    Shapes: tokens (batch, time) or frames (batch, time, notes); raw (batch, time, ...) as of the head.

    >>> model = token_model(50, "gru", hidden_size=16, num_layers=2, embedding_size=8)
    >>> raw, state = model(torch.zeros(3, 5, dtype=torch.long))
    >>> raw.shape, len(state)
    (torch.Size([3, 5, 50]), 2)
    """

    def __init__(self, inputs: nn.Module, stack: LockedStack, head: Head, project: nn.Module | None = None) -> None:
        super().__init__()
        self.inputs, self.stack, self.head = inputs, stack, head
        self.project = nn.Identity() if project is None else project

    def forward(self, x: Tensor, state: State | None = None, *, lengths: Any = None) -> tuple[Tensor, State]:
        """raw of the law of each next step, and the state after the last."""
        y, state = self.stack(self.inputs(x), state, lengths=lengths)
        return self.head(self.project(y)), state

    def loss(
        self, x: Tensor, target: Tensor, state: State | None = None, *, lengths: Any = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """-log p of every target summed, how many steps count, and the state after the last."""
        raw, state = self(x, state, lengths=lengths)
        total, _ = self.head.loss(raw, target, mask)
        count = target.new_tensor(target.shape[:2].numel()) if mask is None else mask.sum()
        return total, count, state


def token_model(
    tokens: int, cell: str, hidden_size: int, num_layers: int, *, embedding_size: int, tied: bool = True,
    cutoffs: Sequence[int] = (), dropout: float = 0.0, input_dropout: float = 0.0, word_dropout: float = 0.0,
    weight_dropout: float = 0.0, **options: Any,
) -> Language:  # fmt: skip
    """A model of tokens, numbered by frequency where `cutoffs` group the rare ones (`heads.AdaptiveSoftmax`).

    `tied`: the head's weights are the embedding's; a projection stands between where the state has another width.

    Source: Press and Wolf (2017), Using the Output Embedding to Improve Language Models.
    """
    inputs = Embedding(tokens, embedding_size, word_dropout)
    stack = LockedStack(
        cell, embedding_size, hidden_size, num_layers, dropout=dropout, input_dropout=input_dropout,
        weight_dropout=weight_dropout, **options,
    )  # fmt: skip
    width = embedding_size if tied else hidden_size
    kind: dict[str, Any] = {"name": "adaptive_softmax", "cutoffs": list(cutoffs)} if cutoffs else {"name": "softmax"}
    head = heads.build(features=width, outputs=tokens, **kind)
    project = Linear(hidden_size, embedding_size) if tied and embedding_size != hidden_size else None
    if tied:
        head.project.weight = inputs.weight
    return Language(inputs, stack, head, project)


def frame_model(
    notes: int, cell: str, hidden_size: int, num_layers: int, *, dropout: float = 0.0, input_dropout: float = 0.0,
    weight_dropout: float = 0.0, **options: Any,
) -> Language:  # fmt: skip
    """A model of frames of notes, each on or off: a piano roll."""
    stack = LockedStack(
        cell, notes, hidden_size, num_layers, dropout=dropout, input_dropout=input_dropout,
        weight_dropout=weight_dropout, **options,
    )  # fmt: skip
    return Language(nn.Identity(), stack, heads.build("bernoulli", features=hidden_size, outputs=notes))


def begin_at_frequencies(model: Language, counts: Sequence[int] | NDArray[Any]) -> None:
    """Let the head begin with the frequencies of tokens or notes, so that no step is spent on learning them.

    Args:
        counts: how often each token occurred; of notes, the share of frames with them.
    """
    with torch.no_grad():
        found = torch.as_tensor(np.asarray(counts, dtype=np.float64))
        if model.head.name == "bernoulli":
            bias = torch.logit(found.clamp(1e-4, 1 - 1e-4))
        else:
            bias = (found + 0.5).log() - (found + 0.5).mean().log()
        model.head.project.bias.copy_(bias)
        if isinstance(model.head, heads.get("adaptive_softmax")):
            _begin_groups(model.head, bias)


def _begin_groups(head: Any, bias: Tensor) -> None:
    ends = [*head.cutoffs[1:], head.outputs]
    for k, (low, high) in enumerate(zip(head.cutoffs, ends, strict=True)):
        head.groups.bias[k] = bias[low:high].logsumexp(0)


@torch.no_grad()
def log_probabilities(model: Language, tokens: Tensor, start: int, columns: int = 1) -> Array:
    """log p of each token of a text given all before it, (time,): the state is carried from its begin to its end.

    Args:
        tokens: (time,).
        start: the token that is read before the first.
        columns: read the text in so many pieces side by side, each from an empty state: faster, and a little too bad.

    >>> model = token_model(50, "gru", hidden_size=16, num_layers=1, embedding_size=8).eval()
    >>> log_probabilities(model, torch.arange(7), start=0).shape
    (7,)
    """
    if not len(tokens):
        return np.zeros(0)
    length = -(-len(tokens) // columns)
    filled = F.pad(tokens, (0, length * columns - len(tokens)))
    before = torch.cat([filled.new_tensor([start]), filled[:-1]])
    x, y = (part.view(columns, length) for part in (before, filled))
    steps = max(1, min(LONGEST, AT_ONCE // (columns * model.head.outputs)))
    state, found = None, []
    for a, b in zip(x.split(steps, 1), y.split(steps, 1), strict=True):
        raw, state = model(a, state)
        found.append(-model.head.cost(raw, b))
    return torch.cat(found, 1).reshape(-1)[: len(tokens)].double().cpu().numpy()
