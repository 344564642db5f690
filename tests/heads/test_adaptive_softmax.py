"""The adaptive softmax: the law that torch's own has, computed for the targets alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ostinato.heads.adaptive_softmax import AdaptiveSoftmax, usual_cutoffs

F, K, CUTS = 12, 40, [10, 25]


def head() -> AdaptiveSoftmax:
    torch.manual_seed(0)
    return AdaptiveSoftmax(F, K, cutoffs=CUTS).double()


def oracle(ours: AdaptiveSoftmax) -> nn.AdaptiveLogSoftmaxWithLoss:
    """torch's, with groups as wide as the features, and no bias in them: so ours has none either."""
    theirs = nn.AdaptiveLogSoftmaxWithLoss(F, K, CUTS, div_value=1.0, head_bias=True).double()
    with torch.no_grad():
        ours.project.bias[CUTS[0] :] = 0
        theirs.head.weight.copy_(torch.cat([ours.project.weight[: CUTS[0]], ours.groups.weight]))
        theirs.head.bias.copy_(torch.cat([ours.project.bias[: CUTS[0]], ours.groups.bias]))
        for (first, second), low, high in zip(theirs.tail, CUTS, [*CUTS[1:], K], strict=True):
            first.weight.copy_(torch.eye(F))
            second.weight.copy_(ours.project.weight[low:high])
    return theirs


def test_equals_torchs() -> None:
    ours, h = head(), torch.randn(200, F, dtype=torch.float64)
    target = torch.randint(0, K, (200,))
    theirs = oracle(ours)
    torch.testing.assert_close(ours.log_probabilities(h), theirs.log_prob(h))
    torch.testing.assert_close(-ours.cost(h, target), theirs(h, target).output)


def test_the_cost_is_that_of_the_whole_law_with_its_gradients() -> None:
    ours = head()
    h = torch.randn(3, 50, F, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, K, (3, 50))
    wanted = [h, *ours.parameters()]
    fast, slow = ours.cost(h, target), -ours.log_probabilities(h).gather(-1, target[..., None])[..., 0]
    torch.testing.assert_close(fast, slow)
    weights = torch.rand(3, 50, dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad((weights * fast).sum(), wanted),
        torch.autograd.grad((weights * slow).sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_probabilities_sum_to_one() -> None:
    total = head().probabilities(5 * torch.randn(4, 3, F, dtype=torch.float64)).sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_draws_follow_the_law() -> None:
    ours, h = head(), torch.randn(F, dtype=torch.float64)
    drawn = ours.sample(h.expand(40_000, F), torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=K) / 40_000
    assert (shares - ours.probabilities(h)).abs().max() < 0.01


@pytest.mark.parametrize("cutoffs", [[], [0, 5], [5, 5], [9, 4], [K]])
def test_cutoffs_that_cannot_be(cutoffs: list[int]) -> None:
    with pytest.raises(ValueError, match="cutoffs must rise from 1 to 39"):
        AdaptiveSoftmax(F, K, cutoffs=cutoffs)


def test_usual_cutoffs_ask_for_fewer_rows_than_all() -> None:
    zipf = [1_000_000 // (k + 1) for k in range(10_000)]
    cuts = usual_cutoffs(zipf)
    assert 1 <= len(cuts) <= 2
    assert cuts == sorted(set(cuts))
    assert cuts[0] > 0
    assert cuts[-1] < 10_000
    assert usual_cutoffs(zipf[:60]) == []  # a small vocabulary is best asked for whole
