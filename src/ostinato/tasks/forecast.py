"""Forecast a time series: the next values with intervals, beside the classical baselines."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from ostinato import metrics
from ostinato.data import DataError, Series, builtin, read_series
from ostinato.data.frequency import Frequency, near
from ostinato.data.seasons import guess
from ostinato.spec import Spec
from ostinato.tasks.corrector import Corrector, Forecast, Plan
from ostinato.tasks.options import Options
from ostinato.tasks.outcome import Outcome
from ostinato.tasks.task import Arrays, Task, as_array

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Self

    from ostinato.training import Callback, History

Array = NDArray[np.float64]

SHARES = {"fit": 0.5, "feed_forward": 0.15, "final": 0.3}  # of a time limit; the rest is for reading and the report


class ForecastOptions(Options):
    """What a forecast needs to know; nothing has to be said."""

    horizon: int | None = Field(None, ge=1, description="steps to forecast; two seasons where left out")
    season: int | None = Field(None, ge=1, description="steps in a season, 1 for none; told from dates and data")
    levels: tuple[float, ...] = Field((80, 95), description="intervals, in percent")
    freq: str | None = Field(None, description="spacing of the steps: h, D, B, W, M, Q, Y, 15min; told from the times")
    duplicates: Literal["mean", "last"] | None = Field(None, description="what becomes of repeated times")
    time: str | None = Field(None, description="column of times")
    target: str | None = Field(None, description="column to forecast")
    head: str = Field("quantile", description="output law: quantile, gaussian, student_t, point")

    @field_validator("levels")
    @classmethod
    def _between(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < level < 100 for level in levels):
            raise ValueError("levels are percents between 0 and 100, both excluded")
        return tuple(sorted(set(levels)))


class Forecaster(Task):
    """Forecasts one series: a recurrent network corrects a statistical outlook, and says how sure it is.

    y[t + h] = outlook[t, h] + trust scale growth[h] network(window before t)[h], see `tasks.corrector`; the
    network reads a window of `look_back` steps and answers for all steps ahead at once. Sizes follow the
    data. The last tenth of the data, at least one horizon, decides when training ends.

    Args:
        options: the fields of `ForecastOptions` and `Options`, each with its meaning.

    Raises:
        TypeError, ValueError: an option is unknown or cannot be.

    >>> import numpy as np
    >>> months = np.arange(96)
    >>> sales = 50 + months / 4 + 10 * np.sin(months * np.pi / 6)
    >>> model = Forecaster(horizon=12, season=12, epochs=2)
    >>> history = model.fit(sales[:84])
    >>> model.predict().columns.tolist()
    ['step', 'forecast', 'lower_80', 'upper_80', 'lower_95', 'upper_95']
    >>> model.score(sales[84:])["mase"] < 1
    True
    """

    name: ClassVar[str] = "forecast"
    Options: ClassVar[type[Options]] = ForecastOptions
    options: ForecastOptions
    builtin: ClassVar[str] = "sunspots (yearly, from statsmodels)"
    examples: ClassVar[tuple[tuple[str, str], ...]] = (
        ("ostinato forecast", "forecast the sunspots, which come with it"),
        ("ostinato forecast sales.csv --target units --horizon 14", "two weeks ahead of a daily file"),
        ("ostinato forecast power.csv.gz --season 24 --levels 50,90", "hourly, other intervals"),
        ("ostinato forecast sales.csv --test june.csv --out runs/june", "measured on a file of its own"),
    )

    # scikit-learn's words -------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        *,
        validation: Any = None,
        callbacks: Iterable[Callback] = (),
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        quiet: bool = True,
        time_limit: float | None = None,
    ) -> History:
        """Train.

        Args:
            data: path, pandas or polars frame, array (time,) or `Series`; oldest first or with times.
            validation: what comes after data; it decides when to stop. Left out: the last part of data.
            callbacks: see `ostinato.training.Callback`.
            out: folder for checkpoints and history.jsonl, which `resume` goes on from.
            quiet: no progress line.
            time_limit: seconds; the option where left out.

        Raises:
            DataError: the data cannot be used, or are too short for the horizon.
        """
        series, learnt = self._joined(data, validation)
        plan = self._plan(series.head(learnt))
        known = learnt if validation is not None else learnt - _held(learnt, plan.horizon)
        self._series, self._known = series, known
        self._corrector = Corrector.fit(
            series, known, plan, out=out, resume=resume, quiet=quiet, callbacks=callbacks,
            time_limit=time_limit or self.options.time_limit,
        )  # fmt: skip
        history: History = self._corrector.history  # type: ignore[assignment]
        return history

    def refit(self, data: Any = None, **training: Any) -> Self:
        """Train once more from the start, on all there is, for as many epochs as were best in `fit`.

        Args:
            data: the whole series; that of `fit` where left out.
            training: out, resume, quiet, time_limit as of `fit`; where the time does not suffice, the network
                of `fit` stays, and forecasts from the new data.
        """
        corrector: Corrector = self._fitted("_corrector")
        self._series = self._series if data is None else self._read(data)
        self._corrector = corrector.again(self._series, **training) or corrector
        return self

    def predict(self, data: Any = None) -> pd.DataFrame:
        """The next `horizon` steps after data, with intervals.

        Args:
            data: a history, or what goes on from that of `fit`; left out: from the end of what fit saw.

        Returns:
            One row a step: the time, forecast, and lower_L, upper_L for each of `levels`.
        """
        import pandas as pd

        corrector: Corrector = self._fitted("_corrector")
        series = self._series if data is None else self._history(data)
        found = corrector.forecast(series)
        return pd.DataFrame(columns(series, corrector.plan, found))

    def score(self, data: Any) -> dict[str, float]:
        """How well the steps after fit's are forecast, each horizon from what lies before it.

        Args:
            data: what comes after the data of `fit`; or a whole history, whose part after them, or
                else whose last horizon, is forecast.

        Returns:
            mae, rmse, mse, smape, mase, coverage_L of each interval, and coverage, that of the narrowest.
        """
        corrector: Corrector = self._fitted("_corrector")
        series, first = self.held_out(data)
        return scores(rolled(corrector, series, first), series, first, corrector.plan)

    def summary(self) -> str:
        """What was trained, in a few lines."""
        corrector: Corrector = self._fitted("_corrector")
        plan, series = corrector.plan, self._series
        count = sum(p.numel() for p in corrector.model.parameters())
        first, last = series.label(series.start), series.label(series.end - 1)
        return "\n".join(
            (
                f"Forecaster of {series.name!r}: {plan.horizon} steps ahead, {series.frequency.words}",
                f"  learnt from {len(series)} steps, {first} to {last}",
                f"  season {plan.season}, look-back {plan.look_back}, trust in the correction {corrector.trust:.2f}",
                f"  {plan.cell}, {plan.num_layers} x {plan.hidden_size}, {plan.head} head: {count:,} parameters",
                f"  best after {corrector.best} epochs; works on {'log y' if corrector.log else 'y'}",
            )
        )

    # The command ------------------------------------------------------------------------------

    def experiment(
        self,
        data: Any = None,
        *,
        test: Any = None,
        validation: Any = None,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        quiet: bool = False,
        callbacks: Iterable[Callback] = (),
    ) -> Outcome:
        """Hold out the end (or `test`), train, compare with the baselines, then train on all there is.

        The metrics are those of a network that has seen nothing of what was held out. The network
        that is kept was then trained anew on everything, for as many epochs as were best.
        """
        from ostinato.tasks.forecast_outcome import Measured, describe

        began = time.monotonic()
        if validation is not None and test is None:
            raise ValueError("--valid comes between the data and what is held out: give --test FILE too")
        series = self._read(builtin.sunspots() if data is None else data)
        before, later = self._split(series, test)
        learnt, _ = self._joined(before, validation)
        whole = learnt.then(later, _name(test) or series.name)
        limit = self.options.time_limit
        limits = {part: share * limit if limit else None for part, share in SHARES.items()}
        self.fit(
            before, validation=validation, out=out, resume=resume, quiet=quiet, callbacks=callbacks,
            time_limit=limits["fit"],
        )  # fmt: skip
        measured = self._corrector
        rival = Corrector.fit(
            learnt, self._known, measured.plan, network="feed_forward", time_limit=limits["feed_forward"]
        )
        self.refit(whole, out=None if out is None else Path(out, "final"), resume=resume, time_limit=limits["final"])
        found = Measured(measured, rival, whole, len(learnt), time.monotonic() - began)
        return describe(self, found, _name(data) or builtin.SUNSPOTS, refitted=self._corrector is not measured)

    def evaluate(self, data: Any) -> Outcome:
        """A trained model on data as `score` takes them, beside the classical baselines."""
        from ostinato.tasks.forecast_outcome import Measured, describe

        began, corrector = time.monotonic(), self._fitted("_corrector")
        series, first = self.held_out(data)
        new = series.start + first >= self._series.end
        found = Measured(corrector, None, series, first, time.monotonic() - began)
        return describe(self, found, _name(data), known=not new)

    def held_out(self, data: Any) -> tuple[Series, int]:
        """A series, and the place from which on it is to be forecast; see `score`.

        Raises:
            DataError: the data are of another frequency, or too short.
        """
        own, given = self._series, self._read(data)
        if not given.time_name:
            given = replace(given, start=own.end, frequency=own.frequency)
        if given.start >= own.end:
            return own.then(given, _name(data)), len(own)
        self._same_grid(given, data)
        new = given.end - own.end
        first = len(given) - (new if 0 < new < len(given) else self._corrector.plan.horizon)
        if first < 3:
            raise DataError(
                _name(data), f"{len(given)} steps, of which {first} lie before what is forecast", "give more"
            )
        return given, first

    # The model file ---------------------------------------------------------------------------

    def to_file(self) -> tuple[dict[str, Any], Arrays]:
        """Manifest and tensors: the network, the numbers around it, and the series it forecasts from."""
        corrector: Corrector = self._fitted("_corrector")
        series = self._series
        tensors = {f"network.{name}": as_array(tensor) for name, tensor in corrector.model.state_dict().items()}
        tensors |= {"growth": corrector.growth, "widths": corrector.widths, "series": series.values}
        grid = series.frequency
        extra = {
            "plan": corrector.plan.model_dump(mode="json"),
            "log": corrector.log, "trust": corrector.trust, "best": corrector.best,
            "series": {
                "start": series.start, "name": series.name, "time_name": series.time_name, "style": series.style,
                "frequency": [grid.unit, grid.every, grid.phase, grid.offset],
            },
        }  # fmt: skip
        spec = Spec(inputs=corrector.plan.inputs, horizon=corrector.plan.horizon, targets=(series.name,))
        return self._manifest(spec.to_json(), extra), tensors

    @classmethod
    def from_file(cls, manifest: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The forecaster that `to_file` took apart, ready to predict.

        Raises:
            ValueError: the parts do not fit together.
        """
        extra = manifest["extra"]
        task = cls(**manifest["arguments"])
        task._corrector = Corrector.restored(extra, tensors)
        kept, values = extra["series"], tensors["series"]
        if values.ndim != 1 or values.dtype != np.float64 or not np.isfinite(values).any() or np.isinf(values).any():
            raise ValueError("the series is not a row of numbers")
        grid = Frequency.checked(*kept["frequency"])
        task._series = Series(
            np.array(values), int(kept["start"]), grid, str(kept["name"]), str(kept["time_name"]), str(kept["style"])
        )
        task._series.labels(1)  # a style that is not known, or times beyond the calendar
        return task

    # Steps ------------------------------------------------------------------------------------

    def _read(self, source: Any) -> Series:
        words = self.options
        return read_series(
            source,
            time=words.time,
            target=words.target,
            freq=words.freq,
            duplicates=words.duplicates,
            on_bad=words.on_bad,
        )

    def _joined(self, data: Any, validation: Any) -> tuple[Series, int]:
        """The series, validation at its end, and how much of it may decide sizes."""
        series = self._read(data)
        if validation is None:
            return series, len(series)
        later = self._read(validation)
        if not later.time_name:
            later = replace(later, start=series.end, frequency=series.frequency)
        return series.then(later, _name(validation)), len(series)

    def _split(self, series: Series, test: Any) -> tuple[Series, Series]:
        """What may be learnt from, and what is held out: the test file, or the last horizon."""
        if test is not None:
            later = self._read(test)
            return series, later if later.time_name else replace(later, start=series.end, frequency=series.frequency)
        horizon = self.options.horizon or usual_horizon(series, self.options.season)
        if len(series) < 2 * horizon + 3:
            most = max(1, (len(series) - 3) // 2)
            found = f"{len(series)} steps are too few to hold out {horizon} and learn to forecast {horizon}"
            raise DataError(
                series.name, found, f"give --horizon {most} or less, or --test FILE" if most > 1 else "give more data"
            )
        return series.head(len(series) - horizon), series.tail(horizon)

    def _history(self, data: Any) -> Series:
        """What to forecast from: the data, or fit's series with the data after it."""
        own, given = self._series, self._read(data)
        if given.time_name and given.start >= own.end and given.start - own.end <= self._corrector.plan.look_back:
            return own.then(given, _name(data))
        self._same_grid(given, data)
        if given.observed.sum() < 3:
            raise DataError(_name(data), f"{int(given.observed.sum())} values", "give a history of at least 3")
        return given

    def _same_grid(self, given: Series, data: Any) -> None:
        own = self._series.frequency
        if given.time_name and (given.frequency.unit, given.frequency.every) != (own.unit, own.every):
            found = f"steps are {given.frequency.words}, those that were learnt are {own.words}"
            raise DataError(_name(data), found, "give data of the same frequency, or say --freq")

    def _plan(self, series: Series) -> Plan:
        """All sizes, from the options and the part of the data that is learnt from."""
        from ostinato import heads

        words, n = self.options, len(series)
        periods = periods_of(series, words.season)
        season = near(periods[0]) if periods else 1
        horizon = words.horizon or usual_horizon(series, words.season)
        if n < horizon + 3:
            found = f"{n} steps are too few to learn to forecast {horizon}"
            raise DataError(series.name, found, f"give a horizon of {max(1, n - 3)} or less, or more data")
        few, many = n < 1000, n >= 2000
        law = heads.get(words.head)
        return Plan(
            horizon=horizon, season=season, periods=tuple(periods), look_back=_look_back(n, horizon, periods),
            cell=words.cell, head=words.head, levels=words.levels if law.quantiles is not heads.Head.quantiles else (),
            hidden_size=words.hidden_size or (16 if n < 200 else 64 if many else 32),
            num_layers=words.num_layers, bidirectional=words.bidirectional, dropout=words.dropout,
            epochs=words.epochs or (40 if few else 20), patience=10 if few else 6,
            batch_size=words.batch_size or (128 if many else 32), batches=50,
            learning_rate=words.learning_rate or 5e-3, clip=words.clip,
            recurrent_norm_limit=words.recurrent_norm_limit, weight_norm=words.weight_norm, seed=words.seed,
            device=words.device, gaps=bool(np.isnan(series.values).any()),
        )  # fmt: skip


def periods_of(series: Series, season: int | None) -> list[float]:
    """The seasons to work with, the first of them for the seasonal baseline."""
    if season is not None:
        return [float(season)] * (season > 1)
    return guess(series.filled(), np.arange(series.start, series.end), series.frequency.periods())[0]


def usual_horizon(series: Series, season: int | None) -> int:
    """Two of the calendar's shortest seasons, or of the season in the data, at most 60 steps and a third of them."""
    found = [float(season)] if season else series.frequency.periods() or periods_of(series, None)
    steps = 2 * near(min(found)) if found else 6
    return max(1, min(steps, 60, (len(series) - 3) // 3))


def _look_back(n: int, horizon: int, periods: list[float]) -> int:
    """Two short seasons or one long one, at least the horizon, as far as data and time allow."""
    seasons = [2 * near(period) if period <= 64 else near(period) for period in periods if period <= 160]
    return min(max(*seasons, horizon, 16) if seasons else max(horizon, 16), 160, max(4, n // 3))


def _held(n: int, horizon: int) -> int:
    """Steps at the end of n that decide when training ends: a tenth, at least a horizon, none where there are few."""
    return max(0, min(max(horizon, n // 10), n - horizon - 4, n // 3))


def rolled(corrector: Corrector, series: Series, first: int) -> Forecast:
    """Forecasts of every step from the place `first` on, each horizon from what lies before it alone.

    Returns:
        point (steps,), low and high (levels, steps).
    """
    found = [corrector.forecast(series.head(k)) for k in range(first, len(series), corrector.plan.horizon)]
    point = np.concatenate([part.point[0] for part in found])
    low, high = (np.concatenate([getattr(part, side)[:, 0] for part in found], -1) for side in ("low", "high"))
    steps = len(series) - first
    return Forecast(point[:steps], low[:, :steps], high[:, :steps])


def scores(found: Forecast, series: Series, first: int, plan: Plan) -> dict[str, float]:
    """The metrics of a forecast of every step from `first` on."""
    target, before = series.values[first:], series.values[:first]
    if np.isnan(target).all():
        raise DataError(series.name, "nothing was observed in the part that is held out", "give a longer one")
    named = {
        "mae": metrics.mae(found.point, target),
        "rmse": metrics.rmse(found.point, target),
        "mse": metrics.mse(found.point, target),
        "smape": metrics.smape(found.point, target),
        "mase": metrics.mase(found.point, target, before, plan.season) if _has_scale(before, plan.season) else math.nan,
    }
    for k, level in enumerate(plan.levels[: len(found.low)]):
        share = metrics.coverage(found.low[k], found.high[k], target)
        named |= {f"coverage_{level:g}": share} if k else {"coverage": share, f"coverage_{level:g}": share}
    return named


def _has_scale(before: Array, season: int) -> bool:
    steps = np.abs(before[season:] - before[:-season])
    return bool((steps[~np.isnan(steps)] > 0).any())


def columns(series: Series, plan: Plan, found: Forecast) -> dict[str, Any]:
    """A forecast from the end of a series, column by column."""
    table: dict[str, Any] = {series.time_name or "step": series.labels(plan.horizon), "forecast": found.point[0]}
    for k, level in enumerate(plan.levels[: len(found.low)]):
        table |= {f"lower_{level:g}": found.low[k, 0], f"upper_{level:g}": found.high[k, 0]}
    return table


def _name(source: Any) -> str:
    """What a source is called in errors and metrics.json; "" for none."""
    if source is None:
        return ""
    return Path(source).name if isinstance(source, (str, os.PathLike)) else type(source).__name__
