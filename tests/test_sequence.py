"""Sequence against plain Python lists: padding, turning round, packing, lengths as people have them."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.rnn import pack_sequence

import ostinato as ost
from ostinato.sequence import Sequence, as_lengths, as_tensor, resets_backwards

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
    with pytest.raises(ValueError, match=r"rows\[0\] must be \(time, ...\), found the number 1"):
        Sequence.of([1, 2])
    with pytest.raises(TypeError, match=r"rows\[1\] must be a tensor, an array or a list of numbers, found \['a'\]"):
        Sequence.of([[1], ["a"]])


def test_of_takes_lists_and_arrays():
    found = Sequence.of([[1, 2], [3], []])
    assert found.values.tolist() == [[1, 2], [3, 0], [0, 0]]
    assert found.values.dtype == torch.int64  # an empty list has no say in the type
    assert found.lengths.tolist() == [2, 1, 0]
    rows = [np.ones((2, 3)), np.full((1, 3), 2.0)]
    assert plain(Sequence.of(rows)) == [row.tolist() for row in rows]


@pytest.mark.parametrize("rows", [[[1, 2], [0.5]], [[0.5], [1, 2]]])
def test_of_rows_of_several_types_loses_nothing(rows):
    assert [row[:n] for row, n in zip(Sequence.of(rows).values.tolist(), map(len, rows), strict=True)] == rows


GOOD = [3, 0, 5]
good = pytest.mark.parametrize(
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


@good
def test_lengths_on_any_device_or_type(given):
    found = as_lengths(given, 3, 5)
    assert found.dtype == torch.int64
    assert found.device.type == "cpu"
    assert found.tolist() == GOOD


@good
def test_a_sequence_takes_lengths_of_any_type(given):
    """uint8 too, which torch would read as a mask where it is an index."""
    values = torch.arange(1.0, 31.0).reshape(3, 5, 2)
    sequence = Sequence(values, given)
    assert sequence.lengths.dtype == torch.int64
    assert sequence.mask.sum(1).tolist() == GOOD
    assert sequence.last().tolist() == [[5, 6], [0, 0], [29, 30]]
    assert sequence.reversed().last().tolist() == [[1, 2], [0, 0], [21, 22]]
    assert torch.equal(Sequence(values.tolist(), given).clean().values, sequence.clean().values)
    assert torch.equal(Sequence(values.numpy(), given).clean().values, sequence.clean().values)


@pytest.mark.parametrize(
    ("lengths", "error", "words"),
    [
        ([9, 0, 5], ValueError, r"lengths\[0\] is 9, outside 0..5"),
        (torch.tensor([3, 5]), ValueError, r"one entry a sequence, shape \(3,\); found \(2,\)"),
        (torch.tensor([3]), ValueError, r"one entry a sequence, shape \(3,\); found \(1,\)"),
        ([3.0, 0.0, 5.0], TypeError, "lengths must be integers"),
        (torch.ones(3, 5, dtype=torch.bool), TypeError, r"mask.sum\(1\)"),
    ],
    ids=str,
)
def test_a_sequence_refuses_lengths_that_do_not_fit(lengths, error, words):
    with pytest.raises(error, match=words):
        Sequence(torch.ones(3, 5, 2), lengths)


def test_a_sequence_refuses_values_without_time():
    with pytest.raises(ValueError, match=r"values must be \(batch, time, ...\), found \(3,\)"):
        Sequence(torch.ones(3), [1, 1, 1])


def test_a_sequences_lengths_stay_on_their_device():
    values, lengths = torch.ones(3, 5, 2, device="meta"), torch.ones(3, dtype=torch.int64, device="meta")
    assert Sequence(values, lengths).lengths is lengths
    assert Sequence(values, lengths).clean().values.shape == values.shape


class _LastOf(torch.nn.Module):
    def forward(self, values, lengths):
        return Sequence(values, lengths).clean().reversed().last()


@pytest.mark.parametrize("lengths", [torch.tensor(GOOD), torch.tensor(GOOD, dtype=torch.uint8)], ids=["int64", "uint8"])
@pytest.mark.parametrize("way", ["compile", "export", "export, strict", "jit", "make_fx", "vmap", "jvp"])
@pytest.mark.filterwarnings("ignore")  # of jit.trace: of its age, and of shapes that are looked at
def test_a_sequence_is_made_where_values_cannot_be_asked_for(way, lengths):
    values, last = torch.arange(1.0, 31.0).reshape(3, 5, 2), _LastOf()
    expected = torch.tensor([[1.0, 2], [0, 0], [21, 22]])
    if way == "compile":
        found = torch.compile(last, backend="eager", fullgraph=True)(values, lengths)
    elif way.startswith("export"):
        batch, time = torch.export.Dim("batch"), torch.export.Dim("time")
        made = torch.export.export(
            last, (values, lengths), strict="strict" in way, dynamic_shapes=({0: batch, 1: time}, {0: batch})
        ).module()
        assert made(torch.ones(2, 7, 2), lengths[:2]).shape == (2, 2)
        found = made(values, lengths)
    elif way == "jit":
        found = torch.jit.trace(last, (values, lengths))(values, lengths)
    elif way == "make_fx":
        found = make_fx(last, tracing_mode="fake")(values, lengths)(values, lengths)
    elif way == "vmap":
        found = torch.func.vmap(last)(values[None], lengths[None])[0]
    else:
        found = torch.func.jvp(lambda v: last(v, lengths), (values,), (values,))[1]  # linear: its own derivative
    assert torch.equal(found, expected)


@pytest.mark.parametrize("given", [[], (), np.array([]), torch.tensor([])], ids=repr)
def test_lengths_of_no_sequences(given):
    assert as_lengths(given, 0, 5).dtype == torch.int64


def test_an_empty_list_is_of_no_type():
    assert as_tensor("resets", [[], []]).shape == (2, 0)
    layer, x = ost.GRU(3, 4), torch.ones(3, 0, 3)
    assert torch.equal(layer(x, resets=[[], [], []])[0], layer(x)[0])


SWAPPED = np.dtype("int32").newbyteorder("S")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([1.0, 2.0], TypeError, "lengths must be integers, found torch.float32: pass whole numbers, such as 3, not"),
        (np.ones(2), TypeError, r"found torch.float64: pass whole numbers, such as lengths.astype\(int\)"),
        (torch.ones(2), TypeError, r"found torch.float32: pass whole numbers, such as lengths.long\(\)"),
        (torch.ones(2, 5) > 0, TypeError, r"found torch.bool: pass the mask's sums, mask.sum\(1\)"),
        (np.ones((2, 5), bool), TypeError, r"found torch.bool: pass the mask's sums, mask.sum\(1\)"),
        (torch.ones(5) > 0, TypeError, "found torch.bool: pass how many steps each row has"),
        (torch.ones(2, 5).int(), ValueError, r"found \(2, 5\): pass a mask's sums, mask.sum\(1\)"),
        (torch.ones(2, dtype=torch.complex64), TypeError, "integers"),
        ([True, False], TypeError, "lengths must be integers, found torch.bool"),
        (["a", "b"], TypeError, r"lengths must be a tensor.*found \['a', 'b'\]"),
        ([None, 1], TypeError, "lengths must be a tensor"),
        ([10**30, 1], TypeError, r"lengths must be whole numbers that 64 bits hold, .*; found \[1000"),
        ([1, -(2**63) - 1], TypeError, "whole numbers that 64 bits hold"),
        (np.array([2**64, 1]), TypeError, "whole numbers that 64 bits hold"),
        (pd.Series([2**64, 1]), TypeError, "whole numbers that 64 bits hold, .*; found 0 184467.* dtype: object$"),
        (np.array([1, 2**63], np.uint64), ValueError, rf"lengths\[1\] is {2**63}, outside 0..5"),
        (np.array([1, 2], SWAPPED), TypeError, r"another byte order, found .i4: pass lengths.astype\('int32'\)"),
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


def test_a_layer_says_how_it_takes_a_sequence():
    sequence, layer = Sequence(torch.randn(2, 5, 3), [5, 2]), ost.LSTM(3, 4)
    with pytest.raises(TypeError, match="found Sequence: pass s.values, lengths=s.lengths"):
        layer(sequence)
    assert layer(sequence.values, lengths=sequence.lengths)[0].shape == (2, 5, 4)
