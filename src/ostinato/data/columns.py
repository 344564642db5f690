"""What each column is for: what was named, and where nobody said, what can only be the time, the id or the target."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import NamedTuple

from ostinato.data.clock import PARTS
from ostinato.data.errors import DataError
from ostinato.data.numbers import is_missing, is_number
from ostinato.data.times import NAMES, detect

REPEATED = "unique_id"  # what tells series apart without being named
_COUNTED = re.compile(r"(.*\D)(\d+)")
_STEPS = NAMES | {"step", "index"}


@dataclass(frozen=True)
class Column:
    """What a sample tells of a column.

    Attributes:
        name: as in the header.
        numeric: most of its cells are numbers.
        dates: most of its cells are moments that cannot be plain numbers.
        counts_up: whole numbers, each one more than the last.
        years: they count up, and have four digits each.
        words: it holds something, and most of that is no number.
    """

    name: str
    numeric: bool
    dates: bool
    counts_up: bool = False
    years: bool = False
    words: bool = False

    @classmethod
    def of(cls, name: str, cells: Sequence[str]) -> Column:
        """From a sample of text cells."""
        filled = [cell for cell in cells if not is_missing(cell)]
        numeric = 2 * sum(map(is_number, filled)) > len(filled)
        words = bool(filled) and not numeric
        counts_up = numeric and _counts_up(filled)
        years = counts_up and {len(cell.strip()) for cell in filled} == {4}
        return cls(name, numeric, words and is_date(filled), counts_up, years, words)

    @property
    def timely(self) -> bool:
        """Whether the name speaks of time."""
        return bool(_spoken(self.name) & NAMES)

    @property
    def nameless(self) -> bool:
        """The row labels that pandas writes without a name."""
        return self.counts_up and (not self.name.strip() or self.name.startswith("Unnamed: "))


@dataclass(frozen=True)
class Asked:
    """The columns that were named, by what they are for.

    Attributes:
        id, time, target, past, future, static: their names.
        ahead: a trained model knows covariates ahead, so a table may hold nothing but those.
    """

    id: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    ahead: bool = False

    def parts(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Flags and the names they were given; one time that no column is called is several, split at its commas."""
        found = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "ahead"}
        if len(self.time) == 1 and self.time[0] not in names:
            found["time"] = tuple(part.strip() for part in self.time[0].split(","))
        return found


class Roles(NamedTuple):
    """Places of the columns by what they are for, and what to say of the choice.

    Attributes:
        id: of what tells series apart; None: there is one series.
        time: none: the rows are steps; several: year, month, day, ...
        target: none: the rows only say what lies ahead.
    """

    id: int | None
    time: tuple[int, ...]
    target: tuple[int, ...]
    past: tuple[int, ...]
    future: tuple[int, ...]
    static: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def covariates(self) -> tuple[int, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys((*self.past, *self.future, *self.static)))


def choose(columns: Sequence[Column], source: str, asked: Asked | None = None, header: int | None = 1) -> Roles:
    """Take the one time-like and the one numeric column; ask where there are several.

    Args:
        source: the file's name, for errors.
        asked: names that were given (`--time`, `--target`, ...).
        header: the row of the names, for errors.

    Raises:
        DataError: a name is not there or given twice, or the choice is not plain.

    >>> choose([Column("month", False, True), Column("sales", True, False)], "sales.csv").target
    (1,)
    """
    asked = asked or Asked()
    given = _given(columns, source, asked, header)
    taken = {place for places in given.values() for place in places}
    id = next(iter(given["id"]), None)
    if id is None:
        id = next((k for k, column in enumerate(columns) if column.name == REPEATED and k not in taken), None)
    free = [k for k in range(len(columns)) if k not in taken and k != id]
    time = given["time"] or _time(columns, free, [k for k in range(len(columns)) if k not in given["target"]], asked)
    numeric = [k for k in free if columns[k].numeric and k not in time and not columns[k].nameless]
    target = given["target"] or _targets(columns, numeric, source, time, asked)
    if target and asked.ahead:
        _given(columns, source, Asked(target=asked.target, past=asked.past, static=asked.static), header)
    notes = tuple(_notes(columns, asked, id, time, target, set(free)))
    return Roles(id, time, target, given["past"], given["future"], given["static"], notes)


def is_wide(names: Sequence[str], asked: Asked) -> bool:
    """Whether a row is a series: a first column of any name, then V2, V3, ..., at least four.

    >>> is_wide(["id", "V1", "V2", "V3", "V4"], Asked()), is_wide(["date", "x1", "x2"], Asked())
    (True, False)
    """
    if any(places for flag, places in asked.parts(names).items() if flag != "id") or asked.id not in ((), (names[0],)):
        return False
    found = [_COUNTED.fullmatch(name) for name in names[1:]]
    counted = [(match[1], int(match[2])) for match in found if match]
    if len(counted) < max(4, len(found)) or len({prefix for prefix, _ in counted}) > 1:
        return False
    return all(after == before + 1 for (_, before), (_, after) in pairwise(counted))


def names_series(first: Column) -> bool:
    """Whether a wide table's first column can hold ids, and is no time."""
    return not (first.dates or first.nameless or (first.numeric and _spoken(first.name) & _STEPS))


def is_date(cells: Sequence[str]) -> bool:
    """Whether cells are moments that cannot be plain numbers; each way of writing them has a digit."""
    return any(map(str.isdigit, cells[0])) and detect(cells, plain=False) is not None


