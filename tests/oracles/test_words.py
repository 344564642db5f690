"""The networks of words on torch.nn's recurrent layers with packed sequences: the same losses and gradients."""

import copy

import pytest
import torch
from benchmarks import words

RUNS = list(words.runs(60))


@pytest.mark.parametrize("run", RUNS, ids=[f"{task}, {what}" for task, what, _, _ in RUNS])
def test_each_task_learns_the_same_on_torch(run):
    _, _, task, data = run
    network, batches, objective = words.caught(task, data)
    twin = words.on_torch(network)
    assert any(isinstance(part, words.Packed) for part in twin.modules())
    assert not any(isinstance(part, words.ost.Recurrent) for part in twin.modules())
    words.check(words.Run(network, objective), words.Run(twin, objective), batches)


def test_a_network_that_learns_something_else_is_told():
    _, _, task, data = RUNS[0]
    network, batches, objective = words.caught(task, data)
    other = copy.deepcopy(words.on_torch(network))
    layer = next(part.layer for part in other.modules() if isinstance(part, words.Packed))
    with torch.no_grad():
        layer.weight_hh_l0[:, 0] += 0.1
    with pytest.raises(AssertionError, match="differ"):
        words.check(words.Run(network, objective), words.Run(other, objective), batches)
