"""How far networks and n-grams are each believed, so that probabilities are as often right as they say."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PRIOR = (0.7, 0.5)  # what both count before anything is known
BELIEF = 30.0  # what drawing away from it costs: a few dozen rare texts held back must not overrule it
HIGHEST = 5.0


class Trust(NamedTuple):
    """log p = network log p_network + ngrams log p_ngrams - log(their sum over classes).

    With one of them it is a temperature, 1 / network: below 1 probabilities move towards each other.

    Attributes:
        network, ngrams: 0 or more.
    """

    network: float = PRIOR[0]
    ngrams: float = PRIOR[1]

    def mixed(self, network: Array, ngrams: Array) -> Array:
        """log p, (texts, classes), of theirs."""
        raw = self.network * network + self.ngrams * ngrams
        raw = raw - raw.max(1, keepdims=True)
        return np.asarray(raw - np.log(np.exp(raw).sum(1, keepdims=True)))


def tempered(raw: Array, target: Array) -> float:
    """The least mean of -log p(target) over all temperatures, p = softmax(raw / T).

    What training stops by: a network that is too sure of itself is mended afterwards, one that is wrong is not.

    Args:
        raw: (texts, classes) scores.
        target: (texts,) numbers of classes.

    >>> raw = np.array([[9.0, 0.0], [9.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    >>> round(tempered(raw, np.array([0, 0, 1, 1])), 3)  # right in three of four
    0.562
    """
    from scipy.optimize import minimize_scalar

    rows, none = np.arange(len(target)), np.zeros_like(raw)

    def cost(log_scale: float) -> float:
        return -float(Trust(np.exp(log_scale), 0.0).mixed(raw, none)[rows, target].mean())

    found = minimize_scalar(cost, bounds=(-3, 1), method="bounded", options={"xatol": 1e-3})
    return float(found.fun)


def trusted(network: Array, ngrams: Array, target: Array) -> Trust:
    """The trust that makes -sum of log p(target) least on texts that neither has learnt from, a little drawn to PRIOR.

    The cost is convex in both, so that there is one answer.

    Args:
        network, ngrams: (texts, classes) log-probabilities.
        target: (texts,) numbers of classes.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks; two experts: Hinton (2002), 1.

    >>> sure = np.log([[0.99, 0.01], [0.99, 0.01], [0.01, 0.99], [0.99, 0.01]] * 50)
    >>> trust = trusted(sure, np.log(np.full((200, 2), 0.5)), np.array([0, 0, 1, 1] * 50))
    >>> bool(trust.mixed(sure[:1], sure[:1] * 0)[0, 0] < np.log(0.8))
    True
    """
    from scipy.optimize import minimize

    rows, prior = np.arange(len(target)), np.array(PRIOR)

    def cost(w: Array) -> tuple[float, Array]:
        logs = Trust(*w).mixed(network, ngrams)
        p = np.exp(logs)
        slope = [((p * each).sum(1) - each[rows, target]).sum() for each in (network, ngrams)]
        away = w - prior
        return float(-logs[rows, target].sum() + BELIEF * away @ away), np.array(slope) + 2 * BELIEF * away

    found = minimize(cost, prior, jac=True, method="L-BFGS-B", bounds=[(0.01, HIGHEST), (0, HIGHEST)])
    return Trust(*(float(w) for w in found.x))
