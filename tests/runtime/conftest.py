"""Layers of every kind, saved; what torch answers is what the runtime must answer."""

import pytest
import torch

import ostinato as ost
from ostinato import runtime

KINDS = ["RNN", "LSTM", "GRU"]
OPTIONS = {
    "plain": {},
    "deep": {"num_layers": 3, "residual": True},
    "learnt": {"num_layers": 2, "learn_initial_state": True},
    "no bias": {"bias": False},
}


def layer_of(kind, *sizes, **options):
    """In evaluation mode, with learnt initial states that are not 0."""
    layer = getattr(ost, kind)(*sizes, **options).eval().requires_grad_(False)
    if layer.learn_initial_state:
        for name in ("h0", "c0")[: 2 if kind == "LSTM" else 1]:
            getattr(layer, name).uniform_(-1, 1)
    return layer


@pytest.fixture(params=KINDS)
def kind(request):
    torch.manual_seed(7)
    return request.param


@pytest.fixture(params=OPTIONS)
def options(request):
    return OPTIONS[request.param]


@pytest.fixture
def model_of(tmp_path):
    """A layer, as the runtime has it from a file."""

    def load(layer):
        ost.save(layer, tmp_path / "layer.ost")
        return runtime.load(tmp_path / "layer.ost")

    return load
