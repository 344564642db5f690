"""Cells that hold moments: which way of writing them a column uses, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ostinato.data.frequency import IrregularError, Times, infer
from ostinato.data.styles import STYLES, Style

NAMES = frozenset(
    ("ds", "date", "datetime", "time", "timestamp", "t", "when", "period", "year", "quarter", "month", "week", "day")
)
_BY_KEY = {style.key: style for style in STYLES}


def detect(cells: Sequence[str], plain: bool) -> Style | None:
    """The style of a column, told from a sample of its cells, or None where it holds no times.

    Where day and month could change places, the order that gives evenly spaced times is taken, else
    the month first.

    Args:
        plain: whether years, counts and other plain numbers may be times.

    >>> detect(["13/01/2024", "14/01/2024"], plain=False).words
    'day/month/year'
    >>> detect(["1749", "1750"], plain=True).words, detect(["1749", "1750"], plain=False)
    ('years', None)
    """
    filled = [cell.strip() for cell in cells if cell.strip()]
    able = [style for style in STYLES if (plain or not style.plain) and filled and _fits(style, filled)]
    return next((style for style in able if _is_even(style, filled)), able[0] if able else None)


def _fits(style: Style, cells: Sequence[str]) -> bool:
    """Nine in ten cells are written so, the first of them too."""
    if np.isnat(_nat(style.parse(cells[:1]))).all():
        return False
    return bool(np.isnat(_nat(style.parse(cells))).mean() <= 0.1)


def _is_even(style: Style, cells: Sequence[str]) -> bool:
    times = _nat(style.parse(cells))
    times = np.unique(times[~np.isnat(times)])
    if len(times) < 2:
        return False
    try:
        infer(times)
    except IrregularError:
        return False
    return True


def _nat(times: Times) -> Times:
    """Counts as moments, so that one question asks both for what is missing."""
    return times if times.dtype.kind == "M" else times.astype("M8[us]")


def missing(times: Times) -> Any:
    """Where no time was read."""
    return np.isnat(_nat(times))


def write(times: Times, key: str) -> list[str]:
    """Moments as cells of a style.

    Raises:
        ValueError: no such style.

    >>> write(np.array(["2024-03-01"], "M8[us]"), "year-month")
    ['2024-03']
    """
    if key not in _BY_KEY:
        raise ValueError(f"times in the style {key!r} are not known")
    return _BY_KEY[key].write(times)
