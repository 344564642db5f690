"""The ARIMA model that fits best, its orders found step by step."""

from __future__ import annotations

from typing import Any, ClassVar

from ostinato.baselines.automatic import LONGEST, SHORT_SEASON, Automatic, library

EXACT = 150  # values, and
EXACT_SEASON = 12  # steps of a season, up to which every model on the way is fitted by its likelihood


class AutoArima(Automatic):
    """φ(B) Φ(B^m) (1 - B)^d (1 - B^m)^D y = c + θ(B) Θ(B^m) e: the orders of least AICc, found step by step.

    B is one step back, m the season; d and D are told by tests. Above 150 values or a season of 12 the
    models on the way are fitted by least squares, R's rule too, and only the last one by its likelihood:
    20 times as quick. What is done to the history is said of `Automatic`.

    Source: Hyndman and Khandakar (2008), Automatic Time Series Forecasting: the forecast package for R.
    """

    name: ClassVar[str] = "auto_arima"

    @staticmethod
    def cost(time: int, season: int) -> float:
        """Seconds on one core, as measured."""
        steps = min(time, LONGEST)
        if season == 1 or season > SHORT_SEASON:
            return 0.15
        return 0.1 * season if _exact(steps, season) else 0.5 + 1.1e-4 * steps * season

    @staticmethod
    def model(time: int, season: int) -> Any:
        """statsforecast's AutoARIMA."""
        return library("auto_arima").AutoARIMA(season_length=season, approximation=not _exact(time, season))


def _exact(time: int, season: int) -> bool:
    return time <= EXACT and season <= EXACT_SEASON
