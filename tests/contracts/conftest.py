"""Every registered cell with each of its options, one's own cell among them."""

import itertools

import pytest
import torch
from tests.contracts import minimal_gated_unit  # noqa: F401  registers "mgu"

from ostinato import Recurrent, cells

OPTIONS = {
    "rnn": [
        {},
        {"nonlinearity": "relu"},
        {"nonlinearity": "sigmoid"},
        {"nonlinearity": "identity"},
        {"layer_norm": True},
    ],
    "lstm": [
        {},
        {"peephole": True},
        {"coupled_gates": True},
        {"layer_norm": True},
        {"proj_size": 3},
        {"peephole": True, "layer_norm": True, "coupled_gates": True},
    ],
    "gru": [{}, {"reset_after": False}, {"layer_norm": True}],
}
# Whatever is registered has its row; a cell that nobody listed options for is tested plain.
CASES = [
    (name, options) for name in cells.names() if not name.startswith("doc-") for options in OPTIONS.get(name, [{}])
]


def words(case):
    name, options = case
    return "-".join([name, *(f"{k}={v}" for k, v in options.items())])


@pytest.fixture(params=CASES, ids=words)
def case(request):
    """(name of a cell, its options)."""
    torch.manual_seed(sum(map(ord, words(request.param))))
    return request.param


def layer_of(case, input_size=3, hidden_size=5, dtype=torch.float64, **more):
    """A layer with random, distinct weights: constant ones cannot see gates that are swapped."""
    name, options = case
    layer = Recurrent(name, input_size, hidden_size, **options, **more).to(dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-0.7, 0.7)
    return layer


def state_of(layer, batch, dtype=torch.float64):
    rows, cell = layer.num_layers * layer.num_directions, layer._cell(0)
    return tuple(torch.randn(rows, batch, size, dtype=dtype) for size in cell.sizes())


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


def both(*choices):
    return list(itertools.product(*choices))
