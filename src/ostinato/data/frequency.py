"""The grid of time: which moment step k of a series stands for.

Steps are whole numbers counted from 1970, so that one moment has one number in every file and a
season keeps its phase.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[Any]  # datetime64[us], or int64 where steps are only counted
Steps = NDArray[np.int64]

SECOND = 1_000_000  # microseconds
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
WEEK = 7 * DAY
YEAR = 365.25 * DAY

_NAMES = {
    ("month", 1): "monthly",
    ("month", 3): "quarterly",
    ("month", 12): "yearly",
    ("business", 1): "business days",
    ("fixed", WEEK): "weekly",
    ("fixed", DAY): "daily",
    ("fixed", HOUR): "hourly",
    ("fixed", MINUTE): "every minute",
    ("fixed", SECOND): "every second",
    ("count", 1): "steps without dates",
}
_WORDS: dict[str, tuple[str, int]] = {
    "us": ("fixed", 1), "ms": ("fixed", 1000), "l": ("fixed", 1000),
    "s": ("fixed", SECOND), "sec": ("fixed", SECOND), "second": ("fixed", SECOND),
    "min": ("fixed", MINUTE), "t": ("fixed", MINUTE), "minute": ("fixed", MINUTE),
    "h": ("fixed", HOUR), "hour": ("fixed", HOUR),
    "d": ("fixed", DAY), "day": ("fixed", DAY), "dai": ("fixed", DAY),
    "b": ("business", 1), "business": ("business", 1), "business day": ("business", 1),
    "w": ("fixed", WEEK), "week": ("fixed", WEEK),
    "m": ("month", 1), "me": ("month", 1), "month": ("month", 1),
    "q": ("month", 3), "qs": ("month", 3), "qe": ("month", 3), "quarter": ("month", 3),
    "y": ("month", 12), "ys": ("month", 12), "ye": ("month", 12), "a": ("month", 12), "as": ("month", 12),
    "year": ("month", 12), "annual": ("month", 12),
    "step": ("count", 1), "count": ("count", 1),
}  # fmt: skip


class IrregularError(ValueError):
    """Times that lie on no grid. `place` is the first that does not fit, an index into the times."""

    def __init__(self, place: int, found: str) -> None:
        super().__init__(found)
        self.place = place


@dataclass(frozen=True)
class Frequency:
    """A grid of time.

    Attributes:
        unit: "fixed" (microseconds), "month", "business" (Monday to Friday) or "count" (numbers, no dates).
        every: units from one step to the next.
        phase: where in `every` the grid lies, in units; for "business" 0.
        offset: of the moment from its month's or day's begin, in microseconds; 31 days and more stand for the
            month's last day.

    >>> grid = infer(np.array(["1949-01-01", "1949-02-01", "1949-04-01"], "M8[us]"))
    >>> grid.words, grid.steps(np.array(["1970-03-01"], "M8[us]")).tolist()
    ('monthly', [2])
    >>> grid.times(np.array([-1])).astype("M8[D]").tolist()
    [datetime.date(1969, 12, 1)]
    """

    unit: str
    every: int
    phase: int = 0
    offset: int = 0

    @classmethod
    def checked(cls, unit: str, every: int, phase: int, offset: int) -> Frequency:
        """One that came from a file.

        Raises:
            ValueError: there is no such grid.
        """
        numbers = (every, phase, offset)
        if unit not in ("fixed", "month", "business", "count") or any(type(n) is not int for n in numbers):
            raise ValueError(f"no grid of time: {unit!r}, {numbers}")
        if not (0 < every < 2**62 and 0 <= phase < every and 0 <= offset < 2**62):
            raise ValueError(f"no grid of time: {unit!r}, {numbers}")
        return cls(unit, every, phase, offset)

    @property
    def words(self) -> str:
        """In words: monthly, every 15 minutes, ..."""
        if (self.unit, self.every) in _NAMES:
            return _NAMES[self.unit, self.every]
        if self.unit != "fixed":
            return f"every {self.every} {'months' if self.unit == 'month' else 'steps'}"
        for size, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes"), (SECOND, "seconds")):
            if self.every % size == 0:
                return f"every {self.every // size} {name}"
        return f"every {self.every / SECOND:g} seconds"

    def steps(self, times: Times) -> Steps:
        """The step that each moment lies in."""
        return (self._units(times) - self.phase) // self.every

    def off_grid(self, times: Times) -> Steps:
        """Places of the moments that do not lie on the grid exactly; within a month any day will do."""
        units = self._units(times)
        wrong = (units - self.phase) % self.every != 0
        if self.unit == "business":
            wrong |= ~np.is_busday(times.astype("M8[D]"))
        return np.flatnonzero(wrong)

    def times(self, steps: Steps) -> Times:
        """The moments of steps."""
        units = np.asarray(steps, dtype=np.int64) * self.every + self.phase
        if self.unit == "count":
            return units
        if self.unit == "fixed":
            return units.astype("M8[us]")
        if self.unit == "business":
            return np.busday_offset("1970-01-01", units, roll="forward").astype("M8[us]") + self.offset
        months = units.astype("M8[M]")
        last = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.int64) - 1  # day of month, from 0
        days = np.minimum(self.offset // DAY, last)
        return months.astype("M8[us]") + days * DAY + self.offset % DAY

    def periods(self) -> list[float]:
        """Lengths in steps of the calendar's seasons, shortest first: the day, the week, the year."""
        if self.unit == "count":
            return []
        if self.unit == "business":
            return [5.0, 260.9]
        length = self.every * YEAR / 12 if self.unit == "month" else self.every
        found = [size / length for size in (MINUTE, HOUR, DAY, WEEK, YEAR)]
        return [period for period in found if 2.5 < period < 5000][:2]

    def _units(self, times: Times) -> Steps:
        if self.unit == "count":
            return np.asarray(times, dtype=np.int64)
        if self.unit == "fixed":
            return times.astype("M8[us]").astype(np.int64)
        if self.unit == "month":
            return times.astype("M8[M]").astype(np.int64)
        return np.busday_count("1970-01-01", times.astype("M8[D]")).astype(np.int64)


