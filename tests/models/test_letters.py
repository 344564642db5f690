"""Words by their letters, against torch's own layers and against one word at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ostinato.models.letters import WINDOW, Letters

IDS = torch.tensor([[5, 6, 7, 8], [4, 0, 0, 0], [9, 9, 3, 0], [0, 0, 0, 0]])
LENGTHS = torch.tensor([4, 1, 3, 0])


def letters(kind: str, features: int = 6) -> Letters:
    torch.manual_seed(0)
    return Letters(12, features, width=5, kind=kind).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["lstm", "conv"])
def test_padding_changes_nothing(kind: str) -> None:
    model = letters(kind)
    whole = model(IDS, LENGTHS)
    other = torch.where(torch.arange(4) < LENGTHS[:, None], IDS, 11)
    assert torch.equal(model(other, LENGTHS), whole)
    for k, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(model(IDS[k : k + 1, : max(1, length)], LENGTHS[k : k + 1])[0], whole[k])


@pytest.mark.parametrize("kind", ["lstm", "conv"])
def test_a_word_of_no_letters_is_zeros_and_gradients_are_finite(kind: str) -> None:
    model = letters(kind)
    found = model(IDS, LENGTHS)
    assert found.shape == (4, model.features)
    assert (found[3] == 0).all()
    assert (found[:3] != 0).any(1).all()
    found.square().sum().backward()
    gradients = [p.grad for p in model.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    assert (model.embedding.weight.grad[0] == 0).all()  # type: ignore[index]


def test_lstm_equals_torch() -> None:
    model = letters("lstm")
    torchs = nn.LSTM(5, 3, batch_first=True, bidirectional=True)
    torchs.load_state_dict(model.reader.state_dict())
    packed = nn.utils.rnn.pack_padded_sequence(
        model.embedding(IDS[:3]), LENGTHS[:3], batch_first=True, enforce_sorted=False
    )
    _, (h, _) = torchs(packed)
    torch.testing.assert_close(model(IDS, LENGTHS)[:3], torch.cat([h[0], h[1]], 1))


def test_convolution_equals_its_equation() -> None:
    model = letters("conv")
    weight, bias = model.reader.weight, model.reader.bias
    side = torch.zeros(WINDOW // 2, 5)
    for ids, length, found in zip(IDS[:3], LENGTHS[:3].tolist(), model(IDS, LENGTHS), strict=False):
        e = torch.cat([side, model.embedding(ids[:length]), side])
        y = [torch.einsum("fdk,kd->f", weight, e[k : k + WINDOW]) + bias for k in range(length)]
        torch.testing.assert_close(found, torch.stack(y).amax(0))


def test_arguments() -> None:
    with pytest.raises(ValueError, match="lstm or conv"):
        letters("gru")
    with pytest.raises(ValueError, match="even"):
        letters("lstm", features=7)
