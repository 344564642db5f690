"""Batches whose order is a function of (seed, epoch) and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


class Rows(Protocol):
    """What batches are taken from: `len(rows)`, and `rows[numbers]` gives a batch, rows first."""

    def __len__(self) -> int: ...

    def __getitem__(self, numbers: Tensor) -> Any: ...


class TensorBatches:
    """Rows in batches, in a new order each epoch, as `training.fit` reads them.

    The last batch of an epoch may be smaller. Any epoch can be entered at any batch, so a resumed
    run meets the batches that it would have met.

    Args:
        rows: anything indexed by a tensor of row numbers, such as torch.utils.data.TensorDataset.
        batch_size: rows in a batch.
        seed: of the order.
        shuffle: False keeps the order of the rows.
        most: batches in an epoch at most; where there are more, each epoch takes others at random.
        among: the rows to take; all where left out.

    Raises:
        ValueError: batch_size is below 1.

    >>> rows = torch.utils.data.TensorDataset(torch.arange(5))
    >>> batches = TensorBatches(rows, batch_size=2, seed=1)
    >>> len(batches), [len(x) for (x,) in batches.epoch(0)]
    (3, [2, 2, 1])
    >>> (whole,), (again,) = list(batches.epoch(7))[2], next(batches.epoch(7, first=2))
    >>> bool((whole == again).all())
    True
    """

    def __init__(
        self,
        rows: Rows,
        batch_size: int,
        seed: int = 0,
        *,
        shuffle: bool = True,
        most: int | None = None,
        among: Tensor | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, found {batch_size}")
        self.rows, self.batch_size, self.seed, self.shuffle = rows, batch_size, seed, shuffle
        self.among = torch.arange(len(rows)) if among is None else among
        count = -(-len(self.among) // batch_size)
        self._count = count if most is None else min(count, most)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._count

    def epoch(self, number: int, first: int = 0) -> Iterator[Any]:
        """The batches of epoch `number` from batch `first` on, both counted from 0."""
        order = self._order(number)
        for k in range(first, self._count):
            yield self.rows[order[k * self.batch_size : (k + 1) * self.batch_size]]

    def _order(self, number: int) -> Tensor:
        if not self.shuffle:
            return self.among
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        return self.among[torch.randperm(len(self.among), generator=torch.Generator().manual_seed(seed))]
