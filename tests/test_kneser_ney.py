"""Kneser-Ney: probabilities sum to 1, and are those of the equation, counted the slow way."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from ostinato.baselines.kneser_ney import KneserNey

V = 7


def text(length: int, seed: int = 0) -> list[int]:
    """A text in which tokens hang on those before them, of 6 of the 7 tokens."""
    random = np.random.default_rng(seed)
    found = [0, 1]
    while len(found) < length:
        found.append(int((found[-1] + found[-2] + random.choice([0, 0, 0, 1, 3])) % (V - 1)))
    return found


class Slow:
    """The equation of the docstring, with dicts and loops."""

    def __init__(self, order: int, tokens: Sequence[int]) -> None:
        self.order, self.counts = order, {}
        grams = {n: Counter(tuple(tokens[k : k + n]) for k in range(len(tokens) - n + 1)) for n in range(1, order + 1)}
        for n in range(1, order + 1):
            if n == order:
                self.counts[n] = grams[n]
            else:
                before = defaultdict(set)
                for gram in grams[n + 1]:
                    before[gram[1:]].add(gram[0])
                self.counts[n] = Counter({gram: len(before[gram]) for gram in grams[n]})

    def discount(self, n: int, count: int) -> float:
        if count == 0:
            return 0.0
        seen = Counter(self.counts[n].values())
        if not (seen[1] and seen[2] and seen[3]):
            return 0.5
        y, r = seen[1] / (seen[1] + 2 * seen[2]), min(count, 3)
        return float(np.clip(r - (r + 1) * y * seen[r + 1] / seen[r], 0.1, r - 0.1))

    def p(self, token: int, context: tuple[int, ...]) -> float:
        found = 1 / V
        for n in range(1, min(self.order, len(context) + 1) + 1):
            own = context[len(context) - n + 1 :] if n > 1 else ()
            after = {gram[-1]: count for gram, count in self.counts[n].items() if gram[:-1] == own}
            total = sum(after.values())
            if not total:
                continue
            count = after.get(token, 0)
            left = sum(self.discount(n, each) for each in after.values())
            found = max(count - self.discount(n, count), 0) / total + left / total * found
        return found


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [12, 60, 300])
def test_equals_the_slow_count(order: int, length: int) -> None:
    learnt, other = text(length), [*text(40, seed=1), V - 1, 2, 3]
    model, slow = KneserNey(order).fit(learnt, V), Slow(order, learnt)
    wanted = [np.log(slow.p(token, tuple(other[max(0, k - order + 1) : k]))) for k, token in enumerate(other)]
    np.testing.assert_allclose(model.log_probabilities(other), wanted, rtol=1e-10)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_probabilities_sum_to_one(order: int) -> None:
    model = KneserNey(order).fit(text(200), V)
    for context in ([], [0], [5, 2], [1, 1, 1], [V - 1], [0, V - 1, 3], text(9, seed=3)):
        p = model.probabilities(context)
        assert (p > 0).all()
        assert p.sum() == pytest.approx(1, abs=1e-12)


def test_both_ways_to_ask_agree() -> None:
    model = KneserNey(4).fit(text(150), V)
    context = [3, 1, 4]
    one_by_one = [model.log_probabilities([token], before=context)[0] for token in range(V)]
    np.testing.assert_allclose(one_by_one, np.log(model.probabilities(context)), rtol=1e-12)


def test_longer_contexts_help_where_they_say_something() -> None:
    learnt, other = text(3000), text(500, seed=9)
    nats = [-KneserNey(order).fit(learnt, V).log_probabilities(other).mean() for order in (1, 3)]
    assert nats[0] > nats[1] + 0.5  # a token hangs on the two before it


def test_a_text_shorter_than_the_order() -> None:
    model = KneserNey(5).fit([2, 1], V)
    assert model.probabilities([2]).sum() == pytest.approx(1)
    assert model.probabilities([2]).argmax() == 1


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="order must be at least 1"):
        KneserNey(0)
    with pytest.raises(ValueError, match="no tokens to learn from"):
        KneserNey().fit([], V)
    with pytest.raises(ValueError, match=r"token 1 is 7, not in 0\.\.6"):
        KneserNey().fit([0, 7], V)
    with pytest.raises(RuntimeError, match="call fit"):
        KneserNey().probabilities([0])
