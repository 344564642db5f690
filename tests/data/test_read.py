"""What people's files look like: all of these are read, and what was done is said."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ostinato.data import DataError, read_panel, read_series
from ostinato.data.builtin import sunspots


def written(tmp_path: Path, text: str | bytes, name: str = "sales.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


PLAIN = "date,units\n2024-01-01,1.5\n2024-01-02,2.5\n2024-01-03,4\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace("\n", "\n\n").encode(),
        PLAIN.encode("utf-16"),
        gzip.compress(PLAIN.encode()),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", ";").replace("1.5", "1,5").replace("2.5", "2,5").encode(),
        PLAIN.replace("2024-01-02", '"2024-01-02"').replace("date", '"date"').encode(),
        PLAIN.replace("\n", ",\n").replace("date,units,", "date,units").encode(),
        PLAIN.replace("date,units\n", "").encode(),
        PLAIN.replace("1.5", " 1.5 ").encode(),
    ],
    ids="plain bom crlf cr blank utf16 gzip tab semicolon comma quotes trailing headless spaces".split(),  # noqa: SIM905
)
def test_one_table_in_many_coats(content: bytes, tmp_path: Path) -> None:
    series = read_series(written(tmp_path, content))
    assert series.values.tolist() == [1.5, 2.5, 4.0]
    assert series.labels() == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert series.labels(2) == ["2024-01-04", "2024-01-05"]


@pytest.mark.parametrize(
    ("times", "words", "following"),
    [
        (["1949-01", "1949-02", "1949-03"], "monthly", "1949-04"),
        (["1-11", "1-12", "2-01"], "monthly", "2-02"),
        (["2024-01-31", "2024-02-29", "2024-03-31"], "monthly", "2024-04-30"),
        (["1700", "1701", "1702"], "yearly", "1703"),
        (["2023Q3", "2023Q4", "2024Q1"], "quarterly", "2024Q2"),
        (["2024-01-01", "2024-01-08", "2024-01-15"], "weekly", "2024-01-22"),
        (["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"], "business days", "2024-01-10"),
        (["2024-01-01 22:00", "2024-01-01 23:00", "2024-01-02 00:00"], "hourly", "2024-01-02 01:00:00"),
        (["2024-01-01T00:00:00Z", "2024-01-01T00:15:00Z"], "every 15 minutes", "2024-01-01 00:30:00"),
        (["13/02/2024", "14/02/2024", "15/02/2024"], "daily", "16/02/2024"),
        (["01/30/2024", "01/31/2024", "02/01/2024"], "daily", "02/02/2024"),
        (["Jan 2024", "Feb 2024", "Mar 2024"], "monthly", "Apr 2024"),
        (["Nov-59", "Dec-59", "Jan-60"], "monthly", "Feb-60"),
        (["20240101", "20240102", "20240103"], "daily", "20240104"),
        (["1704067200", "1704070800"], "hourly", "1704074400"),
        (["5", "6", "7"], "steps without dates", "8"),
    ],
)
def test_times_as_people_write_them(times: list[str], words: str, following: str, tmp_path: Path) -> None:
    rows = "".join(f"{time},{k}\n" for k, time in enumerate(times))
    series = read_series(written(tmp_path, f"time,y\n{rows}"))
    assert series.frequency.words == words
    assert series.labels()[0] in (times[0], times[0] + ":00", times[0].replace("T", " ").replace("Z", ""), "2024-01-01")
    assert series.labels(1) == [following]


def test_dates_of_two_meanings_are_read_month_first_and_said(tmp_path: Path) -> None:
    series = read_series(written(tmp_path, "date,y\n01/01/2024,1\n02/01/2024,2\n03/01/2024,3\n"))
    assert any("month/day/year" in note for note in series.notes)


def test_unsorted_times_and_gaps_are_put_right_and_said(tmp_path: Path) -> None:
    text = "date,y\n2024-01-05,5\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n"
    series = read_series(written(tmp_path, text))
    assert series.filled().tolist() == [1, 2, 3, 4, 5]
    assert series.observed.tolist() == [True, True, True, False, True]
    assert any("sorted" in note for note in series.notes)
    assert any("filled 1 missing" in note and "2024-01-04" in note for note in series.notes)


@pytest.mark.parametrize("words", [{"duplicates": "first"}, {"on_bad": "ignore"}])
def test_words_that_nobody_knows(words: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"first|ignore"):
        read_panel([1.0, 2.0], **words)  # type: ignore[arg-type]


@pytest.mark.parametrize(("how", "value"), [("mean", 3.0), ("last", 4.0)])
def test_duplicates(how: str, value: float, tmp_path: Path) -> None:
    text = "date,y\n2024-01-01,1\n2024-01-02,2\n2024-01-02,4\n2024-01-03,5\n"
    series = read_series(written(tmp_path, text), duplicates=how)
    assert series.values.tolist() == [1.0, value, 5.0]
    assert any("joined 1 repeated" in note for note in series.notes)


def test_a_wider_frequency_joins_rows(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-0{day} {hour:02}:30,{day}\n" for day in range(1, 5) for hour in range(24))
    path = written(tmp_path, "time,y\n" + rows)
    assert read_series(path, freq="D", duplicates="mean").values.tolist() == [1, 2, 3, 4]
    assert read_series(path, freq="M", duplicates="last").values.tolist() == [4]
    for wide in ("D", "M"):
        with pytest.raises(DataError, match="row 3"):
            read_series(path, freq=wide)
    with pytest.raises(ValueError, match="unknown frequency"):
        read_series(path, freq="fortnight")


def test_missing_values_stay_missing(tmp_path: Path) -> None:
    series = read_series(written(tmp_path, "date,y\n2024-01-01,1\n2024-01-02,NA\n2024-01-03,?\n2024-01-04,4\n"))
    assert series.observed.tolist() == [True, False, False, True]
    assert series.filled().tolist() == [1, 2, 3, 4]


def test_bytes_of_another_encoding_are_read_and_said(tmp_path: Path) -> None:
    content = "date,units,note\n2024-01-01,1,caf\xe9\n2024-01-02,2,tea\n".encode("cp1252")
    series = read_series(written(tmp_path, content))
    assert series.values.tolist() == [1, 2]
    assert any("Windows-1252" in note and "row 2" in note for note in series.notes)


def test_quoted_cells_may_hold_line_ends(tmp_path: Path) -> None:
    text = 'date,note,y\n2024-01-01,"two\nlines",1\n2024-01-02,one,x\n'
    with pytest.raises(DataError, match="row 4"):
        read_series(written(tmp_path, text), target="y")


def test_thousands(tmp_path: Path) -> None:
    text = 'date,y\n2024-01-01,"1,234.5"\n2024-01-02,"12,345"\n'
    assert read_series(written(tmp_path, text)).values.tolist() == [1234.5, 12345]


def test_the_index_that_pandas_writes_is_left_out(tmp_path: Path) -> None:
    series = read_series(written(tmp_path, ",date,y\n0,2024-01-01,7\n1,2024-01-02,8\n"))
    assert (series.name, series.values.tolist()) == ("y", [7, 8])


def test_nixtla_names_are_understood(tmp_path: Path) -> None:
    text = "unique_id,ds,y,price\na,2024-01-01,7,1\na,2024-01-02,8,2\n"
    assert read_series(written(tmp_path, text)).name == "y"


def test_a_column_of_years_is_the_time_whatever_its_name(tmp_path: Path) -> None:
    series = read_series(written(tmp_path, "d,y\n1999,7\n2000,8\n2001,9\n"))
    assert (series.name, series.time_name, series.frequency.words) == ("y", "d", "yearly")


def test_two_columns_of_counts_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 columns of numbers"):
        read_series(written(tmp_path, "a,b\n1,7\n2,8\n3,9\n"))


FRAME = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=4), "units": [1.0, 2.0, None, 4.0]})


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        FRAME.set_index("day"),
        FRAME.set_index("day")["units"],
        FRAME.assign(day=FRAME["day"].astype(str)),
        FRAME.assign(day=FRAME["day"].dt.tz_localize("UTC")),
        FRAME.set_index(pd.PeriodIndex(FRAME["day"], freq="D", name="day"))[["units"]],
        FRAME.astype({"units": "Float64"}),
        pl.DataFrame({"day": FRAME["day"].to_numpy(), "units": [1.0, 2.0, None, 4.0]}),
    ],
    ids="frame index series text zoned periods masked polars".split(),  # noqa: SIM905
)
def test_frames(data: object) -> None:
    series = read_series(data)
    np.testing.assert_array_equal(series.values, [1, 2, np.nan, 4])
    assert series.labels()[-1] == "2024-01-04"


@pytest.mark.parametrize(
    "data", [[1, 2, 3], np.array([1, 2, 3]), np.array([[1.0], [2.0], [3.0]]), pl.Series([1, 2, 3])]
)
def test_arrays(data: object) -> None:
    assert read_series(data).values.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.ones((3, 2)), "several series"),
        (np.ones((3, 2, 2)), "shape"),
        ([1.0, float("inf"), 2.0], "row 1"),
        ({"a": 1}, "array of numbers"),
        (FRAME.assign(units=["1", "x", "2", "3"]), "row 1, column 'units'"),
        (FRAME.assign(other=1.5), "--target"),
        (FRAME[:0], "empty"),
    ],
)
def test_frames_that_will_not_do(data: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_series(data)


def test_parquet(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "sales.parquet")
    assert read_series(tmp_path / "sales.parquet").name == "units"
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"bad\.parquet"):
        read_series(tmp_path / "bad.parquet")


def test_sunspots_are_there() -> None:
    series = read_series(sunspots())
    assert (len(series), series.frequency.words, series.labels()[0]) == (309, "yearly", "1700")
