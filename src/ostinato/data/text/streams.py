"""One long text as columns side by side, read a few steps at a time: the state goes on from chunk to chunk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


class Columns:
    """Chunks of columns, as `training.fit` reads them for truncated back-propagation through time.

    The text, turned by a number drawn for each (seed, epoch), is cut into `batch_size` columns of equal length; a
    batch is the next `steps` of each, with the token after each step as its target. Row b of a batch goes on where
    row b of the one before ended. Any epoch can be entered at any batch.

    Args:
        tokens: (time,) a text.
        batch_size: columns; fewer where the text is too short to give each one a chunk.
        steps: of a chunk; the last one of an epoch may be shorter.
        seed: of the turns.

    Raises:
        ValueError: the text has fewer than 2 tokens, or batch_size or steps is below 1.

    >>> batches = Columns(torch.arange(10), batch_size=2, steps=3, seed=0)
    >>> len(batches), [batch["x"].shape[1] for batch in batches.epoch(0)]
    (2, [3, 1])
    >>> first, second = batches.epoch(3)
    >>> bool((first["y"][:, -1] == second["x"][:, 0]).all())
    True
    """

    def __init__(self, tokens: Tensor, batch_size: int, steps: int, seed: int = 0) -> None:
        if len(tokens) < 2 or batch_size < 1 or steps < 1:
            sizes = f"{len(tokens)} tokens, batch_size={batch_size}, steps={steps}"
            raise ValueError(f"columns take 2 tokens, a row and a step at least, found {sizes}")
        self.tokens, self.steps, self.seed = tokens, steps, seed
        self.batch_size = max(1, min(batch_size, (len(tokens) - 1) // steps))
        self.length = (len(tokens) - 1) // self.batch_size

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-self.length // self.steps)

    def epoch(self, number: int, first: int = 0) -> Iterator[dict[str, Tensor]]:
        """The batches of epoch `number` from batch `first` on, both counted from 0: x and y, each (rows, steps)."""
        turn = int(np.random.default_rng([self.seed, number]).integers(len(self.tokens)))
        text = torch.cat([self.tokens[turn:], self.tokens[:turn]])
        size = self.batch_size * self.length
        x, y = (part.view(self.batch_size, self.length) for part in (text[:size], text[1 : size + 1]))
        for begin in range(first * self.steps, self.length, self.steps):
            yield {"x": x[:, begin : begin + self.steps], "y": y[:, begin : begin + self.steps]}
