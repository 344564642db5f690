"""A batch of sequences of unequal length: the only place that knows of padding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


def as_tensor(name: str, given: Any) -> Tensor:
    """What a person handed in for the argument `name`, as a tensor: lists, pandas columns, arrays of any strides.

    Raises:
        TypeError: no tensor can be made of it.
    """
    if isinstance(given, Tensor):
        return given
    try:
        return torch.as_tensor(np.array(given) if hasattr(given, "__array__") else given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be a tensor, an array or a list of numbers, found {short(given)}") from error


def as_lengths(lengths: Any, batch: int, time: int, *, known: bool = True) -> Tensor:
    """The lengths of a batch as int64 on the CPU, each checked to lie in 0..time.

    Args:
        lengths: integers of any type, a list, an array or a tensor on any device; (batch,).
        known: False while a graph or a transform is made of them: their values cannot be asked for then.

    Raises:
        TypeError: lengths are not integers.
        ValueError: there are not `batch` of them, or one lies outside 0..time.

    >>> as_lengths([3, 0], batch=2, time=5)
    tensor([3, 0])
    """
    found = as_tensor("lengths", lengths)
    whole = not (found.is_floating_point() or found.is_complex() or found.dtype == torch.bool)
    if not whole and found.numel():  # an empty list has no type
        raise TypeError(f"lengths must be integers, found {found.dtype}: pass lengths.long()")
    if found.shape != (batch,):
        raise ValueError(f"lengths must have one entry a sequence, shape ({batch},); found {tuple(found.shape)}")
    if not known:
        return found.to(torch.int64)
    found = found.to("cpu", torch.int64)
    if batch and (int(found.min()) < 0 or int(found.max()) > time):
        row = int(((found < 0) | (found > time)).nonzero()[0])
        raise ValueError(f"lengths[{row}] is {int(found[row])}, outside 0..{time} (the steps of the input)")
    return found


@dataclass(frozen=True)
class Sequence:
    """Values (batch, time, ...) and how many steps of each row are real.

    What lies past a row's length, NaN too, is padding: it reaches no value and no gradient.

    Attributes:
        values: (batch, time, ...).
        lengths: (batch,) int64, 0 allowed; None where every row is full.

    >>> sequence = Sequence.of([torch.ones(3, 2), torch.ones(1, 2)])
    >>> sequence.values.shape, sequence.lengths
    (torch.Size([2, 3, 2]), tensor([3, 1]))
    """

    values: Tensor
    lengths: Tensor | None = None

    @classmethod
    def of(cls, rows: Iterable[Tensor]) -> Sequence:
        """Ragged rows, each (time, ...), padded with zeros to the longest.

        Raises:
            ValueError: there are no rows, or they differ in more than their length.
        """
        rows = list(rows)
        if len({row.shape[1:] for row in rows}) != 1:
            found = sorted({tuple(row.shape[1:]) for row in rows})
            raise ValueError(f"rows must be at least one, (time, ...), alike but for time; found {found} after time")
        lengths = torch.tensor([len(row) for row in rows])
        return cls(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths)

    @classmethod
    def unpack(cls, packed: PackedSequence) -> Sequence:
        """torch's packed sequence, rows in the user's own order."""
        values, lengths = pad_packed_sequence(packed, batch_first=True)
        return cls(values, lengths)

    def pack(self, like: PackedSequence) -> PackedSequence:
        """These values packed in the order of `like`."""
        assert self.lengths is not None
        values, lengths = self.values, self.lengths
        if like.sorted_indices is not None:
            values, lengths = values[like.sorted_indices], lengths[like.sorted_indices.cpu()]
        data = pack_padded_sequence(values, lengths, batch_first=True).data
        return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)

    @property
    def mask(self) -> Tensor:
        """(batch, time) bool, True on real steps."""
        batch, time = self.values.shape[:2]
        steps = torch.arange(time, device=self.values.device)
        if self.lengths is None:
            return torch.ones(batch, time, dtype=torch.bool, device=self.values.device)
        return steps < self.lengths.to(self.values.device)[:, None]

    def clean(self) -> Sequence:
        """Padding set to 0; the gradient into it is exactly 0."""
        if self.lengths is None:
            return self
        return Sequence(self.values.masked_fill(~_like(self.mask, self.values), 0), self.lengths)

    def reversed(self) -> Sequence:
        """Each row turned round within its own length; padding stays where it is."""
        if self.lengths is None:
            return Sequence(self.values.flip(1))
        steps = torch.arange(self.values.shape[1], device=self.values.device)
        lengths = self.lengths.to(self.values.device)[:, None]
        turned = torch.where(steps < lengths, lengths - 1 - steps, steps)  # (batch, time)
        return Sequence(self.values.gather(1, _like(turned, self.values).expand_as(self.values)), self.lengths)

    def last(self) -> Tensor:
        """(batch, ...) the last real step of each row, 0 for an empty one."""
        if self.values.shape[1] == 0:
            return self.values.new_zeros(self.values.shape[0], *self.values.shape[2:])
        if self.lengths is None:
            return self.values[:, -1]
        lengths = self.lengths.to(self.values.device)
        found = self.values[torch.arange(len(lengths), device=lengths.device), (lengths - 1).clamp(min=0)]
        return found.masked_fill(~_like(lengths > 0, found), 0)


def _like(flags: Tensor, values: Tensor) -> Tensor:
    """Trailing axes added, so that (batch, time) broadcasts over (batch, time, ...)."""
    return flags.reshape(*flags.shape, *[1] * (values.dim() - flags.dim()))


def resets_backwards(resets: Tensor, lengths: Tensor | None) -> Tensor:
    """Where the state starts anew when each row is read from its end.

    A segment that begins at t is left, backwards, between t and t - 1: the marks move one step
    towards the start before the rows are turned round.
    """
    moved = torch.cat([resets[:, 1:], torch.zeros_like(resets[:, :1])], 1)
    if lengths is not None:  # a mark on the first step of the padding is nobody's
        steps = torch.arange(resets.shape[1], device=resets.device)
        moved = moved & (steps < lengths.to(resets.device)[:, None] - 1)
    return Sequence(moved, lengths).reversed().values
