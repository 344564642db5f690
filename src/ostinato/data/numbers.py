"""Cells that hold numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MISSING = frozenset(("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "nat", "-", "--", "?", ".", "missing"))

_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value: empty, NA, null, ?, ...

    >>> is_missing(" N/A "), is_missing("0")
    (True, False)
    """
    return cell.strip().lower() in MISSING


def decimal_comma(cells: Sequence[str]) -> bool:
    """Whether commas stand where others write points: 12,5 or 1.234,5 occurs, 12.5 does not.

    >>> decimal_comma(["12,5", "7"]), decimal_comma(["12.5", "1,200"])
    (True, False)
    """
    filled = [cell.strip() for cell in cells if not is_missing(cell)]
    found = [cell for cell in filled if _DECIMAL_COMMA.fullmatch(cell) and not _THOUSANDS.fullmatch(cell)]
    return bool(found) and not any("." in cell and "," not in cell for cell in filled)


def number(cell: str, comma: bool = False) -> float | None:
    """One cell: NaN where it is missing, None where it is no finite number.

    >>> number("1,234.5"), number("12,5", comma=True), number("n/a"), number("twelve"), number("1e999")
    (1234.5, 12.5, nan, None, None)
    """
    text = cell.strip()
    if is_missing(text):
        return math.nan
    if comma and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    elif _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, with either decimal mark."""
    return not is_missing(cell) and number(cell, comma=True) is not None


def numbers(cells: Sequence[str], comma: bool = False) -> tuple[NDArray[np.float64], list[int]]:
    """Many cells at once, and the places of those that are neither a number nor missing (NaN there).

    >>> numbers(["1", "", "x"])
    (array([ 1., nan, nan]), [2])
    """
    try:
        values = np.array(cells, dtype=np.str_).astype(np.float64)
        if np.isfinite(values).all() and not any("_" in cell for cell in cells):
            return values, []
    except ValueError:  # something that is not plain: cell by cell, then
        pass
    found = [number(cell, comma) for cell in cells]
    bad = [place for place, value in enumerate(found) if value is None]
    return np.array([math.nan if value is None else value for value in found], dtype=np.float64), bad
