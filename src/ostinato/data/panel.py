"""Many series of one frequency, told apart by their ids."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ostinato.data.coding import Coding
from ostinato.data.errors import DataError
from ostinato.data.frequency import Frequency
from ostinato.data.series import Series


@dataclass(frozen=True)
class Panel:
    """One series or many, and what goes for all of them.

    Attributes:
        series: at least one; all of the same unit and spacing of time.
        coding: how covariates became numbers.
        notes: what was done to the data, of all series together, each a sentence without a stop.
        source: what errors call it.

    Raises:
        DataError: no series, an id twice, or steps of different lengths.

    >>> panel = Panel.of([[1.0, 2.0], [3.0, 4.0, 5.0]])
    >>> panel.ids, [len(series) for series in panel.heads([1, 2])]
    (('1', '2'), [1, 2])
    """

    series: tuple[Series, ...]
    coding: Coding = field(default_factory=Coding)
    notes: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        source = self.source or "data"
        if not self.series:
            raise DataError(source, "no series", "give at least one")
        twice = [id for id, count in Counter(self.ids).items() if count > 1]
        if twice:
            raise DataError(source, f"two series are called {twice[0]!r}", "rename one of them")
        first = self.frequency
        for series in self.series:
            if (series.frequency.unit, series.frequency.every) != (first.unit, first.every):
                found = f"steps of {series.id!r} are {series.frequency.words}, those of {self.ids[0]!r} {first.words}"
                raise DataError(source, found, "give series of one frequency")

    @classmethod
    def of(cls, values: Any) -> Panel:
        """Values without dates: one row of numbers or a Series, an array (time, series), or a list of any of them."""
        if isinstance(values, Series):
            return cls((values,))
        if not several(values):
            return cls((Series.of(values),))
        many = list(values.T) if isinstance(values, np.ndarray) else list(values)
        ids = [str(k + 1) if len(many) > 1 else "" for k in range(len(many))]
        return cls(tuple(_called(each, id) for each, id in zip(many, ids, strict=True)))

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[Series]:
        return iter(self.series)

    def __getitem__(self, place: int) -> Series:
        return self.series[place]

    @property
    def ids(self) -> tuple[str, ...]:
        """What the series are called, in order."""
        return tuple(series.id for series in self.series)

    @property
    def frequency(self) -> Frequency:
        """The first series' grid; the others have the same unit and spacing."""
        return self.series[0].frequency

    @property
    def name(self) -> str:
        """Of the first series' values."""
        return self.series[0].name

    @property
    def time_name(self) -> str:
        """Of the column of times; "" where steps are only counted."""
        return self.series[0].time_name

    @property
    def style(self) -> str:
        """How times are written."""
        return self.series[0].style

    def find(self, id: str) -> Series:
        """The series of an id.

        Raises:
            DataError: there is none; the nearest id is given.
        """
        for series in self.series:
            if series.id == id:
                return series
        raise DataError(self.source or "data", f"no series {id!r}", _nearest(id, self.ids))

    def heads(self, lengths: Sequence[int]) -> Panel:
        """The first steps of each series."""
        return replace(self, series=tuple(one.head(n) for one, n in zip(self.series, lengths, strict=True)))

    def tails(self, lengths: Sequence[int]) -> Panel:
        """The last steps of each series."""
        return replace(self, series=tuple(one.tail(n) for one, n in zip(self.series, lengths, strict=True)))

    def then(self, later: Panel, source: str) -> Panel:
        """Each series and the later one of the same id; those that do not go on stay as they are.

        Later series without times begin right after the end.

        Raises:
            DataError: an id is not known, or a series does not go on from the one before.
        """
        own = set(self.ids)
        for id in later.ids:
            if id not in own:
                raise _unknown(id, self.ids, source)
        new = {series.id: series for series in later}
        return replace(
            self, series=tuple(_joined(one, new[one.id], source) if one.id in new else one for one in self.series)
        )


def several(values: Any) -> bool:
    """Whether there are several rows of values, not one: an array (time, series), or a list of arrays, lists or Series.

    >>> several([1.0, 2.0]), several([[1.0, 2.0], [3.0]])
    (False, True)
    """
    if isinstance(values, np.ndarray):
        return values.ndim == 2
    if not isinstance(values, (list, tuple)) or not values:
        return False
    return isinstance(values[0], (Series, list, tuple)) or (isinstance(values[0], np.ndarray) and values[0].ndim == 1)


def _called(values: Any, id: str) -> Series:
    if isinstance(values, Series):
        return values if values.id else replace(values, id=id)
    return Series.of(values, id=id)


def _joined(own: Series, later: Series, source: str) -> Series:
    if not later.time_name:
        later = replace(later, start=own.end, frequency=own.frequency)
    try:
        return own.then(later, source)
    except DataError as error:
        if not own.id:
            raise
        raise DataError(source, f"series {own.id!r}: {error.found}", error.todo) from error


def _unknown(id: str, known: Sequence[str], source: str) -> DataError:
    if not id:
        return DataError(source, "nothing says which of the series it is", "say --id, with one of " + _few(known))
    if list(known) == [""]:
        return DataError(source, f"the series {id!r} is not known", "give one series, without --id")
    return DataError(source, f"the series {id!r} is not known", _nearest(id, known))


def _nearest(id: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(id, known[:5000], n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {_few(known)}"


def _few(ids: Sequence[str]) -> str:
    return ", ".join(map(repr, ids[:3])) + ", ..." * (len(ids) > 3)
