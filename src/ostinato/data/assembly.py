"""The rows of a source made a panel: split by id, covariates coded, what was done told once for all series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ostinato.data.coding import Cells, Coding, coded
from ostinato.data.errors import DataError
from ostinato.data.panel import Panel
from ostinato.data.records import Records
from ostinato.data.regular import Done, Points, regular
from ostinato.data.series import Series


def assembled(
    records: Records, *, freq: str | None, duplicates: str | None, skip: bool = False, coding: Coding | None = None
) -> Panel:
    """All series of a source.

    Args:
        freq, duplicates: see `regular`.
        skip: leave out series without a value and count them.
        coding: of the model; fitted to these rows where left out.

    Raises:
        DataError: in one line, what is wrong, where, and what to do.
    """
    known = coding or Coding.fit(records.past, records.future, records.static)
    points = list(_split(records, known))
    kept = [one for one in points if _says(one, coding is not None)]
    if not kept or (len(kept) < len(points) and not skip):
        raise _silent(next(one for one in points if not _says(one, coding is not None)), len(points))
    found = regular(kept, freq, duplicates)
    series = tuple(one for one, _ in found)
    notes = [*records.notes, *_notes(series, [done for _, done in found], freq, duplicates)]
    if len(kept) < len(points):
        first = next(one.id for one in points if not _says(one, coding is not None))
        notes.append(f"left out {len(points) - len(kept)} series without values (--on-bad skip), first {first!r}")
    return Panel(series, known, tuple(notes), records.source)


def _split(records: Records, coding: Coding) -> Iterator[Points]:
    """One series for each id and target, ids in order of appearance."""
    count = len(records.rows)
    past, future = (coded(getattr(coding, kind), getattr(records, kind), count) for kind in ("past", "future"))
    groups = list(_groups(records))
    firsts = [_constant(cells, groups, records) for cells in records.static]
    static = coded(coding.static, firsts, len(groups))
    targets = records.targets or (Cells("y", np.full(count, np.nan)),)
    for k, (id, order) in enumerate(groups):
        times = np.arange(1, len(order) + 1) if records.times is None else records.times[order]
        for target in targets:
            called = target.name if len(targets) > 1 else ""
            yield Points(
                records, "/".join(part for part in (id, called) if part), target.name, times, records.rows[order],
                target.values[order], None if past is None else past[order], None if future is None else future[order],
                None if static is None else static[k],
            )  # fmt: skip


def _groups(records: Records) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Ids, and the rows of each in the order they came."""
    if records.id is None:
        yield "", np.arange(len(records.rows))
        return
    codes, words = records.id.values.astype(np.int64), records.id.words or ()
    order = np.argsort(codes, kind="stable")
    begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
    parts = np.split(order, begins[1:])
    for rows in sorted(parts, key=lambda rows: int(rows[0])):
        yield words[codes[rows[0]]], rows


def _constant(cells: Cells, groups: Sequence[tuple[str, NDArray[np.int64]]], records: Records) -> Cells:
    """What a static column says of each series: one thing.

    Raises:
        DataError: it changes within a series.
    """
    found = np.full(len(groups), np.nan)
    for k, (id, rows) in enumerate(groups):
        known = rows[~np.isnan(cells.values[rows])]
        if not len(known):
            continue
        found[k] = cells.values[known[0]]
        other = np.flatnonzero(cells.values[known] != found[k])
        if len(other):
            place = int(known[other[0]])
            what = f"{cells.word(place)!r} after {cells.word(int(known[0]))!r}" + (f" in series {id!r}" if id else "")
            todo = "a static covariate may not change: name it with --past or --future"
            raise DataError(records.source, what, todo, row=int(records.rows[place]), column=cells.name)
    return replace(cells, values=found)


def _says(points: Points, coded: bool) -> bool:
    """Whether there is a value, or with a model's coding at least something known ahead."""
    if not np.isnan(points.values).all():
        return True
    return coded and points.future is not None and not np.isnan(points.future).all()


def _silent(points: Points, count: int) -> DataError:
    source = points.records.source
    if count == 1 and not points.id:
        column = points.name if points.records.targets else None
        return DataError(source, "holds no values", "give at least one", column=column)
    found, todo = f"series {points.id!r} holds no values", "take it out, or leave such series out with --on-bad skip"
    return DataError(
        source, found, todo, row=int(points.rows[0]), column=points.name if points.records.time_names else None
    )


def _notes(series: Sequence[Series], done: Sequence[Done], freq: str | None, duplicates: str | None) -> Iterator[str]:
    """A sentence for each thing that was done, of all series together."""
    several = len(series) > 1
    lengths = [len(one) for one in series]
    steps = f"{_range(lengths)} steps" if any(lengths) else "no values"
    yield (f"{len(series)} series of {steps}" if several else steps) + f", {series[0].frequency.words}"

    def counted(kind: str) -> tuple[int, str]:
        """How many in all, and in how many series."""
        counts = [getattr(each, kind) for each in done]
        return sum(counts), f" in {sum(map(bool, counts))} series" if several else ""

    rows, where = counted("sorted")
    if rows:
        yield f"sorted the rows by time ({rows} were earlier than the row before{where})"
    rows, where = counted("joined")
    if rows:
        yield f"joined {rows} repeated times{where} (--duplicates {duplicates})"
    rows, where = counted("moved")
    if rows:
        yield f"moved {rows} times{where} back onto the grid (--freq {freq})"
    yield from _about_values(series, done, counted("filled"), counted("missing"))
    rows, where = counted("dropped")
    if rows:
        yield f"left out {rows} rows without a value at the end{where}"
    ahead = [each.ahead for each in done]
    if any(ahead):
        yield f"covariates reach {_range(ahead)} steps beyond the values"


def _about_values(
    series: Sequence[Series], done: Sequence[Done], filled: tuple[int, str], missing: tuple[int, str]
) -> Iterator[str]:
    if filled[0]:
        id, first = next((one.id, each.first) for one, each in zip(series, done, strict=True) if each.filled)
        where = f"{first} in {id!r}" if filled[1] else first
        sentence = f"filled {filled[0]} missing steps{filled[1]} by straight lines, first {where}"
        yield f"{sentence}; they are neither learnt from nor scored"
    if missing[0]:
        yield f"{missing[0]} values are missing" + (missing[1] or f" in '{series[0].name}'")


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"
