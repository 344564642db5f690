"""The charts of a forecast's report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data import Panel, Series
from ostinato.tasks.forecasting.learnt import Forecast
from ostinato.tasks.forecasting.measure import Held, Told
from ostinato.tasks.outcome import Chart, Line

if TYPE_CHECKING:
    from ostinato.tasks.forecasting.outcome import Measured

Array = NDArray[np.float64]
Others = dict[str, list[Told]]

EARLIEST, LATEST = np.datetime64("0100"), np.datetime64("9900")


def drawn(panel: Panel, found: Measured, ours: list[Told], others: Others, future: Forecast | None) -> Iterator[Chart]:
    """All of them, the most telling first."""
    held = found.held
    rivals = {name: others[name] for name in _telling(others, held)}
    rows = _examples(ours, held)
    for row, word in rows:
        yield _held_out(held, row, ours, rivals, word)
    if future is not None:
        yield _ahead(panel, held, held.rows[rows[0][0]], future)
    yield _errors(held, ours, rivals)
    history = found.learnt.history
    if len(history) > 1:
        yield _training(history, found.learnt.best[0])
    if found.curve:
        yield _learning(found, ours, others)


def _telling(others: Others, held: Held) -> list[str]:
    """The seasonal naive, the feed-forward network and whatever is best: more lines would hide each other."""
    errors = {name: float(np.mean(_scaled(told, held))) for name, told in others.items()}
    first = "seasonal_naive" if held.season > 1 else "naive"
    best = [min(errors, key=lambda name: errors[name])] if errors else []
    return list(dict.fromkeys([name for name in (first, "feed_forward") if name in others] + best))


def _scaled(told: list[Told], held: Held) -> Array:
    """(series,) mean absolute error against the typical size of what is held out."""
    found = []
    for t, y in zip(told, held.target, strict=True):
        seen = ~np.isnan(y)
        found.append(np.abs(t.point - y)[seen].mean() / max(np.abs(y[seen]).mean(), 1e-12) if seen.any() else np.nan)
    return np.array(found)


def _examples(ours: list[Told], held: Held) -> list[tuple[int, str]]:
    """Rows to show: the one series; of several that with the middle error, a good and a bad one."""
    if len(ours) == 1:
        return [(0, "")]
    errors = _scaled(ours, held)
    order = np.argsort(errors)[: int((~np.isnan(errors)).sum())]
    places = {"a middling one": 0.5, "one of the best": 0.05, "one of the worst": 0.95}
    rows = {int(order[round(share * (len(order) - 1))]): word for word, share in reversed(places.items())}
    return sorted(rows.items(), key=lambda item: list(places).index(item[1]))


def _x(series: Series, ahead: int = 0) -> Any:
    """Moments for an axis, those of the steps ahead too; counted where the calendar of pictures does not reach."""
    times = series.frequency.times(np.arange(series.start, series.end + ahead))
    drawable = times.dtype.kind == "i" or (times[0] > EARLIEST and times[-1] < LATEST)
    return times if drawable else np.arange(1, len(times) + 1)


def _padded(values: Array, before: int, after: int = 0) -> Array:
    return np.concatenate([np.full(before, np.nan), values, np.full(after, np.nan)])


def _held_out(held: Held, row: int, ours: list[Told], rivals: Others, word: str) -> Chart:
    k = held.rows[row]
    series, first = held.panel[k], held.first[k]
    begin = max(0, first - max(2 * (len(series) - first), 2 * held.season, 24))
    lines = [
        Line("truth", series.values[begin:], "truth"),
        Line("ostinato", _padded(ours[row].point, first - begin), "ours"),
    ]
    lines += [Line(_spoken(name), _padded(told[row].point, first - begin), "baseline") for name, told in rivals.items()]
    caption = (
        "What was held out, and what was said of it from what lies left of the mark. "
        "The bands should hold the truth as often as their names say."
    )
    title = f"Forecast and truth of {series.id}, {word} of {len(ours)}" if word else "Forecast and truth"
    return Chart(
        title, caption, _x(series)[begin:], lines, _bands(held, ours[row].low, ours[row].high, first - begin),
        [(_x(series)[first], "held out")], series.time_name or "step", series.name,
    )  # fmt: skip


def _ahead(panel: Panel, held: Held, k: int, future: Forecast) -> Chart:
    series, horizon = panel[k], held.horizon
    begin = max(0, len(series) - max(3 * horizon, 2 * held.season, 24))
    shown = len(series) - begin
    lines = [
        Line("observed", _padded(series.values[begin:], 0, horizon), "truth"),
        Line("forecast", _padded(future.point[k], shown), "ours"),
    ]
    title = f"What lies ahead of {series.id}" if len(panel) > 1 else "What lies ahead"
    return Chart(
        title, "The forecast from the newest data, with its intervals.", _x(series, horizon)[begin:], lines,
        _bands(held, future.low[:, k], future.high[:, k], shown), (), series.time_name or "step", series.name,
    )  # fmt: skip


def _bands(held: Held, low: Array, high: Array, before: int) -> list[tuple[str, Array, Array]]:
    pairs = list(zip(held.levels, low, high, strict=False))
    return [(f"{level:g} % interval", _padded(a, before), _padded(b, before)) for level, a, b in reversed(pairs)]


def _errors(held: Held, ours: list[Told], rivals: Others) -> Chart:
    """Mean absolute error at each step ahead; of several series against each one's mean size."""
    several = len(ours) > 1

    def by_step(told: list[Told]) -> Array:
        rows = []
        for t, y in zip(told, held.target, strict=True):
            size = max(float(np.nanmean(np.abs(y))), 1e-12) if several and not np.isnan(y).all() else 1.0
            errors = np.abs(t.point - y) / size
            rows.append(np.append(errors, np.full(-len(errors) % held.horizon, np.nan)).reshape(-1, held.horizon))
        whole = np.concatenate(rows)
        known = ~np.isnan(whole)
        sums = np.where(known, whole, 0.0).sum(0)
        return np.where(known.any(0), sums / np.maximum(known.sum(0), 1), np.nan)

    lines = [Line("ostinato", by_step(ours), "ours")]
    lines += [Line(_spoken(name), by_step(told), "baseline") for name, told in rivals.items()]
    caption = "Mean absolute error at each step ahead of the held-out part; lower is better."
    unit = "absolute error / mean size" if several else "absolute error"
    return Chart("Errors by horizon", caption, np.arange(1, held.horizon + 1), lines, (), (), "steps ahead", unit)


