"""What a classical baseline is: a forecast of one series from its own past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.registry import Registry

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[np.float64]

_REGISTRY: Registry[Baseline] = Registry("baseline")


def names() -> list[str]:
    """The registered baselines, as metrics.json names them.

    >>> {"naive", "seasonal_naive", "drift"} <= set(names())
    True
    """
    return sorted(_REGISTRY)


def get(name: str) -> type[Baseline]:
    """The baseline of that name.

    Raises:
        ValueError: no such baseline; the nearest name is given.

    >>> get("drif")
    Traceback (most recent call last):
        ...
    ValueError: baseline 'drif' is not registered; did you mean 'drift'?
    """
    return _REGISTRY.find(name)


class Baseline:
    """A forecast of one series from its own past: `fit(history)`, then `predict(horizon)`.

    A subclass writes `forecast` for one column and is registered under `name` when it is made.
    NaN in the history is a step that was not observed; a table is forecast column by column.

    Attributes:
        notes: what was done to the data or the method, each a sentence for the report; what only a
            forecast can tell is there after `predict`.

    >>> class Zero(Baseline):
    ...     '''ŷ = 0.'''
    ...
    ...     name = "doc-zero"
    ...
    ...     def forecast(self, x, horizon):
    ...         return np.zeros(horizon)
    >>> get("doc-zero")().fit([[1.0, 2.0], [3.0, 4.0]]).predict(3).shape
    (3, 2)
    """

    name: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _REGISTRY.add(cls)

    @staticmethod
    def cost(time: int, season: int) -> float:
        """Roughly how many seconds one core takes to forecast a history of `time` steps; 0 where none need be counted.

        It is a function of the sizes alone, so that what is left out for want of time is the same in every run.
        """
        return 0.0

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ()
        self.season = 1
        self._history: Array | None = None

    def fit(self, history: ArrayLike, season: int = 1) -> Self:
        """Keep what the forecast needs.

        Args:
            history: (time,) or (time, features), oldest first.
            season: steps in one season; 1 where there is none.

        Raises:
            ValueError: history has another shape, a column without a single observed value, or an
                infinite one; or season is not a whole number of at least 1.
        """
        x = np.array(history, dtype=np.float64)
        if x.ndim not in (1, 2):
            raise ValueError(f"{self.name}: history must be (time,) or (time, features), found shape {x.shape}")
        if not isinstance(season, int | np.integer) or season < 1:
            raise ValueError(f"{self.name}: season must be a whole number of at least 1, found {season!r}")
        if np.isinf(x).any():
            raise ValueError(f"{self.name}: history is infinite at step {int(np.argwhere(np.isinf(x))[0][0])}")
        if np.isnan(x).all(axis=0).any():
            raise ValueError(f"{self.name}: history of shape {x.shape} has a column without any observed value")
        self._history, self.season = x, int(season)
        self.notes = self.remarks(len(x))
        return self

    def predict(self, horizon: int) -> Array:
        """The next `horizon` steps, (horizon,) or (horizon, features) as the history was.

        Raises:
            RuntimeError: before fit.
            ValueError: horizon is below 0.
        """
        if self._history is None:
            raise RuntimeError(f"{self.name}: call fit(history) before predict")
        if horizon < 0:
            raise ValueError(f"{self.name}: horizon must be at least 0, found {horizon}")
        self.notes = self.remarks(len(self._history))
        if self._history.ndim == 1:
            return self.forecast(self._history, horizon)
        return np.stack([self.forecast(column, horizon) for column in self._history.T], axis=1)

    def forecast(self, x: Array, horizon: int) -> Array:
        """One column: x (time,), NaN where nothing was observed, but not everywhere -> (horizon,)."""
        raise TypeError(f"{type(self).__name__} has no forecast(x, horizon)")

    def remarks(self, time: int) -> tuple[str, ...]:
        """What the report should say after a fit on `time` steps."""
        return ()

    def say(self, sentence: str) -> None:
        """Note what a forecast did, once however many columns it did it to."""
        note = f"{self.name}: {sentence}"
        if note not in self.notes:
            self.notes = (*self.notes, note)


def last(x: Array) -> float:
    """The last observed value.

    >>> last(np.array([1.0, 2.0, np.nan]))
    2.0
    """
    return float(x[~np.isnan(x)][-1])


def bridged(x: Array, season: int = 1) -> Array:
    """x without its gaps: each lies on the line between its neighbours at the same place of the season.

    Before the first neighbour and after the last their value is taken; a place of the season that was
    never observed is bridged by the steps beside it.

    >>> bridged(np.array([1.0, 5.0, np.nan, 7.0, 3.0, np.nan]), season=2).tolist()
    [1.0, 5.0, 2.0, 7.0, 3.0, 7.0]
    """
    full = x.copy()
    for place in range(min(season, len(x)) if season > 1 else 0):
        full[place::season] = _between(x[place::season])
    return _between(full)


def _between(x: Array) -> Array:
    """Straight lines over the gaps; unchanged where nothing was observed."""
    known = np.flatnonzero(~np.isnan(x))
    return np.asarray(np.interp(np.arange(len(x)), known, x[known])) if len(known) else x
