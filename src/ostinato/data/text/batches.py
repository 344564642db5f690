"""Batches of rows of like length, so that little is padded; their order is a function of (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

RATIO = 1.15  # of the longest to the shortest row of a bucket: at most so much of a full batch is padding
FLUSH = 2.0  # rows left over in a bucket go with longer ones, but not with ones this many times as long
USUAL = 0.95  # the quantile of the lengths that a full batch has room for


class Buckets:
    """Rows in batches of like length, in a new order each epoch, as `training.fit` reads them.

    Rows are gathered in buckets of lengths within RATIO. A batch holds `batch_size` rows of a bucket, fewer where
    they are so long that padded they would hold more than `tokens` steps, and at least one: a text of a million
    letters is a batch of its own. Which rows make a batch, and the order of the batches, are drawn for each
    (seed, epoch); any epoch can be entered at any batch.

    Args:
        lengths: of the rows; rows of length 0 are kept.
        batch_size: rows in a batch at most.
        seed: of the order.
        make: turns the numbers of rows into the batch.
        tokens: steps in a padded batch at most; left out: room for batch_size rows as long as 95 of 100 are.

    Raises:
        ValueError: batch_size or tokens is below 1.

    >>> lengths = [3, 9, 3, 9, 3]
    >>> batches = Buckets(lengths, batch_size=2, seed=0, make=lambda rows: [lengths[k] for k in rows])
    >>> len(batches), sorted(batches.epoch(0))
    (3, [[3], [3, 3], [9, 9]])
    >>> list(batches.epoch(4))[1:] == list(batches.epoch(4, first=1))
    True
    """

    def __init__(
        self,
        lengths: Sequence[int] | Tensor,
        batch_size: int,
        seed: int,
        make: Callable[[list[int]], Any],
        *,
        tokens: int | None = None,
    ) -> None:
        self._lengths = np.asarray(lengths, dtype=np.int64)
        self.batch_size, self.seed, self.make = batch_size, seed, make
        self.tokens = _room(self._lengths, batch_size, tokens)
        self._buckets = _bucketed(self._lengths)
        self._count = len(self._packed([np.arange(len(rows)) for rows in self._buckets]))

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._count

    def epoch(self, number: int, first: int = 0) -> Iterator[Any]:
        """The batches of epoch `number` from batch `first` on, both counted from 0."""
        random = np.random.default_rng([self.seed, number])
        packed = self._packed([random.permutation(len(rows)) for rows in self._buckets])
        for k in random.permutation(len(packed))[first:].tolist():
            yield self.make(packed[k])

    def _packed(self, orders: list[np.ndarray[Any, Any]]) -> list[list[int]]:
        """Rows of all batches. How many there are depends on the sizes of the buckets alone, never on the order."""
        packed: list[list[int]] = []
        left: list[int] = []
        shortest = 0
        for rows, order in zip(self._buckets, orders, strict=True):
            longest = int(self._lengths[rows[-1]])
            size = max(1, min(self.batch_size, self.tokens // max(1, longest)))
            if left and (longest > FLUSH * shortest or len(left) >= size):
                packed.append(left)
                left = []
            shortest = shortest if left else longest
            left = left + rows[order].tolist()
            while len(left) >= size:
                packed.append(left[:size])
                left = left[size:]
                shortest = longest
        return [*packed, left] if left else packed


def by_length(lengths: Sequence[int], batch_size: int, *, tokens: int | None = None) -> list[list[int]]:
    """Numbers of rows in batches for use rather than training: from short to long, always the same.

    >>> by_length([5, 1, 4], batch_size=2)
    [[1, 2], [0]]
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    room = _room(sizes, batch_size, tokens)
    found: list[list[int]] = []
    for row in np.argsort(sizes, kind="stable").tolist():
        if not found or len(found[-1]) == batch_size or (len(found[-1]) + 1) * sizes[row] > room:
            found.append([])
        found[-1].append(row)
    return found


def padded(rows: Sequence[Sequence[int]], value: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of different lengths side by side: (B, T) filled up with `value`, and lengths (B,), both int64.

    T is the longest row's length and at least 1.

    >>> padded([[4, 5], [6]])
    (tensor([[4, 5],
            [6, 0]]), tensor([2, 1]))
    """
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    values = torch.full((len(rows), max([1, *map(len, rows)])), value, dtype=torch.int64)
    for k, row in enumerate(rows):
        values[k, : len(row)] = torch.as_tensor(row, dtype=torch.int64)
    return values, lengths


def _room(lengths: np.ndarray[Any, Any], batch_size: int, tokens: int | None) -> int:
    if batch_size < 1 or (tokens is not None and tokens < 1):
        raise ValueError(f"batch_size and tokens must be at least 1, found {batch_size} and {tokens}")
    if tokens is not None:
        return tokens
    return batch_size * max(1, int(np.quantile(lengths, USUAL)) if len(lengths) else 1)


def _bucketed(lengths: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Rows from short to long, cut where a row is over RATIO times as long as the bucket's first."""
    order = np.argsort(lengths, kind="stable")
    ordered, cuts, start = lengths[order], [], 0
    while start < len(order):
        longest = max(int(RATIO * ordered[start]), 1)
        start = int(np.searchsorted(ordered, longest, side="right"))
        cuts.append(start)
    return np.split(order, cuts[:-1]) if len(order) else []
