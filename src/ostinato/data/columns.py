"""Which column is the time and which the target, where nobody said."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from ostinato.data.errors import DataError
from ostinato.data.numbers import is_missing, is_number
from ostinato.data.styles import Style
from ostinato.data.times import NAMES, detect


@dataclass(frozen=True)
class Column:
    """What a sample tells of a column.

    Attributes:
        name: as in the header.
        numeric: most of its cells are numbers.
        dates: most of its cells are moments that cannot be plain numbers.
        counts_up: whole numbers, each one more than the last.
        years: they count up, and have four digits each.
    """

    name: str
    numeric: bool
    dates: bool
    counts_up: bool = False
    years: bool = False

    @classmethod
    def of(cls, name: str, cells: Sequence[str]) -> Column:
        """From a sample of text cells."""
        filled = [cell for cell in cells if not is_missing(cell)]
        numeric = 2 * sum(map(is_number, filled)) > len(filled)
        dates = not numeric and detect(filled, plain=False) is not None
        counts_up = numeric and _counts_up(filled)
        return cls(name, numeric, dates, counts_up, counts_up and {len(cell.strip()) for cell in filled} == {4})

    @property
    def timely(self) -> bool:
        """Whether the name speaks of time."""
        return bool(set(re.split(r"[^a-z]+", self.name.lower())) & NAMES)

    @property
    def nameless(self) -> bool:
        """The row labels that pandas writes without a name."""
        return self.counts_up and (not self.name.strip() or self.name.startswith("Unnamed: "))


class Roles(NamedTuple):
    """Places of the time column (None: there is none) and of the target, and what to say of the choice."""

    time: int | None
    target: int
    notes: tuple[str, ...]


def choose(columns: Sequence[Column], source: str, time: str | None = None, target: str | None = None) -> Roles:
    """Take the one time-like and the one numeric column; ask where there are several.

    Args:
        source: the file's name, for errors.
        time, target: names that were given (`--time`, `--target`).

    Raises:
        DataError: a name is not there, or the choice is not plain.

    >>> choose([Column("month", False, True), Column("sales", True, False)], "sales.csv").target
    1
    """
    when = _find(columns, source, "--time", time) if time is not None else _time(columns, target)
    numeric = [k for k, column in enumerate(columns) if column.numeric and k != when and not column.nameless]
    if target is not None:
        chosen = _find(columns, source, "--target", target)
        if chosen == when:
            raise DataError(source, f"{target!r} is given as time and as target", "name two columns")
    else:
        chosen = _target(columns, numeric, source, when)
    return Roles(when, chosen, tuple(_notes(columns, when, chosen, time, target)))


def _time(columns: Sequence[Column], target: str | None) -> int | None:
    """The first column of dates, or of numbers whose name speaks of time, or of what can only be years."""
    free = [k for k, column in enumerate(columns) if column.name != target]
    dated = [k for k in free if columns[k].dates]
    named = [k for k in free if columns[k].numeric and columns[k].timely]
    others = [k for k in free if columns[k].numeric]
    if not dated and len(others) == len(named) == 1 and target is None:
        return None  # its only numbers are the target
    years = [k for k in others if columns[k].years and len(others) > 1]
    return next(iter(dated or named or years), None)


def _target(columns: Sequence[Column], numeric: list[int], source: str, when: int | None) -> int:
    names = [columns[k].name for k in numeric]
    if when is not None and columns[when].name == "ds" and "y" in names:
        return numeric[names.index("y")]
    if len(numeric) == 1:
        return numeric[0]
    if numeric:
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        todo = "say which one to forecast with --target NAME"
        raise DataError(source, f"{len(numeric)} columns of numbers ({shown})", todo)
    found = ", ".join(repr(column.name) for column in columns[:12])
    todo = "give a table with a header and a column to forecast"
    raise DataError(source, f"no column of numbers among {found}", todo)


def _find(columns: Sequence[Column], source: str, flag: str, name: str) -> int:
    names = [column.name for column in columns]
    places = [k for k, known in enumerate(names) if known == name]
    if len(places) > 1:
        where = " and ".join(str(k + 1) for k in places)
        raise DataError(source, f"two columns are named {name!r} (columns {where})", "rename one of them", row=1)
    if places:
        return places[0]
    lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f"did you mean {lower[near[0]]!r}?" if near else f"it has {', '.join(map(repr, names[:12]))}"
    raise DataError(source, f"no column {name!r} for {flag}", hint, row=1)


def _notes(columns: Sequence[Column], when: int | None, chosen: int, time: str | None, target: str | None) -> list[str]:
    notes = []
    if time is None or target is None:
        clock = f"'{columns[when].name}' as time" if when is not None else "no column as time, the rows as steps"
        notes.append(f"took {clock} and '{columns[chosen].name}' as target")
    labels = [column.name for k, column in enumerate(columns) if column.nameless and k not in (when, chosen)]
    return notes + ["left out a first column without a name that only counts the rows"] * bool(labels)


def _counts_up(cells: Sequence[str]) -> bool:
    if not all(cell.strip().isdigit() for cell in cells):
        return False
    found = [int(cell) for cell in cells]
    return all(after == before + 1 for before, after in pairwise(found))


def style_of(cells: Sequence[str]) -> Style | None:
    """How the chosen time column is written, numbers too."""
    return detect([cell for cell in cells if not is_missing(cell)], plain=True)
