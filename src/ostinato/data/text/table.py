"""Rows with named columns, out of CSV, TSV, JSON lines and frames, every cell as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ostinato.data.decoded import Refusals
from ostinato.data.errors import DataError, shown
from ostinato.data.lines import DELIMITERS, Row, delimiter_of, fitted, split_rows
from ostinato.data.text.source import Source


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Attributes:
        source: what errors call it.
        names: of the columns; none: the first row may be a header or not, and is among the rows.
        rows: cells as text, "" where there is none.
        numbers: of each row, as an editor counts lines.
        refusals: takes broken rows.
        notes: what was done.
    """

    source: str
    names: tuple[str, ...]
    rows: list[list[str]]
    numbers: list[int]
    refusals: Refusals
    notes: tuple[str, ...] = ()


def delimited(source: Source, delimiter: str | None = None) -> Table:
    """A table whose first row is among the rows: whether it is a header is told from the columns.

    Raises:
        DataError: a row has another number of cells than the first, or a quote is not closed.
    """
    mark = delimiter or delimiter_of(source.lines[:20]) or ","
    if mark == "\t" and _plainly_divided(source.lines):
        rows, notes = _plain_rows(source), source.read
    else:
        rows, notes = _quoted_rows(source, mark), source.read
    if not rows:
        raise DataError(source.name, "holds no whole row", "give a table with a header and rows")
    return Table(source.name, (), [row.cells for row in rows], [row.number for row in rows], source.refusals, notes)


def _plainly_divided(lines: Sequence[str]) -> bool:
    """Whether each line has as many tabs as the first: then no quote holds a tab or a line's end."""
    counts = {line.rstrip("\t").count("\t") for line in lines if line.strip()}
    return len(counts) == 1


def _plain_rows(source: Source) -> list[Row]:
    """Tabs divide, and a quote is a quote, unless all cells that begin with one are written as in CSV."""
    rows = [Row(number, line.split("\t")) for number, line in source.filled()]
    width = len(rows[0].cells)
    rows = [Row(row.number, (fitted(row.cells, width) or [*row.cells, ""])[:width]) for row in rows]
    quoted = [cell for row in rows for cell in row.cells if cell.startswith('"')]
    if quoted and all(_is_quoted(cell) for cell in quoted):
        rows = [Row(row.number, [_unquoted(cell) for cell in row.cells]) for row in rows]
    return rows


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell.endswith('"') and '"' not in cell[1:-1].replace('""', "")


def _unquoted(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if cell.startswith('"') else cell


def _quoted_rows(source: Source, mark: str) -> list[Row]:
    found: list[Row] = []
    width = 0
    for row in split_rows([line + "\n" for line in source.lines], mark, source.name):
        if not any(cell.strip() for cell in row.cells):
            continue
        width = width or len(row.cells)
        cells = fitted(row.cells, width)
        if cells is None:
            counts = f"{len(row.cells)} cells, the first row has {width}"
            todo = 'put cells that hold a comma in quotes (")' if mark == "," else "correct it"
            source.refusals.refuse(f"found {counts} ({shown(mark.join(row.cells))})", todo, row.number)
            continue
        found.append(Row(row.number, cells))
    return found


def from_json(source: Source) -> Table:
    """Objects with the same keys, one a line, or all in one list.

    Raises:
        DataError: a line is no JSON object, and it is named.
    """
    first = next(line for _, line in source.filled()).lstrip()
    records = _list(source) if first.startswith("[") else _objects(source)
    if not records:
        raise DataError(source.name, "holds no whole row", 'give objects such as {"text": "...", "label": "..."}')
    names = tuple(dict.fromkeys(name for _, record in records for name in record))
    rows = [[_cell(record.get(name)) for name in names] for _, record in records]
    return Table(source.name, names, rows, [number for number, _ in records], source.refusals, source.read)


def _list(source: Source) -> list[tuple[int, dict[str, Any]]]:
    try:
        found = json.loads("\n".join(source.lines))
    except (ValueError, RecursionError) as error:
        raise DataError(source.name, f"is no JSON ({error})", "correct it, or give an object a line") from error
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise DataError(source.name, "is no list of objects", 'give [{"text": "...", "label": "..."}, ...]')
    return list(enumerate(found, 1))


def _objects(source: Source) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for number, line in source.filled():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            source.refusals.refuse(f"no JSON ({shown(line)}, {error})", "correct it", number)
            continue
        if not isinstance(record, dict):
            source.refusals.refuse(f"no JSON object ({shown(line)})", 'write {"text": "...", ...}', number)
            continue
        found.append((number, record))
    return found


def _cell(value: Any) -> str:
    """A value as text; what has parts of its own as JSON."""
    if value is None or value != value:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.15g}"
    return json.dumps(value) if isinstance(value, (bool, list, dict)) else str(value)


def from_frame(data: Any, on_bad: str = "error", name: str = "frame") -> Table:
    """A pandas or polars frame; rows are counted from 0.

    Raises:
        DataError: it has no rows.
    """
    names = [str(column) for column in data.columns]
    if type(data).__module__.partition(".")[0] == "polars":
        columns = [data[column].to_list() for column in data.columns]
    else:
        columns = [data.iloc[:, k].to_numpy(dtype=object, na_value=None).tolist() for k in range(len(names))]
    rows = [[_cell(value) for value in row] for row in zip(*columns, strict=True)]
    if not rows:
        raise DataError(name, "has no rows", "give a frame with rows")
    return Table(name, tuple(names), rows, list(range(len(rows))), Refusals(name, on_bad == "skip"))


def is_delimited(lines: Sequence[str]) -> str | None:
    """The delimiter of lines that have no suffix to tell it: one that divides each alike, a tab before all."""
    filled = [line for line in lines if line.strip()]
    for mark in ("\t", *DELIMITERS):
        counts = {len(row.cells) for row in _tried(filled, mark)}
        if len(counts) == 1 and min(counts) > 1:
            return mark
    return None


def _tried(lines: Sequence[str], mark: str) -> list[Row]:
    try:
        return list(split_rows([line + "\n" for line in lines], mark, ""))
    except DataError:
        return []
