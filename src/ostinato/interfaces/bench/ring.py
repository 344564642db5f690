"""Different inputs to take in turn: one repeated input would lie in a cache, where a user's would not."""

from __future__ import annotations

import torch
from torch import Tensor

BYTES, FEWEST, MOST = 64 << 20, 4, 32  # more than a cache holds, where a few inputs come to as much


def inputs(batch: int, steps: int, features: int) -> list[Tensor]:
    """Random inputs (batch, steps, features), neither zero nor constant."""
    count = max(FEWEST, min(MOST, BYTES // (4 * batch * steps * features)))
    return [torch.randn(batch, steps, features) for _ in range(count)]
