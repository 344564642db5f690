"""Covariates: scaled by what was learnt from, gaps carried on, words as 0 and 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ostinato.data import Panel, Series
from ostinato.data.covariates import Scaling, laid, widths

NAN = float("nan")


def series_of(
    id: str, length: int, past: list[list[float]] | None = None, future: list[list[float]] | None = None,
    static: list[float] | None = None,
) -> Series:  # fmt: skip
    series = Series.of(np.arange(float(length)), id=id)
    return replace(
        series,
        past=None if past is None else np.array(past),
        future=None if future is None else np.array(future),
        static=None if static is None else np.array(static),
    )


def panel() -> Panel:
    one = series_of("a", 3, [[1.0], [3.0], [900.0]], [[0.0, 5.0]] * 5, [10.0])
    two = series_of("b", 2, [[5.0], [7.0]], [[4.0, 5.0]] * 2, [30.0])
    return Panel((one, two))


class TestScaling:
    def test_is_told_by_what_is_known(self) -> None:
        scaling = Scaling.of(panel(), [2, 2])
        assert scaling.mean == (4.0, 2.0, 5.0, 20.0)  # past, future, static; never the 900
        np.testing.assert_allclose(scaling.size, [np.std([1, 3, 5, 7]), 2, 0, 10])

    def test_makes_mean_0_and_deviation_1(self) -> None:
        scaled = Scaling.of(panel(), [2, 2])(np.array([[1.0], [3.0], [5.0], [7.0]]), 0)
        assert (scaled.mean(), scaled.std()) == (pytest.approx(0), pytest.approx(1))

    def test_a_column_that_never_changed_becomes_0(self) -> None:
        scaling = Scaling.of(panel(), [2, 2])
        assert scaling(np.array([[2.0, 5.0], [2.0, 77.0]]), 1).tolist() == [[0, 0], [0, 0]]

    def test_what_is_far_out_is_cut_off(self) -> None:
        scaling = Scaling.of(panel(), [2, 2])
        assert scaling(np.array([[1e9], [-1e9]]), 0).tolist() == [[10], [-10]]

    def test_missing_numbers_do_not_count(self) -> None:
        series = series_of("a", 4, [[NAN, NAN], [1.0, NAN], [NAN, NAN], [3.0, NAN]])
        scaling = Scaling.of(Panel((series,)), [4])
        assert (scaling.mean, scaling.size) == ((2.0, 0.0), (1.0, 0.0))

    def test_units_do_not_matter(self) -> None:
        one, other = (series_of("a", 3, [[1.0 * f], [2.0 * f], [6.0 * f]]) for f in (1, 1000))
        scaled = [laid(Panel((s,)), 1, Scaling.of(Panel((s,)), [3]))[0] for s in (one, other)]
        np.testing.assert_allclose(*scaled, rtol=1e-6)

    def test_comes_back_from_a_file(self) -> None:
        scaling = Scaling.of(panel(), [2, 2])
        assert Scaling.model_validate(scaling.model_dump(mode="json")) == scaling


class TestLaid:
    def test_series_lie_end_to_end_each_with_a_horizon_more(self) -> None:
        past, future, static = laid(panel(), 2, Scaling.of(panel(), [3, 2]))
        assert past.shape == (3 + 2 + 2 + 2, 1)
        assert future.shape == (3 + 2 + 2 + 2, 2)
        assert static.shape == (2, 1)
        assert {part.dtype for part in (past, future, static)} == {np.dtype("float32")}

    def test_what_is_not_known_is_carried_on(self) -> None:
        own = series_of("a", 3, [[NAN], [2.0], [NAN]], [[1.0], [NAN], [3.0], [4.0]])
        nothing = Scaling(mean=(0.0, 0.0), size=(1.0, 1.0))
        past, future, _ = laid(Panel((own,)), 3, nothing)
        assert past[:, 0].tolist() == [2, 2, 2, 2, 2, 2]
        assert future[:, 0].tolist() == [1, 1, 3, 4, 4, 4]  # known one step ahead, then carried on

    def test_what_lies_beyond_the_horizon_is_left_out(self) -> None:
        own = series_of("a", 2, None, [[1.0], [2.0], [3.0], [4.0], [5.0]])
        future = laid(Panel((own,)), 1, Scaling(mean=(0.0,), size=(1.0,)))[1]
        assert future[:, 0].tolist() == [1, 2, 3]

    def test_nothing_of_one_series_is_carried_into_the_next(self) -> None:
        one, two = series_of("a", 2, [[1.0], [2.0]]), series_of("b", 2, [[NAN], [4.0]])
        past = laid(Panel((one, two)), 2, Scaling(mean=(0.0,), size=(1.0,)))[0]
        assert past[:, 0].tolist() == [1, 2, 2, 2, 4, 4, 4, 4]

    def test_words_become_marks(self) -> None:
        """One of two words each step: once scaled the marks keep telling them apart, and a third word is neither."""
        marks = [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0], [NAN, NAN]]
        own = Panel((series_of("a", 6, marks),))
        past = laid(own, 1, Scaling.of(own, [4]))[0]
        assert len(np.unique(past[:5], axis=0)) == 3
        assert past[0, 0] == pytest.approx(3**0.5)  # seen once in four: mean 1/4, deviation sqrt(3)/4
        assert past[0, 1] == -past[0, 0]
        np.testing.assert_array_equal(past[5], past[4])  # missing: as the step before
        np.testing.assert_array_equal(past[6], past[4])

    def test_a_panel_without_any_has_columns_of_none(self) -> None:
        plain = Panel.of([[1.0, 2.0], [3.0]])
        past, future, static = laid(plain, 2, Scaling.of(plain, [2, 1]))
        assert (past.shape, future.shape, static.shape) == ((7, 0), (7, 0), (2, 0))
        assert widths(plain) == (0, 0, 0)

    @pytest.mark.parametrize("kind", ["past", "future", "static"])
    def test_what_is_missing_throughout_is_as_usual(self, kind: str) -> None:
        numbers = {"past": [[990.0], [1010.0]], "future": [[990.0], [1010.0]], "static": [1000.0]}
        missing = {"past": [[NAN], [NAN]], "future": [[NAN], [NAN]], "static": [NAN]}
        other = {"past": numbers["past"], "future": numbers["future"], "static": [1010.0]}
        own = Panel(
            tuple(
                series_of(id, 2, **{kind: values[kind]})  # type: ignore[arg-type]
                for id, values in (("a", numbers), ("b", missing), ("c", other))
            )
        )
        part = laid(own, 1, Scaling.of(own, [2, 2, 2]))[("past", "future", "static").index(kind)]
        unknown = part[1] if kind == "static" else part[3:6]
        assert np.abs(unknown).max() < 1.5


def test_widths_count_past_future_and_static() -> None:
    assert widths(panel()) == (1, 2, 1)
