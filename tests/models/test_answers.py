"""Numbers out of a forecaster: base, growth and how far a correction is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from tests.models.small import batch_of, direct, loud, segments
from torch import nn

from ostinato.models import answers

LEVELS = [0.5, 0.1, 0.9]
GROWTH = np.linspace(1, 3, 7)
both = pytest.mark.parametrize("make", [direct, segments])


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def base_of(model: nn.Module) -> np.ndarray:
    return model(batch_of()).base.flatten(1)[:, :7].double().numpy()


@both
def test_is_base_and_growth_times_the_law(make: Callable[..., nn.Module]) -> None:
    model = loud(make(head="gaussian"))
    found = answers(model, batch_of(), LEVELS, GROWTH)
    assert found.shape == (3, 5, 7)
    law = model.head.quantiles(model(batch_of()).raw, LEVELS).double().numpy()
    law = law.reshape(5, -1, 3)[:, :7]  # the last segment is cut
    np.testing.assert_allclose(found.transpose(1, 2, 0), base_of(model)[..., None] + GROWTH[:, None] * law, rtol=1e-5)


@both
@pytest.mark.parametrize("head", ["point", "gaussian", "quantile"])
def test_without_levels_it_is_the_prediction(make: Callable[..., nn.Module], head: str) -> None:
    model = loud(make(head=head))
    found = answers(model, batch_of(), [], GROWTH)
    said = model.head.predict(model(batch_of()).raw).flatten(1)[:, :7].double().numpy()
    assert found.shape == (1, 5, 7)
    np.testing.assert_allclose(found[0], base_of(model) + GROWTH * said, rtol=1e-5)


@both
@pytest.mark.parametrize("trust", [0.0, 0.3])
def test_trust_moves_the_middle_and_leaves_the_width(make: Callable[..., nn.Module], trust: float) -> None:
    model = loud(make())
    base, full = base_of(model), answers(model, batch_of(), LEVELS, GROWTH)
    found = answers(model, batch_of(), LEVELS, GROWTH, trust)
    np.testing.assert_allclose(found[0] - base, trust * (full[0] - base), atol=1e-6)
    np.testing.assert_allclose(found - found[0], full - full[0], atol=1e-6)
    np.testing.assert_allclose(answers(model, batch_of(), [], GROWTH, trust)[0], found[0], atol=1e-6)


def test_a_model_of_its_own_way_answers_for_itself() -> None:
    class Own(nn.Module):
        def answers(self, batch: dict, levels: list[float], growth: np.ndarray) -> np.ndarray:
            return np.full((len(levels), 5, 7), 3.0) * growth

    np.testing.assert_array_equal(answers(Own(), batch_of(), LEVELS, GROWTH), np.broadcast_to(3 * GROWTH, (3, 5, 7)))
