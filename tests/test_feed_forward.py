"""The feed-forward network that recurrent ones are measured beside."""

from __future__ import annotations

import pytest
import torch

from ostinato import heads
from ostinato.baselines import FeedForward


def by_hand(network: FeedForward, steps: torch.Tensor) -> torch.Tensor:
    """The network on one window, (<= window, inputs)."""
    missing = torch.zeros(network.window - len(steps), network.inputs, dtype=steps.dtype)
    return network.layers(torch.cat([missing, steps]).flatten())


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("time", [0, 1, 4, 5, 11])
def test_it_sees_the_last_window(time: int) -> None:
    network, x = FeedForward(3, window=5, hidden_size=8).double(), torch.randn(2, time, 3, dtype=torch.float64)
    for row in (0, 1):
        torch.testing.assert_close(network(x)[row], by_hand(network, x[row, -5:]))


def test_padding_changes_nothing() -> None:
    network, lengths = FeedForward(3, window=5, hidden_size=8).double(), [11, 0, 3, 7]
    x = torch.randn(4, 11, 3, dtype=torch.float64)
    for row, length in enumerate(lengths):
        x[row, length:] = torch.nan
    x.requires_grad_()
    output = network(x, lengths)
    output.sum().backward()
    for row, length in enumerate(lengths):
        torch.testing.assert_close(output[row], by_hand(network, x[row, max(length - 5, 0) : length]))
        assert (x.grad[row, length:] == 0).all()
        assert x.grad[row].isfinite().all()


@pytest.mark.parametrize("ahead", [0, 2, 4])
def test_a_window_slides_along(ahead: int) -> None:
    network = FeedForward(3, window=5, hidden_size=8, each_step=True, ahead=ahead).double()
    lengths = [9, 0, 4]
    x = torch.randn(3, 9, 3, dtype=torch.float64)
    output = network(x, lengths)
    for row, length in enumerate(lengths):
        for t in range(length):
            around = torch.zeros(5 + 9 + 5, 3, dtype=torch.float64)
            around[5 : 5 + length] = x[row, :length]
            torch.testing.assert_close(output[row, t], by_hand(network, around[t + ahead + 1 : t + ahead + 6]))
        assert (output[row, length:] == 0).all()
    torch.testing.assert_close(network(x)[0], output[0])


def test_gradient_by_finite_differences() -> None:
    network = FeedForward(2, window=3, hidden_size=4).double()
    x = torch.randn(3, 5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: network(x, [5, 1, 3]), x)


def test_depth_and_dropout() -> None:
    network = FeedForward(2, window=3, hidden_size=4, num_layers=3, dropout=0.5)
    assert [type(layer).__name__ for layer in network.layers] == [
        *("Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU")
    ]
    x = torch.randn(50, 5, 2)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"inputs": 0}, "inputs must be"),
        ({"window": 2.5}, "window must be"),
        ({"hidden_size": -1}, "hidden_size must be"),
        ({"num_layers": 0}, "num_layers must be"),
        ({"ahead": 1}, r"ahead must lie in 0..0 \(above 0 only with each_step\), found 1"),
        ({"ahead": 4, "each_step": True}, r"ahead must lie in 0..3"),
    ],
)
def test_wrong_sizes_are_named(arguments: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=f"FeedForward: {words}"):
        FeedForward(**({"inputs": 2, "window": 4} | arguments))


def test_wrong_input_is_named() -> None:
    network = FeedForward(2, window=4)
    with pytest.raises(ValueError, match=r"x must be \(batch, time, 2\), found \(3, 5, 1\)"):
        network(torch.randn(3, 5, 1))
    with pytest.raises(ValueError, match=r"lengths\[1\] is 6, outside 0..5"):
        network(torch.randn(2, 5, 2), [5, 6])


def test_with_a_head_it_learns_what_lies_in_its_window_and_nothing_older() -> None:
    x = torch.randn(256, 10, 1)
    error = {}
    for lag in (3, 9):
        encoder = FeedForward(1, window=4, hidden_size=32)
        head = heads.build("point", encoder.hidden_size, 1)
        optimiser = torch.optim.Adam([*encoder.parameters(), *head.parameters()], 0.01)
        for _ in range(150):
            optimiser.zero_grad()
            total, count = head.loss(head(encoder(x)), x[:, -lag])
            (total / count).backward()
            optimiser.step()
        fresh = torch.randn(256, 10, 1)
        error[lag] = (head.predict(head(encoder(fresh))) - fresh[:, -lag]).square().mean().item()
    assert error[3] < 0.1
    assert error[9] > 0.9
