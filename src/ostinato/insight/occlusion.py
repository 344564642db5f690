"""Which parts of a text moved a decision: each left out in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def leave_one_out(ask: Callable[[list[list[str]]], Array], pieces: Sequence[str]) -> Array:
    """w[k] = ask(pieces) - ask(pieces without k): what each piece adds, (pieces,).

    With ask giving the log-probability of a class, a piece with w above 0 speaks for it, one below 0 against it.
    Nothing is approximated; what two pieces say only together, each of them has.

    Args:
        ask: several lists of pieces -> a number each.
        pieces: of one text.

    Source: Li, Monroe and Jurafsky (2016), Understanding Neural Networks through Representation Erasure.

    >>> count = lambda texts: np.array([float(text.count("good")) for text in texts])
    >>> leave_one_out(count, ["a", "good", "film"]).tolist()
    [0.0, 1.0, 0.0]
    """
    whole = list(pieces)
    found = ask([whole, *(whole[:k] + whole[k + 1 :] for k in range(len(whole)))])
    return np.asarray(found[0] - found[1:])


def to_unit(weights: Array) -> Array:
    """Weights over the largest of them, in [-1, 1]; all 0 where nothing moved anything.

    >>> to_unit(np.array([0.5, -2.0])).tolist()
    [0.25, -1.0]
    """
    most = float(np.abs(weights).max(initial=0.0))
    return weights / most if most > 0 else np.zeros_like(weights)
