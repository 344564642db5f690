"""A batch of sequences of unequal length: the only place that knows of padding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from reprlib import repr as short
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


def as_tensor(name: str, given: Any) -> Tensor:
    """What a person handed in for the argument `name`, as a tensor: lists, pandas columns, arrays of any strides.

    A list without a number in it has no type: it comes as bool, which gives way to every other.

    Raises:
        TypeError: no tensor can be made of it.
    """
    if isinstance(given, Tensor):
        return given
    array = hasattr(given, "__array__")
    try:
        found = torch.as_tensor(np.array(given) if array else given)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(_no_tensor(name, given)) from error
    return found if array or found.numel() else found.bool()


def _no_tensor(name: str, given: Any) -> str:
    """Why torch makes no tensor of this, and what to do."""
    dtype = getattr(given, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "iufc" and not dtype.isnative:
        return f"{name} has numbers of another byte order, found {dtype.str}: pass {name}.astype('{dtype.name}')"
    if _too_large(given):
        return f"{name} must be whole numbers that 64 bits hold, -2**63..2**63 - 1; found {_brief(given)}"
    return f"{name} must be a tensor, an array or a list of numbers, found {_brief(given)}"


def _brief(given: Any) -> str:
    """In one line: pandas shows a column in several."""
    return " ".join(short(given).split())


def _too_large(given: Any) -> bool:
    if hasattr(given, "__array__") and not isinstance(given, Tensor):
        given = np.asarray(given).ravel().tolist()
    if isinstance(given, (list, tuple)):
        return any(map(_too_large, given))
    return isinstance(given, int) and not -(2**63) <= given < 2**63


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
        raise TypeError(f"lengths must be integers, found {found.dtype}: {_whole(lengths, found, (batch, time))}")
    if found.shape != (batch,):
        hint = ": pass a mask's sums, mask.sum(1)" if found.shape == (batch, time) else ""
        raise ValueError(f"lengths must have one entry a sequence, shape ({batch},); found {tuple(found.shape)}{hint}")
    if not known or found.is_meta:
        return found.to(torch.int64)
    counts = found.to("cpu", torch.int64)
    if batch and (int(counts.min()) < 0 or int(counts.max()) > time):
        row = int(((counts < 0) | (counts > time)).nonzero()[0])
        # as it was given: a uint64 may have changed its sign
        raise ValueError(f"lengths[{row}] is {found[row].item()}, outside 0..{time} (the steps of the input)")
    return counts.clone() if counts is lengths else counts  # a backward reads them; their owner may use them again


def _whole(given: Any, found: Tensor, steps: tuple[int, int]) -> str:
    """What to pass in place of lengths that are no integers."""
    if found.dtype == torch.bool:
        return "pass the mask's sums, mask.sum(1)" if found.shape == steps else "pass how many steps each row has"
    if isinstance(given, Tensor):
        return "pass whole numbers, such as lengths.long()"
    return f"pass whole numbers, such as {'lengths.astype(int)' if hasattr(given, 'astype') else '3, not 3.0'}"


@dataclass(frozen=True)
class Sequence:
    """Values (batch, time, ...) and how many steps of each row are real.

    What lies past a row's length, NaN too, is padding: it reaches no value and no gradient.

    Attributes:
        values: (batch, time, ...).
        lengths: (batch,) int64, 0 allowed; None where every row is full. Integers of any type, lists and arrays
            become that; numbers in a tensor are not looked at.

    Raises:
        TypeError: values or lengths are no numbers, or lengths no integers.
        ValueError: values have no time, or the lengths do not fit them.

    >>> sequence = Sequence.of([torch.ones(3, 2), torch.ones(1, 2)])
    >>> sequence.values.shape, sequence.lengths
    (torch.Size([2, 3, 2]), tensor([3, 1]))
    """

    values: Tensor
    lengths: Tensor | None = None

    def __post_init__(self) -> None:
        values, lengths = as_tensor("values", self.values), self.lengths
        if values.dim() < 2:
            raise ValueError(f"values must be (batch, time, ...), found {tuple(values.shape)}")
        object.__setattr__(self, "values", values)
        usual = isinstance(lengths, Tensor) and lengths.dtype == torch.int64 and lengths.shape == values.shape[:1]
        if lengths is None or usual:
            return  # as they are made here: their values are not read, which would wait for a device at each step
        known = not (isinstance(lengths, Tensor) or torch.compiler.is_compiling())
        object.__setattr__(self, "lengths", as_lengths(lengths, *values.shape[:2], known=known))

    @classmethod
    def of(cls, rows: Iterable[Any]) -> Sequence:
        """Ragged rows, each (time, ...), padded with zeros to the longest: tensors, arrays or lists of numbers.

        Rows of several types come in the one that holds them all.

        Raises:
            TypeError: a row is no tensor, array or list of numbers.
            ValueError: there are no rows, or they differ in more than their length.

        >>> Sequence.of([[1, 2], [3]]).values
        tensor([[1, 2],
                [3, 0]])
        """
        made = [as_tensor(f"rows[{i}]", row) for i, row in enumerate(rows)]
        for i, row in enumerate(made):
            if row.dim() == 0:
                raise ValueError(f"rows[{i}] must be (time, ...), found the number {row.item()}: pass a list of rows")
        if len({row.shape[1:] for row in made}) != 1:
            found = sorted({tuple(row.shape[1:]) for row in made})
            raise ValueError(f"rows must be at least one, (time, ...), alike but for time; found {found} after time")
        # A row without a number has no say in the type; torch alone would cast all to that of the first.
        dtype = reduce(torch.promote_types, [row.dtype for row in made if row.numel()] or [row.dtype for row in made])
        padded = torch.nn.utils.rnn.pad_sequence([row.to(dtype) for row in made], batch_first=True)
        return cls(padded, torch.tensor([len(row) for row in made]))

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
        found = self.values[torch.arange(lengths.shape[0], device=lengths.device), (lengths - 1).clamp(min=0)]
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
