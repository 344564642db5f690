"""Cells that hold moments: which way of writing them a column uses, and what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.data.frequency import DAY, SECOND, IrregularError, Times, infer

NAMES = frozenset("ds date datetime time timestamp day week month quarter year period when hour minute t".split())

_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_DATES = (
    "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%m-%d-%Y", "%d-%m-%Y",
    "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%b %d, %Y", "%B %d, %Y",
)  # fmt: skip
_MONTHS = ("%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%y-%b", "%m/%Y", "%Y/%m", "%Y %b", "%Y %B")
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,6})?\d*)?)?")
_ZONED = re.compile(_ISO.pattern + r"\s?(?:Z|UTC|[+-]\d{2}:?\d{2})")
_YEAR_MONTH = re.compile(r"(\d{1,4})[-M](\d{1,2})")
_QUARTER = re.compile(r"(\d{4})[- ]?[Qq]([1-4])")
_QUARTER_FIRST = re.compile(r"[Qq]([1-4])[-/ ]?(\d{4})")
_WEEK = re.compile(r"(\d{4})-?[Ww](\d{1,2})")


@dataclass(frozen=True)
class Style:
    """One way of writing moments.

    Attributes:
        words: what notes call it.
        parse: cells -> times, NaT where a cell is not written so.
        plain: whether the cells could as well be numbers, so that the column's name must speak for time.
        write: times -> cells.
    """

    words: str
    parse: Callable[[Sequence[str]], Times]
    write: Callable[[Times], list[str]]
    plain: bool = False


def detect(cells: Sequence[str], plain: bool) -> Style | None:
    """The style of a column, told from a sample of its cells, or None where it holds no times.

    Where day and month could change places, the order that gives evenly spaced times is taken, else
    the month first.

    Args:
        plain: whether years, counts and other plain numbers may be times.

    >>> detect(["13/01/2024", "14/01/2024"], plain=False).words
    'day/month/year'
    >>> detect(["1749", "1750"], plain=True).words, detect(["1749", "1750"], plain=False)
    ('years', None)
    """
    filled = [cell.strip() for cell in cells if cell.strip()]
    able = [style for style in STYLES if (plain or not style.plain) and filled and _fits(style, filled)]
    return next((style for style in able if _is_even(style, filled)), able[0] if able else None)


def _fits(style: Style, cells: Sequence[str]) -> bool:
    """Nine in ten cells are written so, the first of them too."""
    if np.isnat(_nat(style.parse(cells[:1]))).all():
        return False
    return bool(np.isnat(_nat(style.parse(cells))).mean() <= 0.1)


def _is_even(style: Style, cells: Sequence[str]) -> bool:
    times = _nat(style.parse(cells))
    times = np.unique(times[~np.isnat(times)])
    if len(times) < 2:
        return False
    try:
        infer(times)
    except IrregularError:
        return False
    return True


def _nat(times: Times) -> Times:
    """Counts as moments, so that one question asks both for what is missing."""
    return times if times.dtype.kind == "M" else times.astype("M8[us]")


NO_COUNT = np.datetime64("NaT").astype(np.int64)  # what stands for a cell that is no count


def missing(times: Times) -> Any:
    """Where no time was read."""
    return np.isnat(_nat(times))


# ---- the styles


def _by_pattern(pattern: re.Pattern[str], iso: Callable[[re.Match[str]], str | None]) -> Callable[[Sequence[str]], Times]:
    """Cells that match, turned into ISO 8601 and read by numpy."""

    def parse(cells: Sequence[str]) -> Times:
        return np.array([_moment(pattern.fullmatch(cell.strip()), iso) for cell in cells], dtype="M8[us]")

    return parse


def _moment(match: re.Match[str] | None, iso: Callable[[re.Match[str]], str | None]) -> np.datetime64:
    text = iso(match) if match else None
    try:
        return np.datetime64(text or "NaT", "us")
    except ValueError:  # the 31st of a shorter month
        return np.datetime64("NaT", "us")


def _iso(match: re.Match[str]) -> str:
    year, month, day, hour, minute, second, fraction = match.groups()
    text = f"{int(year):04}-{int(month):02}-{int(day):02}"
    return text if hour is None else f"{text}T{int(hour):02}:{minute}:{second or '00'}{fraction or ''}"


def _parse_iso(cells: Sequence[str]) -> Times:
    """numpy reads a whole column at once; what it does not know, or knows too well (today, +01:00), goes cell by cell."""
    dates, clocks = {cell[4:5] + cell[7:8] for cell in cells}, "".join(cell[10:] for cell in cells)
    if dates == {"--"} and not clocks.strip("0123456789: T."):
        try:
            return np.array(cells, dtype="M8[us]")
        except ValueError:
            pass
    return _slow_iso(cells)


_slow_iso = _by_pattern(_ISO, _iso)


def _parse_zoned(cells: Sequence[str]) -> Times:
    import pandas as pd

    written = [cell.strip() if _ZONED.fullmatch(cell.strip()) else "" for cell in cells]
    times = pd.to_datetime(pd.Series(written, dtype=object), format="ISO8601", utc=True, errors="coerce")
    return times.dt.tz_localize(None).to_numpy().astype("M8[us]")


def _by_format(text: str) -> Callable[[Sequence[str]], Times]:
    def parse(cells: Sequence[str]) -> Times:
        import pandas as pd

        stripped = pd.Series([cell.strip() for cell in cells], dtype=object)
        times = pd.to_datetime(stripped, format=text, errors="coerce").to_numpy().astype("M8[us]")
        return _this_century(times) if "%y" in text else times

    return parse


def _this_century(times: Times) -> Times:
    """Two digits of a year: 00 to 40 are of this century, 41 to 99 of the last."""
    late = times >= np.datetime64("2041-01-01")  # NaT is not
    months = times.astype("M8[M]")
    moved = (months - 1200).astype("M8[us]") + (times - months.astype("M8[us]"))
    return np.where(late, moved, times)


def _written(text: str) -> Callable[[Times], list[str]]:
    return lambda times: [time.strftime(text) for time in times.astype("M8[us]").tolist()]


def as_iso(times: Times) -> list[str]:
    """Dates where all are midnight, else with the clock, and with fractions where there are any."""
    whole = times.astype("M8[us]").astype(np.int64)
    unit = next(unit for size, unit in ((DAY, "D"), (SECOND, "s"), (1, "us")) if not (whole % size).any())
    return [str(text).replace("T", " ") for text in np.datetime_as_string(times.astype("M8[us]"), unit=unit)]


def _plain_numbers(convert: Callable[[float], str | None]) -> Callable[[Sequence[str]], Times]:
    pattern = re.compile(r"\d+(\.0*)?")
    return _by_pattern(pattern, lambda match: convert(float(match[0])))


def _compact(number: float) -> str | None:
    text = f"{int(number)}"
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and "1000" < text[:4] < "2999" else None


def _compact_month(number: float) -> str | None:
    text = f"{int(number)}"
    return f"{text[:4]}-{text[4:]}" if len(text) == 6 and "1000" < text[:4] < "2999" and text[4:] < "13" else None


def _parse_unix(unit: str, digits: int) -> Callable[[Sequence[str]], Times]:
    pattern = re.compile(rf"\d{{{digits}}}(\.\d*)?")
    scale = {"s": 1e6, "ms": 1e3}[unit]

    def parse(cells: Sequence[str]) -> Times:
        found = [cell.strip() for cell in cells]
        micro = [round(float(cell) * scale) if pattern.fullmatch(cell) else NO_COUNT for cell in found]
        return np.array(micro, dtype=np.int64).astype("M8[us]")

    return parse


def _parse_counts(cells: Sequence[str]) -> Times:
    pattern = re.compile(r"[+-]?\d{1,15}(\.0*)?")
    found = [cell.strip() for cell in cells]
    return np.array([int(float(cell)) if pattern.fullmatch(cell) else NO_COUNT for cell in found], dtype=np.int64)


def _quarters(times: Times) -> list[str]:
    months = times.astype("M8[M]").astype(np.int64)
    return [f"{1970 + month // 12}Q{month % 12 // 3 + 1}" for month in months.tolist()]


def _weeks(times: Times) -> list[str]:
    return ["{}-W{:02}".format(*time.isocalendar()[:2]) for time in times.astype("M8[us]").tolist()]


def _week(match: re.Match[str]) -> str | None:
    from datetime import date

    try:
        return date.fromisocalendar(int(match[1]), int(match[2]), 1).isoformat()
    except ValueError:
        return None


def _parts(unit: str) -> Callable[[Times], list[str]]:
    return lambda times: [str(text) for text in np.datetime_as_string(times.astype("M8[us]"), unit=unit)]


def _year(number: float) -> str | None:
    return f"{int(number)}" if 1000 <= number < 3000 else None


def _unix(unit: str) -> Callable[[Times], list[str]]:
    return lambda times: [str(n // {"s": 1_000_000, "ms": 1000}[unit]) for n in times.astype(np.int64).tolist()]


def _short_months(times: Times) -> list[str]:
    """Years as they came, which may be 1, 2, 3."""
    return [f"{int(year)}-{month}" for year, month in (text.split("-") for text in _parts("M")(times))]


def _spoken(text: str) -> str:
    """A strptime format in words.

    >>> _spoken("%d/%m/%Y %H:%M")
    'day/month/year and clock'
    """
    date, *clock = text.split(" %H")[0].split(" %I")
    words = {"%d": "day", "%m": "month", "%b": "month", "%B": "month", "%Y": "year", "%y": "year"}
    for mark, word in words.items():
        date = date.replace(mark, word)
    return date + (" and clock" if clock or " %H" in text else "")


def _of_format(text: str) -> Style:
    return Style(_spoken(text), _by_format(text), _written(text))


STYLES: tuple[Style, ...] = (
    Style("ISO dates", _parse_iso, as_iso),
    Style("ISO dates with a time zone, taken as UTC", _parse_zoned, as_iso),
    Style("year-month", _by_pattern(_YEAR_MONTH, lambda m: f"{int(m[1]):04}-{int(m[2]):02}"), _short_months),
    Style("quarters", _by_pattern(_QUARTER, lambda m: f"{m[1]}-{int(m[2]) * 3 - 2:02}"), _quarters),
    Style("quarters", _by_pattern(_QUARTER_FIRST, lambda m: f"{m[2]}-{int(m[1]) * 3 - 2:02}"), _quarters),
    Style("weeks", _by_pattern(_WEEK, _week), _weeks),
    *(_of_format(date + clock) for date in _DATES for clock in _CLOCKS),
    *(_of_format(text) for text in _MONTHS),
    Style("years", _plain_numbers(_year), _parts("Y"), plain=True),
    Style("yyyymmdd", _plain_numbers(_compact), _written("%Y%m%d"), plain=True),
    Style("yyyymm", _plain_numbers(_compact_month), _written("%Y%m"), plain=True),
    Style("seconds since 1970", _parse_unix("s", 10), _unix("s"), plain=True),
    Style("milliseconds since 1970", _parse_unix("ms", 13), _unix("ms"), plain=True),
    Style("steps", _parse_counts, lambda times: [str(n) for n in times.tolist()], plain=True),
)
