"""Texts with a label each: out of tables, JSON, `label text` lines, folders, frames and lists."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.data import parquet
from ostinato.data.decoded import Refusals, is_whole
from ostinato.data.errors import DataError, shown
from ostinato.data.text.choice import choose, headed, header_mark
from ostinato.data.text.folder import read_folder
from ostinato.data.text.prefixed import TOOK_FIRST, cut, prefixed
from ostinato.data.text.source import Source, opened
from ostinato.data.text.table import Table, cell_of, delimited, dividing, from_frame, from_json, is_json

HALF = "half of a character (a lone surrogate)"
UNLABELLED = 0.05  # share of rows without a label that is no mistake
_Row = tuple[int, str, str]  # its number, text, label


@dataclass(frozen=True)
class Labelled:
    """Texts and their labels, row by row.

    Attributes:
        texts: as they are written.
        labels: one each.
        source: what errors call them.
        notes: what was done, each a sentence without a stop.
    """

    texts: list[str]
    labels: list[str]
    source: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    def pick(self, numbers: Sequence[int]) -> Labelled:
        """These rows, in this order.

        >>> Labelled(["good", "bad"], ["1", "0"], "list").pick([1]).labels
        ['0']
        """
        return Labelled([self.texts[k] for k in numbers], [self.labels[k] for k in numbers], self.source, self.notes)

    def classes(self) -> tuple[str, ...]:
        """The labels that occur, in the order of the alphabet, numbers by size.

        Raises:
            DataError: there is one only, so that there is nothing to tell apart.

        >>> Labelled(["a", "b", "c"], ["10", "9", "10"], "list").classes()
        ('9', '10')
        """
        found = tuple(sorted(set(self.labels), key=_order))
        if len(found) < 2:
            what = f"every label is {shown(found[0])}" if found else "there are no rows"
            raise DataError(self.source, what, "give texts of two classes at least")
        return found


def _order(label: str) -> tuple[int, float, str]:
    try:
        return (0, float(label), label) if float(label) == float(label) else (1, 0.0, label)
    except ValueError:
        return (1, 0.0, label)


def read_labelled(source: Any, *, text: str | None = None, label: str | None = None, on_bad: str = "error") -> Labelled:
    """Texts with labels, out of whatever holds them.

    Args:
        source: path of a file, `.gz` too: CSV, TSV, JSON lines (told by the suffix, else by the content), or lines
            of a label, a blank or tab, and a text; of a folder with one file a class, named after it, a text on each
            line, or one folder a class, a text in each file; a pandas or polars frame; a pair (texts, labels); a list
            of pairs (text, label).
        text, label: columns, by name or place from 0; left out: told by usual names (text, review, ... and label,
            class, ...) or by what the columns hold, and said in the notes.
        on_bad: "skip" leaves out rows without text or label and broken ones, and counts them; of labels up to one in
            twenty may be missing without it.

    Raises:
        DataError: in one line, what is wrong, where, and what to do.

    >>> data = read_labelled([("a fine film", "good"), ("a dull film", "bad")])
    >>> data.texts, data.labels
    (['a fine film', 'a dull film'], ['good', 'bad'])
    """
    if isinstance(source, Labelled):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _from_path(Path(source), text, label, on_bad)
    if hasattr(source, "columns"):
        return _from_table(from_frame(source, on_bad), text, label)
    return _from_lists(source, on_bad)


def _from_path(path: Path, text: str | None, label: str | None, on_bad: str) -> Labelled:
    if path.is_dir():
        return _checked(*read_folder(path, on_bad))
    if path.suffix.lower() in parquet.SUFFIXES:
        return _from_table(from_frame(parquet.read_parquet(path, path.name), on_bad, path.name), text, label)
    file = opened(path, on_bad)
    table = _table(file, text, label)
    if table is not None:
        return _from_table(table, text, label)
    return _checked(file.name, prefixed(file), file.refusals, (*file.read, TOOK_FIRST))


def _table(file: Source, text: str | None, label: str | None) -> Table | None:
    """The rows of a table; None for lines that begin with their label."""
    if is_json(file):
        return from_json(file)
    if file.form in ("comma", "tab"):
        return delimited(file, "\t" if file.form == "tab" else None)
    mark = dividing(file) or header_mark(file)
    if mark and (mark == "\t" or text or label or header_mark(file) or not cut(file)):
        return delimited(file, mark)
    return None


def _from_table(table: Table, text: str | None, label: str | None) -> Labelled:
    table = headed(table, (text, label))
    choice = choose(table, text, label)
    assert choice.label is not None
    rows = [
        (number, row[choice.text], row[choice.label]) for number, row in zip(table.numbers, table.rows, strict=True)
    ]
    columns = table.names[choice.text], table.names[choice.label]
    return _checked(table.source, rows, table.refusals, (*table.notes, *choice.notes), columns)


def _from_lists(source: Any, on_bad: str) -> Labelled:
    todo = "give a path, a frame, a pair (texts, labels), or a list of pairs (text, label)"
    try:
        rows = list(source)
    except TypeError as error:
        raise DataError("data", f"{type(source).__name__} that holds no texts", todo) from error
    if isinstance(source, tuple) and len(rows) == 2 and not isinstance(rows[0], (str, tuple)):
        texts, labels = (list(part) for part in rows)
        if len(texts) != len(labels):
            raise DataError("list", f"{len(texts)} texts and {len(labels)} labels", "give a label for each text")
        rows = list(zip(texts, labels, strict=True))
    for k, row in enumerate(rows):
        if not isinstance(row, (tuple, list)) or len(row) != 2 or not isinstance(row[0], (str, type(None))):
            raise DataError("list", f"found {shown(row)}, no pair of a text and a label", todo, row=k)
    named = [(k, cell_of(text), cell_of(label)) for k, (text, label) in enumerate(rows)]
    return _checked("list", named, Refusals("list", on_bad == "skip"), ())


def _checked(
    source: str,
    rows: Sequence[_Row],
    refusals: Refusals,
    notes: Sequence[str],
    columns: tuple[str, str] | tuple[None, None] = (None, None),
) -> Labelled:
    """Rows that have a text and a label; the rest is refused, or left out and counted."""
    texts, labels = [], []
    rows, more = _without_the_unlabelled(rows)
    for number, text, label in rows:
        text, label = text.strip(), label.strip()
        if not text or not label:
            what, column = ("text", columns[0]) if not text else ("label", columns[1])
            refusals.refuse(f"no {what}", f"fill in the {what}", number, column)
            continue
        if not is_whole(text):
            refusals.refuse(HALF, "correct it", number, columns[0])
            continue
        texts.append(text)
        labels.append(label)
    if not texts:
        raise DataError(source, f"all {refusals.count} rows are broken" if refusals.count else "is empty", "give texts")
    return Labelled(texts, labels, source, (*notes, *more, *refusals.notes()))


def _without_the_unlabelled(rows: Sequence[_Row]) -> tuple[Sequence[_Row], list[str]]:
    """The rows but those that nobody has labelled yet, and a note of it; all of them where those are many.

    Few are what real tables have, and nothing can be learnt from them; many mean that a column was mistaken.
    """
    bare = [number for number, text, label in rows if text.strip() and not label.strip()]
    if not 0 < len(bare) <= UNLABELLED * len(rows):
        return rows, []
    kept = [row for row in rows if row[2].strip() or not row[1].strip()]
    return kept, [f"left out {len(bare)} of {len(rows):,} rows that have no label, first row {bare[0]}"]


def read_texts(
    source: Any, *, text: str | None = None, on_bad: str = "error", labels: Collection[str] = ()
) -> list[str]:
    """Texts without labels, to be labelled: one of them, several, or a file.

    Args:
        source: a string is a text, not a path; a list of texts; a `Path` of a file as `read_labelled` takes them,
            or of plain lines, one text each; a frame.
        text: column of the texts; told where left out.
        labels: where every line of a file begins with one of these, it is cut off.

    Raises:
        DataError: it cannot be read.

    >>> read_texts("a fine film"), read_texts(["one", "two"])
    (['a fine film'], ['one', 'two'])
    """
    if isinstance(source, str):
        return [source]
    if isinstance(source, Labelled):
        return source.texts
    if isinstance(source, os.PathLike):
        return _texts_of(Path(source), text, on_bad, labels)
    if hasattr(source, "columns"):
        return _column(from_frame(source, on_bad), text)
    try:
        texts = list(source)
    except TypeError as error:
        raise DataError(type(source).__name__, "holds no texts", "give a string, or a list of strings") from error
    wrong = [each for each in texts if not isinstance(each, str)]
    if wrong:
        raise DataError("list", f"{type(wrong[0]).__name__} that is no text", "give strings")
    return texts


def _texts_of(path: Path, text: str | None, on_bad: str, labels: Collection[str]) -> list[str]:
    if path.suffix.lower() in parquet.SUFFIXES:
        return _column(from_frame(parquet.read_parquet(path, path.name), on_bad, path.name), text)
    file = opened(path, on_bad)
    if is_json(file):
        return _column(from_json(file), text)
    if file.form in ("comma", "tab"):
        return _column(delimited(file, "\t" if file.form == "tab" else None), text)
    mark = header_mark(file) or (dividing(file) if text else None)
    return _column(delimited(file, mark), text) if mark else _lines(file, labels)


def _lines(file: Source, labels: Collection[str]) -> list[str]:
    """A text each, up to the last that is not blank, so that answers stand beside them."""
    lines = file.lines[: max(number for number, _ in file.filled())]
    parts = [(*line.split(maxsplit=1), "", "")[:2] for line in lines]
    if all(not first or (first in labels and rest) for first, rest in parts):
        return [rest.strip() for _, rest in parts]
    return lines


def _column(table: Table, text: str | None) -> list[str]:
    table = headed(table, (text,))
    place = choose(table, text, None, labelled=False).text
    texts = [row[place].strip() for row in table.rows]
    for number, each in zip(table.numbers, texts, strict=True):
        if not is_whole(each):
            raise DataError(table.source, HALF, "correct it", row=number, column=table.names[place])
    return texts


def counts(labels: Sequence[str]) -> str:
    """How often each label occurs, in words, the most frequent first.

    >>> counts(["a", "b", "a"])
    'a 2, b 1'
    """
    ranked = Counter(labels).most_common()
    return ", ".join(f"{label} {count:,}" for label, count in ranked[:5]) + (", ..." if len(ranked) > 5 else "")
