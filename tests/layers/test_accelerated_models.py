"""Whole models that were not written for us: the same outputs and gradients once their layers are ours."""

import pytest
import torch

from ostinato.interfaces.bench import whole
from ostinato.interfaces.bench.parts.models import twins
from ostinato.layers import Recurrent

REPLACED = {"tagger": 1, "agent": 1, "forecaster": 2, "deepar": 1, "recurrent_ppo": 2}


@pytest.mark.filterwarnings("ignore")  # a library's own
@pytest.mark.parametrize("name", whole.MODELS)
def test_same_outputs_and_gradients(name):
    make, needs = whole.MODELS[name]
    for library in needs:
        pytest.importorskip(library)
    before, after = twins(make, small=True)
    assert sum(isinstance(m, Recurrent) for m in after.model.modules()) == REPLACED[name]
    expected, y = before.call(), after.call()
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-5 * max(1, expected.abs().max().item()))
    weight = torch.randn_like(y)
    (expected * weight).sum().backward()
    (y * weight).sum().backward()
    theirs = {n: p.grad for n, p in before.model.named_parameters() if p.grad is not None}
    ours = {n: p.grad for n, p in after.model.named_parameters() if p.grad is not None}
    assert theirs.keys() == ours.keys()
    for n, g in theirs.items():
        torch.testing.assert_close(ours[n], g, rtol=0, atol=1e-4 * max(1, g.abs().max().item()))


def test_a_model_that_is_given_back_is_torchs_again():
    from ostinato import accelerate

    made = whole.tagger(small=True)
    expected = made.call()
    report = accelerate(made.model)
    report.undo()
    assert type(made.model.lstm) is torch.nn.LSTM
    assert torch.equal(made.call(), expected)
