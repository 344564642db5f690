"""Covariates as a network reads them: gaps bridged, scaled by what was learnt from, laid end to end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ostinato.data.panel import Panel
from ostinato.data.series import Series, carried

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]


class Scaling(BaseModel):
    """Mean and standard deviation of each covariate, over all series: past, then future, then static.

    Marks of words (0 or 1) are scaled too; a column that never changes becomes 0.

    >>> panel = Panel.of([1.0, 2.0])
    >>> Scaling.of(panel, [2]).mean
    ()
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...] = ()
    size: tuple[float, ...] = ()

    @classmethod
    def of(cls, panel: Panel, known: Sequence[int]) -> Scaling:
        """Of the parts of all series before the places `known`; static covariates are all known."""
        parts = []
        for name in ("past", "future"):
            rows = [_part(series, name)[:k] for series, k in zip(panel, known, strict=True)]
            parts.append(np.concatenate(rows))
        parts.append(np.stack([_still(series) for series in panel]))
        means = [_seen(part, np.mean) for part in parts]
        sizes = [_seen(part, np.std) for part in parts]
        return cls(mean=tuple(np.concatenate(means).tolist()), size=tuple(np.concatenate(sizes).tolist()))

    def __call__(self, values: Array, first: int) -> Array:
        """Columns of which the first is number `first` here."""
        columns = slice(first, first + values.shape[-1])
        mean, size = np.array(self.mean[columns]), np.array(self.size[columns])
        return np.clip((values - mean) / np.where(size > 0, size, np.inf), -10, 10)


def _part(series: Series, name: str) -> Array:
    values: Array | None = getattr(series, name)
    return np.empty((len(series), 0)) if values is None else values


def _still(series: Series) -> Array:
    return np.empty(0) if series.static is None else series.static


def _seen(values: Array, what: object) -> Array:
    """A function of each column's numbers, 0 where there are none."""
    found = [column[~np.isnan(column)] for column in values.T]
    return np.array([float(what(column)) if len(column) else 0.0 for column in found])  # type: ignore[operator]


def widths(panel: Panel) -> tuple[int, int, int]:
    """How many numbers the past, future and static covariates of a step are."""
    first = panel[0]
    return _part(first, "past").shape[1], _part(first, "future").shape[1], len(_still(first))


def laid(panel: Panel, horizon: int, scaling: Scaling) -> tuple[Float32, Float32, Float32]:
    """Past and future covariates end to end, each series with `horizon` steps more, and static ones (series, S).

    What is not known is carried on from the step before; of the past covariates that is all that lies ahead.
    What is missing throughout is 0, the mean.
    """
    width, more, _ = widths(panel)
    past = [_reaching(scaling(_part(s, "past"), 0), len(s), horizon) for s in panel]
    future = [_reaching(scaling(_part(s, "future"), width), len(s) + horizon, 0) for s in panel]
    static = np.nan_to_num(scaling(np.stack([_still(s) for s in panel]), width + more))
    return tuple(part.astype(np.float32) for part in (np.concatenate(past), np.concatenate(future), static))  # type: ignore[return-value]


def _reaching(values: Array, length: int, more: int) -> Array:
    """Cut or continued to `length` steps, then `more` steps that nothing is known of; gaps carried."""
    known = values[:length]
    rest = np.full((length + more - len(known), values.shape[1]), np.nan)
    return carried(np.concatenate([known, rest]))
