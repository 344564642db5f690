"""What a forecast's experiment found, beside the baselines: metrics, predictions, and words about what was done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ostinato.data import Panel
from ostinato.tasks.forecasting import charts, files
from ostinato.tasks.forecasting.learnt import Forecast, Learnt
from ostinato.tasks.forecasting.measure import Held, Slow, Told, baselines, only, rolled, scores
from ostinato.tasks.outcome import Outcome, Sample

if TYPE_CHECKING:
    from ostinato.tasks.forecast import Forecaster

SHOWN = 5  # lines of the forecast that the terminal gets


@dataclass(frozen=True)
class Measured:
    """An experiment that was run.

    Attributes:
        learnt: networks that have seen nothing of what is held out.
        rivals: other networks on the same windows, by their names.
        held: what is held out.
        slow: the slow baselines, where they run already.
        curve: (share of the data, values, our mean absolute error) of the learning curve.
        began: time.monotonic() at the start.
    """

    learnt: Learnt
    rivals: Mapping[str, Learnt]
    held: Held
    slow: Slow | None
    curve: list[tuple[float, int, float]]
    began: float


def describe(task: Forecaster, found: Measured, data: str, kept: str = "", *, known: bool = False) -> Outcome:
    """The outcome of an experiment.

    Args:
        kept: what became of the model, a sentence.
        known: whether the model has learnt from what is forecast here.
    """
    learnt, held = found.learnt, found.held
    ours = rolled(learnt, held)
    others, said = baselines(held, learnt, found.rivals, task.options.baselines, found.slow)
    whole = {name: told for name, told in others.items() if not any(np.isnan(t.point).any() for t in told)}
    reference = whole.get("naive2")
    future = _future(task)
    notes = _notes(task, found, [*said, kept] if kept else said, known)
    return Outcome(
        task="forecast", data=data, metrics=scores(ours, held, reference),
        baselines={name: scores(told, held, reference) for name, told in whole.items()},
        best=_best(held, reference is not None), parameters=learnt.parameters,
        seconds=time.monotonic() - found.began, epochs=len(learnt.history) or learnt.best[0], seed=learnt.plan.seed,
        columns=_predictions(task._panel, held, ours, future), notes=tuple(notes),
        settings=_settings(learnt, held.panel), charts=tuple(charts.drawn(task._panel, found, ours, whole, future)),
        history=learnt.history, answer=_answer(task._panel, held.levels, future),  # type: ignore[arg-type]
        answer_title="What lies ahead, first lines",
        samples=[_sample(name, held, ours, told) for name, told in others.items() if name not in whole],
    )  # fmt: skip


def _best(held: Held, relative: bool) -> dict[str, str]:
    """The table's columns: scaled errors first where there are many series of different sizes."""
    names = ["owa", "mase", "smape", "mae"] if len(held.rows) > 1 else ["mae", "rmse", "smape", "mase"]
    shown = {name: "min" for name in names if name != "owa" or relative}
    return shown | ({"direction": "max"} if held.season == 1 else {})


def _future(task: Forecaster) -> Forecast | None:
    """From the newest data; None where covariates that should be known ahead are not."""
    learnt, panel = task._learnt, task._panel
    return learnt.forecast(panel) if files.unknown_ahead(panel, learnt.plan.horizon) is None else None


def _sample(name: str, held: Held, ours: list[Told], theirs: list[Told]) -> Sample:
    some, own, other = only(held, ours, theirs)
    return Sample(name, len(some.rows), len(held.rows), "series", scores(other, some), scores(own, some))


# ---- tables


def _predictions(panel: Panel, held: Held, ours: list[Told], future: Forecast | None) -> Mapping[str, list[Any]]:
    """predictions.csv: what was held out, then what lies ahead, series after series."""
    table: dict[str, list[Any]] = {name: [] for name in ("unique_id", "time", "part", "actual", "forecast")}
    table |= {f"{side}_{level:g}": [] for level in held.levels[: len(ours[0].low)] for side in ("lower", "upper")}
    told = dict(zip(held.rows, ours, strict=True))
    for k, series in enumerate(held.panel):
        if k in told:
            first = held.first[k]
            _add(table, series.id, series.labels()[first:], "held out", series.values[first:], told[k], held)
        if future is not None:
            part = Told(future.point[k], future.low[:, k], future.high[:, k])
            labels = panel[k].labels(len(part.point))
            _add(table, series.id, labels, "ahead", np.full(len(labels), np.nan), part, held)
    table = {panel.time_name or "step" if name == "time" else name: column for name, column in table.items()}
    if not any(table["unique_id"]):
        del table["unique_id"]
    return table


