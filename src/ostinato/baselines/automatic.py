"""What the models of statsforecast have in common here: what they are given, and what is done where they fail."""

from __future__ import annotations

import math
import warnings
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from ostinato.baselines.baseline import Array, Baseline, bridged, last

LONGEST = 1000  # values that a model sees; more cost time and tell of times long gone
SEASONS = 4  # of a long season, what it is taken from
SHORT_SEASON = 24  # a longer one is no part of the model, as in R: it would take hours, or cannot be fitted
WINDOW = 11  # seasons over which a season may change its form, R's choice


class Automatic(Baseline):
    """A model that chooses its own orders: ŷ = model(the last 1,000 values, gaps bridged).

    A season above 24 steps is first taken out by STL and goes on as it last was: ŷ = model(y - S) + S. Where
    the library finds no model with the season, one without it is tried; then the last value is repeated,
    and `notes` says so. A subclass writes `model`.

    Source: Cleveland et al. (1990), STL; Hyndman's `mstl` and `stlf` put the two together in this way.
    """

    name: ClassVar[str] = ""

    @staticmethod
    def model(time: int, season: int) -> Any:
        """statsforecast's model for a history of that length, the season at most 24."""
        raise TypeError("a subclass of Automatic writes model(time, season)")

    def forecast(self, x: Array, horizon: int) -> Array:
        """Without gaps and long seasons, by the library's model.

        Raises:
            ImportError: statsforecast is not installed.
        """
        seen = np.flatnonzero(~np.isnan(x))
        if (x[seen] == x[seen[0]]).all():
            return np.full(horizon, x[seen[0]])
        history, season = x[seen[0] :], self.season  # what comes before the first value is no gap
        if np.isnan(history).any():
            self.say("gaps were bridged from the seasons beside them" if season > 1 else "gaps were bridged by lines")
            history = bridged(history, season)
        pattern = np.zeros(1)
        if season > SHORT_SEASON:
            history, pattern = self._without_season(history)
            season = 1
        if len(history) > LONGEST:
            self.say(f"only the last {LONGEST:,} values are used, to stay quick")
        return self._modelled(history[-LONGEST:], season, horizon) + np.resize(pattern, horizon)

    def _without_season(self, x: Array) -> tuple[Array, Array]:
        """The series without its season, and the season as it last was, (season,); nothing where it is too short."""
        from statsmodels.tsa.seasonal import STL

        season = self.season
        if len(x) < 2 * season:
            self.say(f"fewer than two seasons of {season} are known, so no season is modelled")
            return x, np.zeros(1)
        recent = x[-max(LONGEST, SEASONS * season) :]
        jump = math.ceil(season / 10)  # R's: between them a smooth curve is as good as straight
        steps = {"seasonal_jump": 2, "trend_jump": jump, "low_pass_jump": jump}
        # The moving average of the seasons is a mean of them, not a line through them: it does not run away at the end.
        found = STL(recent, period=season, seasonal=WINDOW, seasonal_deg=0, **steps).fit().seasonal
        self.say(f"the season of {season} steps is taken out first (STL) and goes on as it last was")
        return recent - found, found[-season:]

    def _modelled(self, x: Array, season: int, horizon: int) -> Array:
        """By the library's model with the season, or without it; else the last value."""
        for tried in dict.fromkeys((season, 1)):
            found = _attempt(self.model(len(x), tried), x, horizon)
            if found is not None:
                if tried != season:
                    self.say(f"no model with a season of {season} could be fitted, so one without is used")
                return found
        self.say("no model could be fitted to this history, so the last value is repeated")
        return np.full(horizon, last(x))


def _attempt(model: Any, x: Array, horizon: int) -> Array | None:
    """Its forecast (horizon,); None where it fails, in whatever way."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = np.asarray(model.forecast(y=x, h=max(horizon, 1))["mean"], dtype=np.float64)[:horizon]
        except Exception:  # too little or too odd a history shows in any error there is
            return None
    return found if np.isfinite(found).all() else None


def library(name: str) -> Any:
    """statsforecast's module of models.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return import_module("statsforecast.models")
    except ModuleNotFoundError as missing:
        raise ImportError(f"{name} needs {missing.name}: pip install ostinato[stats]") from missing
