"""A tag for each word from the words on both sides of it: word vectors, a recurrent stack, a head at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.heads import Head
from ostinato.heads.crf import CRF
from ostinato.layers import Recurrent
from ostinato.models.words import WordVectors


class EachStep(nn.Module):
    """y[t], what the top layer of a recurrent stack says at each step, both directions side by side.

    Args:
        cell, inputs, hidden_size, num_layers, dropout, bidirectional, options: as of `Recurrent`.

    Shapes: x (batch, time, inputs), lengths (batch,) or None; output (batch, time, directions x hidden_size).

    >>> EachStep("gru", 3, 8, bidirectional=True)(torch.randn(2, 5, 3), lengths=[5, 1]).shape
    torch.Size([2, 5, 16])
    """

    def __init__(
        self, cell: str, inputs: int, hidden_size: int, num_layers: int = 1, dropout: float = 0.0,
        bidirectional: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        self.recurrent = Recurrent(
            cell, inputs, hidden_size, num_layers, dropout=dropout, bidirectional=bidirectional, **options
        )

    @property
    def features(self) -> int:
        """Width of the output."""
        return self.recurrent.num_directions * self.recurrent.hidden_size

    def forward(self, x: Tensor, lengths: Any = None) -> Tensor:
        """x (batch, time, inputs) -> (batch, time, features)."""
        y, _ = self.recurrent(x, lengths=lengths)
        return y


class WordTagger(nn.Module):
    """raw[t] = head(dropout(encoder(x)[t])), x the vectors of a sentence's words.

    Args:
        words: makes vectors of words.
        encoder: (batch, time, words.features), lengths -> (batch, time, features); see `EachStep`,
            `baselines.FeedForward` with each_step.
        head: a function of a width that makes a head with one output a tag.
        dropout: of what the encoder gives out, in training.

    Shapes: batch as of `data.text.forms.Sentences`; raw (batch, time, tags).

    Source: Huang, Xu and Yu (2015), Bidirectional LSTM-CRF Models for Sequence Tagging; Plank, Søgaard and Goldberg
    (2016), Multilingual Part-of-Speech Tagging with Bidirectional LSTM Models and Auxiliary Loss.
    """

    def __init__(
        self, words: WordVectors, encoder: nn.Module, head: Callable[[int], Head], dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.words, self.encoder, self.dropout = words, encoder, nn.Dropout(dropout)
        self.head = head(int(encoder.features))  # type: ignore[arg-type]

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """A batch of sentences -> raw (batch, time, tags)."""
        x = self.words(batch["words"], batch.get("letters"), batch.get("letter_counts"), batch.get("places"))
        return self.head(self.dropout(self.encoder(x, batch["lengths"])))

    def predict(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The numbers of the tags, (batch, time); what stands past a sentence's end says nothing."""
        raw, head = self(batch), self.head
        return head.predict(raw, self.inside(batch)) if isinstance(head, CRF) else head.predict(raw)

    @staticmethod
    def inside(batch: Mapping[str, Tensor]) -> Tensor:
        """(batch, time) bool, True where there is a word."""
        steps = torch.arange(batch["words"].shape[1], device=batch["words"].device)
        return steps < batch["lengths"][:, None]
