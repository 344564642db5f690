"""A tag for each step, chosen together: which tags follow which is learnt beside what each step says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ostinato.heads.head import Head, _total
from ostinato.ops import chain
from ostinato.ops.chain import Moves


class CRF(Head):
    """A linear-chain conditional random field: p(y) = exp(s(y)) / sum over all y' of exp(s(y')), with

        s(y) = first[y_1] + sum_t raw[t, y_t] + sum_{t>1} between[y_{t-1}, y_t] + last[y_n]

    The cost is -log p(y) of a whole sequence and counts for its steps, so that it is of the size of a softmax's.
    raw is (..., time, tags), the target (..., time) holds the tags' numbers. A mask takes steps out and joins their
    neighbours; padding at the end is the common case.

    Args:
        features: see Head.
        outputs: the number of tags.
        forbidden: pairs (a, b) where tag b never follows tag a; (-1, b): no sequence begins with b, (a, -1): none
            ends with a. Such a pair is never predicted, and a target that holds one costs infinity.

    Raises:
        ValueError: a pair names a tag that is not there.

    Source: Lafferty, McCallum and Pereira (2001), Conditional Random Fields; over recurrent networks: Huang, Xu and
    Yu (2015), Bidirectional LSTM-CRF Models for Sequence Tagging; Lample et al. (2016), Neural Architectures for
    Named Entity Recognition.

    >>> head = CRF(features=8, outputs=3, forbidden=[(-1, 2), (0, 2)])  # O, B, I: no I at the start, or after O
    >>> raw = head(torch.randn(4, 5, 8))
    >>> total, count = head.loss(raw, torch.tensor([0, 1, 2, 0, 0]).expand(4, 5))
    >>> head.predict(raw).shape, head.probabilities(raw).shape, float(count)
    (torch.Size([4, 5]), torch.Size([4, 5, 3]), 20.0)
    """

    name: ClassVar[str] = "crf"
    support: ClassVar[str] = "the number of a tag, 0 to outputs - 1"
    over_time: ClassVar[bool] = True

    def __init__(self, features: int, outputs: int, *, forbidden: Sequence[Sequence[int]] = ()) -> None:
        pairs = [[int(tag) for tag in pair] for pair in forbidden]
        super().__init__(features, outputs, forbidden=pairs)
        for pair in pairs:
            if len(pair) != 2 or not all(-1 <= tag < outputs for tag in pair):
                raise ValueError(f"crf head: forbidden pairs are of tags 0 to {outputs - 1}, or -1; found {pair}")
        self.between = nn.Parameter(torch.empty(outputs, outputs))
        self.first = nn.Parameter(torch.empty(outputs))
        self.last = nn.Parameter(torch.empty(outputs))
        for part in (self.between, self.first, self.last):
            nn.init.uniform_(part, -0.1, 0.1)
        never = torch.zeros(outputs + 1, outputs + 1, dtype=torch.bool)  # row and column -1: outside
        never[tuple(torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T)] = True
        self.register_buffer("never", never, persistent=False)
        self.never: Tensor

    def moves(self) -> Moves:
        """What a sequence scores beside raw; -inf where a pair is forbidden."""
        never = (self.never[:-1, :-1], self.never[-1, :-1], self.never[:-1, -1])
        parts = (self.between, self.first, self.last)
        return Moves(*(part.masked_fill(no, -torch.inf) for part, no in zip(parts, never, strict=True)))

    # The law ---------------------------------------------------------------------------------

    def loss(
        self, raw: Tensor, target: Tensor, mask: Tensor | None = None, weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The sum of -log p(target) over the sequences, and how many steps they have.

        Args:
            raw: what `forward` gave, (..., time, tags).
            target: (..., time).
            mask: bool (..., time), True where there is a step.
            weight: (...), what each sequence counts for; 1 where left out.

        Raises:
            ValueError: an argument has another shape, or mask is not bool.
        """
        self._check_shape(raw, target)
        mask, raw = self._mask(target, mask), raw.to(torch.promote_types(raw.dtype, torch.float32))
        if weight is not None and weight.shape != target.shape[:-1]:
            asked = tuple(target.shape[:-1])
            raise ValueError(f"crf head: weight must be one a sequence, {asked}, found {tuple(weight.shape)}")
        raw, lengths, order = _in_front(raw, mask)
        known = torch.where(mask & self.supports(target), target, 0).long().reshape(order.shape).gather(1, order)
        moves = Moves(*(part.to(raw.dtype) for part in self.moves()))
        cost = chain.log_partition(raw, moves, lengths) - chain.score(raw, moves, lengths, known)
        right = (self.supports(target) | ~mask).reshape(order.shape).all(1)
        cost, counts = cost.where(right, torch.nan), lengths.to(raw.dtype)
        if weight is not None:
            cost, counts = weight.flatten() * cost, weight.flatten() * counts
        return _total(cost), _total(counts)

    def predict(self, raw: Tensor, mask: Tensor | None = None) -> Tensor:
        """The likeliest sequence, (..., time); 0 where the mask is False."""
        return self._paths(raw, mask, chain.best_path)

    def sample(self, raw: Tensor, generator: torch.Generator | None = None, mask: Tensor | None = None) -> Tensor:
        """A sequence drawn by its chance, (..., time); 0 where the mask is False."""
        return self._paths(raw, mask, lambda x, moves, n: chain.drawn_path(x, moves, n, generator))

    def probabilities(self, raw: Tensor, mask: Tensor | None = None) -> Tensor:
        """The marginals p(y_t = k), (..., time, tags), without a gradient; 0 where the mask is False."""
        front, lengths, order = self._given(raw, mask)
        found = chain.marginals(front, Moves(*(part.to(front.dtype) for part in self.moves())), lengths)
        return torch.zeros_like(found).scatter(1, order[..., None].expand_as(found), found).reshape(raw.shape)

    def supports(self, target: Tensor) -> Tensor:
        """Whole numbers in 0..outputs - 1."""
        return (target >= 0) & (target < self.outputs) & (target == target.round())

    def check(self, target: Tensor, mask: Tensor | None = None) -> None:
        """Refuse, in words, the first target that is no tag, and the first pair that is forbidden.

        Raises:
            ValueError: its place and value; of a pair, the row and step where it ends, masked steps not counted.
        """
        super().check(target, mask)
        flags = self._mask(target, mask)
        _, lengths, order = _in_front(torch.zeros(*target.shape, 1, device=target.device), flags)
        tags = torch.where(flags, target, self.outputs).long().reshape(order.shape).gather(1, order)
        tags = F.pad(tags, (1, 1), value=self.outputs)  # the number behind the last one is the outside
        wrong = self.never[tags[:, :-1], tags[:, 1:]]
        if wrong.any():
            row, step = wrong.nonzero()[0].tolist()
            a, b = (-1 if tag == self.outputs else tag for tag in tags[row, step : step + 2].tolist())
            place = f"row {row}, step {step}" if step < lengths[row] else f"the end of row {row}"
            raise ValueError(f"{self.name} head: the pair ({a}, {b}) at {place} is forbidden")

    # Shapes ----------------------------------------------------------------------------------

    def parts(self, raw: Tensor) -> Tensor:
        """raw as it is, (..., time, tags): one answer over all tags."""
        return raw

    def _given(self, raw: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        steps = torch.ones(raw.shape[:-1], dtype=torch.bool, device=raw.device) if mask is None else mask
        self._check_shape(raw, steps)
        return _in_front(raw.to(torch.promote_types(raw.dtype, torch.float32)), steps)

    def _paths(self, raw: Tensor, mask: Tensor | None, find: Callable[[Tensor, Moves, Tensor], Tensor]) -> Tensor:
        front, lengths, order = self._given(raw, mask)
        found = find(front, Moves(*(part.to(front.dtype) for part in self.moves())), lengths)
        return torch.zeros_like(found).scatter(1, order, found).reshape(raw.shape[:-1])


def _in_front(raw: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The steps under a True moved to the front of each row, 0 behind them: (rows, time, tags), lengths, and the order.

    Padding at the end stays where it is; what lay under a False, NaN too, is gone before anything is computed.
    """
    flags = mask.reshape(prod(mask.shape[:-1]), mask.shape[-1])
    order = torch.argsort(~flags, dim=1, stable=True)
    clean = torch.where(flags[..., None], raw.reshape(*flags.shape, raw.shape[-1]), 0)
    return clean.gather(1, order[..., None].expand_as(clean)), flags.sum(1), order
