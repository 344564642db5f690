"""What one head promises and no other."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F

from ostinato import heads


def test_softmax_is_torchs_cross_entropy() -> None:
    torch.manual_seed(0)
    weights = [0.2, 1.0, 3.0, 0.7]
    head = heads.build("softmax", 5, 4, weights=weights, smoothing=0.2)
    raw, target = torch.randn(6, 7, 4), torch.randint(4, (6, 7))
    total, count = head.loss(raw, target)
    expected = F.cross_entropy(raw.transpose(1, 2), target, weight=torch.tensor(weights), label_smoothing=0.2)
    torch.testing.assert_close(total / count, expected)


def test_softmax_draws_each_class_as_often_as_it_is_likely() -> None:
    head = heads.build("softmax", 5, 4)
    raw = torch.tensor([2.0, 0.0, -1.0, 1.0])
    draws = head.sample(raw.expand(40_000, 4), torch.Generator().manual_seed(0))
    share = draws.bincount(minlength=4) / len(draws)
    torch.testing.assert_close(share, head.probabilities(raw), rtol=0, atol=0.01)


@pytest.mark.parametrize("wrong", [-100, -1, 3])
def test_softmax_ignores_no_class_silently(wrong: int) -> None:
    head, target = heads.build("softmax", 5, 3), torch.tensor([0, wrong])
    assert head.loss(torch.zeros(2, 3), target)[0].isnan()
    with pytest.raises(ValueError, match=rf"target\[1\] is {wrong}, not the number of a class"):
        head.check(target)


def test_bernoulli_takes_flags_and_probabilities() -> None:
    head, raw = heads.build("bernoulli", 5, 3), torch.tensor([[2.0, -1.0, 0.3]])
    flags = torch.tensor([[True, False, True]])
    torch.testing.assert_close(head.loss(raw, flags), head.loss(raw, flags.float()))
    grey = raw.sigmoid()
    cost = [float(head.loss(raw, (grey + shift).clamp(0, 1))[0]) for shift in (-0.01, 0.0)]
    entropy = -(grey * grey.log() + (1 - grey) * (1 - grey).log()).sum()
    assert cost[1] == pytest.approx(float(entropy))
    with pytest.raises(ValueError, match=r"target\[0, 1\] is 1.5, not between 0 and 1"):
        head.check(torch.tensor([[1.0, 1.5, 0.0]]))


@pytest.mark.parametrize("wrong", [-1.0, 2.5, torch.inf])
def test_counts_are_whole_and_not_negative(wrong: float) -> None:
    head, target = heads.build("negative_binomial", 5, 1), torch.tensor([[3.0], [wrong]])
    assert head.loss(torch.zeros(2, 2), target)[0].isnan()
    with pytest.raises(ValueError, match=rf"target\[1, 0\] is {wrong}, not a count"):
        head.check(target)


def test_large_counts_keep_their_digits_in_single_precision() -> None:
    head = heads.build("negative_binomial", 5, 1)
    raw, target = torch.tensor([[1e6, -20.0]]), torch.tensor([[1_003_001]])  # r = 1e4
    mean, dispersion = (float(part) for part in head.law(raw))
    expected = -scipy.stats.nbinom.logpmf(1_003_001, 1 / dispersion, 1 / (1 + dispersion * mean))
    assert head.loss(raw, target)[0].item() == pytest.approx(expected, rel=1e-5)


def test_the_unit_carries_the_mean_to_the_size_of_the_counts() -> None:
    raw = torch.tensor([[0.3, -1.0]])
    small, large = (heads.build("negative_binomial", 5, 1, unit=unit) for unit in (1.0, 500.0))
    torch.testing.assert_close(large.predict(raw), 500 * small.predict(raw))


def test_many_degrees_of_freedom_make_student_normal() -> None:
    student, normal = heads.build("student_t", 5, 1), heads.build("gaussian", 5, 1)
    raw, target = torch.tensor([[1.0, 2.0, 1e6]]), torch.tensor([[4.0]])
    torch.testing.assert_close(student.loss(raw, target), normal.loss(raw[:, :2], target), rtol=1e-5, atol=0)


def test_an_outlier_pulls_student_less_than_the_normal_law() -> None:
    slopes = {}
    for name, raw in (("student_t", [[0.0, 0.0, -5.0]]), ("gaussian", [[0.0, 0.0]])):
        at = torch.tensor(raw, requires_grad=True)
        heads.build(name, 5, 1).loss(at, torch.tensor([[50.0]]))[0].backward()
        slopes[name] = abs(at.grad[0, 0].item())
    assert slopes["student_t"] < 0.1 < 50 < slopes["gaussian"]


def test_quantiles_learn_those_of_the_data() -> None:
    torch.manual_seed(0)
    levels = [0.1, 0.5, 0.8]
    head = heads.build("quantile", 1, 1, levels=levels)
    data, ones = torch.distributions.Exponential(1.0).sample((4000, 1)), torch.ones(4000, 1)
    optimiser = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(200):
        optimiser.zero_grad()
        total, count = head.loss(head(ones), data)
        (total / count).backward()
        optimiser.step()
    found = head.quantiles(head(ones[:1]), levels)[0, 0].detach()
    torch.testing.assert_close(found, data[:, 0].quantile(torch.tensor(levels)), rtol=0.05, atol=0.02)


def test_quantiles_between_levels_are_straight_lines_and_beyond_them_refused() -> None:
    head = heads.build("quantile", 5, 2, levels=[0.1, 0.4, 0.9])
    raw = torch.randn(4, 6)
    own = head.quantiles(raw, [0.1, 0.4, 0.9])
    assert torch.equal(own, head.ladder(raw))
    assert torch.equal(own[..., 1], head.predict(raw))
    torch.testing.assert_close(head.quantiles(raw, [0.2])[..., 0], own[..., 0] + (own[..., 1] - own[..., 0]) / 3)
    with pytest.raises(ValueError, match=r"level 0.95 lies outside 0.1..0.9, which it was made with"):
        head.quantiles(raw, [0.5, 0.95])


def test_point_losses_lead_to_mean_and_median() -> None:
    data = torch.tensor([[0.0], [1.0], [2.0], [3.0], [94.0]])
    grid = torch.linspace(-5, 100, 2101)
    best = {}
    for loss in ("squared", "absolute", "huber"):
        head = heads.build("point", 5, 1, loss=loss)
        costs = [head.loss(value.expand(5, 1), data)[0] for value in grid]
        best[loss] = float(grid[int(np.argmin(costs))])
    assert best["squared"] == pytest.approx(20, abs=0.03)
    assert best["absolute"] == pytest.approx(2, abs=0.03)
    assert best["absolute"] <= best["huber"] < 3
