"""The registry of heads, and what the base refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ostinato import heads
from ostinato.heads import Head

WRONG = [
    ("point", {"loss": "cubic"}, "loss must be one of squared, absolute, huber; found 'cubic'"),
    ("point", {"delta": 0}, "delta must be above 0"),
    ("gaussian", {"floor": 0.0}, "floor must be above 0"),
    ("student_t", {"floor": float("nan")}, "floor must be above 0"),
    ("negative_binomial", {"unit": -1.0}, "unit must be above 0"),
    ("softmax", {"weights": [1.0]}, "weights must be 3 numbers"),
    ("softmax", {"weights": [1.0, -1.0, 1.0]}, "of at least 0"),
    ("softmax", {"smoothing": 1.0}, "smoothing must lie in"),
    ("quantile", {"levels": []}, "one or more rising numbers"),
    ("quantile", {"levels": [0.5, 0.1]}, "rising"),
    ("quantile", {"levels": [0.5, 0.5]}, "rising"),
    ("quantile", {"levels": [5, 95]}, "levels lie between 0 and 1"),
]


def test_every_file_is_registered() -> None:
    assert {"point", "softmax", "bernoulli", "gaussian", "student_t", "negative_binomial", "quantile"} <= set(
        heads.names()
    )
    assert all(heads.get(name).name == name for name in heads.names())


@pytest.mark.parametrize(("wrong", "right"), [("Gaussian", "gaussian"), ("student", "student_t"), ("negbin", None)])
def test_an_unknown_name_is_answered_with_the_nearest(wrong: str, right: str | None) -> None:
    answer = f"did you mean '{right}'" if right else "known: .*bernoulli.*gaussian"
    with pytest.raises(ValueError, match=f"head '{wrong}' is not registered; {answer}"):
        heads.get(wrong)


def test_an_unknown_option_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="head 'gaussian' has no option 'flor'; did you mean 'floor'"):
        heads.build("gaussian", 4, 1, flor=0.1)
    with pytest.raises(ValueError, match="head 'bernoulli' has no option 'floor'; known: none"):
        heads.build("bernoulli", 4, 1, floor=0.1)


@pytest.mark.parametrize(("name", "options", "words"), WRONG)
def test_wrong_options_are_refused(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=f"{name} head: .*{words}"):
        heads.build(name, 4, 3, **options)


@pytest.mark.parametrize(("word", "sizes"), [("features", (0, 1)), ("outputs", (1, 0)), ("outputs", (1, 1.5))])
def test_wrong_sizes_are_refused(word: str, sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"point head: {word} must be a whole number of at least 1"):
        heads.build("point", *sizes)


def test_a_missing_axis_is_not_broadcast() -> None:
    head = heads.build("point", 4, 1)
    with pytest.raises(ValueError, match=r"shape \(8, 1\), found \(8,\); add the last axis with target.unsqueeze"):
        head.loss(torch.zeros(8, 1), torch.zeros(8))


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match=r"head 'gaussian' is registered already, by ostinato.heads.gaussian.Gaussian"):

        class Impostor(Head):
            name = "gaussian"


def test_what_a_head_cannot_do_names_those_that_can() -> None:
    raw = torch.zeros(2, 3)
    with pytest.raises(TypeError, match=r"the point head has no quantiles\(\).*gaussian.*quantile"):
        heads.build("point", 4, 3).quantiles(raw, [0.5])
    with pytest.raises(TypeError, match=r"the point head has no sample\(\).*gaussian.*student_t"):
        heads.build("point", 4, 3).sample(raw)


def test_a_head_without_its_law_says_what_to_write() -> None:
    class Bare(Head):
        pass

    head, raw = Bare(4, 3), torch.zeros(2, 3)
    with pytest.raises(TypeError, match="Bare has no cost"):
        head.loss(raw, raw)
    with pytest.raises(TypeError, match="Bare has no predict"):
        head.predict(raw)


def test_nothing_masked_out_reaches_a_parameter_of_the_law() -> None:
    class Scaled(Head):
        def __init__(self) -> None:
            super().__init__(4, 1)
            self.log_scale = torch.nn.Parameter(torch.zeros(()))

        def cost(self, raw: Tensor, target: Tensor) -> Tensor:
            return ((target - raw) / self.log_scale.exp()).square() + self.log_scale

    head, raw = Scaled(), torch.tensor([[1.0], [torch.nan]])
    head.loss(raw, torch.tensor([[3.0], [torch.nan]]), torch.tensor([True, False]))[0].backward()
    assert head.log_scale.grad == -7  # d/ds (4 e^-2s + s) at 0


@pytest.mark.parametrize("name", ["gaussian", "student_t", "negative_binomial", "bernoulli"])
def test_training_finds_the_law_that_made_the_data(name: str) -> None:
    torch.manual_seed(0)
    truth, learner = heads.build(name, 1, 2).double(), heads.build(name, 1, 2).double()
    raw = torch.tensor([[4.0, 0.5, -1.0, 2.0, 1.0, 0.0][: 2 * truth.width]], dtype=torch.float64)
    ones, target = torch.ones(4000, 1, dtype=torch.float64), truth.sample(raw.expand(4000, -1))
    optimiser = torch.optim.LBFGS(learner.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        total, count = learner.loss(learner(ones), target)
        (mean := total / count).backward()
        return mean

    optimiser.step(closure)
    found = learner(ones[:1])
    torch.testing.assert_close(learner.predict(found), truth.predict(raw), rtol=0.06, atol=0.02)
    levels = [0.1, 0.5, 0.9]
    torch.testing.assert_close(learner.quantiles(found, levels), truth.quantiles(raw, levels), rtol=0.1, atol=0.2)
    assert learner.loss(found.expand(4000, -1), target)[0] <= truth.loss(raw.expand(4000, -1), target)[0]
