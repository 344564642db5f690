"""What is wrong with a person's data, in one line: where, what was found, what to do."""

from __future__ import annotations


class DataError(ValueError):
    """Data that cannot be used as they are. The text is one line.

    Args:
        source: the file's name, or "frame", "array".
        found: what is wrong, with the value that was found.
        todo: what to do about it.
        row: counted as an editor counts lines: the header is row 1.
        column: its name.

    >>> print(DataError("sales.csv", "'n/a?' is not a number", "correct it", row=7, column="units"))
    sales.csv, row 7, column 'units': 'n/a?' is not a number: correct it
    """

    def __init__(
        self, source: str, found: str, todo: str, *, row: int | None = None, column: str | None = None
    ) -> None:
        self.source, self.found, self.todo, self.row, self.column = source, found, todo, row, column
        place = [source]
        if row is not None:
            place.append(f"row {row}")
        if column is not None:
            place.append(f"column {column!r}")
        super().__init__(" ".join(f"{', '.join(place)}: {found}: {todo}".split()))


def shown(cell: object, longest: int = 40) -> str:
    """A cell as an error shows it: quoted, cut where it is long.

    >>> shown("x" * 50)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'"
    """
    text = str(cell)
    return repr(text if len(text) <= longest else text[:longest] + "...")
