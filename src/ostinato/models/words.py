"""Words as vectors: by themselves and by their letters, and now and then not known."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ostinato.models.letters import Letters

RARE = 0.25  # a word seen once is taken for unknown in one of five readings of it


class WordVectors(nn.Module):
    """x[t] = [E[w_t]; letters(w_t)], where in training w_t is unknown with probability RARE / (RARE + count).

    So rare words train the vector of unknown ones, and the letters must tell more (Kiperwasser and Goldberg 2016).

    Args:
        words: how many there are, padding (0) and unknown (1) too.
        width: of a word's own vector; pretrained vectors bring their own.
        counts: (words,) how often each was seen in training; left out: no word is dropped.
        letters: reads words by their letters.
        pretrained: (words, width) vectors to begin with; rows of zeros begin at random.
        frozen: pretrained vectors stay as they are, those of zeros and of unknown words too.
        dropout: of all vectors, in training.

    Shapes: ids (B, T) int64; spelled (U, longest), spelled_lengths (U,) the letters of the words that occur, and
    places (B, T) which of them each is; output (B, T, features).

    >>> words = WordVectors(100, 16, letters=Letters(30, 8))
    >>> ids, places = torch.tensor([[4, 5, 4]]), torch.tensor([[0, 1, 0]])
    >>> words(ids, torch.tensor([[3, 4], [5, 0]]), torch.tensor([2, 1]), places).shape, words.features
    (torch.Size([1, 3, 24]), 24)
    """

    rate: Tensor

    def __init__(
        self,
        words: int,
        width: int = 100,
        *,
        counts: Tensor | None = None,
        letters: Letters | None = None,
        pretrained: Tensor | None = None,
        frozen: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        width = width if pretrained is None else pretrained.shape[1]
        self.embedding = nn.Embedding(words, width, padding_idx=0)
        self.letters, self.dropout = letters, nn.Dropout(dropout)
        self.features = width + (letters.features if letters is not None else 0)
        seen = torch.full((words,), torch.inf) if counts is None else counts.to(torch.float32)
        rate = torch.where(seen > 0, RARE / (RARE + seen), 0.0)
        rate[:2] = 0  # padding stays padding
        self.register_buffer("rate", rate)
        if pretrained is not None:
            self._begin(pretrained.to(torch.float32))
        self.embedding.weight.requires_grad_(not frozen)

    def _begin(self, pretrained: Tensor) -> None:
        """Words without a vector begin as wide apart as those that have one."""
        known = pretrained.ne(0).any(1)
        spread = pretrained[known].std() if bool(known.any()) else torch.tensor(1.0)
        with torch.no_grad():
            self.embedding.weight.copy_(torch.where(known[:, None], pretrained, spread * self.embedding.weight))
            self.embedding.weight[0] = 0

    def forward(
        self,
        ids: Tensor,
        spelled: Tensor | None = None,
        spelled_lengths: Tensor | None = None,
        places: Tensor | None = None,
    ) -> Tensor:
        """ids (B, T) -> (B, T, features)."""
        parts = [self.embedding(self._some_unknown(ids))]
        if self.letters is not None:
            if spelled is None or spelled_lengths is None or places is None:
                raise ValueError("words with letters need spelled, spelled_lengths and places")
            parts.append(F.embedding(places, self.letters(spelled, spelled_lengths)))
        return self.dropout(torch.cat(parts, -1))

    def _some_unknown(self, ids: Tensor) -> Tensor:
        if not self.training:
            return ids
        drawn = torch.rand(ids.shape, device=ids.device) < self.rate[ids]
        return ids.masked_fill(drawn, 1)
