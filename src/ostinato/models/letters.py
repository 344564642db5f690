"""Words by their letters: what a word that was never seen looks like."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ostinato.layers import LSTM, Conv1d

WINDOW = 3  # letters that a convolution sees at once


class Letters(nn.Module):
    """A vector for each word, from its letters alone.

    "lstm": e_k = E[letter_k]; [h[T]; h'[1]], the last states of an LSTM in both directions (Ling et al. 2015).
    "conv": max over k of W [e_{k-1}; e_k; e_{k+1}] + b (Ma and Hovy 2016).

    Args:
        letters: how many there are, padding (0) and unknown (1) too.
        features: width of a word's vector; even for "lstm".
        width: of a letter's own vector.
        kind: "lstm" or "conv".
        dropout: of the letters' vectors, in training.

    Shapes: ids (words, longest) int64, lengths (words,); output (words, features). What lies past a word's length
    changes nothing; a word of no letters is zeros.

    Raises:
        ValueError: no such kind, or features is odd for "lstm".

    >>> letters = Letters(letters=30, features=8)
    >>> letters(torch.tensor([[5, 6, 0], [7, 8, 9]]), torch.tensor([2, 3])).shape
    torch.Size([2, 8])
    """

    def __init__(
        self,
        letters: int,
        features: int,
        width: int = 25,
        kind: Literal["lstm", "conv"] = "lstm",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if kind not in ("lstm", "conv"):
            raise ValueError(f"letters are read by lstm or conv, found {kind!r}")
        if kind == "lstm" and features % 2:
            raise ValueError(f"features is even, half for each direction: found {features}")
        self.features, self.kind = features, kind
        self.embedding = nn.Embedding(letters, width, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.reader: nn.Module
        if kind == "lstm":
            self.reader = LSTM(width, features // 2, bidirectional=True)
        else:
            self.reader = Conv1d(width, features, WINDOW, padding="same")

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids (words, longest), lengths (words,) -> (words, features)."""
        lengths = lengths.to(ids.device)
        inside = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        x = self.dropout(self.embedding(ids.masked_fill(~inside, 0)))  # (words, longest, width)
        return self._last(x, lengths) if self.kind == "lstm" else self._largest(x, inside)

    def _last(self, x: Tensor, lengths: Tensor) -> Tensor:
        _, (h, _) = self.reader(x, lengths=lengths)
        return h.transpose(0, 1).flatten(1) * (lengths > 0)[:, None]

    def _largest(self, x: Tensor, inside: Tensor) -> Tensor:
        y = self.reader(x * inside.unsqueeze(-1))  # (words, longest, features)
        y = y.masked_fill(~inside.unsqueeze(-1), -torch.inf).amax(1)
        return torch.where(inside.any(1, keepdim=True), y, 0.0)
