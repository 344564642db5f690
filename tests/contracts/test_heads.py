"""What every registered head promises: it gets these tests by being registered."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from torch import Tensor

from ostinato import heads
from ostinato.heads import Head

FEATURES, OUTPUTS = 6, 3
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "point": [{"loss": "absolute"}, {"loss": "huber", "delta": 0.5}],
    "softmax": [{"weights": [0.5, 1.0, 3.0], "smoothing": 0.1}],
    "gaussian": [{"floor": 0.1}],
    "negative_binomial": [{"unit": 20.0}],
    "adaptive_softmax": [{"cutoffs": [1, 2]}],
    "quantile": [{"levels": [0.3]}, {"levels": [0.6, 0.7, 0.95]}],
}
CASES = [(name, options) for name in heads.names() for options in [{}, *VARIANTS.get(name, [])]]
every_head = pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}-{o}" if o else n for n, o in CASES])


def over_time(name: str) -> bool:
    """Whether a row alone is a sequence: then steps are no rows, and a mask takes them out of it."""
    return heads.get(name).over_time


def has(name: str, method: str) -> bool:
    return getattr(heads.get(name), method) is not getattr(Head, method)


def laws(*methods: str) -> pytest.MarkDecorator:
    able = [case for case in CASES if all(has(case[0], method) for method in methods)]
    return pytest.mark.parametrize(("name", "options"), able, ids=[f"{n}-{o}" if o else n for n, o in able])


def make(name: str, options: dict[str, Any], *shape: int, dtype: torch.dtype = torch.float64, spread: float = 2.0):
    """A head, a raw of that leading shape and a target in its support, distinct numbers throughout."""
    torch.manual_seed(0)
    head = heads.build(name, FEATURES, OUTPUTS, **options).to(dtype)
    raw = (spread * torch.randn(*shape, OUTPUTS * head.width)).to(dtype)
    raw = raw[..., :OUTPUTS] if name in ("softmax", "crf") else raw
    raw = head((spread * torch.randn(*shape, FEATURES)).to(dtype)) if name == "adaptive_softmax" else raw
    target = head.sample(raw) if has(name, "sample") else torch.randn(*shape, OUTPUTS).to(dtype)
    return head, raw, target


def gradient(head: Head, raw: Tensor, target: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    raw = raw.clone().requires_grad_()
    total, _ = head.loss(raw, target, mask)
    return total.detach(), torch.autograd.grad(total, raw)[0]


@every_head
def test_shapes(name: str, options: dict[str, Any]) -> None:
    head, raw, target = make(name, options, 4, 5, dtype=torch.float32)
    assert head(torch.randn(4, 5, FEATURES)).shape == raw.shape
    assert head.predict(raw).shape == target.shape
    total, count = head.loss(raw, target)
    assert total.shape == count.shape == ()
    assert torch.isfinite(total)
    alone = (0,) if over_time(name) else (0, 0)
    assert head.loss(raw[alone], target[alone])[0].shape == ()  # one row alone
    if has(name, "quantiles") and (levels := options.get("levels", [0.1, 0.5])):
        assert head.quantiles(raw, levels).shape == (4, 5, OUTPUTS, len(levels))
        assert head.quantiles(raw, torch.tensor(levels)).shape == (4, 5, OUTPUTS, len(levels))


@every_head
def test_an_empty_batch_costs_nothing(name: str, options: dict[str, Any]) -> None:
    head, raw, target = make(name, options, 2)
    total, count = head.loss(raw[:0], target[:0])
    assert (float(total), float(count)) == (0.0, 0.0)


@every_head
def test_gradient_by_finite_differences(name: str, options: dict[str, Any]) -> None:
    head, raw, target = make(name, options, 2, 2)
    mask = torch.tensor([[True, True], [False, True]])
    assert torch.autograd.gradcheck(lambda r: head.loss(r, target, mask)[0], raw.requires_grad_())
    features = torch.randn(2, 2, FEATURES, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: head.loss(head(f), target)[0], features)


@every_head
def test_gradient_of_each_sample(name: str, options: dict[str, Any]) -> None:
    head, raw, target = make(name, options, *((4, 5) if over_time(name) else (4,)))
    each = torch.func.vmap(torch.func.grad(lambda r, t: head.loss(r, t)[0]))(raw, target)
    torch.testing.assert_close(each, gradient(head, raw, target)[1])


@every_head
def test_a_mask_is_a_subset(name: str, options: dict[str, Any]) -> None:
    head, raw, target = make(name, options, 4, 5)
    mask = torch.rand(4, 5) < 0.6
    parts = [(row, mask[row]) for row in range(4)] if over_time(name) else [(slice(None), mask)]
    alone = [head.loss(raw[row][kept], target[row][kept]) for row, kept in parts]
    for masked, subset in zip(head.loss(raw, target, mask), map(sum, zip(*alone, strict=True)), strict=True):
        torch.testing.assert_close(masked, subset)
    if over_time(name):  # what is left of a sequence is another sequence
        return
    cells = torch.rand(target.shape) < 0.6
    total, count = head.loss(raw, target, cells)
    other = head.loss(raw, target, ~cells)
    whole = head.loss(raw, target)
    torch.testing.assert_close((total + other[0], count + other[1]), whole)


@every_head
def test_nothing_masked_out_reaches_value_or_gradient(name: str, options: dict[str, Any]) -> None:
    head, raw, target = make(name, options, 4, 5)
    mask = torch.rand(4, 5) < 0.6
    total, slope = gradient(head, raw, target, mask)
    for poison in (torch.nan, torch.inf, -1e30):
        dirty, dirty_raw = target.double(), raw.clone()
        dirty[~mask], dirty_raw[~mask] = poison, poison
        dirty_total, dirty_slope = gradient(head, dirty_raw, dirty, mask)
        torch.testing.assert_close(dirty_total, total)
        torch.testing.assert_close(dirty_slope, slope)
        assert (dirty_slope[~mask] == 0).all()
    total, slope = gradient(head, raw, target, torch.zeros_like(mask))
    assert total == 0
    assert (slope == 0).all()


@every_head
def test_a_target_outside_the_support_is_loud(name: str, options: dict[str, Any]) -> None:
    head, raw, target = make(name, options, 2, 2)
    head.check(target)
    target = target.double()
    target[1, 0] = torch.nan
    assert head.loss(raw, target)[0].isnan()
    with pytest.raises(ValueError, match=rf"{name} head: target\[1, 0.*\] is nan, not "):
        head.check(target)
    head.check(target, torch.tensor([[True, True], [False, True]]))


@every_head
def test_sum_and_count_add_up_over_batches(name: str, options: dict[str, Any]) -> None:
    head, raw, target = make(name, options, 7, 3)
    pieces = [head.loss(r, t) for r, t in zip(raw.split([1, 4, 2]), target.split([1, 4, 2]), strict=True)]
    whole = head.loss(raw, target)
    for part in (0, 1):
        torch.testing.assert_close(sum(piece[part] for piece in pieces), whole[part])


@every_head
def test_shape_errors_are_said(name: str, options: dict[str, Any]) -> None:
    head, raw, target = make(name, options, 4, 5)
    with pytest.raises(ValueError, match=f"{name} head: raw asks for a target of shape"):
        head.loss(raw, target[:1])
    with pytest.raises(ValueError, match=f"{name} head: mask must have shape"):
        head.loss(raw, target, torch.ones(3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"mask must be bool, found torch.float32: pass mask.bool\(\)"):
        head.loss(raw, target, torch.ones(4, 5))


@every_head
def test_options_and_weights_round_trip(name: str, options: dict[str, Any]) -> None:
    head, _, _ = make(name, options, 1)
    said = json.loads(json.dumps(head.options()))
    assert said == head.options()
    assert options.items() <= said.items()
    twin = heads.build(name, FEATURES, OUTPUTS, **said).double()
    twin.load_state_dict(head.state_dict())
    features = torch.randn(4, FEATURES, dtype=torch.float64)
    assert torch.equal(twin(features), head(features))
    assert torch.equal(twin.predict(twin(features)), head.predict(head(features)))
    target = make(name, options, 4)[2]
    assert torch.equal(twin.loss(twin(features), target)[0], head.loss(head(features), target)[0])


@every_head
@pytest.mark.parametrize("size", [1e4, -1e4, 40.0, -40.0, 0.0])
def test_extreme_inputs_stay_finite(name: str, options: dict[str, Any], size: float) -> None:
    head, raw, _ = make(name, options, 4, dtype=torch.float32)
    extremes = torch.tensor([0.0, 1.0, -1e9, 1e9, 2.0])
    for signs in (torch.ones_like(raw), raw.sign(), -raw.sign()):
        for value in extremes[head.supports(extremes)]:
            target = torch.full_like(head.predict(raw), value.item())
            total, slope = gradient(head, size * signs, target)
            assert total.isfinite()
            assert slope.isfinite().all()
        if has(name, "quantiles"):
            levels = options.get("levels", [0.025, 0.975])
            assert head.quantiles(size * signs, levels).isfinite().all()


@every_head
def test_half_precision_is_summed_in_single(name: str, options: dict[str, Any]) -> None:
    head, raw, target = make(name, options, 40, dtype=torch.float32)
    half = raw.bfloat16()
    total, count = head.loss(half, target)
    assert total.dtype == count.dtype == torch.float32
    torch.testing.assert_close(total, head.loss(half.float(), target)[0])


@laws("quantiles")
def test_quantiles_rise_and_their_levels_are_checked(name: str, options: dict[str, Any]) -> None:
    head, raw, _ = make(name, options, 50, spread=5.0, dtype=torch.float32)
    levels = np.linspace(*np.array(options.get("levels", [0.025, 0.975]))[[0, -1]], 21).tolist()
    assert (head.quantiles(raw, levels).diff(dim=-1) >= 0).all()
    for wrong in (0.0, 1.0, -0.1, 95.0):
        with pytest.raises(ValueError, match="levels lie between 0 and 1"):
            head.quantiles(raw, [wrong])


@laws("quantiles", "sample")
def test_samples_follow_the_quantiles_and_the_mean(name: str, options: dict[str, Any]) -> None:
    head, raw, _ = make(name, options, 2)
    n, levels = 20_000, torch.tensor([0.05, 0.25, 0.5, 0.8, 0.95])
    draws = head.sample(raw.expand(n, *raw.shape), torch.Generator().manual_seed(1))
    quantiles = head.quantiles(raw, levels)
    slack = 5 * (levels * (1 - levels) / n).sqrt()
    assert ((draws[..., None] <= quantiles).double().mean(0) >= levels - slack).all()
    assert ((draws[..., None] < quantiles).double().mean(0) <= levels + slack).all()
    error = draws.mean(0) - head.predict(raw)
    assert (error.abs() <= 5 * draws.std(0) / n**0.5).all()


@laws("sample")
def test_samples_come_from_the_generator(name: str, options: dict[str, Any]) -> None:
    head, raw, _ = make(name, options, 200)
    first, again, other = (head.sample(raw, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert head.supports(first).all()


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def student_t(raw: np.ndarray, y: np.ndarray, floor: float = 1e-4) -> np.ndarray:
    return -scipy.stats.t.logpdf(y, 2 + softplus(raw[..., 2]), raw[..., 0], softplus(raw[..., 1]) + floor)


def gaussian(raw: np.ndarray, y: np.ndarray, floor: float = 1e-4) -> np.ndarray:
    return -scipy.stats.norm.logpdf(y, raw[..., 0], softplus(raw[..., 1]) + floor)


def negative_binomial(raw: np.ndarray, y: np.ndarray, unit: float = 1.0) -> np.ndarray:
    mean, a = unit * (softplus(raw[..., 0]) + 1e-6), softplus(raw[..., 1]) + 1e-4
    return -scipy.stats.nbinom.logpmf(y, 1 / a, 1 / (1 + a * mean))


def bernoulli(raw: np.ndarray, y: np.ndarray) -> np.ndarray:
    return -scipy.stats.bernoulli.logpmf(y, scipy.special.expit(raw[..., 0]))


def softmax(raw: np.ndarray, y: np.ndarray, weights: Any = (1, 1, 1), smoothing: float = 0.0) -> np.ndarray:
    weighted = -np.array(weights) * scipy.special.log_softmax(raw[..., 0], axis=-1)
    return (1 - smoothing) * np.take_along_axis(weighted, y[..., None], -1)[..., 0] + smoothing * weighted.mean(-1)


def point(raw: np.ndarray, y: np.ndarray, loss: str = "squared", delta: float = 1.0) -> np.ndarray:
    e = raw[..., 0] - y
    return {"squared": e**2, "absolute": abs(e), "huber": scipy.special.huber(delta, e)}[loss]


def quantile(raw: np.ndarray, y: np.ndarray, levels: Any = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)) -> np.ndarray:
    start = int(np.argmin(abs(np.array(levels) - 0.5)))
    costs = []
    for k, level in enumerate(levels):
        gap = softplus(raw[..., 1 + min(k, start) : 1 + max(k, start)]).sum(-1)
        e = y - (raw[..., 0] + (gap if k > start else -gap))
        costs.append(np.where(e > 0, level * e, (level - 1) * e))
    return np.mean(costs, axis=0) + costs[start]


ORACLES = [student_t, gaussian, negative_binomial, bernoulli, softmax, point, quantile]


@pytest.mark.parametrize(
    ("oracle", "options"),
    [(oracle, options) for oracle in ORACLES for options in [{}, *VARIANTS.get(oracle.__name__, [])]],
    ids=str,
)
def test_loss_equals_the_oracle(oracle: Any, options: dict[str, Any]) -> None:
    head, raw, target = make(oracle.__name__, options, 4, 5)
    parts = raw.reshape(4, 5, OUTPUTS, head.width).numpy()
    expected = oracle(parts, target.numpy(), **options)
    mask = torch.zeros_like(target, dtype=torch.bool)
    for place in np.ndindex(expected.shape):
        mask[place] = True
        assert head.loss(raw, target, mask)[0].item() == pytest.approx(expected[place], rel=1e-6, abs=1e-7)
        mask[place] = False
