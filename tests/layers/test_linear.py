"""The dense layer: torch's numbers, and the same bits at one thread and at two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from ostinato.layers.linear import Linear


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("outputs", [1, 5, 6, 11, 16, 40])
def test_equals_torch(outputs: int, bias: bool) -> None:
    ours, theirs = Linear(7, outputs, bias=bias), torch.nn.Linear(7, outputs, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(4, 3, 7)
    torch.testing.assert_close(ours(x), theirs(x))
    for own, other in zip(
        torch.autograd.grad(ours(x).square().sum(), list(ours.parameters())),
        torch.autograd.grad(theirs(x).square().sum(), list(theirs.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(own, other)


@pytest.mark.parametrize("outputs", range(1, 20))
def test_gradients_have_the_same_bits_at_any_number_of_threads(outputs: int) -> None:
    layer, x, up = Linear(64, outputs), torch.randn(1024, 64), torch.randn(1024, outputs)

    def gradients(threads: int) -> list[torch.Tensor]:
        torch.set_num_threads(threads)
        return list(torch.autograd.grad(layer(x), list(layer.parameters()), up))

    for one, two in zip(gradients(1), gradients(2), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("outputs", [1, 17, 40])
def test_few_rows_have_the_same_bits_at_any_number_of_threads(outputs: int) -> None:
    layer = Linear(32, outputs)
    for rows in range(20):
        x, up = torch.randn(rows, 32, requires_grad=True), torch.randn(rows, outputs)

        def results(threads: int, x: torch.Tensor = x, up: torch.Tensor = up) -> list[torch.Tensor]:
            torch.set_num_threads(threads)
            y = layer(x)
            return [y, *torch.autograd.grad(y, [x, *layer.parameters()], up)]

        for one, two in zip(results(1), results(2), strict=True):
            assert torch.equal(one, two)
