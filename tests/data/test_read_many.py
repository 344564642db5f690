"""Tables of many series, their covariates, and times in several columns."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.data.test_read import written

from ostinato.data import Coded, Coding, DataError, Panel, Series, points, read_panel

LONG = "shop,day,units,price,wind,city\n" + "".join(
    f"{shop},2024-01-{day:02},{10 * k + day},{day}.5,{'NW' if day % 2 else 'SE'},{city}\n"
    for day in range(1, 8)
    for k, (shop, city) in enumerate((("b", "Ulm"), ("a", "Rom"), ("c", "Ulm")))
)
NAMED = {"id": "shop", "time": "day", "target": "units"}


def shuffled(text: str, seed: int = 0) -> str:
    header, *rows = text.splitlines(keepends=True)
    np.random.default_rng(seed).shuffle(rows)
    return header + "".join(rows)


def test_a_long_table_is_split_by_its_ids_in_order_of_appearance(tmp_path: Path) -> None:
    panel = read_panel(written(tmp_path, LONG), **NAMED)
    assert panel.ids == ("b", "a", "c")
    assert panel.find("a").values.tolist() == [11, 12, 13, 14, 15, 16, 17]
    assert (panel.name, panel.time_name, panel.frequency.words) == ("units", "day", "daily")
    assert "3 series of 7 steps, daily" in panel.notes


def test_rows_of_many_series_may_stand_in_any_order(tmp_path: Path) -> None:
    plain = read_panel(written(tmp_path, LONG), **NAMED, past="price")
    mixed = read_panel(written(tmp_path, shuffled(LONG)), **NAMED, past="price")
    for id in plain.ids:
        np.testing.assert_array_equal(mixed.find(id).values, plain.find(id).values)
        np.testing.assert_array_equal(mixed.find(id).past, plain.find(id).past)
    assert any("sorted the rows" in note and "in 3 series" in note for note in mixed.notes)


def test_many_series_are_read_as_each_alone(tmp_path: Path) -> None:
    """The slow twin: one file a series."""
    random = np.random.default_rng(3)
    header, *rows = LONG.splitlines(keepends=True)
    rows = [row for row in rows if random.random() > 0.25 or "-01," in row or "-02," in row]
    panel = read_panel(written(tmp_path, shuffled(header + "".join(rows))), **NAMED)
    for series in panel:
        own = "".join(row for row in rows if row.startswith(series.id))
        alone = read_panel(written(tmp_path, header + own), time="day", target="units")[0]
        np.testing.assert_array_equal(series.values, alone.values)
        assert (series.start, series.frequency) == (alone.start, alone.frequency)


def test_small_chunks_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, shuffled(LONG))
    options = {**NAMED, "past": ["wind"], "future": ["price"], "static": ["city"]}
    whole = read_panel(path, **options)
    monkeypatch.setattr(points, "CHUNK", 2)
    parts = read_panel(path, **options)
    assert (parts.ids, parts.notes, parts.coding) == (whole.ids, whole.notes, whole.coding)
    for one, other in zip(parts, whole, strict=True):
        for field in ("values", "past", "future", "static"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


def test_names_of_nixtla_need_not_be_said(tmp_path: Path) -> None:
    text = LONG.replace("shop,day,units", "unique_id,ds,y")
    panel = read_panel(written(tmp_path, text))
    assert (panel.ids, panel.name) == (("b", "a", "c"), "y")
    assert any("unique_id" in note for note in panel.notes)


def test_ids_may_be_numbers(tmp_path: Path) -> None:
    text = "store,t,y\n7,1,1\n12,1,2\n7,2,3\n12,2,4\n"
    assert read_panel(written(tmp_path, text), id="store", target="y").ids == ("7", "12")
    frame = pd.DataFrame({"store": [7, 12, 7, 12], "t": [1, 1, 2, 2], "y": [1.0, 2, 3, 4]})
    assert read_panel(frame, id="store", target="y").ids == ("7", "12")
    assert read_panel(frame.astype({"store": float}), id="store", target="y").ids == ("7", "12")


def test_what_was_done_is_said_once_for_all(tmp_path: Path) -> None:
    rows = [row for row in LONG.splitlines() if not row.startswith(("b,2024-01-03", "c,2024-01-04", "c,2024-01-05"))]
    rows[rows.index("a,2024-01-06,16,6.5,SE,Rom")] = "a,2024-01-06,NA,6.5,SE,Rom"
    panel = read_panel(written(tmp_path, "\n".join(rows)), **NAMED)
    filled = "filled 3 missing steps in 2 series by straight lines, first 2024-01-03 in 'b'"
    assert any(note.startswith(filled) for note in panel.notes)
    assert "1 values are missing in 1 series" in panel.notes


def test_a_single_row_takes_the_frequency_of_the_others(tmp_path: Path) -> None:
    panel = read_panel(written(tmp_path, LONG + "d,2024-01-05,3,1,NW,Rom\n"), **NAMED)
    assert panel.find("d").labels() == ["2024-01-05"]
    assert panel.find("d").frequency.words == "daily"


def test_a_week_without_its_end_may_be_business_days(tmp_path: Path) -> None:
    days = pd.bdate_range("2024-01-01", periods=15)
    frame = pd.DataFrame({"id": ["a"] * 15 + ["b"] * 15 + ["c"] * 5, "d": [*days, *days, *days[:5]], "y": 1.0})
    panel = read_panel(frame, id="id")
    assert {series.frequency.words for series in panel} == {"business days"}


def test_several_targets_are_a_series_each(tmp_path: Path) -> None:
    path = written(tmp_path, LONG)
    panel = read_panel(path, id="shop", time="day", target=["units", "price"])
    assert panel.ids == ("b/units", "b/price", "a/units", "a/price", "c/units", "c/price")
    assert panel.find("a/price").values.tolist() == [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]
    table = "date,low,high\n2024-01-01,1,2\n2024-01-02,3,4\n"
    panel = read_panel(written(tmp_path, table), target=("low", "high"))
    assert [(series.id, series.name, series.values.tolist()) for series in panel] == [
        ("low", "low", [1, 3]),
        ("high", "high", [2, 4]),
    ]


def test_without_a_column_of_times_rows_are_steps_of_their_series(tmp_path: Path) -> None:
    panel = read_panel(written(tmp_path, "id,v\na,1\nb,5\na,2\nb,6\na,3\n"), id="id", target="v")
    assert [(one.id, one.start, one.values.tolist()) for one in panel] == [("a", 1, [1, 2, 3]), ("b", 1, [5, 6])]
    assert panel.time_name == ""


def test_it_is_asked_which_words_tell_series_apart(tmp_path: Path) -> None:
    days = [f"2024-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)]
    rows = "".join(f"{ticker},{day},{k},x\n" for ticker in ("A", "B", "C", "D") for k, day in enumerate(days))
    path = written(tmp_path, "Ticker,Date,Close,Note\n" + rows)
    with pytest.raises(DataError, match="is it 'Ticker' that tells the series apart\\? say --id Ticker"):
        read_panel(path, target="Close")
    with pytest.raises(DataError, match="'Ticker'"):
        read_panel(pd.read_csv(path), target="Close")
    assert len(read_panel(path, id="Ticker", target="Close")) == 4


# One series in a row ------------------------------------------------------------------------------

WIDE = """"V1","V2","V3","V4","V5","V6"
"H1","1","2","","4","5"
"H2","6","7","8","",""
"""


@pytest.mark.parametrize("kind", ["file", "semicolons", "gzip", "pandas", "polars"])
def test_a_row_may_be_a_series(kind: str, tmp_path: Path) -> None:
    text = WIDE.replace(",", ";") if kind == "semicolons" else WIDE
    source: object = written(tmp_path, gzip.compress(text.encode()) if kind == "gzip" else text)
    if kind in ("pandas", "polars"):
        source = (pd if kind == "pandas" else pl).read_csv(source)  # type: ignore[attr-defined]
    panel = read_panel(source)
    np.testing.assert_array_equal(panel.find("H1").values, [1, 2, np.nan, 4, 5])
    np.testing.assert_array_equal(panel.find("H2").values, [6, 7, 8])
    assert [series.labels()[0] for series in panel] == ["1", "1"]
    assert (panel.time_name, panel.frequency.words) == ("", "steps without dates")


@pytest.mark.parametrize(
    "header", ["date,x1,x2,x3,x4", "d,x1,x2,x3,x5", "d,x1,x2,x3,y4", "d,x1,x2,x3", "step,x1,x2,x3,x4"]
)
def test_not_every_table_with_counted_columns_is_wide(header: str, tmp_path: Path) -> None:
    cells = header.count(",")
    first = "2024-01-0" if header.startswith("date") else ""
    rows = "".join(f"{first}{k}{',1.5' * cells}\n" for k in range(1, 4))
    with pytest.raises(DataError, match="columns of numbers"):
        read_panel(written(tmp_path, f"{header}\n{rows}"))


def test_a_named_target_is_a_column_of_a_wide_looking_table(tmp_path: Path) -> None:
    panel = read_panel(written(tmp_path, "id,x1,x2,x3,x4\na,1,2,3,4\nb,5,6,7,8\n"), target="x2")
    assert panel[0].values.tolist() == [2, 6]


# The time in several columns -------------------------------------------------------------------------

PARTS = "No,Year,month,day,hour,pm\n1,2023,12,31,22,5\n2,2023,12,31,23,6\n3,2024,1,1,0,7\n"


@pytest.mark.parametrize("options", [{}, {"time": "Year,month,day,hour"}, {"time": ["hour", "day", "month", "Year"]}])
def test_year_month_day_and_hour_are_joined(options: dict[str, object], tmp_path: Path) -> None:
    path = written(tmp_path, PARTS)
    for source in (path, pd.read_csv(path), pl.read_csv(path)):
        panel = read_panel(source, target="pm", **options)  # type: ignore[arg-type]
        assert (panel.frequency.words, panel.time_name) == ("hourly", "time")
        assert panel[0].labels(1) == ["2024-01-01 01:00:00"]
        assert bool(options) or any("'Year', 'month', 'day', 'hour' as time" in note for note in panel.notes)


def test_the_hour_may_be_time_and_known_ahead(tmp_path: Path) -> None:
    panel = read_panel(written(tmp_path, PARTS), target="pm", future=["hour"])
    assert panel[0].future is not None
    assert panel[0].future.tolist() == [[22], [23], [0]]


def test_year_and_month_are_months(tmp_path: Path) -> None:
    rows = "".join(f"{2020 + k // 12},{k % 12 + 1},{k}\n" for k in range(15))
    series = read_panel(written(tmp_path, "y,m,sales\n" + rows), time=["y", "m"], target="sales")[0]
    assert (series.frequency.words, series.labels()[-1]) == ("monthly", "2021-03")


def test_hours_may_be_counted_to_24(tmp_path: Path) -> None:
    rows = "".join(f"2024,1,1,{hour},{hour}\n" for hour in range(1, 25))
    series = read_panel(written(tmp_path, "year,month,day,hour,y\n" + rows), target="y")[0]
    assert series.labels()[-1] == "2024-01-02 00:00:00"


# Covariates -----------------------------------------------------------------------------------------

ALL = {**NAMED, "past": ["wind"], "future": ["price"], "static": ["city"]}


def test_covariates_of_three_kinds(tmp_path: Path) -> None:
    panel = read_panel(written(tmp_path, LONG), **ALL)
    assert panel.coding == Coding(
        past=(Coded(name="wind", categories=("NW", "SE")),),
        future=(Coded(name="price"),),
        static=(Coded(name="city", categories=("Rom", "Ulm")),),
    )
    series = panel.find("a")
    assert series.past is not None
    assert series.future is not None
    assert series.static is not None
    assert series.past[:2].tolist() == [[1, 0], [0, 1]]
    assert series.future[:2].tolist() == [[1.5], [2.5]]
    assert series.static.tolist() == [1, 0]


def test_covariates_keep_to_the_grid(tmp_path: Path) -> None:
    text = "date,y,x\n2024-01-05,5,50\n2024-01-01,1,10\n2024-01-02,2,\n2024-01-02,4,21\n2024-01-03,3,30\n"
    series = read_panel(written(tmp_path, text), target="y", past="x", duplicates="mean")[0]
    np.testing.assert_array_equal(series.values, [1, 3, 3, np.nan, 5])
    np.testing.assert_array_equal(series.past, [[10], [21], [30], [np.nan], [50]])


def test_rows_after_the_last_value_say_what_is_known_ahead(tmp_path: Path) -> None:
    rows = "".join(f"{shop},2024-01-{day:02},,{day}.5,,\n" for shop in ("a", "b") for day in (8, 9))
    panel = read_panel(written(tmp_path, LONG + rows), **ALL)
    assert [len(series) for series in panel] == [7, 7, 7]
    assert [len(series.past) for series in panel if series.past is not None] == [7, 7, 7]
    assert [len(series.future) for series in panel if series.future is not None] == [9, 9, 7]
    assert any("0 to 2 steps beyond the values" in note for note in panel.notes)


def test_rows_at_the_end_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    text = "date,y,x\n2024-01-01,1,1\n2024-01-02,2,1\n2024-01-03,,1\n2024-01-04,,\n"
    past = read_panel(written(tmp_path, text), target="y", past="x")
    assert (len(past[0]), "left out 2 rows without a value at the end" in past.notes) == (2, True)
    ahead = read_panel(written(tmp_path, text), target="y", future="x")
    assert ahead[0].future is not None
    assert (len(ahead[0]), len(ahead[0].future)) == (2, 3)
    assert "left out 1 rows without a value at the end" in ahead.notes


def test_a_model_s_coding_is_kept(tmp_path: Path) -> None:
    coding = read_panel(written(tmp_path, LONG), **ALL).coding
    text = LONG.replace("NW", "calm").replace(",SE,", ",,")
    panel = read_panel(written(tmp_path, text), **NAMED, coding=coding)
    assert panel.coding is coding
    assert panel[0].past is not None
    np.testing.assert_array_equal(panel[0].past[:2], [[0, 0], [np.nan, np.nan]])


def test_a_table_of_what_lies_ahead_alone(tmp_path: Path) -> None:
    panel = read_panel(written(tmp_path, LONG), **ALL)
    text = "shop,day,price\na,2024-01-08,8.5\na,2024-01-09,9.5\nb,2024-01-08,7\nb,2024-01-09,7\n"
    later = read_panel(written(tmp_path, text), **ALL, coding=panel.coding)
    assert [len(series) for series in later] == [0, 0]
    whole = panel.then(later, "later.csv")
    series = whole.find("a")
    assert (len(series), series.label(series.end)) == (7, "2024-01-08")
    assert series.future is not None
    assert series.future[7:].tolist() == [[8.5], [9.5]]
    assert whole.find("c") is panel.find("c")


def test_words_that_come_late_are_words_of_the_sample_s_kind(tmp_path: Path) -> None:
    """What the first thousand rows hold decides."""
    rows = "".join(f"{k},{k},{'x' if k == 1500 else k}\n" for k in range(1, 2000))
    with pytest.raises(DataError, match="row 1501, column 'p'"):
        read_panel(written(tmp_path, "t,y,p\n" + rows), target="y", past="p")


# Frames and arrays -----------------------------------------------------------------------------------


def frames() -> dict[str, object]:
    days = pd.to_datetime([line.split(",")[1] for line in LONG.splitlines()[1:]])
    frame = pd.read_csv(io.StringIO(LONG)).assign(day=days)
    return {
        "pandas": frame,
        "index": frame.set_index(["shop", "day"]),
        "categories": frame.astype({"shop": "category", "wind": "category", "city": "string"}),
        "arrow": frame.convert_dtypes(dtype_backend="pyarrow"),
        "polars": pl.from_pandas(frame),
        "polars categories": pl.from_pandas(frame).with_columns(pl.col("shop", "wind").cast(pl.Categorical)),
    }


@pytest.mark.parametrize("kind", list(frames()))
def test_frames_are_read_as_files_are(kind: str, tmp_path: Path) -> None:
    data = frames()[kind]
    before = data.copy() if isinstance(data, pd.DataFrame) else data.clone()  # type: ignore[attr-defined]
    found, wanted = read_panel(data, **ALL), read_panel(written(tmp_path, LONG), **ALL)
    assert (found.ids, found.coding) == (wanted.ids, wanted.coding)
    for one, other in zip(found, wanted, strict=True):
        assert (one.start, one.frequency) == (other.start, other.frequency)
        for field in ("values", "past", "future", "static"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    assert data.equals(before)  # type: ignore[attr-defined]


def test_parquet_holds_many_series_too(tmp_path: Path) -> None:
    frame = frames()["pandas"]
    assert isinstance(frame, pd.DataFrame)
    frame.to_parquet(tmp_path / "shops.parquet")
    panel = read_panel(tmp_path / "shops.parquet", **ALL)
    assert (panel.ids, panel.source) == (("b", "a", "c"), "shops.parquet")


def test_arrays_side_by_side_and_in_lists() -> None:
    values = np.array([[1.0, 4.0], [2.0, 5.0], [3.0, np.nan]])
    before = values.copy()
    for data in (values, [[1.0, 2.0, 3.0], np.array([4.0, 5.0])], [values[:, 0], values[:, 1]]):
        panel = read_panel(data)
        assert [(one.id, one.values.tolist()) for one in panel] == [("1", [1, 2, 3]), ("2", [4, 5])]
    np.testing.assert_array_equal(values, before)
    with pytest.raises(DataError, match="row 1, column 'series 2'"):
        read_panel(np.array([[1.0, 4.0], [2.0, np.inf]]))


def test_what_was_read_already_stays_as_it_is() -> None:
    panel = Panel.of([[1.0, 2.0], [3.0, 4.0]])
    assert read_panel(panel) is panel
    series = Series.of([1.0, 2.0])
    assert read_panel(series)[0] is series
    assert read_panel([series, Series.of([1.0], id="b")]).ids == ("1", "b")
