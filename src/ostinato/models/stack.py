"""Recurrent layers for language: what is dropped between them is the same at every step."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ostinato.layers import Recurrent
from ostinato.ops import random

State = tuple[Any, ...]  # of each layer


class LockedStack(nn.Module):
    """y_k = layer k of m_k y_{k-1}, with one mask m_k for each sequence and layer, held from step to step.

    A mask drawn anew at each step would make a state forget; a locked one trains a thinner network. One more mask
    lies behind the last layer. `weight_dropout` leaves out entries of R, others in each batch.

    Args:
        cell: name of a registered cell.
        inputs: features of one step.
        hidden_size, num_layers: width of every layer, and how many.
        dropout: between layers and behind the last.
        input_dropout: before the first.
        weight_dropout: of recurrent weights.
        options: of the cell.

    Shapes: x (batch, time, inputs) -> (batch, time, hidden_size), and the state, one entry a layer.

    Source: Gal and Ghahramani (2016), A Theoretically Grounded Application of Dropout in Recurrent Neural Networks;
    Merity et al. (2018), Regularizing and Optimizing LSTM Language Models.

    >>> import torch
    >>> stack = LockedStack("lstm", inputs=3, hidden_size=8, num_layers=2, dropout=0.2)
    >>> y, state = stack(torch.randn(4, 7, 3))
    >>> y.shape, len(state)
    (torch.Size([4, 7, 8]), 2)
    """

    def __init__(
        self, cell: str, inputs: int, hidden_size: int, num_layers: int = 1, *, dropout: float = 0.0,
        input_dropout: float = 0.0, weight_dropout: float = 0.0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [inputs, *[hidden_size] * (num_layers - 1)]
        self.layers = nn.ModuleList(
            Recurrent(cell, width, hidden_size, weight_dropout=weight_dropout, **options) for width in widths
        )
        self.dropout, self.input_dropout = dropout, input_dropout

    def forward(self, x: Tensor, state: State | None = None, *, lengths: Any = None) -> tuple[Tensor, State]:
        """Run the layers; see the class for shapes."""
        ends = []
        key = random.draw_key() if self.training and (self.dropout or self.input_dropout) else None
        y = locked(x, key, 0, self.input_dropout)
        for k, layer in enumerate(self.layers):
            y, end = layer(y, None if state is None else state[k], lengths=lengths)
            ends.append(end)
            y = locked(y, key, k + 1, self.dropout)
        return y, tuple(ends)


def locked(x: Tensor, key: Tensor | None, stream: int, p: float) -> Tensor:
    """x (batch, time, features) with the same features of a sequence dropped at every step; as it is without a key."""
    if key is None or not p:
        return x
    return x * random.scaled_mask(key, stream, (x.shape[0], x.shape[2]), p, x)[:, None]
