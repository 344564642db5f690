"""Any source of one series or of many: a file, a frame, an array, or a panel that was read already."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ostinato.data import parquet
from ostinato.data.assembly import assembled
from ostinato.data.coding import Coded, Coding
from ostinato.data.columns import Asked
from ostinato.data.errors import DataError
from ostinato.data.frames import read_frame
from ostinato.data.panel import Panel
from ostinato.data.points import read_csv
from ostinato.data.records import Records
from ostinato.data.series import Series

Names = str | Sequence[str] | None

DUPLICATES = ("mean", "last")
ON_BAD = ("error", "skip")


def read_panel(
    source: Any,
    *,
    id: str | None = None,
    time: Names = None,
    target: Names = None,
    past: Names = (),
    future: Names = (),
    static: Names = (),
    freq: str | None = None,
    duplicates: str | None = None,
    on_bad: str = "error",
    coding: Coding | None = None,
    name: str | None = None,
) -> Panel:
    """One series or many on their grids of time, with covariates, out of whatever holds them.

    Args:
        source: path of a CSV (`.gz` too) or Parquet file, pandas or polars frame, array (time,) or (time, series),
            Series or Panel. In a file or frame, series stand one under the other, with an id in each row, or each in
            a row of its own, as the M4 competition wrote them.
        id: column that tells series apart; "unique_id" is taken without being named.
        time: column of times, or the columns of year, month, day, ...; told from the content where left out.
        target: column to forecast; several give one series each, "ID/column" where there is an id.
        past, future, static: columns of covariates, known up to now, known ahead, and the same at all times. Rows
            after a series' last value with covariates known ahead extend those.
        freq: spacing of the grid, such as "D", "15min"; inferred where left out.
        duplicates: "mean" or "last" where a time may occur more than once.
        on_bad: "skip" leaves out broken rows of a text file, and series without a value, and counts them.
        coding: of a trained model, which also names the covariates; fitted to these data where left out.
        name: what errors call the source.

    Raises:
        DataError: in one line, what is wrong, where, and what to do.
        ValueError: duplicates or on_bad is another word.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"unique_id": ["a", "b"] * 3, "ds": [1, 1, 2, 2, 3, 3], "y": range(6)})
    >>> [(series.id, series.values.tolist()) for series in read_panel(frame)]
    [('a', [0.0, 2.0, 4.0]), ('b', [1.0, 3.0, 5.0])]
    """
    if duplicates not in (None, *DUPLICATES) or on_bad not in ON_BAD:
        raise ValueError(f"duplicates is mean or last, on_bad is error or skip: got {duplicates!r}, {on_bad!r}")
    if isinstance(source, Panel):
        return source
    if isinstance(source, Series) or _are_series(source):
        panel = Panel.of(source)
        return replace(panel, notes=panel[0].notes if len(panel) == 1 else ())
    covariates = {"past": _names(past), "future": _names(future), "static": _names(static)}
    label = name or (Path(source).name if isinstance(source, (str, os.PathLike)) else "")
    if coding is not None:
        covariates = {kind: _learnt(names, getattr(coding, kind), kind, label) for kind, names in covariates.items()}
    ahead = coding is not None and bool(coding.future)
    asked = Asked(_names(id), _names(time), _names(target), **covariates, ahead=ahead)
    records = _records(source, asked, {} if coding is None else coding.words(), label, on_bad == "skip")
    return assembled(records, freq=freq, duplicates=duplicates, skip=on_bad == "skip", coding=coding)


def read_series(
    source: Any,
    *,
    name: str | None = None,
    time: str | None = None,
    target: str | None = None,
    freq: str | None = None,
    duplicates: str | None = None,
    on_bad: str = "error",
) -> Series:
    """The one series of a source; see `read_panel`.

    Raises:
        DataError: it cannot be used, or holds several.

    >>> read_series([0.0, 1.0, 2.0]).frequency.words
    'steps without dates'
    """
    if isinstance(source, Series):
        return source
    panel = read_panel(
        source, name=name, time=time, target=target, freq=freq, duplicates=duplicates, on_bad=on_bad
    )  # fmt: skip
    if len(panel) > 1:
        found = f"several series ({', '.join(panel.ids[:3])}{', ...' * (len(panel) > 3)})"
        raise DataError(panel.source, found, "put one into a file of its own")
    return replace(panel[0], notes=panel.notes)


def _names(given: Names) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def _learnt(names: tuple[str, ...], columns: Sequence[Coded], kind: str, source: str) -> tuple[str, ...]:
    """The covariates of the model."""
    known = tuple(column.name for column in columns)
    if names and names != known:
        found = f"--{kind} {','.join(names)}, the model learnt with {','.join(known) or 'none'}"
        raise DataError(source or "data", found, "leave the option out")
    return known


def _are_series(source: Any) -> bool:
    return isinstance(source, (list, tuple)) and bool(source) and all(isinstance(each, Series) for each in source)


def _records(source: Any, asked: Asked, words: dict[str, bool], name: str, skip: bool) -> Records:
    if not isinstance(source, (str, os.PathLike)):
        return read_frame(source, asked, words=words, name=name)
    path = Path(source)
    if path.suffix.lower() not in parquet.SUFFIXES:
        return read_csv(path, asked, words=words, name=name, skip=skip)
    return read_frame(parquet.read_parquet(path, name), asked, words=words, name=name)
