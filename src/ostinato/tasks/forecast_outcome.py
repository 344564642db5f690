"""What a forecast's experiment found, beside the baselines: metrics, predictions and charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data import Series
from ostinato.data.outlook import Outlook
from ostinato.tasks.corrector import Corrector, Forecast
from ostinato.tasks.outcome import Chart, Line, Outcome

if TYPE_CHECKING:
    from ostinato.tasks.forecast import Forecaster

Array = NDArray[np.float64]

BEST = {"mae": "min", "rmse": "min", "smape": "min", "mase": "min"}
CLASSICAL = ("naive", "seasonal_naive", "drift")
EARLIEST, LATEST = np.datetime64("0100"), np.datetime64("9900")
SHOWN = 5  # lines of the forecast that the terminal gets


@dataclass(frozen=True)
class Measured:
    """An experiment that was run.

    Attributes:
        corrector: the network that has seen nothing from `first` on.
        rival: the feed-forward network on the same windows; None where there is none.
        series: all there is.
        first: the place from which on it is forecast.
        seconds: that it all took.
    """

    corrector: Corrector
    rival: Corrector | None
    series: Series
    first: int
    seconds: float


def describe(
    task: Forecaster, found: Measured, data: str, *, refitted: bool | None = None, known: bool = False
) -> Outcome:
    """The outcome of an experiment.

    Args:
        refitted: whether the model was then trained on everything; None: that was not asked.
        known: whether the model has learnt from what is forecast here.
    """
    from ostinato.tasks.forecast import rolled, scores

    plan, series, first = found.corrector.plan, found.series, found.first
    ours = rolled(found.corrector, series, first)
    others = dict(_others(found))
    named = {name: scores(other, series, first, plan) for name, other in others.items()}
    future = task._corrector.forecast(series)
    return Outcome(
        task="forecast", data=data, metrics=scores(ours, series, first, plan), baselines=named, best=BEST,
        parameters=sum(p.numel() for p in found.corrector.model.parameters()), seconds=found.seconds,
        epochs=len(found.corrector.history) or found.corrector.best, seed=plan.seed,
        columns=_predictions(series, first, plan.levels, ours, future),
        notes=tuple(_notes(found, refitted, known)), settings=_settings(found.corrector, series),
        charts=tuple(_charts(found, ours, others, future)), history=found.corrector.history,  # type: ignore[arg-type]
        answer=_answer(series, plan.levels, future),
    )  # fmt: skip


def _others(found: Measured) -> Iterator[tuple[str, Forecast]]:
    """The baselines on the same origins: the classical ones, the outlook that the network corrects, and its rival."""
    from ostinato import baselines
    from ostinato.tasks.forecast import rolled

    plan, series = found.corrector.plan, found.series
    origins = range(found.first, len(series), plan.horizon)
    for name in CLASSICAL:
        method = baselines.get(name)
        yield (
            name,
            _joined([method().fit(series.values[:k], plan.season).predict(plan.horizon) for k in origins], found),
        )
    periods = list(plan.periods)
    heads = [series.head(k) for k in origins]
    outlooks = [Outlook.of(head, plan.horizon, periods, found.corrector.log).forecast(head) for head in heads]
    yield "outlook", _joined(outlooks, found)
    if found.rival is not None:
        yield "feed_forward", rolled(found.rival, series, found.first)


def _joined(parts: list[Array], found: Measured) -> Forecast:
    steps = len(found.series) - found.first
    return Forecast(np.concatenate(parts)[:steps], np.empty((0, steps)), np.empty((0, steps)))


# ---- tables


def _predictions(
    series: Series, first: int, levels: tuple[float, ...], ours: Forecast, future: Forecast
) -> Mapping[str, list[Any]]:
    """predictions.csv: what was held out, then what lies ahead."""
    ahead = future.point.shape[1]
    table: dict[str, list[Any]] = {
        series.time_name or "step": [*series.labels()[first:], *series.labels(ahead)],
        "part": ["held out"] * len(ours.point) + ["ahead"] * ahead,
        "actual": [*series.values[first:].tolist(), *[float("nan")] * ahead],
        "forecast": [*ours.point.tolist(), *future.point[0].tolist()],
    }
    for k, level in enumerate(levels[: len(ours.low)]):
        table[f"lower_{level:g}"] = [*ours.low[k].tolist(), *future.low[k, 0].tolist()]
        table[f"upper_{level:g}"] = [*ours.high[k].tolist(), *future.high[k, 0].tolist()]
    return table


def _answer(series: Series, levels: tuple[float, ...], future: Forecast) -> tuple[list[str], list[list[str]]]:
    header = [series.time_name or "step", "forecast", *(f"{level:g} %" for level in levels[: len(future.low)])]
    rows = []
    for h, label in enumerate(series.labels(future.point.shape[1])[:SHOWN]):
        spans = [
            f"{_short(low[0, h])} to {_short(high[0, h])}" for low, high in zip(future.low, future.high, strict=True)
        ]
        rows.append([label, _short(future.point[0, h]), *spans])
    return header, rows


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _notes(found: Measured, refitted: bool | None, known: bool) -> Iterator[str]:
    series, plan, first = found.series, found.corrector.plan, found.first
    yield from series.notes
    origins = -(-(len(series) - first) // plan.horizon)
    where = f"{series.label(series.start + first)} to {series.label(series.end - 1)}"
    rolled = "" if origins == 1 else f", in {origins} forecasts, each from all that lies before it"
    learnt = "the model HAS learnt from them, so this flatters it" if known else "nothing was learnt or chosen by them"
    yield f"held out {len(series) - first} steps, {where}{rolled}: {learnt}"
    if plan.season > 1:
        yield f"the season is {plan.season} steps (--season to change it)"
    if found.corrector.log:
        yield "worked on logarithms, because the spread grows with the level"
    if (series.filled() >= 0).all():
        yield "forecasts are cut off at 0, because no value lies below it"
    yield "outlook is the statistical forecast that the network corrects, without the network"
    if refitted:
        yield f"the saved model was then trained anew on all {len(series)} steps, for as many epochs as were best"
    elif refitted is False:
        yield "there was no time to train anew: the saved model is the measured one, with all data to go by"


def _settings(corrector: Corrector, series: Series) -> dict[str, Any]:
    plan = corrector.plan
    said = plan.model_dump()
    said |= {"frequency": series.frequency.words, "trust in the correction": round(corrector.trust, 3)}
    said |= {"best epoch": corrector.best, "logarithms": corrector.log}
    return {
        key: ", ".join(f"{v:g}" for v in value) if isinstance(value, tuple) else value for key, value in said.items()
    }


# ---- charts


def _charts(found: Measured, ours: Forecast, others: dict[str, Forecast], future: Forecast) -> Iterator[Chart]:
    series, first = found.series, found.first
    rivals = _telling(others, series.values[first:])
    yield _held_out(found, ours, {name: others[name] for name in rivals})
    yield _ahead(found, future)
    yield _errors(found, ours, {name: others[name] for name in rivals})
    history = found.corrector.history
    if len(history) > 1:
        yield _curve(history, found.corrector.best)


def _telling(others: dict[str, Forecast], target: Array) -> list[str]:
    """The seasonal naive, the feed-forward network and whatever is best: more lines would hide each other."""
    errors = {name: float(np.nanmean(np.abs(other.point - target))) for name, other in others.items()}
    best = min(errors, key=lambda name: errors[name])
    return list(dict.fromkeys([name for name in ("seasonal_naive", "feed_forward") if name in others] + [best]))


def _x(series: Series, ahead: int = 0) -> Any:
    """Moments for an axis, those of the steps ahead too; counted where the calendar of pictures does not reach."""
    times = series.frequency.times(np.arange(series.start, series.end + ahead))
    drawable = times.dtype.kind == "i" or (times[0] > EARLIEST and times[-1] < LATEST)
    return times if drawable else np.arange(1, len(times) + 1)


def _padded(values: Array, before: int, after: int = 0) -> Array:
    return np.concatenate([np.full(before, np.nan), values, np.full(after, np.nan)])


def _held_out(found: Measured, ours: Forecast, rivals: dict[str, Forecast]) -> Chart:
    series, plan, first = found.series, found.corrector.plan, found.first
    begin = max(0, first - max(2 * (len(series) - first), 2 * plan.season, 24))
    lines = [
        Line("truth", series.values[begin:], "truth"),
        Line("ostinato", _padded(ours.point, first - begin), "ours"),
    ]
    lines += [Line(_spoken(name), _padded(rival.point, first - begin), "baseline") for name, rival in rivals.items()]
    bands = _bands(plan.levels, ours.low, ours.high, first - begin)
    caption = (
        "What was held out, and what was said of it from what lies left of the mark. "
        "The bands should hold the truth as often as their names say."
    )
    return Chart(
        "Forecast and truth", caption, _x(series)[begin:], lines, bands,
        [(_x(series)[first], "held out")], series.time_name or "step", series.name,
    )  # fmt: skip


def _ahead(found: Measured, future: Forecast) -> Chart:
    series, plan = found.series, found.corrector.plan
    begin = max(0, len(series) - max(3 * plan.horizon, 2 * plan.season, 24))
    shown = len(series) - begin
    lines = [
        Line("observed", _padded(series.values[begin:], 0, plan.horizon), "truth"),
        Line("forecast", _padded(future.point[0], shown), "ours"),
    ]
    bands = _bands(plan.levels, future.low[:, 0], future.high[:, 0], shown)
    return Chart(
        "What lies ahead", "The forecast from the newest data, with its intervals.", _x(series, plan.horizon)[begin:],
        lines, bands, (), series.time_name or "step", series.name,
    )  # fmt: skip


def _bands(levels: tuple[float, ...], low: Array, high: Array, before: int) -> list[tuple[str, Array, Array]]:
    pairs = list(zip(levels, low, high, strict=False))
    return [(f"{level:g} % interval", _padded(a, before), _padded(b, before)) for level, a, b in reversed(pairs)]


def _errors(found: Measured, ours: Forecast, rivals: dict[str, Forecast]) -> Chart:
    """Mean absolute error at each step ahead."""
    horizon, target = found.corrector.plan.horizon, found.series.values[found.first :]

    def by_step(point: Array) -> Array:
        errors = np.abs(point - target)
        whole = np.append(errors, np.full(-len(errors) % horizon, np.nan)).reshape(-1, horizon)
        known = ~np.isnan(whole)
        sums = np.where(known, whole, 0.0).sum(0)
        return np.where(known.any(0), sums / np.maximum(known.sum(0), 1), np.nan)

    lines = [Line("ostinato", by_step(ours.point), "ours")]
    lines += [Line(_spoken(name), by_step(rival.point), "baseline") for name, rival in rivals.items()]
    caption = "Mean absolute error at each step ahead of the held-out part; lower is better."
    return Chart(
        "Errors by horizon", caption, np.arange(1, horizon + 1), lines, (), (), "steps ahead", "absolute error"
    )


def _curve(history: Any, best: int) -> Chart:
    epochs = np.array([row["epoch"] for row in history], dtype=float)
    lines = [Line("training", _column(history, "loss"), "plain")]
    if any(row.get("valid_loss") is not None for row in history):
        lines.append(Line("validation", _column(history, "valid_loss"), "ours"))
    caption = "The loss over the epochs; the weights of the best validation were kept."
    return Chart("Training", caption, epochs, lines, (), [(float(best), "best")], "epoch", "loss")


def _column(history: Any, name: str) -> Array:
    return np.array([np.nan if row.get(name) is None else row[name] for row in history], dtype=float)


def _spoken(name: str) -> str:
    return name.replace("_", " ")
