"""What a language model holds out and holds back of a text."""

from __future__ import annotations

import pytest

from ostinato.data.text.plain import Plain
from ostinato.tasks.generation.texts import Texts

LINES = [f"line {k:04d} of many\n" for k in range(1000)]
TEXT = "".join(LINES)


def test_what_is_held_out_comes_after_all_that_is_learnt_from() -> None:
    known, held = Texts.divide(Plain(TEXT, "x"), "word")
    assert known.text + held.text == TEXT
    assert held.text.splitlines(keepends=True) == LINES[-len(held.text) // len(LINES[0]) :]
    assert len(held.text) == pytest.approx(len(TEXT) / 10, rel=0.02)


@pytest.mark.parametrize("unit", ["word", "char"])
def test_what_is_held_back_comes_out_of_each_fifth(unit: str) -> None:
    known, held = Texts.hold_back(Plain(TEXT, "x"), unit)
    assert len(held.text) == pytest.approx(len(TEXT) / 20, rel=0.05)
    assert len(known.text) + len(held.text) == len(TEXT)
    if unit == "char":
        return
    kept, back = (part.text.splitlines(keepends=True) for part in (known, held))
    assert sorted(kept + back) == LINES
    numbers = [int(line[5:9]) for line in back]
    assert all(10 <= sum(low <= number < low + 200 for number in numbers) <= 11 for low in range(0, 1000, 200))
    assert kept[-50:] == LINES[-50:]


def test_a_text_of_one_long_line_is_cut_within_it() -> None:
    known, held = Texts.hold_back(Plain("word " * 400 + "\n", "x"), "word")
    assert len(held.text) == pytest.approx(100, abs=5)
    assert len(known.text) + len(held.text) == 2001
