"""What a caller hands over, as arrays; numpy's own words for what is none do not say which argument it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

REAL = "an array of real numbers"
UNREAL = "cSUTmM"  # complex, text, times: numpy would make numbers of them; not a list of the real kinds, which grows


def array(word: str, wanted: str, given: Any) -> Array:
    """As numpy reads it.

    Raises:
        ValueError: numpy cannot, for its rows are of unequal length or the like.
    """
    try:
        return np.asarray(given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{word} must be {wanted}, found {type(given).__name__}: {error}") from None


def real(word: str, given: Any, dtype: np.dtype[Any]) -> Array:
    """Dense and of this type.

    Raises:
        ValueError: it is no array of real numbers.
    """
    found = array(word, REAL, given)
    if found.dtype.kind in UNREAL:
        raise ValueError(f"{word} must be {REAL}, found {type(given).__name__} of {found.dtype}")
    try:
        return np.ascontiguousarray(found, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{word} must be {REAL}, found {type(given).__name__}: {error}") from None


def state_of(given: Any, wanted: list[tuple[int, ...]], dtype: np.dtype[Any]) -> list[Array]:
    """h, or h and c, all checked before any of them is used.

    Raises:
        ValueError: one is no array of real numbers, or the shapes are not those wanted.
    """
    several = isinstance(given, (tuple, list))
    found = [real(f"state[{i}]", s, dtype) for i, s in enumerate(given)] if several else [real("state", given, dtype)]
    if [s.shape for s in found] != wanted:
        raise ValueError(f"the state's tensors must be {wanted}, found {[s.shape for s in found]}")
    return found
