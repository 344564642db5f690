"""Which column holds the texts and which the labels: by name, by usual names, by what they hold."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ostinato.data.errors import DataError, shown
from ostinato.data.lines import DELIMITERS
from ostinato.data.numbers import is_number
from ostinato.data.text.source import Source
from ostinato.data.text.table import Table

TEXTS = (
    "text", "sentence", "review", "message", "content", "document", "body", "comment", "tweet", "utterance", "msg",
    "sms", "question", "description", "article", "post", "query", "phrase", "reviewtext", "review_text",
    "review_body", "comment_text", "clean_text", "string", "headline", "title", "summary", "name", "surname", "word",
)  # fmt: skip
LABELS = (
    "label", "class", "category", "sentiment", "target", "section", "topic", "labels", "classes", "intent", "emotion",
    "language", "lang", "polarity", "genre", "rating", "stars", "score", "tag", "output", "class_label", "label_text",
    "author", "spam", "y",
)  # fmt: skip
LONGEST_NAME = 40  # letters of a column that no usual name tells
SAMPLE = 2_000  # rows that columns are judged by


@dataclass(frozen=True)
class Choice:
    """Columns by their place; label None: there is none."""

    text: int
    label: int | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Shape:
    """What a column looks like."""

    distinct: int
    rows: int
    filled: int
    letters: float
    numeric: bool

    @property
    def texty(self) -> bool:
        """Most cells differ, and they are not numbers."""
        return not self.numeric and 2 * self.distinct > self.filled > self.rows / 2

    @property
    def labelly(self) -> bool:
        """Few short values, two or more, each of them again and again."""
        few = 2 <= self.distinct <= max(2, self.filled // 3)
        return few and self.letters <= LONGEST_NAME and self.filled > self.rows / 2


def headed(table: Table, asked: Sequence[str | None]) -> Table:
    """The table with its first row taken as header, or with columns named by their place where it is none.

    Raises:
        DataError: a header and no rows.
    """
    if table.names:
        return table
    if not table.rows:
        raise DataError(table.source, "holds no whole row", "give a table with a header and rows")
    first = [cell.strip() for cell in table.rows[0]]
    if not _is_header(table, first, [name for name in asked if name is not None]):
        return replace(table, names=tuple(str(k) for k in range(len(first))))
    if len(table.rows) == 1:
        raise DataError(table.source, f"has a header ({', '.join(first)}) and no rows", "give rows of text")
    return replace(table, names=tuple(first), rows=table.rows[1:], numbers=table.numbers[1:])


def header_mark(source: Source) -> str | None:
    """The delimiter of a first line that names a column of texts and others beside it, if it is such a header."""
    first = next(line for _, line in source.filled())
    for mark in DELIMITERS:
        names = [cell.strip(' "').lower() for cell in first.split(mark)]
        if len(names) > 1 and any(name in TEXTS for name in names) and all(len(name) <= LONGEST_NAME for name in names):
            return mark
    return None


def _is_header(table: Table, first: Sequence[str], asked: Sequence[str]) -> bool:
    if any(name in first for name in asked):
        return True
    rest = _sample(table.rows[1:])
    again = [any(row[k].strip() == cell for row in rest) for k, cell in enumerate(first)]
    usual = {*TEXTS, *LABELS}
    if any(cell.lower() in usual and not twice for cell, twice in zip(first, again, strict=True)):
        return True
    named = [cell for cell in first if cell]  # a table's empty columns at its end have no names
    plain = all(not is_number(cell) and len(cell) <= LONGEST_NAME for cell in named)
    twice = any(again[k] for k, cell in enumerate(first) if cell)
    return len(named) > 1 and plain and not twice


def choose(table: Table, text: str | None, label: str | None, *, labelled: bool = True) -> Choice:
    """The columns of a table that has names.

    Args:
        text, label: names of columns, or their places from 0; told where left out.
        labelled: whether labels are wanted.

    Raises:
        DataError: no such column, or what is left out cannot be told.
    """
    shapes = [_shape([row[k] for row in _sample(table.rows)]) for k in range(len(table.names))]
    known_text, known_label = _named(table, text, "--text"), _named(table, label, "--label")
    told: list[str] = []
    taken = known_label
    if known_text is None:
        known_text = _told(table, shapes, TEXTS, "text", taken)
        told.append(f"text from {_called(table, known_text)}")
    if labelled and known_label is None:
        known_label = _told(table, shapes, LABELS, "label", known_text)
        told.append(f"label from {_called(table, known_label)}")
    if known_text == known_label:
        raise DataError(table.source, f"{_called(table, known_text)} as text and as label", "name two columns")
    notes = (f"took {' and '.join(told)}",) if told and len(table.names) > 1 else ()
    return Choice(known_text, known_label if labelled else None, notes)


def _named(table: Table, asked: str | None, option: str) -> int | None:
    if asked is None:
        return None
    if table.names.count(asked) > 1:
        raise DataError(table.source, f"{table.names.count(asked)} columns {asked!r}", "rename one, or give its place")
    if asked in table.names:
        return table.names.index(asked)
    if asked.isdecimal() and int(asked) < len(table.names):
        return int(asked)
    near = difflib.get_close_matches(asked, table.names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(table.names)}"
    raise DataError(table.source, f"no column {asked!r}", f"{option}: {hint}")


def _told(table: Table, shapes: Sequence[_Shape], usual: Sequence[str], role: str, taken: int | None) -> int:
    free = [k for k in range(len(table.names)) if k != taken]
    by_name = [k for k in free if table.names[k].strip().lower() in usual and shapes[k].filled]
    if by_name:
        return min(by_name, key=lambda k: usual.index(table.names[k].strip().lower()))
    if role == "text":
        fitting = _longest([k for k in free if shapes[k].texty], shapes) or (free if len(free) == 1 else [])
    else:
        fitting = [k for k in free if shapes[k].labelly] or (free if len(free) == 1 else [])
    if len(fitting) == 1:
        return fitting[0]
    if len(table.names) == 1:
        todo = "give a text and a label in each row, a comma (.csv) or a tab (.tsv) between them"
        raise DataError(table.source, f"one column only, such as {shown(table.rows[0][0])}", todo)
    columns = ", ".join(_called(table, k) for k in free)
    raise DataError(table.source, f"which column is the {role} cannot be told from {columns}", f"name it with --{role}")


def _longest(fitting: list[int], shapes: Sequence[_Shape]) -> list[int]:
    """One column whose cells are twice as long as those of any other, or all."""
    ranked = sorted(fitting, key=lambda k: -shapes[k].letters)
    clear = len(ranked) > 1 and shapes[ranked[0]].letters >= 2 * shapes[ranked[1]].letters
    return ranked[:1] if clear else ranked


def _called(table: Table, place: int) -> str:
    name = table.names[place]
    return f"column {name}" if name.isdecimal() else f"column {shown(name)}"


def _sample(rows: list[list[str]]) -> list[list[str]]:
    """Rows from all over the table, which may be sorted by label."""
    return rows[:: 1 + len(rows) // SAMPLE]


def _shape(cells: Sequence[str]) -> _Shape:
    filled = [cell for cell in (cell.strip() for cell in cells) if cell]
    letters = sum(map(len, filled)) / max(1, len(filled))
    numeric = bool(filled) and all(is_number(cell) for cell in filled[:200])
    return _Shape(len(set(filled)), len(cells), len(filled), letters, numeric)
