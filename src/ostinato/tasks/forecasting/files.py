"""What goes in and out of a forecaster: rows of forecasts, words about it, and the histories in its model file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data import DataError, Panel, Series
from ostinato.data.coding import Coding
from ostinato.data.frequency import Frequency
from ostinato.tasks.forecasting.learnt import Forecast, Learnt
from ostinato.tasks.forecasting.plan import Plan

Tensors = dict[str, NDArray[Any]]

KINDS = ("past", "future", "static")
WORDS_AT_MOST = 50_000_000  # bytes of names in a model file


def columns(panel: Panel, plan: Plan, found: Forecast) -> dict[str, Any]:
    """Forecasts from the ends of all series, one under the other, column by column."""
    table: dict[str, Any] = {}
    if len(panel) > 1 or panel[0].id:
        table["unique_id"] = [series.id for series in panel for _ in range(plan.horizon)]
    times = [label for series in panel for label in series.labels(plan.horizon)]
    table |= {panel.time_name or "step": times, "forecast": found.point.ravel()}
    for k, level in enumerate(plan.levels[: len(found.low)]):
        table |= {f"lower_{level:g}": found.low[k].ravel(), f"upper_{level:g}": found.high[k].ravel()}
    return table


def from_first(panel: Panel) -> Panel:
    """Each series from its first observed value on: nothing is known before it."""
    firsts = [int(series.observed.argmax()) for series in panel]
    return panel.tails([len(series) - first for series, first in zip(panel, firsts, strict=True)])


def unknown_ahead(panel: Panel, horizon: int) -> tuple[Series, int, str] | None:
    """The first series, step and column of what should be known ahead and is not."""
    names = [column.name for column in panel.coding.future for _ in range(column.width)]
    for series in panel if names else ():
        rows = np.empty((0, len(names))) if series.future is None else series.future[len(series) :][:horizon]
        for step in range(horizon):
            missing = np.isnan(rows[step]) if step < len(rows) else np.ones(len(names), bool)
            if missing.any():
                return series, step, names[int(missing.argmax())]
    return None


def refuse_unknown_ahead(panel: Panel, horizon: int, source: str) -> None:
    """Covariates that are to be known ahead must be.

    Raises:
        DataError: one is not; the first step is named.
    """
    found = unknown_ahead(panel, horizon)
    if found is None:
        return
    series, step, name = found
    when = series.labels(step + 1)[-1]
    whose = f" of {series.id!r}" if series.id else ""
    todo = f"give rows for the {horizon} steps ahead, with {name!r} and without {panel.name!r}"
    raise DataError(source or panel.source or "data", f"{name!r}{whose} is not known at {when}", todo)


def corrected(learnt: Learnt) -> list[str]:
    """What the networks of each view weigh and correct, and what the view counts in the mean."""
    plan = learnt.plan
    if not plan.ways:
        return [f"a statistical outlook, believed to {learnt.trust:.2f}"]
    words = {view: ", ".join(plan.ways[k] for k in plan.views[view]) for view in dict.fromkeys(learnt.views)}
    if len(words) == 1:
        return list(words.values())
    return [f"{learnt.shares[view]:.1f} x ({ways})" for view, ways in words.items()]


def summary(learnt: Learnt, panel: Panel) -> str:
    """What was trained, in a few lines."""
    plan, steps = learnt.plan, sum(len(series) for series in panel)
    whose = f"{len(panel)} series" if len(panel) > 1 else repr(panel.name)
    first = min(panel, key=lambda s: s.start)
    last = max(panel, key=lambda s: s.end)
    span = f"{first.label(first.start)} to {last.label(last.end - 1)}"
    known = [
        f"{kind} {', '.join(c.name for c in getattr(panel.coding, kind))}"
        for kind in KINDS
        if getattr(panel.coding, kind)
    ]
    epochs = [learnt.best[view] for view in dict.fromkeys(learnt.views)]
    lines = (
        f"Forecaster of {whose}: {plan.horizon} steps ahead, {panel.frequency.words}",
        f"  learnt from {steps} steps, {span}" + (f"; covariates: {'; '.join(known)}" if known else ""),
        f"  season {plan.season}, look-back {plan.look_back}, {plan.decoding} in steps of {plan.segment}",
        f"  corrects {'; '.join(corrected(learnt))}",
        f"  {len(learnt.networks)} x {plan.cell}, {plan.num_layers} x {plan.hidden_size}, {plan.head} head: "
        f"{learnt.parameters:,} parameters, {', '.join(map(str, epochs))} epochs",
    )
    return "\n".join(lines)


# ---- the histories


def panel_to_file(panel: Panel) -> tuple[dict[str, Any], Tensors]:
    """Plain words and tensors that `panel_of_file` makes the panel of again."""
    grid = panel.frequency
    words = {
        "time_name": panel.time_name, "style": panel.style, "unit": grid.unit, "every": grid.every,
        "coding": panel.coding.model_dump(mode="json"),
    }  # fmt: skip
    names = json.dumps([[series.id, series.name] for series in panel]).encode()
    tensors: Tensors = {
        "panel.names": np.frombuffer(names, np.uint8).copy(),
        "panel.values": np.concatenate([series.values for series in panel]),
        "panel.grid": np.array([[len(s), s.start, s.frequency.phase, s.frequency.offset] for s in panel], np.int64),
    }
    for kind in KINDS:
        parts = [getattr(series, kind) for series in panel]
        if getattr(panel.coding, kind):
            tensors[f"panel.{kind}"] = np.concatenate([np.atleast_2d(part) for part in parts])
            tensors[f"panel.{kind}_lengths"] = np.array([len(np.atleast_2d(part)) for part in parts], np.int64)
    return words, tensors


def panel_of_file(words: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], plan: Plan) -> Panel:
    """The panel that a model file holds.

    Raises:
        ValueError: its parts do not fit together.
    """
    names, grid = _names(tensors["panel.names"]), tensors["panel.grid"]
    if grid.dtype != np.int64 or grid.shape != (len(names), 4) or not len(names):
        raise ValueError(f"{len(names)} series are named, their grids are {grid.shape}")
    values = _cut(tensors["panel.values"], grid[:, 0], 1)
    coding = Coding.model_validate(words["coding"])
    parts = {kind: _covariates(kind, coding, tensors, len(names), plan) for kind in KINDS}
    series = []
    for k, (id, name) in enumerate(names):
        frequency = Frequency.checked(words["unit"], words["every"], int(grid[k, 2]), int(grid[k, 3]))
        one = Series(values[k], int(grid[k, 1]), frequency, name, str(words["time_name"]), str(words["style"]), id=id)
        static = parts["static"][k]
        static = None if static is None else static[0]
        series.append(replace(one, past=parts["past"][k], future=parts["future"][k], static=static))
        if not len(series[-1]) or np.isinf(values[k]).any():
            raise ValueError(f"series {id!r} is not a row of numbers")
    panel = Panel(tuple(series), coding)
    panel[0].labels(1)  # a style that is not known, or times beyond the calendar
    return panel


def _names(data: NDArray[Any]) -> list[tuple[str, str]]:
    if data.dtype != np.uint8 or data.ndim != 1 or len(data) > WORDS_AT_MOST:
        raise ValueError("the series' names are not text")
    found = json.loads(data.tobytes().decode())
    if not isinstance(found, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(word, str) for word in pair) for pair in found
    ):
        raise ValueError("the series' names are not pairs of words")
    return [(id, name) for id, name in found]


def _cut(data: NDArray[Any], lengths: NDArray[np.int64], ndim: int) -> list[NDArray[np.float64]]:
    """One part a series."""
    if data.dtype != np.float64 or data.ndim != ndim or (lengths < 0).any() or lengths.sum() != len(data):
        raise ValueError(f"values of shape {data.shape} do not make series of {int(lengths.sum())} steps")
    return [np.array(part) for part in np.split(data, np.cumsum(lengths)[:-1])]


def _covariates(kind: str, coding: Coding, tensors: Mapping[str, NDArray[Any]], count: int, plan: Plan) -> list[Any]:
    width = sum(column.width for column in getattr(coding, kind))
    if width != plan.covariates[KINDS.index(kind)]:
        raise ValueError(f"{kind} covariates are {width} numbers, the plan has {plan.covariates}")
    if not width:
        return [None] * count
    data, lengths = tensors[f"panel.{kind}"], tensors[f"panel.{kind}_lengths"]
    if lengths.dtype != np.int64 or lengths.shape != (count,) or data.ndim != 2 or data.shape[1] != width:
        raise ValueError(f"{kind} covariates of shape {data.shape} do not fit {count} series")
    return _cut(data, lengths, 2)
