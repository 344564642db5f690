"""Exponential smoothing in the form that fits best."""

from __future__ import annotations

from typing import Any, ClassVar

from ostinato.baselines.automatic import LONGEST, SHORT_SEASON, Automatic, library


class AutoEts(Automatic):
    """l = α (y - s) + (1 - α) (l + b), trend b and season s smoothed likewise: the form of least AICc.

    The forms are those with an error, trend and season that are added, multiplied or absent, the trend
    damped or not. What is done to the history is said of `Automatic`.

    Source: Hyndman et al. (2002), A State Space Framework for Automatic Forecasting Using Exponential
    Smoothing Methods.
    """

    name: ClassVar[str] = "auto_ets"

    @staticmethod
    def cost(time: int, season: int) -> float:
        """Seconds on one core, as measured."""
        steps = min(time, LONGEST)
        return 0.01 + (6e-5 if season == 1 or season > SHORT_SEASON else 7e-4) * steps

    @staticmethod
    def model(time: int, season: int) -> Any:
        """statsforecast's AutoETS."""
        return library("auto_ets").AutoETS(season_length=season)
