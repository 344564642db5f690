"""Direct and segment by segment: shapes, padding, rows that know nothing of each other, gradients."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from tests.models.small import SEGMENT, alone, batch_of, direct, loud, padded, segments, some, without_gradient
from torch import Tensor, nn

from ostinato.models.forecasters import START, Told, by_segment

CELLS = [*product(["gru", "lstm", "rnn"], [1, 2], [False, True])]  # cell, layers, bidirectional
MODELS = [*product([direct, segments], CELLS), (direct, ("feed_forward",)), (direct, ("tcn", 2))]
every_model = pytest.mark.parametrize(
    ("make", "case"), MODELS, ids=["-".join(map(str, (make.__name__, *case))) for make, case in MODELS]
)

Make = Callable[..., nn.Module]


def answered(told: Told) -> Tensor:
    """Raw numbers and base of each row side by side."""
    return torch.cat([told.raw.flatten(1), told.base.flatten(1)], 1)


def cost(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    told = model(batch)
    target, mask = told.like_base(batch["target"]), told.like_base(batch["mask"])
    total, count = model.head.loss(told.raw, target - told.base, mask)
    assert count == batch["mask"].sum()  # what lies beyond the horizon does not count
    return total


@every_model
@pytest.mark.parametrize("horizon", [1, 4, 7])
def test_shapes(make: Make, case: tuple, horizon: int) -> None:
    told = make(*case, horizon=horizon)(batch_of(horizon=horizon))
    stretches = -(-horizon // SEGMENT)
    assert told.base.shape == ((5, horizon) if make is direct else (5, stretches, SEGMENT))
    assert told.raw.shape == ((5, horizon * 7) if make is direct else (5, stretches, SEGMENT * 7))


@every_model
def test_rows_do_not_influence_each_other(make: Make, case: tuple) -> None:
    model, batch = loud(make(*case)), batch_of()
    whole = answered(model(batch))
    torch.testing.assert_close(answered(model(some(batch, [3, 1]))), whole[[3, 1]], rtol=1e-4, atol=1e-5)
    other = {name: part.clone() for name, part in batch.items()}
    for part in other.values():
        part[2] = 0
    changed = (answered(model(other)) != whole).any(1)
    assert changed.tolist() == [False, False, True, False, False]


@every_model
def test_padding_is_not_seen(make: Make, case: tuple) -> None:
    model, batch = loud(make(*case)), batch_of(lengths=[3, 1, 2, 3, 1])
    found = answered(model(padded(batch, SEGMENT)))
    assert found.isfinite().all()
    for row in range(5):
        own = alone(batch, row, SEGMENT)
        torch.testing.assert_close(found[row], answered(model(own))[0], rtol=1e-4, atol=1e-5)


@every_model
def test_gradients_reach_every_parameter(make: Make, case: tuple) -> None:
    model = loud(make(*case))
    assert without_gradient(model, cost(model, batch_of(rows=40))) == []


@every_model
@pytest.mark.parametrize("name", ["x", "clock", "ahead", "still", "ways"])
def test_every_input_is_heard(make: Make, case: tuple, name: str) -> None:
    model, batch = loud(make(*case)), batch_of()
    other = {**batch, name: batch[name] + 1}
    assert (answered(model(other)) != answered(model(batch))).any(1).all()


@pytest.mark.parametrize("make", [direct, segments])
def test_targets_are_not_heard(make: Make) -> None:
    model, batch = loud(make()), batch_of()
    other = {**batch, "target": batch["target"] + 1, "mask": ~batch["mask"]}
    assert torch.equal(answered(model(other)), answered(model(batch)))


@pytest.mark.parametrize("make", [direct, segments])
def test_without_covariates_ahead(make: Make) -> None:
    batch = batch_of()
    assert answered(make(ahead=0)({**batch, "ahead": batch["ahead"][..., :0]})).isfinite().all()


def test_each_segment_ahead_hears_its_own_covariates_alone() -> None:
    model, batch = loud(segments()), batch_of()
    other = {**batch, "ahead": batch["ahead"].clone()}
    other["ahead"][:, SEGMENT] += 1  # the first step of the second segment
    changed = (model(other).raw != model(batch).raw).flatten(2).any(2)
    assert changed.tolist() == [[False, True]] * 5


@every_model
def test_the_first_answers_are_near_the_base(make: Make, case: tuple) -> None:
    torch.manual_seed(0)
    model, batch = make(*case).eval(), batch_of()
    first = (model(batch).raw - model.head.project.bias).detach()
    with torch.no_grad():
        model.head.project.weight.div_(START)
    torch.testing.assert_close(first, START * (model(batch).raw - model.head.project.bias), rtol=1e-4, atol=1e-5)
    weights = model.mixture.weigh.bias.softmax(0)
    expected = model(batch).like_base(batch["ways"] @ weights)
    torch.testing.assert_close(model(batch).base, expected)  # one set of weights, whatever was read


def test_segments_stand_side_by_side_with_the_clock_of_their_first_step() -> None:
    batch = batch_of()
    x = by_segment(batch, SEGMENT)
    assert x.shape == (5, 3, SEGMENT * 5 + 2)
    for k in range(3):
        steps = batch["x"][:, k * SEGMENT : (k + 1) * SEGMENT]
        assert torch.equal(x[:, k], torch.cat([steps.flatten(1), batch["clock"][:, k * SEGMENT]], 1))


def test_like_base_puts_nothing_beyond_the_horizon() -> None:
    told = Told(torch.zeros(2, 2, 12), torch.zeros(2, 2, 3))
    assert told.like_base(torch.ones(2, 5)).tolist() == [[[1, 1, 1], [1, 1, 0]]] * 2
    assert told.like_base(torch.ones(2, 5, dtype=torch.bool)).dtype == torch.bool
    flat = Told(torch.zeros(2, 5), torch.zeros(2, 5))
    assert flat.like_base(torch.ones(2, 5)).shape == (2, 5)
