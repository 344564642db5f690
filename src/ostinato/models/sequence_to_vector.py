"""Sequence to vector: an encoder reads all of it, a head answers once (classes, or every step of a horizon)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ostinato.heads import Head


class SequenceToVector(nn.Module):
    """raw = head(dropout(encoder(x))).

    A forecast of several steps is one answer with an output for each step: direct, not step by step,
    so that no forecast feeds on another (Ben Taieb et al. 2012, A Review and Comparison of Strategies
    for Multi-step Ahead Time Series Forecasting).

    Args:
        encoder: (batch, time, inputs), lengths -> (batch, features).
        head: of the same features.
        dropout: of the vector.
        start: the head's weights are scaled by this at the start; near 0 the first answers are near 0.

    Shapes: x (batch, time, inputs), lengths (batch,) or None; raw (batch, outputs x width of the head).

    >>> import torch
    >>> from ostinato import heads
    >>> from ostinato.models import Encoder
    >>> model = SequenceToVector(Encoder("gru", 3, 8), heads.build("point", 8, outputs=12))
    >>> model.head.predict(model(torch.randn(5, 20, 3))).shape
    torch.Size([5, 12])
    """

    def __init__(self, encoder: nn.Module, head: Head, dropout: float = 0.0, start: float = 1.0) -> None:
        super().__init__()
        self.encoder, self.dropout, self.head = encoder, nn.Dropout(dropout), head
        head.project.weight.data.mul_(start)

    def forward(self, x: Tensor, lengths: Any = None) -> Tensor:
        """x (batch, time, inputs) -> raw."""
        return self.head(self.dropout(self.encoder(x, lengths)))
