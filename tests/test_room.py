"""The arrays that a call of the kernels makes: torch's own in all but where their memory comes from."""

from __future__ import annotations

import copy
import gc
import io
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ostinato as ost
from ostinato import _kernels
from ostinato.ops import kernel

X = torch.randn(4, 7, 3)


def lstm_of(x: Tensor, lengths: Tensor | None = None, keep: bool = True) -> Any:
    weights = [p.detach() for p in ost.LSTM(3, 5).parameters()]
    return _kernels.forward(kernel.Plan(1, 0), 1, (x, *[None] * 4, lengths, None, *weights, None), None, keep)


def test_they_are_plain_tensors_of_the_type_of_x() -> None:
    for dtype in (torch.float32, torch.float64):
        layer = ost.LSTM(3, 5, dtype=dtype)
        y, (h, c) = layer(torch.nn.Parameter(X.to(dtype)))
        for made, shape in ((y, (4, 7, 5)), (h, (1, 4, 5)), (c, (1, 4, 5))):
            assert type(made) is Tensor
            assert (made.dtype, made.shape, made.is_contiguous()) == (dtype, shape, True)
            assert made.data_ptr() % 64 == 0
        y.sum().backward()
        assert all(type(p.grad) is Tensor and p.grad.shape == p.shape for p in layer.parameters())


def test_no_two_that_live_share_memory() -> None:
    layer = ost.GRU(3, 5)
    with torch.no_grad():
        found = [layer(X) for _ in range(20)]
        first = found[0][0].clone()
        found[0][0].zero_()
    assert all(torch.equal(y, first) for y, _ in found[1:])
    places = [v.data_ptr() for pair in found for v in pair]
    assert len(set(places)) == len(places)


def test_memory_is_used_again_once_nobody_holds_it_and_not_before() -> None:
    gc.collect()  # what other tests left behind would be handed out first
    layer = ost.RNN(3, 5)
    with torch.no_grad():
        y = layer(X)[0]
        place, view = y.data_ptr(), y[1:, 2]
        expected = view.clone()
        del y
        others = [layer(torch.randn_like(X)) for _ in range(10)]
        assert place not in {o.data_ptr() for o, _ in others}  # the view holds it
        assert torch.equal(view, expected)
        del view, others
        gc.collect()
        held = [layer(X)[0] for _ in range(60)]
    assert place in {y.data_ptr() for y in held}


def test_they_outlive_their_layer_and_can_be_copied_saved_and_shared() -> None:
    layer = ost.GRU(3, 5)
    with torch.no_grad():
        y = layer(X)[0]
        expected = y.tolist()
    del layer
    gc.collect()
    file = io.BytesIO()
    torch.save(y, file)
    file.seek(0)
    for twin in (copy.deepcopy(y), torch.load(file, weights_only=True), y.clone().share_memory_(), y.numpy()):
        assert twin.tolist() == expected
    y.share_memory_()  # as a queue between processes does
    assert y.tolist() == expected


def test_a_tensor_that_another_thread_lets_go_of() -> None:
    layer = ost.LSTM(3, 5)
    held = [layer(X)[0].detach() for _ in range(50)]
    worker = threading.Thread(target=held.clear)
    worker.start()
    worker.join()
    assert torch.equal(layer(X)[0], layer(X)[0])


@pytest.mark.parametrize(("batch", "time"), [(0, 7), (4, 0), (0, 0)])
def test_empty_ones(batch: int, time: int) -> None:
    layer = ost.LSTM(3, 5)
    y, (h, c) = layer(torch.zeros(batch, time, 3))
    assert (y.shape, h.shape, c.shape) == ((batch, time, 5), (1, batch, 5), (1, batch, 5))
    y.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in layer.parameters())


def test_numpy_gets_numpy() -> None:
    layer = ost.LSTM(3, 5)
    weights = [p.detach().numpy() for p in layer.parameters()]
    y, h, c, kept = _kernels.forward(kernel.Plan(1, 0), 1, (X.numpy(), *[None] * 6, *weights, None), None, False)
    assert kept is None
    expected, (end_h, end_c) = layer(X)
    for made, wanted in ((y, expected), (h, end_h), (c, end_c)):
        assert isinstance(made, np.ndarray)
        assert np.array_equal(made, wanted.detach().numpy())


def test_poisoned_memory_is_full_of_nan_where_nothing_is_written(poisoned: None) -> None:
    y, _, _, kept = lstm_of(X, torch.tensor([7, 2, 0, 7]))
    assert not y.isnan().any()
    assert kept.isnan().any()  # steps past a sequence's end have no gates


def test_nothing_is_done_where_a_tensor_is_not_dense_and_nothing_kept_unasked() -> None:
    assert lstm_of(torch.randn(4, 7, 6)[..., ::2]) is None
    assert lstm_of(X, keep=False)[3] is None
