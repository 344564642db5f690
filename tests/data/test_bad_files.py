"""Every way in which a file may be broken: one line that names the file, the row and the column."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ostinato.data import Coded, Coding, DataError, read_panel

DAYS = [f"2024-01-{day:02},{day}" for day in range(1, 29)]


def days(**changed: str) -> bytes:
    """A good file, some of its lines changed: row=text, the header is row1."""
    lines = ["date,units", *DAYS]
    for row, text in changed.items():
        lines[int(row.removeprefix("row")) - 1] = text
    return ("\n".join(lines) + "\n").encode()


def shops(**changed: str) -> bytes:
    """Two series of four days under each other, the rows changed as in `days`; the header is row 1."""
    days = [f"2024-01-0{day}" for day in range(1, 5)]
    lines = ["unique_id,ds,y,price,city"]
    lines += [
        f"{shop},{day},{k},1.5,{city}" for shop, city in (("a", "Rom"), ("b", "Ulm")) for k, day in enumerate(days)
    ]
    for row, text in changed.items():
        lines[int(row.removeprefix("row")) - 1] = text
    return ("\n".join(lines) + "\n").encode()


def wide(**changed: str) -> bytes:
    """Two series, one in a row, with padding."""
    lines = {"row1": '"V1","V2","V3","V4","V5"', "row2": '"H1","1","2","3","4"', "row3": '"H2","5","6","7",""'}
    return ("\n".join((lines | changed).values()) + "\n").encode()


def parts(last: str) -> bytes:
    """Year, month and day in columns of their own; the last row is row 4."""
    return f"year,month,day,y\n2024,2,28,1\n2024,2,29,2\n{last},3\n".encode()


LEARNT = Coding(future=(Coded(name="price"),), static=(Coded(name="city", categories=("Rom",)),))

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
    "a frequency that is none": (days(), {"freq": "fortnight"}, ["'date'", "unknown frequency 'fortnight'", "15min"]),
    "a frequency that does not fit": (b"t,y\n1,1\n2,2\n", {"freq": "D"}, ["'t'", "does not fit", "numbers"]),
    "a time far away": (days(row29="2924-01-28,28"), {}, ["row 29", "'date'", "gap"]),
    # many series, one under the other
    "id not there": (shops(), {"id": "City"}, ["'City'", "--id", "did you mean 'city'"]),
    "id left out": (shops(row6=",2024-01-01,1,1.5,Ulm"), {"target": "y"}, ["row 6", "'unique_id'", "no id"]),
    "another frequency": (
        shops(
            row6="b,2024-01-01,1,1.5,Ulm",
            row7="b,2024-01-08,1,1.5,Ulm",
            row8="b,2024-01-15,1,1,Ulm",
            row9="a,2024-01-05,1,1,Rom",
        ),
        {},
        ["row 7", "'ds'", "series 'b'", "weekly", "daily", "--freq"],
    ),
    "uneven times in one series": (
        shops(row8="b,2024-01-03 07:13:11,1,1,Ulm", row9="b,2024-05-03,1,1,Ulm"),
        {},
        ["row 8", "series 'b'", "--freq"],
    ),
    "repeated time in one series": (shops(row8="b,2024-01-02,1,1,Ulm"), {}, ["row 8", "series 'b'", "row 7"]),
    "series that nobody told apart": (
        shops().replace(b"unique_id", b"shop"),
        {"target": "y"},
        ["row 6", "'ds'", "is it 'shop' that tells the series apart? say --id shop"],
    ),
    "one row a series": (
        b"unique_id,ds,y\na,2024-01-01,1\nb,2024-01-01,2\n",
        {},
        ["one row", "--freq"],
    ),
    "a series without values": (
        b"unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,2\nb,2024-01-01,NA\nb,2024-01-02,\n",
        {},
        ["row 4", "'y'", "series 'b'", "--on-bad skip"],
    ),
    "a series with a far time": (shops(row9="b,2924-01-04,1,1,Ulm"), {}, ["row 9", "series 'b'", "gap"]),
    # covariates
    "covariate not there": (shops(), {"past": ["prize"]}, ["'prize'", "--past", "did you mean 'price'"]),
    "covariate in two roles": (shops(), {"past": ["price"], "future": ["price"]}, ["'price'", "as past and as future"]),
    "covariate named twice": (shops(), {"past": ["price", "price"]}, ["'price'", "twice"]),
    "target as covariate": (shops(), {"target": "y", "past": ["y"]}, ["'y'", "as target and as past"]),
    "word in a numeric covariate": (
        shops(row7="b,2024-01-02,1,dear,Ulm"),
        {"past": ["price"]},
        ["row 7", "'price'", "'dear'", "not a number"],
    ),
    "covariate beyond all measure": (
        shops(row7="b,2024-01-02,1,1e200,Ulm"),
        {"future": ["price"]},
        ["row 7", "'price'", "larger units"],
    ),
    "static that changes": (
        shops(row5="a,2024-01-04,3,1.5,Bonn"),
        {"static": ["city"]},
        ["row 5", "'city'", "'Bonn' after 'Rom'", "series 'a'", "--past"],
    ),
    "words where the model learnt numbers": (
        re.sub(b"1[.]5", b"low", shops()),
        {"coding": LEARNT},
        ["row 2", "'price'", "'low'"],
    ),
    "without what the model knows ahead": (
        shops().replace(b"price", b"cost"),
        {"coding": LEARNT, "target": "y"},
        ["'price'", "--future"],
    ),
    "without what the model knows of a series": (
        shops().replace(b"city", b"place"),
        {"coding": LEARNT, "target": "y"},
        ["'city'", "--static"],
    ),
    "other covariates than the model's": (shops(), {"coding": LEARNT, "future": ["city"]}, ["--future city", "price"]),
    "nothing but a calendar, and no model": (b"date,promo\n2024-01-01,a\n2024-01-02,b\n", {}, ["no column of numbers"]),
    # one series in a row
    "text in a wide row": (wide(row3='"H2","5","six","7",""'), {}, ["row 3", "'V3'", "'six'", "not a number"]),
    "wide row beyond all measure": (wide(row2="H1,1,2,3,1e101"), {}, ["row 2", "'V5'", "larger units"]),
    "wide row without id": (wide(row3='"","5","6","7",""'), {}, ["row 3", "'V1'", "no id"]),
    "wide row with the id of another": (wide(row3="H1,5,6,7,8"), {}, ["row 3", "'V1'", "'H1'", "row 2"]),
    "wide row without values": (wide(row3="H2,,,,"), {}, ["row 3", "series 'H2'", "--on-bad skip"]),
    "wide row too short": (wide(row3="H2,5,6"), {}, ["row 3", "3 cells", "5"]),
    "wide header only": (b"id,V1,V2,V3,V4\n", {}, ["no rows"]),
    # the time in several columns
    "a day that is none": (parts("2024,2,30"), {}, ["row 4", "'year,month,day'", "'2024,2,30'", "not a moment"]),
    "a month in words": (parts("2024,Mar,1"), {"time": "year,month,day"}, ["row 4", "'2024,Mar,1'"]),
    "a month left out": (parts("2024,3,1"), {"time": ["year", "day"], "target": "y"}, ["year, day", "without a gap"]),
    "a time column not there": (parts("2024,3,1"), {"time": "year,moon,day"}, ["'moon'", "--time"]),
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
        read_panel(path, **options)
    check(str(error.value), "sales.csv", said)


def check(line: str, name: str, said: list[str]) -> None:
    """One line of bearable length that says where it is."""
    assert line.startswith(name)
    assert "\n" not in line
    for word in said:
        assert word in line
    assert len(line) < 400


DATES = pd.date_range("2024-01-01", periods=4)
PARQUET: dict[str, tuple[pd.DataFrame, dict[str, Any], list[str]]] = {
    "text among numbers": (pd.DataFrame({"d": DATES, "y": ["1", "2", "x", "4"]}), {}, ["row 2", "'y'", "'x'"]),
    "infinite": (pd.DataFrame({"d": DATES, "y": [1, 2, float("inf"), 4]}), {}, ["row 2", "'y'", "inf"]),
    "beyond all measure": (pd.DataFrame({"d": DATES, "y": [1, 2, 3, 1e300]}), {}, ["row 3", "'y'", "larger units"]),
    "time left out": (pd.DataFrame({"d": [*DATES[:3], None], "y": 1.0}), {}, ["row 3", "'d'", "no time"]),
    "id left out": (
        pd.DataFrame({"shop": ["a", "a", None, "b"], "d": DATES, "y": 1.0}),
        {"id": "shop"},
        ["row 2", "'shop'", "no id"],
    ),
    "two columns of numbers": (pd.DataFrame({"d": DATES, "y": 1.0, "z": 2.0}), {}, ["y, z", "--target"]),
    "column not there": (pd.DataFrame({"d": DATES, "y": 1.0}), {"past": "z"}, ["'z'", "--past"]),
    "repeated time": (pd.DataFrame({"d": DATES[:1].repeat(4), "y": 1.0}), {}, ["row 1", "'d'", "--duplicates"]),
    "no rows": (pd.DataFrame({"d": DATES, "y": 1.0})[:0], {}, ["is empty"]),
    "a wide id twice": (
        pd.DataFrame({"id": ["a", "a"], "V1": 1.0, "V2": 1.0, "V3": 1.0, "V4": 1.0}),
        {},
        ["row 1", "'id'", "'a'"],
    ),
}


@pytest.mark.parametrize("name", PARQUET)
def test_broken_parquet_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    frame, options, said = PARQUET[name]
    frame.to_parquet(tmp_path / "sales.parquet")
    with pytest.raises(DataError) as error:
        read_panel(tmp_path / "sales.parquet", **options)
    check(str(error.value), "sales.parquet", said)


def test_no_parquet_at_all(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError) as error:
        read_panel(tmp_path / "bad.parquet")
    check(str(error.value), "bad.parquet", ["Parquet"])


def test_the_corpus_has_no_file_twice() -> None:
    kinds = {(content, str(options)) for content, options, _ in BAD.values()}
    assert len(kinds) == len(BAD)
    assert len(BAD) + len(PARQUET) >= 45


@pytest.mark.parametrize(
    ("row", "text"), [(7, "2024-01-06,six"), (9, "soon,8"), (8, "2024-01-07"), (4, "2024-01-03,\0"), (28, "x,y")]
)
def test_skip_counts_what_it_left_out(row: int, text: str, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(days(**{f"row{row}": text}))
    panel = read_panel(path, on_bad="skip")
    note, series = next(note for note in panel.notes if "left out" in note), panel[0]
    assert "1 broken rows" in note
    assert f"row {row}" in note
    assert len(series) == 28
    assert int((~series.observed).sum()) == 1


def test_an_open_quote_is_never_skipped(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(days(row10='"2024-01-09,9'))
    with pytest.raises(DataError, match="quote"):
        read_panel(path, on_bad="skip")


def test_skip_leaves_out_series_without_values(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(BAD["a series without values"][0])
    panel = read_panel(path, on_bad="skip")
    assert panel.ids == ("a",)
    assert "left out 1 series without values (--on-bad skip), first 'b'" in panel.notes


@pytest.mark.parametrize("name", [name for name in BAD if name.startswith(("text in a wide", "wide row "))])
def test_skip_leaves_out_wide_rows(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m4.csv"
    path.write_bytes(BAD[name][0])
    panel = read_panel(path, on_bad="skip")
    assert len(panel) == 1
    assert any("left out 1" in note for note in panel.notes)


def test_all_rows_broken(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(b"date,units\n" + b"2024-01-01,x\n" * 5)
    with pytest.raises(DataError, match="all 5 rows"):
        read_panel(path, target="units", on_bad="skip")


@pytest.mark.parametrize("missing", ["absent.csv", "."])
def test_no_file(missing: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read_panel(tmp_path / missing)
    assert "give" in str(error.value)
