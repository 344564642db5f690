"""From a vector a step to one vector a sequence: the last, the largest, the mean, or what attention picks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ostinato.layers.linear import Linear
from ostinato.sequence import Sequence, as_lengths

POOLINGS = ("last", "max", "mean", "attention")


class Pooling(nn.Module):
    """One vector v a sequence, of its own steps alone:

        last        v = y[T], and of a backward direction y[1]: the state when all was read
        max         v[k] = max over t of y[t, k]
        mean        v = sum over t of y[t] / T
        attention   v = sum over t of a[t] y[t],   a = softmax over t of u . tanh(W y[t] + b)

    Args:
        kind: "last", "max", "mean" or "attention".
        features: width of a step.
        directions: 2 where the second half of a step was read backwards.

    Shapes: y (batch, time, features), lengths (batch,) or None -> (batch, features). A sequence of length 0
    gives zeros; what lies in the padding, NaN too, reaches neither value nor gradient.

    Raises:
        ValueError: there is no such kind.

    Source: attention: Yang et al. (2016), Hierarchical Attention Networks for Document Classification, 2.2.

    >>> y = torch.tensor([[[1.0, 4.0], [3.0, 2.0], [9.0, 9.0]]])
    >>> [Pooling(kind, 2)(y, [2]).tolist() for kind in ("last", "max", "mean")]
    [[[3.0, 2.0]], [[3.0, 4.0]], [[2.0, 3.0]]]
    """

    def __init__(self, kind: str, features: int, directions: int = 1) -> None:
        super().__init__()
        if kind not in POOLINGS:
            raise ValueError(f"pooling {kind!r}: it is one of {', '.join(POOLINGS)}")
        self.kind, self.forwards = kind, features // directions
        attends = kind == "attention"
        self.look = Linear(features, features) if attends else None
        self.weigh = Linear(features, 1, bias=False) if attends else None

    def forward(self, y: Tensor, lengths: Any = None) -> Tensor:
        """y (batch, time, features) -> (batch, features)."""
        ends = None if lengths is None else as_lengths(lengths, *y.shape[:2])
        steps = Sequence(y, ends).clean()
        if self.kind == "last":
            return torch.cat([steps.last()[:, : self.forwards], steps.values[:, 0, self.forwards :]], -1)
        values, outside = steps.values, ~steps.mask.unsqueeze(-1)  # (B, T, F), (B, T, 1)
        if self.kind == "max":
            return values.masked_fill(outside & ~outside.all(1, keepdim=True), -torch.inf).amax(1)
        count = (~outside).sum(1).clamp(min=1)
        if self.look is None or self.weigh is None:
            return values.sum(1) / count
        score = self.weigh(torch.tanh(self.look(values)))
        # The lowest number, not -inf: a softmax over nothing is NaN, and so would be its gradient.
        share = score.masked_fill(outside, torch.finfo(score.dtype).min).softmax(1)
        return (share * values).sum(1)
