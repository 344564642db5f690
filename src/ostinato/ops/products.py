"""Products whose sums no BLAS shares out among its threads, so that their bits do not depend on how many there are."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

EVEN = 16  # rows and columns of a result from which on no BLAS under torch 2.13 was seen to share out the sum


def even(x: Tensor) -> Tensor:
    """(rows, columns) with columns of zeros added where there are fewer than EVEN.

    >>> import torch
    >>> even(torch.ones(3, 5)).shape, even(torch.ones(3, 20)).shape
    (torch.Size([3, 16]), torch.Size([3, 20]))
    """
    missing = EVEN - x.shape[1]
    return F.pad(x, (0, missing)) if missing > 0 else x
