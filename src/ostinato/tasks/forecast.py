"""Forecast time series, one or many: the next values with intervals, beside the classical baselines."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from ostinato.data import DataError, Panel, builtin, read_panel
from ostinato.data.regular import spelled
from ostinato.spec import Spec
from ostinato.tasks.forecasting import files
from ostinato.tasks.forecasting.learnt import Learnt
from ostinato.tasks.forecasting.measure import BASELINES, ON_REQUEST, Held, Slow, refuse_unmeasured, rolled, scores
from ostinato.tasks.forecasting.plan import LARGE, Decoding, Plan, held_back, plan, usual_horizon, usual_windows
from ostinato.tasks.options import Options
from ostinato.tasks.outcome import Outcome
from ostinato.tasks.task import Arrays, Task

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Self

    from ostinato.training import Callback, History

SHARES = {
    "fit": 0.5,
    "rivals": 0.1,
    "final": 0.2,
    "curve": 0.1,
}  # of a time limit; the rest is for reading and the report
FEW = 4  # rows that tell no frequency of their own
CURVE = (0.125, 0.25, 0.5, 1.0)  # of the data, for the learning curve
MOST = 0.95  # of the data, from which on networks are not trained anew for the rest of them
ANEW = "the saved model was then trained anew on everything, for as many epochs as were best"
KEPT = "the saved model is the measured one; it forecasts from the newest data"
NO_TIME = "there was no time to train anew: the saved model is the measured one, with all data to go by"


class ForecastOptions(Options):
    """What a forecast needs to know; nothing has to be said."""

    horizon: int | None = Field(None, ge=1, description="steps to forecast; two seasons where left out")
    season: int | None = Field(None, ge=1, description="steps in a season, 1 for none; told from dates and data")
    levels: tuple[float, ...] = Field((80, 95), description="intervals, in percent")
    freq: str | None = Field(None, description="spacing of the steps: h, D, B, W, M, Q, Y, 15min; told from the times")
    duplicates: Literal["mean", "last"] | None = Field(None, description="what becomes of repeated times")
    id: str | None = Field(None, description="column that tells several series apart (unique_id needs no naming)")
    time: tuple[str, ...] = Field((), description="column of times, or those of year,month,day,hour")
    target: tuple[str, ...] = Field((), description="column to forecast; several are a series each")
    past: tuple[str, ...] = Field((), description="columns known up to now, such as other sensors")
    future: tuple[str, ...] = Field((), description="columns known ahead, such as prices or holidays")
    static: tuple[str, ...] = Field((), description="columns that never change within a series")
    windows: int | None = Field(None, ge=1, le=1000, description="horizons held out to measure on; 1 to 5 by the data")
    look_back: int | None = Field(None, ge=1, description="steps that the network sees; by seasons and data")
    decoding: Decoding | None = Field(None, description="all steps at once, by segments, or step by step")
    members: int = Field(3, ge=1, le=100, description="networks, from seeds of their own, whose mean is the forecast")
    head: str = Field("quantile", description="output law: quantile, gaussian, student_t, point")
    baselines: tuple[str, ...] = Field((), description="those to stand beside it; all but tcn where left out")
    learning_curve: bool = Field(False, description="also learn from 1/8, 1/4 and 1/2 of the data, for the report")

    @field_validator("levels")
    @classmethod
    def _between(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < level < 100 for level in levels):
            raise ValueError("levels are percents between 0 and 100, both excluded")
        return tuple(sorted(set(levels)))

    @field_validator("baselines")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in (*BASELINES, *ON_REQUEST):
                raise ValueError(f"no baseline is called {name!r}: there are {', '.join((*BASELINES, *ON_REQUEST))}")
        return names

    @field_validator("time", "target", "past", "future", "static", "baselines", mode="before")
    @classmethod
    def _names(cls, names: Any) -> Any:
        return () if names is None else (names,) if isinstance(names, str) else names


class Forecaster(Task):
    """Forecasts one series or many with one set of networks, and says how sure they are.

        y[t + h] = level + scale (sum over k of w[h, k] way[h, k] + network(window before t)[h])

    A recurrent network reads a window of the series, told relative to its own level and pace, weighs naive
    ways to go on (the last value, the season before, ...) and corrects them; `models.forecasters` has the
    three ways of answering. Where all the data are few, it corrects a statistical outlook instead
    (`data.outlook`). First networks learn without the last part of the data and find by it when to stop, what
    each view of the ways is worth and how wide intervals must be; then `members` networks learn from everything,
    or, where nearly all was learnt from already, those stay.

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
    reads: ClassVar[str] = "CSV (.gz too) or Parquet"
    builtin: ClassVar[str] = "sunspots (yearly, from statsmodels)"
    examples: ClassVar[tuple[tuple[str, str], ...]] = (
        ("ostinato forecast", "forecast the sunspots, which come with it"),
        ("ostinato forecast sales.csv --target units --horizon 14", "two weeks ahead of a daily file"),
        ("ostinato forecast shops.csv --id shop --future price,holiday --static city", "many series, with covariates"),
        ("ostinato forecast power.csv.gz --season 24 --levels 50,90 --windows 4", "other intervals, a longer test"),
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
            data: path, pandas or polars frame, array (time,) or (time, series), `Series` or `Panel`; oldest
                first or with times.
            validation: what comes after data; it decides when to stop and is not learnt from. Left out: the last
                part of data decides, and is then learnt from too.
            callbacks: see `ostinato.training.Callback`; of the first network.
            out: folder for checkpoints and history.jsonl, which `resume` goes on from.
            quiet: no progress line.
            time_limit: seconds; the option where left out.

        Raises:
            DataError: the data cannot be used, or are too short for the horizon.
        """
        panel, lengths = self._joined(data, validation)
        limit = time_limit or self.options.time_limit
        how: dict[str, Any] = {"out": out, "resume": resume, "quiet": quiet, "callbacks": callbacks}
        self._learn(panel, lengths, self._sized(panel.heads(lengths)), validation is not None, limit, how)
        history: History = self._learnt.history  # type: ignore[assignment]
        return history

    def _sized(self, panel: Panel) -> Plan:
        return plan(panel, self.options, self.options.horizon or usual_horizon(panel, self.options))

    def _learn(
        self, panel: Panel, lengths: list[int], sizes: Plan, validated: bool, limit: float | None, how: dict[str, Any]
    ) -> None:
        """Networks that stopped by what follows `lengths`; where nothing does, that learnt from nearly everything."""
        from ostinato.tasks.forecasting.training import again, learn

        self._panel = panel
        if validated:
            self._stops = lengths
            self._learnt = learn(panel, lengths, sizes, members=sizes.members, time_limit=limit, **how)
            return
        self._stops = [n - held_back(n, sizes.horizon) for n in lengths]
        if self._nearly_all(lengths):
            self._learnt = learn(panel, self._stops, sizes, members=sizes.members, time_limit=limit, **how)
            return
        kinds = min(sizes.members, len(sizes.views))
        look: dict[str, Any] = how | {"look": "first look, ", "time_limit": limit and 0.5 * limit}
        first = learn(panel, self._stops, sizes, members=kinds, **look)
        rest = how | {"out": None if how["out"] is None else Path(how["out"], "all"), "callbacks": ()}
        self._learnt = again(first, panel, members=sizes.members, time_limit=limit and 0.5 * limit, **rest) or first

    def _nearly_all(self, lengths: Sequence[int]) -> bool:
        """Whether so little was held back to stop by that networks trained anew would not differ."""
        return sum(self._stops) >= MOST * sum(lengths)

    def refit(self, data: Any = None, **training: Any) -> Self:
        """Train once more from the start, on all there is, for as many epochs as were best in `fit`.

        Args:
            data: the whole history; that of `fit` where left out.
            training: out, resume, quiet, time_limit as of `fit`; where the time does not suffice, the networks
                of `fit` stay, and forecast from the new data.
        """
        from ostinato.tasks.forecasting.training import again

        learnt: Learnt = self._fitted("_learnt")
        self._panel = self._panel if data is None else self._read(data)
        self._learnt = again(learnt, self._panel, members=learnt.plan.members, **training) or learnt
        return self

    def predict(self, data: Any = None) -> pd.DataFrame:
        """The next `horizon` steps after data, with intervals.

        Args:
            data: histories, or what goes on from those of `fit` (new values, or covariates known ahead); left
                out: from the end of what fit saw.

        Returns:
            One row a step: the series' id where there are several, the time, forecast, and lower_L, upper_L
            for each of `levels`.

        Raises:
            DataError: the data do not fit; or covariates that are known ahead are missing ahead.
        """
        import pandas as pd

        learnt: Learnt = self._fitted("_learnt")
        panel = self._panel if data is None else self._history(data)
        files.refuse_unknown_ahead(panel, learnt.plan.horizon, _name(data))
        return pd.DataFrame(files.columns(panel, learnt.plan, learnt.forecast(panel)))

    def score(self, data: Any) -> dict[str, float]:
        """How well the steps after fit's are forecast, each horizon from what lies before it.

        Args:
            data: what comes after the data of `fit`, as all that has no times is taken; or whole histories,
                whose part after fit's, or else whose last horizon, is forecast.

        Returns:
            mae, rmse, mse, smape, mase, direction (share of moves with the right sign), coverage_L of each
            interval, and coverage, that of the narrowest; smape and mase are means over series.
        """
        learnt: Learnt = self._fitted("_learnt")
        held = self.held_out(data)
        return scores(rolled(learnt, held), held)

    def summary(self) -> str:
        """What was trained, in a few lines."""
        return files.summary(self._fitted("_learnt"), self._panel)

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

        The metrics are those of networks that have seen nothing of what was held out. Those that are kept
        were then trained anew on everything, for as many epochs as were best; where the data are large, they
        are the measured ones.
        """
        from ostinato.tasks.forecasting.outcome import Measured, describe, first_line

        began = time.monotonic()
        if validation is not None and test is None:
            raise ValueError("--valid comes between the data and what is held out: give --test FILE too")
        if test is not None and (self.options.windows or 1) > 1:
            raise ValueError("--windows says how much of DATA is held out: leave it out, or --test FILE")
        before, whole, horizon = self._split(self._read(builtin.sunspots() if data is None else data), test)
        limit = self.options.time_limit
        limits = {part: share * limit if limit else None for part, share in SHARES.items()}
        lengths = [len(series) for series in before]
        if validation is not None:
            before = before.then(self._more(validation, before), _name(validation))
            refuse_unmeasured(before, lengths, _name(validation))
        if test is not None:
            whole = before.then(self._more(test, before), _name(test))
        refuse_unmeasured(whole, [len(series) for series in before], _name(test))
        how: dict[str, Any] = {"out": out, "resume": resume, "quiet": quiet, "callbacks": callbacks}
        sizes = plan(before.heads(lengths), self.options, horizon)
        held = Held(whole, tuple(len(s) for s in before), sizes.horizon, sizes.season, sizes.levels)
        slow = Slow(held, self.options.baselines)
        self._learn(before, lengths, sizes, validation is not None, limits["fit"], how)
        measured = self._learnt
        rivals = self._rivals(measured.plan, validation is None, limits["rivals"])
        self._panel, kept = whole, KEPT
        if sum(held.first) < LARGE:
            where = None if out is None else Path(out, "final")
            self.refit(whole, out=where, resume=resume, quiet=True, time_limit=limits["final"])
            kept = NO_TIME if self._learnt is measured else ANEW
        if not quiet:
            print(first_line(self), file=sys.stderr, flush=True)
        found = Measured(measured, rivals, held, slow, self._curve(held, limits["curve"]), began)
        return describe(self, found, _name(data) or builtin.SUNSPOTS, kept)

    def evaluate(self, data: Any) -> Outcome:
        """A trained model on data as `score` takes them, beside the classical baselines."""
        from ostinato.tasks.forecasting.outcome import Measured, describe

        began, learnt = time.monotonic(), self._fitted("_learnt")
        held = self.held_out(data)
        own = {series.id: series.end for series in self._panel}
        seen = any(held.panel[k].start + held.first[k] < own.get(held.panel[k].id, 0) for k in held.rows)
        return describe(self, Measured(learnt, {}, held, None, [], began), _name(data), known=seen)

    def answer(self, source: str | os.PathLike[str] | None) -> dict[str, list[Any]]:
        """The forecast from the end of a file, or of what was learnt from, column by column."""
        frame = self.predict(source)
        return {str(name): frame[name].tolist() for name in frame.columns}

    def held_out(self, data: Any) -> Held:
        """Histories, and the places from which on they are to be forecast; see `score`.

        Raises:
            DataError: the data are of another frequency, or too short.
        """
        sizes, given = self._fitted("_learnt").plan, self._more(data, self._panel)
        own = {series.id: series for series in self._panel}
        if all(s.id in own and (not s.time_name or s.start >= own[s.id].end) for s in given):
            whole = self._panel.then(given, _name(data))
            first = [len(series) for series in self._panel]
        else:
            self._same_grid(given, data)
            whole, first = given, []
            for series in given:
                new = series.end - own[series.id].end if series.id in own else 0
                first.append(len(series) - (new if 0 < new < len(series) else sizes.horizon))
        if max(first) < 3:
            found = f"{len(whole[0])} steps, of which {max(0, first[0])} lie before what is forecast"
            raise DataError(_name(data), found, "give more")
        first = [k if k >= 3 else len(series) for k, series in zip(first, whole, strict=True)]
        refuse_unmeasured(whole, first, _name(data))
        return Held(whole, tuple(first), sizes.horizon, sizes.season, sizes.levels)

    # The model file ---------------------------------------------------------------------------

    def to_file(self) -> tuple[dict[str, Any], Arrays]:
        """Manifest and tensors: the networks, the numbers around them, and the histories they forecast from."""
        learnt: Learnt = self._fitted("_learnt")
        words, tensors = learnt.to_file()
        panel, values = files.panel_to_file(self._panel)
        spec = Spec(inputs=learnt.plan.inputs, horizon=learnt.plan.horizon, targets=(self._panel.name,))
        return self._manifest(spec.to_json(), words | {"panel": panel}), tensors | values

    @classmethod
    def from_file(cls, manifest: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The forecaster that `to_file` took apart, ready to predict.

        Raises:
            ValueError: the parts do not fit together.
        """
        task = cls(**manifest["arguments"])
        task._learnt = Learnt.of_file(manifest["extra"], tensors)
        task._panel = files.panel_of_file(manifest["extra"]["panel"], tensors, task._learnt.plan)
        return task

    # Steps ------------------------------------------------------------------------------------

    def _read(self, source: Any) -> Panel:
        words = self.options
        columns: dict[str, Any] = {"past": words.past, "future": words.future, "static": words.static}
        panel = read_panel(
            source, id=words.id, time=words.time, target=words.target, freq=words.freq, duplicates=words.duplicates,
            on_bad=words.on_bad, **columns,
        )  # fmt: skip
        return files.from_first(panel)

    def _more(self, source: Any, panel: Panel) -> Panel:
        """A further source, read as `panel` was: its columns, its covariates' meaning, its frequency."""
        words = self.options
        named = bool(panel.time_name) and not isinstance(source, (np.ndarray, list, tuple))
        target = words.target or ((panel.name,) if named else ())
        told = words.time or ((panel.time_name,) if named and panel.time_name != "time" else ())
        how: dict[str, Any] = {"id": words.id, "time": told, "target": target, "coding": panel.coding}
        how |= {"duplicates": words.duplicates, "on_bad": words.on_bad}
        try:
            found = read_panel(source, freq=words.freq, **how)
        except DataError:
            if not named or words.freq:
                raise
        else:
            if not named or words.freq or max(len(series) for series in found) >= FEW:
                return found
        return read_panel(source, freq=spelled(panel.frequency), **how)  # a few rows tell no frequency

    def _joined(self, data: Any, validation: Any) -> tuple[Panel, list[int]]:
        """All series, validation at their ends, and how much of each may be learnt."""
        panel = self._read(data)
        lengths = [len(series) for series in panel]
        if validation is not None:
            panel = panel.then(self._more(validation, panel), _name(validation))
        return panel, lengths

    def _split(self, panel: Panel, test: Any) -> tuple[Panel, Panel, int]:
        """What may be learnt from, all there is, and the horizon: without a test file the last windows are held out."""
        words = self.options
        horizon = words.horizon or usual_horizon(panel, words)
        if test is not None:
            return panel, panel, horizon
        windows = words.windows or usual_windows(panel, horizon)
        held, longest = horizon * windows, max(len(series) for series in panel)
        if longest < held + horizon + 3:
            most = max(1, (longest - 3) // (1 + windows))
            found = f"{longest} steps are too few to hold out {held} and learn to forecast {horizon}"
            todo = f"give --horizon {most} or less, or --test FILE" if most > 1 else "give more data"
            raise DataError(panel.source or panel.name, found, todo)
        # A series that is too short to hold anything out of is learnt from, whole.
        lengths = [len(s) - held if len(s) >= held + 3 else len(s) for s in panel]
        return panel.heads(lengths), panel, horizon

    def _rivals(self, sizes: Plan, all_learn: bool, limit: float | None) -> dict[str, Learnt]:
        """Networks without recurrence on the same windows, trained in the same way: those that were asked for."""
        from ostinato.tasks.forecasting.networks import RIVALS
        from ostinato.tasks.forecasting.training import again, learn

        found: dict[str, Learnt] = {}
        asked = [name for name in RIVALS if name in (self.options.baselines or BASELINES)]
        anew = all_learn and not self._nearly_all([len(series) for series in self._panel])
        part = limit and limit / len(asked or RIVALS) / 2
        for name in asked:
            how: dict[str, Any] = {"network": name, "quiet": True, "time_limit": part}
            found[name] = learn(self._panel, self._stops, sizes, **how)
            if anew:
                found[name] = again(found[name], self._panel, members=1, **how) or found[name]
        return found

    def _curve(self, held: Held, limit: float | None) -> list[tuple[float, int, float]]:
        """How the error falls with the data: (share, values learnt from, mean absolute error)."""
        if not self.options.learning_curve:
            return []
        found = []
        for share in CURVE:
            sizes = [max(1, round(share * first)) for first in held.first]
            if max(sizes) < 2 * held.horizon + 3:
                continue
            lengths = [len(s) - first + n for s, first, n in zip(held.panel, held.first, sizes, strict=True)]
            part = held._replace(panel=held.panel.tails(lengths), first=tuple(sizes))
            small = Forecaster(**self.get_params() | {"horizon": held.horizon, "learning_curve": False})
            small.fit(part.panel.heads(part.first), time_limit=limit and limit / len(CURVE))
            found.append((share, sum(sizes), scores(rolled(small._learnt, part), part)["mae"]))
        return found

    def _history(self, data: Any) -> Panel:
        """What to forecast from: the data, or fit's series with the data after them."""
        given = self._more(data, self._panel)
        self._same_grid(given, data)
        own = {series.id: series for series in self._panel}
        found = []
        for series in given:
            before = own.get(series.id)
            if not len(series) or (before is not None and series.time_name and series.start >= before.end):
                series = self._panel.then(replace(given, series=(series,)), _name(data)).find(series.id)
            if series.observed.sum() < 3:
                count = f"{int(series.observed.sum())} values" + (f" of {series.id!r}" if series.id else "")
                raise DataError(_name(data), count, "give a history of at least 3")
            found.append(series)
        return replace(self._panel, series=tuple(found), notes=given.notes)

    def _same_grid(self, given: Panel, data: Any) -> None:
        own, new = self._panel.frequency, given.frequency
        if given.time_name and (new.unit, new.every) != (own.unit, own.every):
            found = f"steps are {new.words}, those that were learnt are {own.words}"
            raise DataError(_name(data), found, "give data of the same frequency, or say --freq")


def _name(source: Any) -> str:
    """What a source is called in errors and metrics.json; "" for none."""
    if source is None:
        return ""
    return Path(source).name if isinstance(source, (str, os.PathLike)) else type(source).__name__