def _given(columns: Sequence[Column], source: str, asked: Asked, header: int | None) -> dict[str, tuple[int, ...]]:
    """Places of the columns that were named; what a table of what lies ahead may lack is left out."""
    names = [column.name for column in columns]
    places: dict[str, tuple[int, ...]] = {}
    seen: dict[str, str] = {}
    for flag, wanted in asked.parts(names).items():
        if asked.ahead and flag in ("target", "past", "static"):
            wanted = tuple(name for name in wanted if name in names)
        places[flag] = tuple(_find(names, source, flag, name, header) for name in wanted)
        for name in wanted:
            if name in seen:
                found = f"{name!r} is given " + (f"as {seen[name]} and as {flag}" if seen[name] != flag else "twice")
                raise DataError(source, found, "name two columns", column=name)
            seen[name] = flag
    if len(places["time"]) > 1:
        places["time"] = _in_order(columns, places["time"], source)
    return places


def _in_order(columns: Sequence[Column], places: tuple[int, ...], source: str) -> tuple[int, ...]:
    """Year, month, day, ... by their names, else as they were given."""
    named = {columns[k].name.lower(): k for k in places}
    parts = PARTS[: len(places)]
    if len(places) > len(PARTS) or (set(named) <= set(PARTS) and set(named) != set(parts)):
        found = f"the time columns are {', '.join(columns[k].name for k in places)}"
        raise DataError(source, found, f"give {', '.join(PARTS)}, as far as there are any, without a gap")
    return tuple(named[part] for part in parts) if set(named) == set(parts) else places


def _time(columns: Sequence[Column], free: list[int], others: list[int], asked: Asked) -> tuple[int, ...]:
    """A column of dates; year, month, day, ...; numbers whose name speaks of time, or that can only be years."""
    dated = sorted((k for k in free if columns[k].dates), key=lambda k: columns[k].name != "ds")
    parts = _parts(columns, others)
    named = [k for k in free if columns[k].numeric and columns[k].timely]
    numeric = [k for k in free if columns[k].numeric]
    if not dated and not parts and len(numeric) == len(named) == 1 and not asked.target and not asked.ahead:
        return ()  # its only numbers are the target
    years = [k for k in numeric if columns[k].years and len(numeric) > 1]
    return tuple(dated[:1] or parts or named[:1] or years[:1])


def _parts(columns: Sequence[Column], places: Iterable[int]) -> list[int]:
    """Columns called year, month, day and perhaps hour and minute; an hour may be a covariate too."""
    named = {columns[k].name.strip().lower(): k for k in places if columns[k].numeric}
    if not set(PARTS[:3]) <= set(named):
        return []
    count = 3 + ("hour" in named) + ("hour" in named and "minute" in named)
    return [named[part] for part in PARTS[:count]]


def _targets(
    columns: Sequence[Column], numeric: list[int], source: str, time: tuple[int, ...], asked: Asked
) -> tuple[int, ...]:
    if asked.ahead and (asked.target or not numeric):
        return ()
    names = [columns[k].name for k in numeric]
    if time and columns[time[0]].name == "ds" and "y" in names:
        return (numeric[names.index("y")],)
    if len(numeric) == 1:
        return (numeric[0],)
    if numeric:
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        todo = "say which one to forecast with --target NAME"
        raise DataError(source, f"{len(numeric)} columns of numbers ({shown})", todo)
    found = ", ".join(repr(column.name) for column in columns[:12])
    todo = "give a table with a header and a column to forecast"
    raise DataError(source, f"no column of numbers among {found}", todo)


def _find(names: Sequence[str], source: str, flag: str, name: str, header: int | None) -> int:
    places = [k for k, known in enumerate(names) if known == name]
    if len(places) > 1:
        where = " and ".join(str(k + 1) for k in places)
        raise DataError(source, f"two columns are named {name!r} (columns {where})", "rename one of them", row=header)
    if places:
        return places[0]
    lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f"did you mean {lower[near[0]]!r}?" if near else f"it has {', '.join(map(repr, names[:12]))}"
    raise DataError(source, f"no column {name!r} for --{flag}", hint, row=header)


def _notes(
    columns: Sequence[Column],
    asked: Asked,
    id: int | None,
    time: tuple[int, ...],
    target: tuple[int, ...],
    free: set[int],
) -> list[str]:
    notes = []
    if id is not None and not asked.id:
        notes.append(f"took '{columns[id].name}' as what tells the series apart")
    if not target:
        notes.append("found no column to forecast: the rows only say what lies ahead")
    elif not asked.time or not asked.target:
        clock = f"{_and(columns, time)} as time" if time else "no column as time, the rows as steps"
        notes.append(f"took {clock} and {_and(columns, target)} as target")
    labels = [k for k in free if columns[k].nameless and k not in (*time, *target)]
    return notes + ["left out a first column without a name that only counts the rows"] * bool(labels)


def _and(columns: Sequence[Column], places: Sequence[int]) -> str:
    return ", ".join(f"'{columns[k].name}'" for k in places)


def _spoken(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", name.lower()))


def _counts_up(cells: Sequence[str]) -> bool:
    if not all(cell.strip().isdigit() for cell in cells):
        return False
    found = [int(cell) for cell in cells]
    return all(after == before + 1 for before, after in pairwise(found))
