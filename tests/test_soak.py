"""The long proofs of the kernels: many callers at once, many shapes, and no memory that grows."""

import os
import random as dice
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from tests.contracts.conftest import as_tuple

import ostinato as ost

CALLS, CALLERS = 10_000, 8
OPTIONS = {
    "RNN": [{}, {"nonlinearity": "relu"}, {"layer_norm": True}],
    "LSTM": [{}, {"peephole": True, "coupled_gates": True}, {"layer_norm": True, "proj_size": 5}],
    "GRU": [{}, {"reset_after": False}, {"layer_norm": True}],
}
ALL = [(kind, options) for kind, each in OPTIONS.items() for options in each]
LATER = {  # what a call draws is drawn from torch's one generator: callers at once would share it
    "zoneout": 0.2, "recurrent_dropout": 0.2,
}  # fmt: skip


def bits(layer, x, lengths, resets):
    """Output, end state and every gradient, in one tensor. `torch.autograd.grad` writes to no shared `.grad`."""
    y, end = layer(x, lengths=lengths, resets=resets)
    loss = y.square().sum() + sum(s.sum() for s in as_tuple(end))
    return torch.cat([v.flatten() for v in (y, *as_tuple(end), *torch.autograd.grad(loss, list(layer.parameters())))])


def work(kind, options):
    layer = getattr(ost, kind)(5, 19, 2, bidirectional=True, **options, **LATER).eval()
    given = torch.randn(4, 11, 5), torch.tensor([11, 0, 7, 3]), torch.rand(4, 11) < 0.2
    return layer, given, bits(layer, *given).detach()


def same(layer, given, expected):
    return torch.equal(bits(layer, *given), expected)


@pytest.mark.parametrize("calls", [40, pytest.param(CALLS, marks=pytest.mark.long)])
def test_eight_callers_at_once_get_the_same_bits(calls):
    torch.manual_seed(0)
    works = [work(kind, options) for kind, options in ALL]
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # each caller is a thread of its own
    try:
        with ThreadPoolExecutor(CALLERS) as pool:
            found = pool.map(lambda i: same(*works[i % len(works)]), range(calls), chunksize=64)
            assert all(found)
    finally:
        torch.set_num_threads(before)


# In a process of its own: what tests before it have taken from the system is not counted.
GROWTH = """
import sys, time
from statistics import median
from tests.test_soak import one, resident
warm, minutes = int(sys.argv[1]), float(sys.argv[2])
for number in range(warm):
    one(number)
end, seen, calls = time.monotonic() + 60 * minutes, [], warm
while time.monotonic() < end:
    one(calls)
    calls += 1
    if calls % 20 == 0:
        seen.append(resident())
quarter = max(1, len(seen) // 4)
print(calls, *(int(median(part)) >> 20 for part in (seen[:quarter], seen[-quarter:])))
"""


def resident():
    """Bytes that the process holds in memory."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def one(number):
    """Train a random layer on a random shape, once."""
    dice.seed(number)
    torch.manual_seed(number)
    kind, options = dice.choice(ALL)
    layer = getattr(ost, kind)(
        dice.randint(1, 70), dice.randint(6, 130), dice.randint(1, 2), bidirectional=dice.random() < 0.5, **options,
        **(LATER if dice.random() < 0.5 else {}),
    )  # fmt: skip
    batch, steps = dice.randint(1, 40), dice.randint(1, 90)
    lengths = torch.randint(0, steps + 1, (batch,)) if dice.random() < 0.5 else None
    resets = torch.rand(batch, steps) < 0.1 if dice.random() < 0.5 else None
    found = bits(layer, torch.randn(batch, steps, layer.input_size), lengths, resets)
    assert torch.isfinite(found).all(), (number, layer)


@pytest.mark.long
def test_five_minutes_of_random_shapes_take_no_more_memory_at_their_end():
    """After some thousand calls, when all sizes were asked for; what the allocators hold goes up and down by 20 MB."""
    root = Path(__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", GROWTH, "4000", "5"], capture_output=True, text=True, cwd=root)
    assert run.returncode == 0, run.stderr
    calls, before, after = map(int, run.stdout.split())
    assert calls > 4400
    assert after <= before + 16, f"{before} MB in the first quarter, {after} MB in the last, {calls} calls"


def test_random_shapes_are_finite():
    for number in range(10_000_000, 10_000_020):
        one(number)
