"""Sequence against plain Python lists: padding, turning round, packing, lengths as people have them."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from ostinato.sequence import Sequence, as_lengths, resets_backwards

# The values of each row are 1, 2, 3, ... over the batch: no two alike, none 0.
ROWS = st.lists(st.integers(0, 6), min_size=1, max_size=5)
FEW = settings(max_examples=60, deadline=None)


def rows_of(lengths, width=2):
    values = iter(range(1, sum(lengths) * width + 1))
    return [[[next(values) for _ in range(width)] for _ in range(n)] for n in lengths]


def tensors(rows, width=2):
    return [torch.tensor(row, dtype=torch.float64).reshape(-1, width) for row in rows]


def plain(sequence):
    """The real steps, as lists."""
    return [row[:n].tolist() for row, n in zip(sequence.values, sequence.lengths.tolist(), strict=True)]


@FEW
@given(ROWS)
def test_of_keeps_every_row_and_pads_with_zeros(lengths):
    rows = rows_of(lengths)
    sequence = Sequence.of(tensors(rows))
    assert plain(sequence) == rows
    assert sequence.values.shape == (len(rows), max(lengths), 2)
    assert sequence.mask.tolist() == [[t < n for t in range(max(lengths))] for n in lengths]
    assert (sequence.values[~sequence.mask] == 0).all()


@FEW
@given(ROWS)
def test_clean_lets_nothing_of_the_padding_through(lengths):
    rows = rows_of(lengths)
    sequence = Sequence.of(tensors(rows))
    dirty = sequence.values.masked_fill(~sequence.mask[..., None], torch.nan).requires_grad_()
    clean = Sequence(dirty, sequence.lengths).clean()
    assert torch.equal(clean.values, sequence.values)
    clean.values.square().sum().backward()
    assert torch.equal(dirty.grad, 2 * sequence.values)  # 0 in the padding, not NaN


@FEW
@given(ROWS)
def test_reversed_turns_each_row_round_within_its_length(lengths):
    rows = rows_of(lengths)
    sequence = Sequence.of(tensors(rows))
    turned = sequence.reversed()
    assert plain(turned) == [row[::-1] for row in rows]
    assert torch.equal(turned.mask, sequence.mask)
    assert torch.equal(turned.reversed().values, sequence.values)


@FEW
@given(ROWS)
def test_last_is_the_last_real_step_and_0_for_an_empty_row(lengths):
    rows = rows_of(lengths)
    found = Sequence.of(tensors(rows)).last()
    assert found.tolist() == [row[-1] if row else [0, 0] for row in rows]


@FEW
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.booleans())
def test_unpack_and_pack_are_torchs_own(lengths, by_length):
    rows = sorted(rows_of(lengths), key=len, reverse=True) if by_length else rows_of(lengths)
    packed = pack_sequence(tensors(rows), enforce_sorted=by_length)
    sequence = Sequence.unpack(packed)
    assert plain(sequence) == rows
    again = sequence.pack(packed)
    assert torch.equal(again.data, packed.data)
    assert again.batch_sizes is packed.batch_sizes
    assert again.unsorted_indices is packed.unsorted_indices


@FEW
@given(st.data())
def test_resets_backwards_mark_where_the_segments_end(data):
    """Read from the end, a segment begins where, read from the start, it ends."""
    lengths = data.draw(ROWS)
    time = max([*lengths, 1])
    marks = data.draw(st.lists(st.lists(st.booleans(), min_size=time, max_size=time), min_size=1, max_size=4))
    lengths = (lengths * len(marks))[: len(marks)]
    full = data.draw(st.booleans())
    found = resets_backwards(torch.tensor(marks), None if full else torch.tensor(lengths))
    for row, n, got in zip(marks, [time] * len(marks) if full else lengths, found.tolist(), strict=True):
        names = np.cumsum(row[:n])  # which segment each step belongs to
        turned = list(names[::-1])
        assert got[1:n] == [turned[t] != turned[t - 1] for t in range(1, n)]
        assert not any(got[:1])
        assert not any(got[n:])


def test_full_rows_need_no_lengths():
    values = torch.arange(12.0).reshape(2, 3, 2)
    sequence = Sequence(values)
    assert sequence.mask.all()
    assert sequence.clean() is sequence
    assert torch.equal(sequence.reversed().values, values.flip(1))
    assert torch.equal(sequence.last(), values[:, -1])
    assert torch.equal(Sequence(values[:, :0]).last(), torch.zeros(2, 2))


def test_of_refuses_no_rows_and_unlike_rows():
    with pytest.raises(ValueError, match="at least one"):
        Sequence.of([])
    with pytest.raises(ValueError, match=r"alike but for time; found \[\(2,\), \(3,\)\]"):
        Sequence.of([torch.ones(1, 2), torch.ones(1, 3)])


GOOD = [3, 0, 5]


@pytest.mark.parametrize(
    "given",
    [
        GOOD,
        tuple(GOOD),
        [torch.tensor(n) for n in GOOD],
        pd.Series(GOOD, index=[7, 8, 9]),
        np.array(GOOD[::-1])[::-1],  # a stride that torch refuses
        *(np.array(GOOD, t) for t in ("uint8", "int8", "int16", "int32", "int64", "uint16", "uint64")),
        *(torch.tensor(GOOD, dtype=t) for t in (torch.uint8, torch.int8, torch.int32, torch.int64)),
    ],
    ids=lambda v: f"{type(v).__name__}-{getattr(v, 'dtype', '')}",
)
def test_lengths_on_any_device_or_type(given):
    found = as_lengths(given, 3, 5)
    assert found.dtype == torch.int64
    assert found.device.type == "cpu"
    assert found.tolist() == GOOD


@pytest.mark.parametrize("given", [[], (), np.array([]), torch.tensor([])], ids=repr)
def test_lengths_of_no_sequences(given):
    assert as_lengths(given, 0, 5).dtype == torch.int64


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([1.0, 2.0], TypeError, "lengths must be integers, found torch.float32: pass lengths.long"),
        (torch.ones(2, dtype=torch.complex64), TypeError, "integers"),
        ([True, False], TypeError, "lengths must be integers, found torch.bool"),
        (["a", "b"], TypeError, r"lengths must be a tensor.*found \['a', 'b'\]"),
        ([None, 1], TypeError, "lengths must be a tensor"),
        ([10**30, 1], TypeError, "lengths must be a tensor"),
        ([[1], [1, 2]], TypeError, "lengths must be a tensor"),
        (np.array([1, 2], object), TypeError, "lengths must be a tensor"),
        (3, ValueError, r"shape \(2,\); found \(\)"),
        ([1, 2, 3], ValueError, r"shape \(2,\); found \(3,\)"),
        ([], ValueError, r"found \(0,\)"),
        ([[1, 2]], ValueError, r"found \(1, 2\)"),
        ([2, -1], ValueError, r"lengths\[1\] is -1, outside 0..5"),
        ([6, 1], ValueError, r"lengths\[0\] is 6, outside 0..5"),
    ],
    ids=str,
)
def test_what_is_no_lengths_is_refused_by_name(given, error, words):
    with pytest.raises(error, match=words):
        as_lengths(given, 2, 5)
