"""Series with covariates, panels of them, and covariates as numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from ostinato.data import Coded, Coding, DataError, Panel, Series, carried, read_panel
from ostinato.data.coding import MOST, Cells, Vocabulary
from ostinato.data.frequency import Frequency

DAILY = Frequency("fixed", 86_400_000_000)
NAN = float("nan")


def series(first: int, values: list[float], ahead: int = 0, id: str = "") -> Series:
    """A series whose covariates are its steps, past and, further by `ahead`, future."""
    steps = np.arange(first, first + len(values) + ahead, dtype=np.float64)[:, None]
    return Series(
        np.array(values), first, DAILY, time_name="day", style="iso", id=id, past=steps[: len(values)], future=steps
    )


def rows(array: np.ndarray | None) -> list[float]:
    assert array is not None
    return array[:, 0].tolist()


def test_a_head_knows_what_lies_ahead() -> None:
    head = series(10, [1, 2, 3], ahead=2).head(2)
    assert (head.values.tolist(), rows(head.past), rows(head.future)) == ([1, 2], [10, 11], [10, 11, 12, 13, 14])


def test_a_tail_is_cut_at_the_front() -> None:
    tail = series(10, [1, 2, 3], ahead=2).tail(1)
    assert (tail.start, tail.values.tolist(), rows(tail.past)) == (12, [3], [12])
    assert rows(tail.future) == [12, 13, 14]


def test_head_and_tail_together_are_the_series() -> None:
    whole = series(10, [1, 2, 3, 4], ahead=1)
    again = whole.head(1).then(whole.tail(3), "x")
    for field in ("values", "past", "future"):
        np.testing.assert_array_equal(getattr(again, field), getattr(whole, field))


def test_between_two_series_nothing_is_observed() -> None:
    joined = series(10, [1, 2]).then(series(14, [5]), "x")
    np.testing.assert_array_equal(joined.values, [1, 2, NAN, NAN, 5])
    np.testing.assert_array_equal(rows(joined.past), [10, 11, NAN, NAN, 14])
    np.testing.assert_array_equal(rows(joined.future), [10, 11, NAN, NAN, 14])


def test_what_was_known_ahead_is_replaced_where_the_later_one_says_something() -> None:
    own = series(10, [1, 2], ahead=4)
    later = replace(series(12, [3, 4]), future=np.array([[7.0], [NAN], [9.0]]))
    assert rows(own.then(later, "x").future) == [10, 11, 7, 13, 9, 15]


def test_a_calendar_alone_goes_on_from_anywhere() -> None:
    own = series(10, [1, 2])
    calendar = replace(series(8, []), past=None, future=-np.arange(8.0, 14.0)[:, None])
    joined = own.then(calendar, "x")
    assert (joined.values.tolist(), rows(joined.future)) == ([1, 2], [10, 11, -12, -13])


def test_covariates_that_one_side_lacks_are_missing_there() -> None:
    joined = series(10, [1]).then(replace(series(11, [2]), past=None, future=None), "x")
    np.testing.assert_array_equal(rows(joined.past), [10, NAN])
    np.testing.assert_array_equal(rows(joined.future), [10, NAN])


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (series(11, [3]), "begins at 1970-01-12"),
        (replace(series(12, [3, 4]), frequency=Frequency("fixed", 7 * 86_400_000_000)), "weekly"),
        (replace(series(12, [3]), past=np.ones((1, 2))), "2 past covariates, the data before have 1"),
        (replace(series(12, [3]), start=10**12), "give what comes after"),
    ],
)
def test_what_does_not_go_on(later: Series, said: str) -> None:
    with pytest.raises(DataError, match=said):
        series(10, [1, 2]).then(later, "x")


def test_few_rows_that_tell_another_grid_go_on_where_they_lie_on_the_first() -> None:
    days = pd.bdate_range("2024-01-01", periods=20)
    frame = pd.DataFrame({"d": days, "y": np.arange(20.0)})
    own, later = read_panel(frame[:15]), read_panel(frame[15:])
    assert later.frequency.words == "daily"
    assert own.then(later, "x")[0].values.tolist() == list(range(20))


def test_filled_without_any_value() -> None:
    assert Series.of([NAN, NAN]).filled().tolist() == [0, 0]
    assert Series.of([]).filled().tolist() == []


def test_gaps_of_covariates_are_carried_over() -> None:
    array = np.array([[NAN, 1, NAN], [2, NAN, NAN], [NAN, 3, NAN]])
    before = array.copy()
    assert carried(array).tolist() == [[2, 1, 0], [2, 1, 0], [2, 3, 0]]
    np.testing.assert_array_equal(array, before)
    assert carried(np.empty((0, 2))).shape == (0, 2)
    assert carried(np.empty((3, 0))).shape == (3, 0)


# Panels -------------------------------------------------------------------------------------------


def test_a_panel_of_values() -> None:
    assert Panel.of([1.0, 2.0]).ids == ("",)
    assert Panel.of(np.arange(3)).ids == ("",)
    assert Panel.of([[1.0], [2.0, 3.0]]).ids == ("1", "2")
    assert [len(one) for one in Panel.of(np.ones((4, 3)))] == [4, 4, 4]
    assert Panel.of([series(10, [1], id="a"), series(11, [2], id="b")]).ids == ("a", "b")


@pytest.mark.parametrize(
    ("many", "said"),
    [
        ((), "no series"),
        ((series(1, [1], id="a"), series(1, [1], id="a")), "called 'a'"),
        ((series(1, [1], id="a"), Series.of([1.0], id="b")), "'b' are steps without dates"),
    ],
)
def test_no_panel(many: tuple[Series, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Panel(many)


def test_a_series_is_found_by_its_id() -> None:
    panel = Panel((series(1, [1], id="north"), series(1, [2], id="south")), source="shops.csv")
    assert panel.find("south").values.tolist() == [2]
    with pytest.raises(DataError, match=r"shops\.csv: no series 'sout': did you mean 'south'"):
        panel.find("sout")


def test_series_go_on_by_id_and_the_others_stay() -> None:
    panel = Panel((series(1, [1], id="a"), series(5, [2, 3], id="b")))
    whole = panel.then(Panel((series(7, [4], id="b"),)), "later.csv")
    assert whole.ids == ("a", "b")
    assert whole[0] is panel[0]
    assert whole[1].values.tolist() == [2, 3, 4]


def test_series_without_times_go_on_right_after_the_end() -> None:
    panel = Panel((series(1, [1, 2], id="1"), series(5, [2, 3], id="2"))).then(Panel.of([[7.0], [8.0, 9.0]]), "x")
    assert [one.values.tolist() for one in panel] == [[1, 2, 7], [2, 3, 8, 9]]


@pytest.mark.parametrize(
    ("own", "later", "said"),
    [
        (("a", "b"), ("c",), "later.csv: the series 'c' is not known: known are 'a', 'b'"),
        (("shop 1", "shop 2"), ("shop 12",), "did you mean 'shop"),
        (("a", "b"), ("",), "--id"),
        (("",), ("a",), "without --id"),
    ],
)
def test_an_id_that_is_not_known_is_named(own: tuple[str, ...], later: tuple[str, ...], said: str) -> None:
    before, after = (Panel(tuple(series(9 * k, [1], id=id) for id in ids)) for k, ids in enumerate((own, later)))
    with pytest.raises(DataError, match=said):
        before.then(after, "later.csv")


def test_the_series_that_does_not_go_on_is_named() -> None:
    panel = Panel((series(1, [1], id="a"), series(5, [2, 3], id="b")))
    with pytest.raises(DataError, match="later.csv: series 'b': begins at"):
        panel.then(Panel((series(6, [4], id="b"),)), "later.csv")


def test_heads_are_of_each_its_own_length() -> None:
    panel = Panel((series(1, [1, 2, 3], id="a"), series(5, [4, 5], id="b"))).heads([2, 1])
    assert [one.values.tolist() for one in panel] == [[1, 2], [4]]


# Coding ---------------------------------------------------------------------------------------------


def cells(words: list[str]) -> Cells:
    vocabulary = Vocabulary()
    places = vocabulary.places(words)
    return Cells("wind", places, vocabulary.words)


def test_the_most_frequent_words_are_kept() -> None:
    words = [f"w{k}" for k in range(50) for _ in range(50 - k)]
    coded = Coded.fit(cells(words))
    assert coded.categories == tuple(sorted(f"w{k}" for k in range(MOST)))
    assert coded.width == MOST


def test_the_order_of_rows_does_not_change_the_coding() -> None:
    words = [*"aabbccd", "", "NA"]
    assert Coded.fit(cells(words)) == Coded.fit(cells(words[::-1]))


def test_unknown_words_are_zeros_and_missing_ones_missing() -> None:
    coded = Coded(name="wind", categories=("SE", "NW"))
    found = coded.apply(cells(["NW", "cv", "", "SE"]))
    np.testing.assert_array_equal(found, [[0, 1], [0, 0], [NAN, NAN], [1, 0]])


def test_a_coding_comes_back_from_plain_types() -> None:
    coding = Coding(past=(Coded(name="wind", categories=("SE", "NW")),), static=(Coded(name="size"),))
    assert Coding.model_validate(coding.model_dump(mode="json")) == coding


@pytest.mark.parametrize(
    "broken", [{"past": [{"name": "x", "categories": [f"{k}" for k in range(MOST + 1)]}]}, {"now": []}, {"past": [1]}]
)
def test_no_coding(broken: object) -> None:
    with pytest.raises(ValidationError):
        Coding.model_validate(broken)
