"""Rows as a source holds them: of one series or many, in any order, with gaps and repeats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ostinato.data.coding import Cells
from ostinato.data.frequency import Times

LARGEST = 1e100  # of a number: its square is still a number


def no_others() -> Sequence[Cells]:
    """No column that has no role."""
    return ()


@dataclass(frozen=True)
class Records:
    """What a reader found.

    Attributes:
        source: the file's name, or "frame", "array": what errors call it.
        rows: (rows,), the row each came from, as an editor counts them.
        times: (rows,), datetime64[us] or, where steps are only counted, int64; None: there is no column of times.
        time_names: of the columns of times; several are year, month, day, ...
        style: how the times were written, a key of `times.STYLES`.
        targets: the columns to forecast; none where the rows only say what lies ahead.
        id: what tells series apart; None: there is one.
        past, future, static: covariates.
        notes: what was done, each a sentence without a stop.
        others: columns of words without a role, read when an error wants to name one.
    """

    source: str
    rows: NDArray[np.int64]
    times: Times | None = None
    time_names: tuple[str, ...] = ()
    style: str = "step"
    targets: tuple[Cells, ...] = ()
    id: Cells | None = None
    past: tuple[Cells, ...] = ()
    future: tuple[Cells, ...] = ()
    static: tuple[Cells, ...] = ()
    notes: tuple[str, ...] = ()
    others: Callable[[], Sequence[Cells]] = no_others

    @property
    def time_column(self) -> str | None:
        """What errors call the column of times."""
        return ",".join(self.time_names) or None

    def telling(self) -> str | None:
        """The column of a few words with each of which every time occurs once, if there is one.

        >>> days, words = np.array([1, 2, 1, 2]), Cells("shop", np.array([0.0, 0, 1, 1]), ("a", "b"))
        >>> Records("frame", np.arange(4), days, others=lambda: [words]).telling()
        'shop'
        """
        if self.times is None:
            return None
        for cells in self.others():
            order = np.lexsort((self.times, cells.values))
            times, words = self.times[order], cells.values[order]
            twice = (times[1:] == times[:-1]) & (words[1:] == words[:-1])
            few = 2 * len(np.unique(words)) <= len(words)
            if few and not twice.any() and not np.isnan(words).any():
                return cells.name
        return None


def long(
    values: Sequence[NDArray[np.float64]], rows: NDArray[np.int64], ids: Sequence[str], records: Records
) -> Records:
    """Whole series one under the other, as rows of one table; missing values at an end are padding.

    Args:
        values: of each series, in order of time.
        rows: what row each series stands in.
        records: what goes for all of them.
    """
    kept = [each[: max(1, end_of(each))] for each in values]
    counts = [len(each) for each in kept]
    places = np.repeat(np.arange(len(kept), dtype=np.float64), counts)
    target = Cells("y", np.concatenate(kept))
    return replace(records, rows=np.repeat(rows, counts), targets=(target,), id=Cells("id", places, tuple(ids)))


def end_of(values: NDArray[np.float64]) -> int:
    """The place after the last row that holds anything, 0 where none does."""
    known = np.nonzero(~np.isnan(values))[0]
    return int(known[-1]) + 1 if len(known) else 0
