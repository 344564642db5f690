"""Rows with named columns, out of CSV, TSV, JSON lines and frames, every cell as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ostinato.data.decoded import Refusals
from ostinato.data.errors import DataError, shown
from ostinato.data.lines import DELIMITERS, Row, delimiter_of, fitted, split_rows
from ostinato.data.text.source import LONGEST, Source

SAMPLE = 100  # lines that a table without a suffix is told from


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Attributes:
        source: what errors call it.
        names: of the columns; none: the first row may be a header or not, and is among the rows.
        rows: cells as text, "" where there is none.
        numbers: of each row, as an editor counts lines; of a frame, from 0.
        refusals: takes broken rows.
        notes: what was done.
    """

    source: str
    names: tuple[str, ...]
    rows: list[list[str]]
    numbers: list[int]
    refusals: Refusals
    notes: tuple[str, ...] = ()


# Delimited text ----------------------------------------------------------------------------------


def delimited(source: Source, delimiter: str | None = None) -> Table:
    """A table whose first row is among the rows: whether it is a header is told from the columns.

    Raises:
        DataError: a row has another number of cells than the first, or a quote is not closed.
    """
    mark = delimiter or delimiter_of(source.lines[:SAMPLE]) or ","
    plain = mark == "\t" and _plainly_divided(source)
    rows = _plain_rows(source) if plain else _quoted_rows(source, mark)
    return Table(
        source.name, (), [row.cells for row in rows], [row.number for row in rows], source.refusals, source.read
    )


def dividing(source: Source) -> str | None:
    """The delimiter of lines that have no suffix to tell it: one that divides each alike, a tab before all."""
    lines = [line + "\n" for line in source.lines[:SAMPLE]]
    for mark in dict.fromkeys(("\t", *DELIMITERS)):
        counts = {len(row.cells) for row in _tried(lines, mark) if any(cell.strip() for cell in row.cells)}
        if len(counts) == 1 and min(counts) > 1:
            return mark
    return None


def _tried(lines: Sequence[str], mark: str) -> list[Row]:
    """Rows up to the first that is broken: by a quote, or because a row goes on after the sample."""
    rows: list[Row] = []
    try:
        for row in split_rows(lines, mark, "", LONGEST):
            rows.append(row)
    except DataError:
        pass  # what the rows before it look like is all that is asked
    return rows


def _plainly_divided(source: Source) -> bool:
    """Whether each line has as many tabs as the first: then no quote holds a tab or a line's end."""
    return len({line.rstrip("\t ").count("\t") for _, line in source.filled()}) == 1


def _plain_rows(source: Source) -> list[Row]:
    """Tabs divide, and a quote is a quote, unless all cells that begin with one are written as in CSV."""
    rows = [Row(number, line.split("\t")) for number, line in source.filled()]
    width = len(rows[0].cells)
    rows = [Row(row.number, [*row.cells, ""][:width]) for row in rows]
    quoted = [cell for row in rows for cell in row.cells if cell.startswith('"')]
    if quoted and all(map(_is_quoted, quoted)):
        rows = [Row(row.number, [_unquoted(cell) for cell in row.cells]) for row in rows]
    return rows


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell.endswith('"') and '"' not in cell[1:-1].replace('""', "")


def _unquoted(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if cell.startswith('"') else cell


def _quoted_rows(source: Source, mark: str) -> list[Row]:
    found: list[Row] = []
    width = 0
    for row in split_rows([line + "\n" for line in source.lines], mark, source.name, LONGEST):
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


# JSON --------------------------------------------------------------------------------------------


def is_json(source: Source) -> bool:
    """By suffix, or because the first line is an object."""
    if source.form == "json":
        return True
    first = next(line for _, line in source.filled())
    return first.lstrip().startswith("{") and isinstance(_parsed(first), dict)


def from_json(source: Source) -> Table:
    """Objects with the same keys, one a line, or all in one list.

    Raises:
        DataError: a line is no JSON object, and it is named.
    """
    first = next(line for _, line in source.filled()).lstrip()
    records = _list(source) if first.startswith("[") else _objects(source)
    names = tuple(dict.fromkeys(name for _, record in records for name in record))
    if not names:
        broken = f"all {source.refusals.count} lines are broken" if source.refusals.count else "holds no object"
        raise DataError(source.name, broken, 'give objects such as {"text": "...", "label": "..."}')
    rows = [[_json_cell(record.get(name)) for name in names] for _, record in records]
    return Table(source.name, names, rows, [number for number, _ in records], source.refusals, source.read)


def _parsed(text: str) -> Any:
    """The value, or what is wrong with the text as an exception."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return error


def _list(source: Source) -> list[tuple[int, dict[str, Any]]]:
    found = _parsed("\n".join(source.lines))
    if isinstance(found, Exception):
        raise DataError(source.name, f"is no JSON ({found})", "correct it, or give an object a line")
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise DataError(source.name, "is no list of objects", 'give [{"text": "...", "label": "..."}, ...]')
    return list(enumerate(found, 1))


def _objects(source: Source) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for number, line in source.filled():
        record = _parsed(line)
        if isinstance(record, dict):
            found.append((number, record))
        else:
            why = str(record) if isinstance(record, Exception) else "no object"
            source.refusals.refuse(f"no JSON object ({why}, {shown(line)})", "correct it", number)
    return found


def _json_cell(value: Any) -> str:
    """A value as it is written; what has parts stays JSON."""
    if isinstance(value, (bool, dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return cell_of(value)


# Frames ------------------------------------------------------------------------------------------


def from_frame(data: Any, on_bad: str = "error", name: str = "frame") -> Table:
    """A pandas or polars frame; rows are counted from 0.

    Raises:
        DataError: it has no rows.
    """
    names = tuple(str(column) for column in data.columns)
    if type(data).__module__.partition(".")[0] == "polars":
        columns = [data[column].to_list() for column in data.columns]
    else:
        columns = [data.iloc[:, k].to_numpy(dtype=object, na_value=None).tolist() for k in range(len(names))]
    rows = [[cell_of(value) for value in row] for row in zip(*columns, strict=True)]
    if not rows:
        raise DataError(name, "has no rows", "give a frame with rows")
    return Table(name, names, rows, list(range(len(rows))), Refusals(name, on_bad == "skip"))


def cell_of(value: Any) -> str:
    """A Python value as a cell: "" for None and NaN, a whole float without its point.

    >>> cell_of(1.0), cell_of(None), cell_of("a b")
    ('1', '', 'a b')
    """
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return f"{value:.15g}" if isinstance(value, float) else str(value)
