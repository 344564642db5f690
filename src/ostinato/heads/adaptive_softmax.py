"""The next token of a large vocabulary: frequent tokens at once, rare ones by way of their group."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ostinato.heads.head import Head
from ostinato.layers.linear import Linear
from ostinato.ops import probes
from ostinato.ops.products import linear

SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # of the vocabulary: where groups are tried to begin
FIXED = 250.0  # rows of a product that asking a group for its tokens costs, whatever its size


class AdaptiveSoftmax(Head):
    """p(k) = p(k among the frequent and the groups), and for k in group g: p(k) = p(g) p(k among g).

        p(. among the frequent and the groups) = softmax(W[:c0] h + b[:c0], G h + d)
        p(. among g)                            = softmax(W[cg:ce] h + b[cg:ce])

    Tokens are numbered by frequency, from the most frequent on. Only the rows of a group that some target lies in
    are multiplied, and only with the steps that need them: at 10,000 tokens a third of the work. Every token has a
    row of W as wide as `features`, so that W may be the embedding too. raw is the features themselves: what is
    worth computing is known only with the target. The target is the token's number, shape (...), as of `Softmax`.

    Args:
        features: see Head.
        outputs: tokens.
        cutoffs: the first token of each group, rising; left out: one group, the last 7 of 10 tokens.

    Raises:
        ValueError: there are no cutoffs, or they do not rise between 1 and outputs - 1.

    Source: Grave et al. (2017), Efficient Softmax Approximation for GPUs, 4; groups without a smaller width of
    their own: Goodman (2001), Classes for Fast Maximum Entropy Training.

    >>> head = AdaptiveSoftmax(features=8, outputs=100, cutoffs=[10, 40])
    >>> raw = head(torch.randn(4, 5, 8))
    >>> total, count = head.loss(raw, torch.full((4, 5), 70))
    >>> head.predict(raw).shape, round(float(head.probabilities(raw[0, 0]).sum()), 5)
    (torch.Size([4, 5]), 1.0)
    """

    name: ClassVar[str] = "adaptive_softmax"
    support: ClassVar[str] = "the number of a token, 0 to outputs - 1"

    def __init__(self, features: int, outputs: int, *, cutoffs: Sequence[int] | None = None) -> None:
        found = [max(1, int(0.3 * outputs))] if cutoffs is None else [int(cut) for cut in cutoffs]
        if not found or [0, *found] != sorted({0, *found}) or found[-1] >= outputs:
            raise ValueError(f"adaptive_softmax head: cutoffs must rise from 1 to {outputs - 1} at most, found {found}")
        super().__init__(features, outputs, cutoffs=found)
        self.cutoffs = found
        self.groups = Linear(features, len(found))

    def forward(self, features: Tensor) -> Tensor:
        """The features as they are, (..., features)."""
        return features

    def parts(self, raw: Tensor) -> Tensor:
        """raw as it is: one answer over all of it."""
        return raw

    def cost(self, raw: Tensor, target: Tensor) -> Tensor:
        """-log p(target): (..., features), (...) -> (...)."""
        known = self._known(target).flatten()
        h = raw.reshape(-1, self.features).to(self.project.weight.dtype)
        if probes.transforming():  # there is no asking which steps need a group
            return -self.log_probabilities(h).gather(1, known[:, None]).view(target.shape).to(raw.dtype)
        (near, *groups), seen = self._pieces(), self._seen_first(known)
        cost = F.cross_entropy(linear(h, *near), seen, reduction="none")
        for k, ((weight, bias), low) in enumerate(zip(groups, self.cutoffs, strict=True)):
            rows = (seen == self.cutoffs[0] + k).nonzero()[:, 0]
            if len(rows):
                inner = F.cross_entropy(linear(h[rows], weight, bias), known[rows] - low, reduction="none")
                cost = cost.index_add(0, rows, inner)
        return cost.view(target.shape).to(raw.dtype)

    def log_probabilities(self, raw: Tensor) -> Tensor:
        """log p of every token, (..., outputs)."""
        h = raw.to(self.project.weight.dtype)
        near, *groups = self._pieces()
        first = linear(h, *near).log_softmax(-1)
        begin = self.cutoffs[0]
        parts = [first[..., :begin]]  # then the groups, each token by way of its own
        for k, piece in enumerate(groups):
            parts.append(first[..., begin + k, None] + linear(h, *piece).log_softmax(-1))
        return torch.cat(parts, -1)

    def probabilities(self, raw: Tensor) -> Tensor:
        """p, (..., outputs)."""
        return self.log_probabilities(raw).exp()

    def predict(self, raw: Tensor) -> Tensor:
        """The likeliest token, (...)."""
        return self.log_probabilities(raw).argmax(-1)

    def sample(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A token drawn by the Gumbel trick, (...)."""
        told = self.log_probabilities(raw)
        return (told - torch.empty_like(told).exponential_(generator=generator).log()).argmax(-1)

    def supports(self, target: Tensor) -> Tensor:
        """Whole numbers in 0..outputs - 1."""
        return (target >= 0) & (target < self.outputs) & (target == target.round())

    # The groups ------------------------------------------------------------------------------

    def _pieces(self) -> list[tuple[Tensor, Tensor]]:
        """Weights and biases of the first choice, then of each group."""
        ends = [*self.cutoffs, self.outputs]
        sizes = [high - low for low, high in zip([0, *self.cutoffs], ends, strict=True)]
        # Split, not sliced: the gradients of slices would each be as large as W.
        pieces = list(zip(self.project.weight.split(sizes), self.project.bias.split(sizes), strict=True))
        # The groups with the frequent tokens in one product: a softmax asks for both.
        near = zip(pieces[0], (self.groups.weight, self.groups.bias), strict=True)
        weight, bias = (torch.cat(both) for both in near)
        return [(weight, bias), *pieces[1:]]

    def _seen_first(self, known: Tensor) -> Tensor:
        """Tokens as they are, those of group g as c0 + g."""
        cuts = torch.tensor(self.cutoffs, device=known.device)
        group = torch.bucketize(known, cuts, right=True)
        return torch.where(group == 0, known, self.cutoffs[0] + group - 1)

    def _known(self, target: Tensor) -> Tensor:
        # Out of range would be an abort on a GPU: loss makes it NaN.
        return target.nan_to_num().clamp(0, self.outputs - 1).long()


def usual_cutoffs(counts: Sequence[int]) -> list[int]:
    """Where one or two groups begin so that a step is expected to multiply the least rows of W; none where all is less.

    Args:
        counts: how often each token occurs, the most frequent first.

    >>> usual_cutoffs([10] * 50)
    []
    """
    share = np.cumsum(np.asarray(counts, float))
    size, total = len(share), max(share[-1], 1.0)
    places = sorted({int(part * size) for part in SHARES} - {0})
    tried = [[], *([a] for a in places), *([a, b] for a in places for b in places if a < b)]
    costs = []
    for cuts in tried:
        ends = [*cuts, size]
        cost = ends[0] + len(cuts)
        for low, high in pairwise(ends):
            cost += FIXED + (share[high - 1] - share[low - 1]) / total * (high - low)
        costs.append(cost)
    return tried[int(np.argmin(costs))]
