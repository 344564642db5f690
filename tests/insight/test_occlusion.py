"""What each piece of a text adds, measured by leaving it out."""

from __future__ import annotations

import numpy as np

from ostinato.insight.occlusion import leave_one_out, to_unit

WORTH = {"good": 2.0, "bad": -3.0}


def test_of_a_sum_each_piece_has_its_own_part() -> None:
    asked: list[list[list[str]]] = []

    def ask(several: list[list[str]]) -> np.ndarray:
        asked.append(several)
        return np.array([sum(WORTH.get(piece, 0.0) for piece in pieces) for pieces in several])

    found = leave_one_out(ask, ["a", "good", "bad", "good"])
    np.testing.assert_array_equal(found, [0, 2, -3, 2])
    assert len(asked) == 1  # in one batch
    np.testing.assert_allclose(to_unit(found), [0, 2 / 3, -1, 2 / 3])


def test_what_two_say_together_each_of_them_has() -> None:
    both = leave_one_out(lambda several: np.array([float({"not", "bad"} <= set(p)) for p in several]), ["not", "bad"])
    np.testing.assert_array_equal(both, [1, 1])


def test_nothing_to_leave_out() -> None:
    assert leave_one_out(lambda several: np.zeros(len(several)), []).shape == (0,)
    assert to_unit(np.zeros(3)).tolist() == [0, 0, 0]
