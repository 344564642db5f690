"""Batches of like length: every row once, little padding, the same order for the same seed and epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ostinato.data.text.batches import Buckets, by_length, padded

lengths = st.lists(st.one_of(st.integers(0, 30), st.integers(0, 5000)), min_size=1, max_size=120)


def numbers(rows: list[int]) -> list[int]:
    return rows


@given(lengths, st.integers(1, 9), st.integers(0, 3), st.integers(0, 3), st.none() | st.integers(1, 300))
def test_every_row_once(given_: list[int], size: int, seed: int, epoch: int, tokens: int | None) -> None:
    batches = Buckets(given_, size, seed, numbers, tokens=tokens)
    found = list(batches.epoch(epoch))
    assert sorted(row for batch in found for row in batch) == list(range(len(given_)))
    assert len(found) == len(batches)
    assert all(1 <= len(batch) <= size for batch in found)
    assert found == list(Buckets(given_, size, seed, numbers, tokens=tokens).epoch(epoch))


@given(lengths, st.integers(1, 9), st.integers(1, 300))
def test_padded_batches_stay_below_their_steps(given_: list[int], size: int, tokens: int) -> None:
    for batch in [*Buckets(given_, size, 0, numbers, tokens=tokens).epoch(0), *by_length(given_, size, tokens=tokens)]:
        assert len(batch) == 1 or len(batch) * max(given_[row] for row in batch) <= tokens


@given(lengths, st.integers(1, 9))
def test_no_row_is_padded_to_twice_its_length(given_: list[int], size: int) -> None:
    for batch in Buckets(given_, size, 0, numbers).epoch(0):
        longest = max(given_[row] for row in batch)
        assert longest <= 2 * max(1, *(given_[row] for row in batch)) or len(batch) == 1
        assert all(longest <= 2.3 * max(1, given_[row]) for row in batch)


@given(lengths, st.integers(1, 9), st.integers(0, 200))
def test_an_epoch_can_be_entered_anywhere(given_: list[int], size: int, first: int) -> None:
    batches = Buckets(given_, size, 5, numbers)
    assert list(batches.epoch(2, first)) == list(batches.epoch(2))[first:]


def test_epochs_differ_in_rows_and_order() -> None:
    batches = Buckets([7] * 100, 10, 0, numbers)
    first, second = list(batches.epoch(0)), list(batches.epoch(1))
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}


def test_little_is_padded() -> None:
    given_ = np.random.default_rng(0).geometric(0.05, 5000).tolist()
    batches = Buckets(given_, 32, 0, lambda rows: [given_[row] for row in rows])
    room = sum(len(batch) * max(batch) for batch in batches.epoch(0))
    assert sum(given_) / room > 0.9
    assert len(batches) < 1.2 * 5000 / 32


def test_one_long_text_is_a_batch_of_its_own() -> None:
    found = list(Buckets([10] * 64 + [1_000_000], 32, 0, numbers).epoch(0))
    assert [64] in found
    assert sorted(map(len, found)) == [1, 32, 32]


@pytest.mark.parametrize(("size", "tokens"), [(0, None), (4, 0)])
def test_sizes_below_one(size: int, tokens: int | None) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Buckets([1, 2], size, 0, numbers, tokens=tokens)


@given(lengths, st.integers(1, 9))
def test_batches_for_use(given_: list[int], size: int) -> None:
    found = by_length(given_, size)
    assert sorted(row for batch in found for row in batch) == list(range(len(given_)))
    ordered = [given_[row] for batch in found for row in batch]
    assert ordered == sorted(ordered)


def test_padded() -> None:
    values, sizes = padded([[1, 2, 3], [], [4]], value=9)
    assert values.tolist() == [[1, 2, 3], [9, 9, 9], [4, 9, 9]]
    assert sizes.tolist() == [3, 0, 1]
    assert values.dtype == sizes.dtype == torch.int64
    assert padded([[], []])[0].shape == (2, 1)
