"""Every way in which a file may be broken: one line that names the file, the row and the column."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from ostinato.data import DataError, read_series

DAYS = [f"2024-01-{day:02},{day}" for day in range(1, 29)]


def days(**changed: str) -> bytes:
    """A good file, some of its lines changed: row=text, the header is row1."""
    lines = ["date,units", *DAYS]
    for row, text in changed.items():
        lines[int(row.removeprefix("row")) - 1] = text
    return ("\n".join(lines) + "\n").encode()


# name: content, options, what the line must say
BAD: dict[str, tuple[bytes, dict[str, Any], list[str]]] = {
    "empty": (b"", {}, ["is empty"]),
    "blank lines only": (b"\n\n  \n", {}, ["is empty"]),
    "header only": (b"date,units\n", {}, ["no rows"]),
    "text among numbers": (days(row7="2024-01-06,six"), {}, ["row 7", "'units'", "'six'"]),
    "infinite": (days(row5="2024-01-04,1e999"), {}, ["row 5", "'units'", "1e999"]),
    "beyond all measure": (days(row5="2024-01-04,-1e200"), {}, ["row 5", "'units'", "larger units"]),
    "inf in letters": (days(row5="2024-01-04,inf"), {}, ["row 5", "'units'", "'inf'"]),
    "underscore in a number": (days(row5="2024-01-04,1_0"), {}, ["row 5", "'units'", "1_0"]),
    "time that is none": (days(row9="soon,8"), {}, ["row 9", "'date'", "'soon'"]),
    "time that is left out": (days(row9=",8"), {}, ["row 9", "'date'"]),
    "the 30th of February": (days(row9="2024-02-30,8"), {}, ["row 9", "'date'", "2024-02-30"]),
    "today": (days(row9="today,8"), {}, ["row 9", "'date'", "'today'"]),
    "repeated time": (days(row6="2024-01-04,9"), {}, ["row 6", "'date'", "row 5", "--duplicates"]),
    "too few cells": (days(row8="2024-01-07"), {}, ["row 8", "1 cells", "2"]),
    "too many cells": (days(row8="2024-01-07,7,8"), {}, ["row 8", "3 cells"]),
    "NUL": (days(row4="2024-01-03,\0"), {}, ["row 4", "NUL", "cell 2"]),
    "open quote": (days(row10='"2024-01-09,9'), {}, ["row 10", "quote"]),
    "text after a quote": (days(row10='"2024-01-09"x,9'), {}, ["row 10", "quote"]),
    "no numbers": (b"a,b\nx,y\nz,w\n", {}, ["no column of numbers", "'a'", "'b'"]),
    "several numbers": (b"date,low,high\n2024-01-01,1,2\n2024-01-02,2,3\n", {}, ["low, high", "--target"]),
    "target not there": (days(), {"target": "unit"}, ["'unit'", "did you mean 'units'"]),
    "time not there": (days(), {"time": "when"}, ["'when'", "--time"]),
    "time and target the same": (days(), {"time": "date", "target": "date"}, ["'date'", "time and as target"]),
    "target is text": (
        b"date,units,word\n2024-01-01,1,a\n2024-01-02,2,b\n",
        {"target": "word"},
        ["row 2", "'word'", "'a'"],
    ),
    "time is text": (b"word,units\na,1\nb,2\n", {"time": "word"}, ["'word'", "no times"]),
    "one name twice": (b"date,y,y\n2024-01-01,1,2\n2024-01-02,2,3\n", {"target": "y"}, ["row 1", "columns 2 and 3"]),
    "one row": (b"date,units\n2024-01-01,1\n", {}, ["one row"]),
    "no values": (b"date,units\n2024-01-01,NA\n2024-01-02,\n", {"target": "units"}, ["no values", "'units'"]),
    "uneven times": (
        b"date,units\n2024-01-01,1\n2024-01-02,2\n2024-01-03 07:13:11,3\n2024-02-09 01:00:00,4\n",
        {},
        ["row 4", "'date'", "--freq"],
    ),
    "a time far away": (days(row29="2924-01-28,28"), {}, ["row 29", "'date'", "gap"]),
    "several series": (
        b"unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,2\nb,2024-01-01,1\nb,2024-01-02,2\n",
        {},
        ["several series", "'unique_id'"],
    ),
    "damaged gzip": (gzip.compress(days() * 40)[:-20], {}, ["gzip"]),
    "workbook": (b"PK\x03\x04" + bytes(200), {}, ["Excel", "CSV"]),
    "binary": (bytes(range(256)) * 4, {}, ["row "]),
    "broken UTF-16": (b"\xff\xfe" + "date,units\n1,2\n".encode("utf-16-le") + b"\x00", {}, ["UTF-16"]),
    "a line without end": (b"date,units\n" + b"1" * 1_500_000, {}, ["row 2", "characters"]),
}


@pytest.mark.parametrize("name", BAD)
def test_broken_file_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    content, options, said = BAD[name]
    path = tmp_path / "sales.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_series(path, **options)
    line = str(error.value)
    assert line.startswith("sales.csv")
    assert "\n" not in line
    for word in said:
        assert word in line
    assert len(line) < 400


@pytest.mark.parametrize(
    ("row", "text"), [(7, "2024-01-06,six"), (9, "soon,8"), (8, "2024-01-07"), (4, "2024-01-03,\0"), (28, "x,y")]
)
def test_skip_counts_what_it_left_out(row: int, text: str, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(days(**{f"row{row}": text}))
    series = read_series(path, on_bad="skip")
    note = next(note for note in series.notes if "left out" in note)
    assert "1 broken rows" in note
    assert f"row {row}" in note
    assert len(series) == 28
    assert int((~series.observed).sum()) == 1


def test_an_open_quote_is_never_skipped(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(days(row10='"2024-01-09,9'))
    with pytest.raises(DataError, match="quote"):
        read_series(path, on_bad="skip")


def test_all_rows_broken(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(b"date,units\n" + b"2024-01-01,x\n" * 5)
    with pytest.raises(DataError, match="all 5 rows"):
        read_series(path, target="units", on_bad="skip")


@pytest.mark.parametrize("missing", ["absent.csv", "."])
def test_no_file(missing: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read_series(tmp_path / missing)
    assert "give" in str(error.value)
