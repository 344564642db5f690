"""When a row was: one column in one of the ways of writing times, or year, month, day, ... in columns of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostinato.data.errors import DataError, shown
from ostinato.data.frequency import DAY, HOUR, MINUTE, SECOND, Times
from ostinato.data.numbers import is_missing, numbers
from ostinato.data.styles import STYLES, Style
from ostinato.data.times import detect

PARTS = ("year", "month", "day", "hour", "minute", "second")
_RANGES = ((1000, 2999), (1, 12), (1, 31), (0, 24), (0, 59), (0, 59))  # hours are also counted from 1 to 24


@dataclass(frozen=True)
class Clock:
    """The columns that tell the time.

    Attributes:
        names: of the columns; several are year, month, day, ... in this order.
        style: how moments are written.
    """

    names: tuple[str, ...]
    style: Style

    @classmethod
    def told(cls, names: Sequence[str], sample: Sequence[Sequence[str]], source: str) -> Clock:
        """From the first cells of each column.

        Raises:
            DataError: the column holds no times.
        """
        if len(names) > 1:
            return cls(tuple(names), _style("iso" if len(names) > 2 else "year-month"))
        style = detect([cell for cell in sample[0] if not is_missing(cell)], plain=True)
        if style is None:
            first = shown(next((cell for cell in sample[0] if cell.strip()), ""))
            found, todo = f"no times that are understood ({first})", "write them as 2024-01-31 15:00"
            raise DataError(source, found, todo, column=names[0])
        return cls(tuple(names), style)

    def read(self, columns: Sequence[Sequence[str]]) -> Times:
        """Moments of the rows, NaT (for counts `styles.NO_COUNT`) where they are not written so."""
        if len(self.names) == 1:
            return self.style.parse(columns[0])
        return joined([numbers(cells)[0] for cells in columns])

    @property
    def words(self) -> str:
        """What a cell should have been."""
        if len(self.names) > 1:
            return f"not a moment ({', '.join(PARTS[: len(self.names)])})"
        return f"not a time written as the others ({self.style.words})"


def joined(parts: Sequence[NDArray[np.float64]]) -> Times:
    """Moments out of year, month, day, ...; NaT where there is no such moment.

    >>> joined([np.array([2010.0, 2010.0]), np.array([1.0, 2.0]), np.array([2.0, 30.0])]).astype("M8[D]").tolist()
    [datetime.date(2010, 1, 2), None]
    """
    wrong = np.zeros(len(parts[0]), bool)
    whole = []
    for part, (least, most) in zip(parts, _RANGES, strict=False):
        bad = ~((part >= least) & (part <= most) & (part % 1 == 0))
        wrong |= bad
        whole.append(np.where(bad, least, part).astype(np.int64))
    whole += [np.full(len(wrong), least) for least, _ in _RANGES[len(whole) :]]
    year, month, day, hour, minute, second = whole
    months = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    times = months.astype("M8[us]") + (day - 1) * DAY
    wrong |= times.astype("M8[M]") != months
    return np.where(wrong, np.datetime64("NaT"), times + hour * HOUR + minute * MINUTE + second * SECOND)


def _style(key: str) -> Style:
    return next(style for style in STYLES if style.key == key)
