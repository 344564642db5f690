"""From a sequence to a vector: what a recurrent stack holds when it has read all of it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ostinato.layers import Recurrent


class Encoder(nn.Module):
    """The last state of the top layer, both directions side by side: h[T] (and h'[1]).

    Args:
        cell: name of a registered cell.
        inputs: features of one step.
        hidden_size, num_layers, dropout, bidirectional, options: as of `Recurrent`.

    Shapes: x (batch, time, inputs), lengths (batch,) or None; output (batch, directions x hidden_size).

    >>> import torch
    >>> encoder = Encoder("gru", inputs=3, hidden_size=8, bidirectional=True)
    >>> encoder(torch.randn(5, 20, 3), lengths=[20, 1, 7, 0, 20]).shape, encoder.features
    (torch.Size([5, 16]), 16)
    """

    def __init__(
        self,
        cell: str,
        inputs: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self.recurrent = Recurrent(
            cell, inputs, hidden_size, num_layers, dropout=dropout, bidirectional=bidirectional, **options
        )

    @property
    def features(self) -> int:
        """Width of the vector."""
        return self.recurrent.num_directions * self.recurrent.hidden_size

    def forward(self, x: Tensor, lengths: Any = None) -> Tensor:
        """x (batch, time, inputs) -> (batch, features)."""
        _, state = self.recurrent(x, lengths=lengths)
        h = state if isinstance(state, Tensor) else state[0]  # (layers x directions, B, H)
        return h[-self.recurrent.num_directions :].transpose(0, 1).flatten(1)
