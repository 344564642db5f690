"""The encoder: the last state of the top layer, and what padding may not do."""

from __future__ import annotations

import pytest
import torch

from ostinato.models import Encoder


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("both", [False, True])
def test_encoder_gives_the_last_state_of_the_top_layer(cell: str, layers: int, both: bool) -> None:
    encoder = Encoder(cell, 3, 5, layers, bidirectional=both)
    x = torch.randn(4, 7, 3)
    output, _ = encoder.recurrent(x)
    found = encoder(x)
    assert found.shape == (4, encoder.features) == (4, 10 if both else 5)
    torch.testing.assert_close(found[:, :5], output[:, -1, :5])
    if both:
        torch.testing.assert_close(found[:, 5:], output[:, 0, 5:])


def test_padding_changes_nothing_and_gets_no_gradient() -> None:
    encoder = Encoder("gru", 3, 5, bidirectional=True)
    x = torch.randn(3, 6, 3)
    lengths = [6, 2, 4]
    padded = x.clone()
    padded[1, 2:] = padded[2, 4:] = torch.nan
    padded.requires_grad_()
    found = encoder(padded, lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(found[row], encoder(x[row : row + 1, :length])[0], rtol=1e-5, atol=1e-6)
    found.sum().backward()
    assert padded.grad is not None
    assert bool((padded.grad[1, 2:] == 0).all())
    assert bool(padded.grad.isfinite().all())