def infer(times: Times) -> Frequency:
    """The grid on which moments lie, told from their distances.

    Args:
        times: rising, none twice, at least two.

    Raises:
        IrregularError: they lie on none; the first step that differs is named.

    >>> infer(np.array(["2024-01-05", "2024-01-08", "2024-01-09", "2024-01-10"], "M8[us]")).words
    'business days'
    """
    if times.dtype.kind == "i":
        return _even(times, "count")
    return _months(times) or _business(times) or _even(times.astype(np.int64), "fixed")


def parse(text: str, times: Times) -> Frequency:
    """The grid that `--freq` asks for, laid through the first moment.

    Raises:
        ValueError: the word is unknown.

    >>> parse("15min", np.array(["2024-01-01T00:05"], "M8[us]")).words
    'every 15 minutes'
    """
    match = re.fullmatch(r"(\d*)\s*([A-Za-z ]+?)(-[A-Za-z]{3})?", text.strip())
    word = match[2] if match else ""
    word = {"MS": "m", "M": "m"}.get(word, word.lower())  # pandas: MS is the month's start, ms milliseconds
    for ending in ("", "ly", "s"):
        if match and word.removesuffix(ending) in _WORDS:
            unit, every = _WORDS[word.removesuffix(ending)]
            return _laid(unit, every * int(match[1] or 1), times)
    raise ValueError(
        f"unknown frequency {text!r}: use one of s, min, h, D, B, W, M, Q, Y, with a number before it (15min)"
    )


def _laid(unit: str, every: int, times: Times) -> Frequency:
    """A grid of this spacing through the first moment."""
    if (unit == "count") != (times.dtype.kind == "i"):
        raise ValueError("the frequency does not fit: the times are " + ("numbers" if unit != "count" else "dates"))
    if unit in ("count", "fixed"):
        return Frequency(unit, every, int(times[0].astype(np.int64)) % every)
    if unit == "business":
        return Frequency(unit, every, 0, _common(_within(times, "M8[D]")))
    month = int(times[0].astype("M8[M]").astype(np.int64))
    return Frequency(unit, every, month % every, _day_and_time(times))


def _months(times: Times) -> Frequency | None:
    """A grid of whole months: one moment in each, on the same day, on the last, or on about the same."""
    months = times.astype("M8[M]").astype(np.int64)
    gaps = np.diff(months)
    if gaps.min() < 1:
        return None
    same_day = len(np.unique(_within(times, "M8[M]"))) == 1 or _ends(times)
    distances = np.diff(times).astype(np.int64)
    drifting = (np.abs(distances - gaps * YEAR / 12) > 5 * DAY).any() or len(np.unique(distances)) == 1
    if not same_day and drifting:
        return None
    every = int(np.gcd.reduce(gaps))
    return Frequency("month", every, int(months[0]) % every, _day_and_time(times))


def _business(times: Times) -> Frequency | None:
    """Monday to Friday: whole days apart, no weekend among them though weekends were passed."""
    offsets = _within(times, "M8[D]")
    days = times.astype("M8[D]")
    gaps = np.diff(days).astype(np.int64)
    if len(np.unique(offsets)) > 1 or gaps.min() < 1 or not np.is_busday(days).all():
        return None
    passed = gaps.sum() >= 3 and (gaps == 3).any() and (gaps == 1).sum() * 2 >= len(gaps)
    return Frequency("business", 1, 0, int(offsets[0])) if passed else None


def _even(numbers: Steps, unit: str) -> Frequency:
    """A grid of the commonest distance, or of the greatest one that divides all where most of it is filled."""
    gaps = np.diff(numbers)
    values, counts = np.unique(gaps, return_counts=True)
    common = int(values[counts.argmax()])
    every = common if not (gaps % common).any() else int(np.gcd.reduce(gaps))
    if gaps.sum() / every > 2 * len(gaps) + 10 and every != common:
        place = int(np.flatnonzero(gaps % common)[0]) + 1
        found = _distance(int(gaps[place - 1]), unit)
        raise IrregularError(place, f"{found} after the one before, most are {_distance(common, unit)}")
    return Frequency(unit, every, int(numbers[0]) % every)


def _distance(gap: int, unit: str) -> str:
    if unit == "count":
        return f"{gap} steps"
    for size, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if gap >= size:
            return f"{gap / size:g} {name}"
    return f"{gap / SECOND:g} seconds"


def _within(times: Times, unit: str) -> Steps:
    """Microseconds since the begin of the month or day."""
    return (times - times.astype(unit).astype("M8[us]")).astype(np.int64)


def _ends(times: Times) -> bool:
    days = times.astype("M8[D]")
    return bool(((days + 1).astype("M8[M]") > days.astype("M8[M]")).all())


def _day_and_time(times: Times) -> int:
    """The commonest day of the month and time of day, in microseconds; 31 days where it is always the last."""
    if _ends(times):
        return 31 * DAY + _common(_within(times, "M8[D]"))
    return _common(_within(times, "M8[M]"))


def _common(values: Steps) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])


def near(period: float) -> int:
    """A season's length in whole steps."""
    return max(1, math.floor(period + 0.5))
