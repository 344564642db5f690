"""The mixture: a weighed mean of naive forecasts, one set of weights a stretch of steps."""

from __future__ import annotations

import pytest
import torch

from ostinato.models import Mixture


def test_weights_are_those_of_a_softmax() -> None:
    mixture = Mixture(4, 3)
    torch.nn.init.normal_(mixture.weigh.weight)
    v, ways = torch.randn(2, 5, 4), torch.randn(2, 5, 6, 3)
    found = mixture(v, ways)
    scores = (v @ mixture.weigh.weight.T + mixture.weigh.bias).exp()
    for row in range(2):
        for stretch in range(5):
            weights = scores[row, stretch] / scores[row, stretch].sum()
            torch.testing.assert_close(found[row, stretch], ways[row, stretch] @ weights)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_never_leaves_what_the_ways_span(count: int) -> None:
    mixture = Mixture(4, count)
    for weight in mixture.parameters():
        torch.nn.init.normal_(weight, std=3)
    ways = torch.randn(50, 6, count)
    found = mixture(torch.randn(50, 4), ways)
    assert (found >= ways.amin(-1) - 1e-5).all()
    assert (found <= ways.amax(-1) + 1e-5).all()


def test_at_the_start_the_first_way_weighs_most_whatever_was_read() -> None:
    mixture = Mixture(4, 5)
    only = torch.eye(5).view(5, 1, 1, 5)  # each way 1 in turn, the others 0
    shares = torch.cat([mixture(torch.randn(1, 4), way)[0] for way in only]).detach()
    torch.testing.assert_close(shares.sum(), torch.tensor(1.0))
    assert (shares[0] > 2 * shares[1:]).all()
    torch.testing.assert_close(shares[1:], shares[1:2].expand(4))


def test_one_way_is_that_way() -> None:
    ways = torch.randn(3, 7, 1)
    assert torch.equal(Mixture(4, 1)(torch.randn(3, 4), ways), ways[..., 0])


def test_only_the_ways_of_its_view_are_weighed() -> None:
    mixture, ways = Mixture(4, (3, 1)), torch.randn(5, 6, 4)
    expected = ways[..., [3, 1]] @ torch.tensor([1.0, 0.0]).softmax(0)
    torch.testing.assert_close(mixture(torch.zeros(5, 4), ways), expected)
    assert torch.equal(Mixture(4, (2,))(torch.zeros(5, 4), ways), ways[..., 2])
