"""The values as a few states, and how often one follows another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ostinato.baselines.baseline import Array, Baseline, bridged

LEAST, MOST = 5, 20  # states, where there are as many different values
LEARNT = 2 / 3  # of the history, when plain and differenced values are compared on the rest


class MarkovChain(Baseline):
    """ẑ[T + h] = p[0] P^h v: where the chain is h steps after its last state, by each state's mean value.

        s[t] = the quantile bin of z[t];    v[j] = mean of z in bin j;    p[0] = 1 at s[T], else 0
        P[i, j] = (transitions from i to j + 1/k) / (transitions from i + 1)

    with about sqrt(T) states, 5 to 20, and k of them. z is the series itself, or its difference to a
    season ago (a step ago where there is no season), to which ẑ is then added: whichever makes the lesser
    one-step squared error on the last third when learnt on what comes before; `notes` says which. A gap
    breaks a transition.

    Source: Norris (1997), Markov Chains, 1.1; the smoothing is that of Perks (1947).

    >>> MarkovChain().fit([0.0, 1.0] * 50).predict(3).round(1)
    array([0., 1., 0.])
    """

    name: ClassVar[str] = "markov_chain"

    def forecast(self, x: Array, horizon: int) -> Array:
        """The chain of the better kind of values, from its last state on."""
        lag = self.season if differences_are_better(x, self.season) else 0
        kind = f"differences over {lag} steps" if lag > 1 else "steps" if lag else "values"
        self.say(f"a chain of {kind}; the other kind had no lesser one-step error on the history")
        z = differenced(x, lag)
        seen = int(np.flatnonzero(~np.isnan(z))[-1])  # steps of z from here to the history's end are missing
        ahead = Chain.learn(z).ahead(z[seen], len(z) - 1 - seen + horizon)
        if not lag:
            return ahead[len(ahead) - horizon :]
        path = bridged(x, self.season)[: lag + seen + 1].tolist()
        for step in ahead:
            path.append(path[-lag] + step)
        return np.array(path[len(x) :])


@dataclass(frozen=True)
class Chain:
    """States by value, and what follows what.

    Attributes:
        starts: (k - 1,) the least value of each state but the first.
        means: (k,) v, the mean value of each state.
        moves: (k, k) P, the chances to come from row to column.
    """

    starts: Array
    means: Array
    moves: Array

    @classmethod
    def learn(cls, z: Array) -> Chain:
        """From values (time,) with gaps, one of them observed."""
        known = np.sort(z[~np.isnan(z)])
        count = min(max(round(len(known) ** 0.5), LEAST), MOST)
        # By rank and not by value, so that the scale does not matter and equal values share a state.
        bins = np.searchsorted(known, known) * count // len(known)
        first = np.flatnonzero(np.diff(bins, prepend=-1))
        starts = known[first[1:]]
        sizes = np.diff(first, append=len(known))
        return cls(starts, np.add.reduceat(known, first) / sizes, _moves(z, starts))

    def states(self, z: Array) -> NDArray[np.intp]:
        """The state of each value."""
        return np.searchsorted(self.starts, z, side="right")

    def ahead(self, value: float, steps: int) -> Array:
        """The expected values 1 to `steps` steps after `value`, (steps,)."""
        chances = np.zeros(len(self.means))
        chances[self.states(np.array([value]))] = 1
        found = []
        for _ in range(steps):
            chances = chances @ self.moves
            found.append(float(chances @ self.means))
        return np.array(found)

    def error(self, z: Array, first: int) -> float:
        """Mean (z[t] - ẑ[t])² one step ahead, over t from `first` on; NaN where no two values stand together.

        Squares, for ẑ is a mean: by absolute errors the wrong chain may look better than the true one.
        """
        before, after = z[first - 1 : -1], z[first:]
        both = ~np.isnan(before) & ~np.isnan(after)
        if not both.any():
            return float("nan")
        expected = (self.moves @ self.means)[self.states(before[both])]
        return float(np.square(after[both] - expected).mean())


def _moves(z: Array, starts: Array) -> Array:
    """P, each row smoothed by 1/k a state; a state that was never left goes to each alike."""
    k = len(starts) + 1
    both = ~np.isnan(z[:-1]) & ~np.isnan(z[1:])
    state = np.searchsorted(starts, z, side="right")
    counts = np.full((k, k), 1 / k)
    np.add.at(counts, (state[:-1][both], state[1:][both]), 1)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def differenced(x: Array, lag: int) -> Array:
    """x[t] - x[t - lag], (time - lag,); x itself at lag 0."""
    return x[lag:] - x[:-lag] if lag else x


def differences_are_better(x: Array, season: int) -> bool:
    """Whether the chain of differences makes the lesser one-step error on the last third of the history."""
    first = max(int(len(x) * LEARNT), season + 2)
    errors = []
    for lag in (0, season):
        z, begin = differenced(x, lag), first - lag
        if np.isnan(z[:begin]).all() or begin >= len(z):
            return False
        errors.append(Chain.learn(z[:begin]).error(z, begin))
    return errors[1] < errors[0]  # false where one cannot be told
