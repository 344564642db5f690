"""A text, a vector, a class: words as vectors, an encoder over them, one vector of it all, and a softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ostinato.cells import names
from ostinato.heads.softmax import Softmax
from ostinato.layers import Recurrent
from ostinato.layers.conv import Conv1d
from ostinato.models.pooling import Pooling
from ostinato.models.words import WordVectors
from ostinato.registry import nearest

WIDTHS = (3, 4, 5)  # of the windows of a convolutional encoder, as Kim's
SPREAD = 0.1  # of the words' vectors at the start: with more, a network learns single texts by heart
UNKNOWN = 1


class Convolutions(nn.Module):
    """y[t] = [relu(W_k x[t - k/2 .. t + k/2] + b_k) for k in widths], each of `channels` features.

    Pooled by the maximum over time it says whether a phrase occurs, wherever it stands.

    Args:
        inputs: features of a step.
        channels: features of each width.
        widths: steps in a window.

    Shapes: x (batch, time, inputs), lengths (batch,) or None -> (batch, time, widths x channels), 0 past a
    sequence's end; what lies in the padding never matters.

    Source: Kim (2014), Convolutional Neural Networks for Sentence Classification.

    >>> Convolutions(8, 16)(torch.randn(2, 7, 8), torch.tensor([7, 0])).shape
    torch.Size([2, 7, 48])
    """

    def __init__(self, inputs: int, channels: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.windows = nn.ModuleList(Conv1d(inputs, channels, k, padding="same") for k in widths)
        self.features = len(widths) * channels

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """x (batch, time, inputs) -> (batch, time, features)."""
        return torch.cat([F.relu(window(x, lengths=lengths)) for window in self.windows], -1)


class Classifier(nn.Module):
    """p(class | text) = softmax(W pool(encoder(x[1..T])) + b),   x[t] = the vector of unit t of the text.

    In training each unit is now and then taken for unknown, so that no single word decides alone.

    Args:
        units: how many there are, padding (0) and unknown (1) too.
        classes: how many.
        cell: a registered recurrent cell, or "conv".
        hidden_size, num_layers, bidirectional: of the recurrent encoder; of "conv", the features of each window.
        width: of a unit's vector; pretrained vectors bring their own.
        pooling: "last", "max", "mean" or "attention"; see `Pooling`.
        dropout: of the pooled vector, and half of it of the units' vectors.
        unit_dropout: share of units taken for unknown.
        weights: what each class counts for; None: 1.
        pretrained: (units, width) vectors to begin with; rows of zeros begin at random.

    Shapes: ids (batch, time) int64, lengths (batch,) -> raw scores (batch, classes). A text without units gets what
    the classes' biases say.

    >>> network = Classifier(units=50, classes=3, hidden_size=8, width=6)
    >>> network(torch.randint(2, 50, (4, 9)), torch.tensor([9, 1, 0, 4])).shape
    torch.Size([4, 3])
    """

    def __init__(
        self,
        units: int,
        classes: int,
        *,
        cell: str = "gru",
        hidden_size: int = 100,
        num_layers: int = 1,
        bidirectional: bool = True,
        width: int = 100,
        pooling: str = "max",
        dropout: float = 0.0,
        unit_dropout: float = 0.0,
        weights: Sequence[float] | None = None,
        pretrained: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.words = WordVectors(units, width, pretrained=pretrained, dropout=dropout / 2)
        if pretrained is None:
            with torch.no_grad():
                self.words.embedding.weight.mul_(SPREAD)
        self.unit_dropout, directions = unit_dropout, 1 + bidirectional
        self.encoder: Convolutions | Recurrent
        if cell == "conv":
            self.encoder = Convolutions(self.words.features, hidden_size)
            features, directions = self.encoder.features, 1
        else:
            if cell not in names():
                raise ValueError(f"cell {cell!r} is not registered; {nearest(cell, [*names(), 'conv'])}")
            self.encoder = Recurrent(
                cell, self.words.features, hidden_size, num_layers, dropout=dropout, bidirectional=bidirectional
            )
            features = directions * hidden_size
        self.pooling, self.dropout = Pooling(pooling, features, directions), nn.Dropout(dropout)
        self.head = Softmax(features, classes, weights=weights)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids (batch, time), lengths (batch,) -> raw (batch, classes)."""
        return self.head(self.dropout(self.vector(ids, lengths)))

    def vector(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """What the softmax sees of each text, (batch, features)."""
        x = self.words(self._some_unknown(ids))
        y: Any = self.encoder(x, lengths) if isinstance(self.encoder, Convolutions) else None
        if y is None:
            y, _ = self.encoder(x, lengths=lengths)
        return self.pooling(y, lengths)

    def _some_unknown(self, ids: Tensor) -> Tensor:
        if not self.training or not self.unit_dropout:
            return ids
        drawn = torch.rand(ids.shape, device=ids.device) < self.unit_dropout
        return ids.masked_fill(drawn & (ids > UNKNOWN), UNKNOWN)
