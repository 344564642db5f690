"""Lines that begin with their label: `0 a dull film`, `__label__good a fine film`."""

from __future__ import annotations

from collections import Counter

from ostinato.data.errors import DataError
from ostinato.data.text.source import Source

FASTTEXT = "__label__"
LARGEST = 50  # letters of a label
TOOK_FIRST = "took the first word of each line as its label"

Rows = list[tuple[int, str, str]]


def prefixed(file: Source) -> Rows:
    """Rows (number, text, label) of a file whose lines begin with a label.

    Raises:
        DataError: its lines do not look so.
    """
    rows = cut(file)
    if not rows:
        found = "neither a table nor lines that begin with a label"
        raise DataError(file.name, found, "give CSV, TSV or JSON lines with a text and a label, or lines 'label text'")
    return rows


def cut(file: Source) -> Rows:
    """Rows (number, text, label); none where first words are too many for labels."""
    rows: Rows = []
    for number, line in file.filled():
        label, _, text = line.strip().replace("\t", " ", 1).partition(" ")
        rows.append((number, text, label.removeprefix(FASTTEXT)))
    if all(line.lstrip().startswith(FASTTEXT) for _, line in file.filled()):
        return rows
    counts = Counter(label for _, _, label in rows)
    several = sum(count for count in counts.values() if count > 1)
    # Labels come again and again; first words of sentences mostly do not.
    fits = len(counts) <= max(2, len(rows) // 5) and several >= 0.9 * len(rows)
    return rows if fits and all(len(label) <= LARGEST for label in counts) else []
