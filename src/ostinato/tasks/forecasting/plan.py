"""The sizes of a forecaster: told by the options where they say, else by the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ostinato.data import DataError, Panel
from ostinato.data.covariates import widths
from ostinato.data.frequency import near
from ostinato.data.seasons import guess

if TYPE_CHECKING:
    from ostinato.data.windows import Shape
    from ostinato.tasks.forecast import ForecastOptions

FEW = 1000  # values in all below which a statistical outlook is corrected instead of naive forecasts
LARGE = 20_000  # values from which on data are many
ENOUGH = 40  # horizons that training is stopped by at most, where data are many
DAYS = (24, 48, 96, 144, 288)  # steps in a day: where one is the season, the week is looked at too
LONGEST = 200  # steps of a season that a network looks back to
DROPOUT = 0.2  # of networks with much to learn from
SEGMENTS = 14  # of a window at most
LONGEST_USUAL = 60  # steps of a horizon that nobody asked for
MEASURED, MOST_WINDOWS = 10, 5  # horizons are held out while they take a tenth of the data, at most five
SAMPLE = 40  # series that seasons are told from

Decoding = Literal["direct", "segments", "recursive"]


class Plan(BaseModel):
    """Sizes, all decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizon: int = Field(ge=1, le=100_000)
    season: int = Field(ge=1)
    periods: tuple[float, ...] = Field(max_length=8)
    look_back: int = Field(ge=1, le=100_000)
    segment: int = Field(ge=1, le=10_000)
    decoding: Decoding
    ways: tuple[str, ...] = Field(max_length=20)
    covariates: tuple[int, int, int]
    cell: str
    head: str
    levels: tuple[float, ...] = Field(max_length=100)
    hidden_size: int = Field(ge=1)
    num_layers: int = Field(ge=1)
    bidirectional: bool
    dropout: float = Field(ge=0, lt=1)
    members: int = Field(ge=1, le=100)
    epochs: int = Field(ge=1)
    patience: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    batches: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    clip: float | None
    recurrent_norm_limit: float | None
    weight_norm: bool
    seed: int = Field(ge=0)
    device: str
    gaps: bool

    @property
    def shape(self) -> Shape:
        """The sizes of a window."""
        from ostinato.data.windows import Shape

        return Shape(self.horizon, self.look_back, self.segment, self.periods, self.ways, self.gaps)

    @property
    def views(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the ways that each kind of member weighs; member k is of kind k, k + kinds, ..."""
        from ostinato.data import ways

        if not self.ways or self.decoding == "recursive":
            return (tuple(range(max(1, len(self.ways)))),)
        return ways.views(self.ways)

    @property
    def inputs(self) -> int:
        """Features of one step of a window, as `Windows` makes them."""
        return self.shape.moves + self.gaps + self.covariates[0] + self.covariates[1]

    @property
    def quantiles(self) -> list[float]:
        """The levels of probability that intervals of `levels` percent need, and the median, rising."""
        tails = [(1 - level / 100) / 2 for level in self.levels]
        return sorted({round(p, 9) for tail in tails for p in (tail, 1 - tail)} | {0.5})


def plan(panel: Panel, words: ForecastOptions, horizon: int) -> Plan:
    """All sizes, from the options and the data that are learnt from.

    Raises:
        DataError: every series is too short for the horizon.
    """
    from ostinato import heads

    lengths = np.array([len(series) for series in panel])
    total, longest = int(lengths.sum()), int(lengths.max())
    periods = periods_of(panel, words.season)
    if longest < horizon + 3:
        found = f"{longest} steps are too few to learn to forecast {horizon}"
        raise DataError(panel.source, found, f"give a horizon of {max(1, longest - 3)} or less, or more data")
    few, outlook = total < FEW, total < FEW and words.decoding != "recursive"
    typical = int(np.quantile(lengths, 0.25))
    decoding: Decoding = words.decoding or ("direct" if outlook else "segments")
    if decoding == "recursive" and words.bidirectional:
        raise ValueError(
            "--bidirectional: step by step there is no future to read from: leave it out, or --decoding segments"
        )
    segment = _segment(periods, horizon, typical) if decoding == "segments" else 1
    look_back = _look_back(words.look_back, typical, horizon, periods, segment)
    law = heads.get(words.head)
    return Plan(
        horizon=horizon, season=near(periods[0]) if periods else 1, periods=tuple(periods), look_back=look_back,
        segment=segment, decoding=decoding, ways=() if outlook else _ways(periods, look_back),
        covariates=widths(panel), cell=words.cell, head=words.head,
        levels=words.levels if law.quantiles is not heads.Head.quantiles else (),
        hidden_size=words.hidden_size or (16 if total < 200 else 32 if few else 64 if total < 5000 else 128),
        num_layers=words.num_layers, bidirectional=words.bidirectional,
        dropout=(0.0 if few else DROPOUT) if words.dropout is None else words.dropout,
        members=words.members or 3, epochs=words.epochs or (40 if few else 20), patience=10 if few else 1000,
        batch_size=words.batch_size or (32 if few else 256 if total >= 20_000 else 128), batches=50,
        learning_rate=words.learning_rate or (5e-3 if few else 1e-3), clip=words.clip,
        recurrent_norm_limit=words.recurrent_norm_limit, weight_norm=words.weight_norm, seed=words.seed,
        device=words.device, gaps=any(bool(np.isnan(series.values).any()) for series in panel),
    )  # fmt: skip


def periods_of(panel: Panel, season: int | None) -> list[float]:
    """The seasons to work with, the leading one first: as was said, else as most of the data ask for."""
    if season is not None:
        if season == 1:
            return []
        longer = [7.0 * season] * (season in DAYS and min(len(series) for series in panel) > 2 * 7 * season)
        return [float(season), *longer]
    votes: dict[float, int] = {}
    for series in list(panel)[:: max(1, len(panel) // SAMPLE)]:
        steps = np.arange(series.start, series.end)
        for place, period in enumerate(guess(series.filled(), steps, series.frequency.periods())[0]):
            votes[period] = votes.get(period, 0) + (100 if place == 0 else 1)
    found = sorted(votes, key=lambda period: -votes[period])
    return found[:3]


def usual_horizon(panel: Panel, words: ForecastOptions) -> int:
    """Two of the calendar's shortest seasons, or of the season in the data, at most 60 steps and a third of them.

    The season is told from that part of the data which no horizon of this size would hold out.
    """
    lengths = [len(series) for series in panel]
    most = LONGEST_USUAL * (words.windows or usual_windows(panel, LONGEST_USUAL))
    early = panel.heads([n - min(most, n // 2) for n in lengths])
    found = [float(words.season)] if words.season else panel.frequency.periods() or periods_of(early, None)
    steps = 2 * near(min(found)) if found else 6
    return max(1, min(steps, LONGEST_USUAL, (int(np.median(lengths)) - 3) // (2 + (words.windows or 1))))


def usual_windows(panel: Panel, horizon: int) -> int:
    """Horizons to measure on: as many as take a tenth of the data, 1 to 5. One alone may be an odd one out.

    >>> usual_windows(Panel.of([[0.0] * 5000]), horizon=24), usual_windows(Panel.of([[0.0] * 144]), horizon=24)
    (5, 1)
    """
    typical = int(np.median([len(series) for series in panel]))
    return max(1, min(MOST_WINDOWS, typical // (MEASURED * horizon)))


def held_back(n: int, horizon: int) -> int:
    """Steps at the end of n that decide when training ends: a tenth, at least a horizon, none where there are few.

    Of long series 40 horizons are enough.
    """
    part = n // 10 if n < LARGE else min(n // 10, ENOUGH * horizon)
    return max(0, min(max(horizon, part), n - horizon - 4, n // 3))


def _segment(periods: list[float], horizon: int, typical: int) -> int:
    """The leading season where it is neither tiny nor long, else a part of the horizon."""
    able = [near(period) for period in periods if 4 <= near(period) <= 64]
    segment = able[0] if able else max(1, min(24, horizon, typical // 16))
    return max(1, min(segment, typical // 3))


def _look_back(asked: int | None, typical: int, horizon: int, periods: list[float], segment: int) -> int:
    """Whole segments: as asked for, else enough to see each season twice, as far as data and time allow."""
    if asked is not None:
        return -(-asked // segment) * segment
    if segment == 1:
        seasons = [2 * near(period) if period <= 64 else near(period) for period in periods if period <= 160]
        return min(max(*seasons, horizon, 16) if seasons else max(horizon, 16), 160, max(4, typical // 3))
    seen = [2 * near(period) for period in periods if near(period) <= LONGEST]
    most = max([SEGMENTS * segment, *seen]) if seen else SEGMENTS * segment
    return segment * max(2, min(-(-most // segment), typical // (2 * segment)))


def _ways(periods: list[float], look_back: int) -> tuple[str, ...]:
    from ostinato.data import ways

    return ways.names(periods, max(look_back, 2))