def _add(
    table: dict[str, list[Any]], id: str, labels: list[str], part: str, actual: Any, told: Told, held: Held
) -> None:
    n = len(labels)
    rows = {"unique_id": [id] * n, "time": labels, "part": [part] * n}
    rows |= {"actual": actual.tolist(), "forecast": told.point.tolist()}
    for level, low, high in zip(held.levels, told.low, told.high, strict=False):
        rows |= {f"lower_{level:g}": low.tolist(), f"upper_{level:g}": high.tolist()}
    for name, values in rows.items():
        table[name] += values


def _answer(panel: Panel, levels: tuple[float, ...], future: Forecast | None) -> tuple[list[str], list[list[str]]]:
    if future is None:
        return [], []
    named = [panel[0].id] if len(panel) > 1 else []
    spans = [f"{level:g} %" for level in levels[: len(future.low)]]
    rows = []
    for h, label in enumerate(panel[0].labels(future.point.shape[1])[:SHOWN]):
        low, high = future.low[:, 0, h], future.high[:, 0, h]
        ends = [f"{_short(a)} to {_short(b)}" for a, b in zip(low, high, strict=True)]
        rows.append([*named, label, _short(future.point[0, h]), *ends])
    return [*["series"] * len(named), panel.time_name or "step", "forecast", *spans], rows


def first_line(task: Forecaster) -> str:
    """The next steps in a line, for whoever waits for the baselines."""
    future = _future(task)
    if future is None:
        return "trained"
    series = task._panel[0]
    steps = zip(series.labels(min(3, future.point.shape[1])), future.point[0].tolist(), strict=False)
    said = ", ".join(f"{label} {_short(value)}" for label, value in steps)
    return f"forecast of {series.id or series.name}: {said}, ... (now the baselines)"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


# ---- words


def _notes(task: Forecaster, found: Measured, said: list[str], known: bool) -> Iterator[str]:
    learnt, held = found.learnt, found.held
    plan, panel = learnt.plan, held.panel
    yield from panel.notes
    yield _held_words(held, known)
    if plan.season > 1:
        yield f"the season is {plan.season} steps (--season to change it)"
    yield from _made(learnt, panel)
    yield from said
    ahead = files.unknown_ahead(task._panel, plan.horizon)
    if ahead is not None:
        when = ahead[0].labels(ahead[1] + 1)[-1]
        yield f"nothing is forecast beyond the data, because {ahead[2]!r} is not known at {when}"


def _held_words(held: Held, known: bool) -> str:
    steps, rows = sum(len(target) for target in held.target), held.rows
    series = held.panel[rows[0]]
    where = f"{series.label(series.start + held.first[rows[0]])} to {series.label(series.end - 1)}"
    where += f" in {series.id!r}, and so on" if len(rows) > 1 else ""
    of = f" of {len(rows)} series" if len(held.panel) > 1 else ""
    longest = max(len(target) for target in held.target)
    origins = -(-longest // held.horizon)
    rolled = "" if origins == 1 else f", in {origins} forecasts, each from all that lies before it"
    learnt = "the model HAS learnt from them, so this flatters it" if known else "nothing was learnt or chosen by them"
    return f"held out {steps} steps{of}, {where}{rolled}: {learnt}"


def _made(learnt: Learnt, panel: Panel) -> Iterator[str]:
    """How forecasts come about."""
    plan = learnt.plan
    if not plan.ways:
        yield "the data are few: a statistical outlook, shown in the table too, is what the networks correct"
        if learnt.log:
            yield "worked on logarithms, because the spread grows with the level"
    lowest = [np.nanmin(series.values, initial=np.inf) for series in panel]
    if all(low >= 0 for low in lowest) and not all(low > 0 for low in lowest):
        yield "forecasts are cut off at 0, because no value lies below it"
    if len(learnt.networks) > 1:
        yield f"the forecast is the mean of {len(learnt.networks)} networks{_views(learnt)}"


def _views(learnt: Learnt) -> str:
    """Where the networks weigh different ways to go on: how many there are, and what told their shares."""
    count = len(set(learnt.views))
    return f", which see {count} sets of naive forecasts, weighed by their validation errors" if count > 1 else ""


def _settings(learnt: Learnt, panel: Panel) -> dict[str, Any]:
    plan = learnt.plan
    said = plan.model_dump(exclude={"covariates"})
    for kind in files.KINDS:
        said[f"{kind} covariates"] = ", ".join(column.name for column in getattr(panel.coding, kind))
    said |= {"frequency": panel.frequency.words, "trust in the correction": round(learnt.trust, 3)}
    said |= {"best epoch": ", ".join(map(str, learnt.best)), "the networks correct": "; ".join(files.corrected(learnt))}
    said |= {"logarithms of the outlook": learnt.log}
    shown = {key: ", ".join(map(_word, value)) if isinstance(value, tuple) else value for key, value in said.items()}
    return {key: value for key, value in shown.items() if value != ""}


def _word(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"
