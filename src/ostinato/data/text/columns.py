"""Files of one word a line with its tags in columns: CoNLL-U, and those with tabs or blanks between."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from ostinato.data.errors import DataError, shown
from ostinato.data.text.source import Source

NAMES = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")  # of CoNLL-U
FORM, UPOS = 1, 3

_ID = re.compile(r"\d+")
_PASSED = re.compile(r"\d+[-.]\d+")  # 3-4: a range that is one word on paper; 5.1: a word that is not on paper
_DOCUMENT = "-DOCSTART-"  # CoNLL-2003's own

Sentence = list[tuple[str, str]]


def is_conllu(file: Source) -> bool:
    """By suffix, or because words stand numbered in ten columns."""
    if file.form == "conllu":
        return True
    lines = [line for _, line in file.filled() if not line.startswith("#")][:20]
    return bool(lines) and all(line.count("\t") == 9 and line[0].isdecimal() for line in lines)


def is_columns(file: Source) -> bool:
    """Whether lines hold the same number of cells, with tabs between or blank lines after sentences."""
    lines = [line for _, line in file.filled() if not line.startswith("# ")][:200] or [""]
    tabs = any("\t" in line for line in lines)
    usual, often = Counter(len(_cells(line, tabs)) for line in lines).most_common(1)[0]
    last = max(number for number, _ in file.filled())
    ends = any(not line.strip() for line in file.lines[:last])
    return often >= 0.9 * len(lines) and ((tabs and usual > 1) or ends)


def tag_column(file: Source, conllu: bool, column: str | int | None) -> tuple[int, str]:
    """Place of the tags, and what notes call it.

    Raises:
        DataError: no such column.
    """
    names = NAMES if conllu else ()
    if column is None:
        return (UPOS, "column upos") if conllu else (-1, "the last column")
    word = str(column).lower()
    if word in names:
        return names.index(word), f"column {word}"
    first = next((line for _, line in file.filled() if not line.startswith("#")), "")
    count = len(NAMES) if conllu else len(_cells(first, "\t" in first))
    if not word.isdecimal() or int(word) >= count:
        known = ", ".join(names) or f"0 to {count - 1}"
        raise DataError(file.name, f"no column {column!r}", f"--column is one of {known}")
    return int(word), f"column {names[int(word)] if names else word}"


def sentences_of(file: Source, conllu: bool, tags: int | None) -> Iterator[Sentence]:
    """Each sentence as pairs (word, tag); tags None: the tag is "".

    Raises:
        DataError: a line is broken; it is named.
    """
    reader = _Reader(file, conllu, tags)
    for number, line in enumerate([*file.lines, ""], 1):
        if line.strip():
            reader.take(number, line)
        elif reader.found or reader.bad:
            yield from reader.end()


class _Reader:
    """The sentence at hand."""

    def __init__(self, file: Source, conllu: bool, tags: int | None) -> None:
        self.file, self.conllu, self.tags = file, conllu, tags
        self.found: Sentence = []
        self.bad = False
        lines = [line for _, line in file.filled()]
        self.tabs = conllu or any("\t" in line for line in lines[:100])
        self.width = len(NAMES) if conllu else _width(lines, self.tabs)
        if tags is not None and self.width < 2:
            found = "one column only" if lines else "no lines"
            raise DataError(file.name, found, "give lines of a word and its tag, a tab or blank between")

    def take(self, number: int, line: str) -> None:
        """One line that is not blank."""
        cells = _cells(line, self.tabs)
        if self._passed(line, cells):
            return
        if self.conllu and len(cells) == self.width and not _ID.fullmatch(cells[0]):
            self._refuse(f"{shown(cells[0])} where a word has its number ({shown(line)})", "correct it", number)
            return
        if len(cells) != self.width:
            found = f"found {len(cells)} cells ({shown(line)}), {'CoNLL-U has' if self.conllu else 'most lines have'}"
            self._refuse(f"{found} {self.width}", "correct it", number)
            return
        word = cells[FORM if self.conllu else 0]
        tag = "" if self.tags is None else cells[self.tags].strip()
        if not word.strip() or (
            self.tags is not None and (not tag or (self.conllu and tag == "_" and self.tags == UPOS))
        ):
            self._refuse(f"no {'tag' if word.strip() else 'word'} ({shown(line)})", "fill it in", number)
            return
        self.found.append((word, tag))

    def _passed(self, line: str, cells: list[str]) -> bool:
        """Comments, and lines that are no word."""
        if self.conllu:
            return line.startswith("#") or bool(_PASSED.fullmatch(cells[0]))
        return cells[0] == _DOCUMENT or (line.startswith("#") and len(cells) != self.width)

    def _refuse(self, found: str, todo: str, number: int) -> None:
        if not self.bad:  # one count a sentence
            self.file.refusals.refuse(found, todo, number)
        self.bad = True

    def end(self) -> Iterator[Sentence]:
        """The sentence, unless it is broken."""
        if self.found and not self.bad:
            yield self.found
        self.found, self.bad = [], False


def _cells(line: str, tabs: bool) -> list[str]:
    return line.rstrip("\t ").split("\t") if tabs else line.split()


def _width(lines: list[str], tabs: bool) -> int:
    """Cells of most lines."""
    counts = Counter(len(_cells(line, tabs)) for line in lines if not line.startswith("# "))
    return counts.most_common(1)[0][0] if counts else 0