def _training(history: Any, best: int) -> Chart:
    epochs = np.array([row["epoch"] for row in history], dtype=float)
    lines = [Line("training", _column(history, "loss"), "plain")]
    if any(row.get("valid_loss") is not None for row in history):
        lines.append(Line("validation", _column(history, "valid_loss"), "ours"))
    caption = "The first network's loss over the epochs; how long to train was decided by the best validation."
    return Chart("Training", caption, epochs, lines, (), [(float(best), "best")], "epoch", "loss")


def _learning(found: Measured, ours: list[Told], others: Others) -> Chart:
    """How the error falls with the data."""
    values = np.array([count for _, count, _ in found.curve], dtype=float)
    lines = [Line("ostinato", np.array([error for _, _, error in found.curve]), "ours")]
    for name in _telling(others, found.held):
        errors = [np.abs(t.point - y)[~np.isnan(y)] for t, y in zip(others[name], found.held.target, strict=True)]
        lines.append(
            Line(f"{_spoken(name)}, all data", np.full(len(values), np.concatenate(errors).mean()), "baseline")
        )
    caption = (
        "Mean absolute error on the same held-out part, after learning from the newest eighth, quarter, half and "
        "all of the data before it. Where the line still falls, more data would help."
    )
    return Chart("How much the amount of data matters", caption, values, lines, (), (), "values learnt from", "MAE")


def _column(history: Any, name: str) -> Array:
    return np.array([np.nan if row.get(name) is None else row[name] for row in history], dtype=float)


def _spoken(name: str) -> str:
    return name.replace("_", " ")
