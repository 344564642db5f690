"""The network without memory, for texts: the mean of the units' vectors through dense layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ostinato.heads.softmax import Softmax
from ostinato.layers.linear import Linear
from ostinato.sequence import Sequence as Steps


class MeanOfEmbeddings(nn.Module):
    """p(class | text) = softmax(U relu(V m + a) + b),   m = the mean of the vectors of the text's units.

    It stands where a recurrent classifier stands, before the same batches and training: what the recurrent
    network does better, the order of the words does.

    Args:
        units: how many there are, padding (0) and unknown (1) too.
        classes: how many.
        width: of a unit's vector.
        hidden_size: of the dense layer.
        dropout: of the mean and of the dense layer.
        weights: what each class counts for; None: 1.

    Shapes: ids (batch, time) int64, lengths (batch,) -> raw scores (batch, classes).

    Source: Iyyer et al. (2015), Deep Unordered Composition Rivals Syntactic Methods for Text Classification.

    >>> import torch
    >>> network = MeanOfEmbeddings(units=50, classes=3)
    >>> network(torch.randint(2, 50, (4, 9)), torch.tensor([9, 1, 0, 4])).shape
    torch.Size([4, 3])
    """

    def __init__(
        self,
        units: int,
        classes: int,
        *,
        width: int = 100,
        hidden_size: int = 100,
        dropout: float = 0.0,
        weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(units, width, padding_idx=0)
        self.dense, self.dropout = Linear(width, hidden_size), nn.Dropout(dropout)
        self.head = Softmax(hidden_size, classes, weights=weights)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids (batch, time), lengths (batch,) -> raw (batch, classes)."""
        total = Steps(self.embedding(ids), lengths).clean().values.sum(1)
        mean = total / lengths.to(total.device).clamp(min=1)[:, None]
        return self.head(self.dropout(F.relu(self.dense(self.dropout(mean)))))
