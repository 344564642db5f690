"""The ways in which people write moments, each read and written."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from ostinato.data.frequency import DAY, SECOND, Times

Parse = Callable[[Sequence[str]], Times]
Write = Callable[[Times], list[str]]
ToIso = Callable[[re.Match[str]], str | None]
Unit = Literal["Y", "M", "D", "s", "us"]

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
        key: what a model file calls it.
        words: what notes call it.
        parse: cells -> times, NaT where a cell is not written so.
        plain: whether the cells could as well be numbers, so that the column's name must speak for time.
        write: times -> cells.
    """

    key: str
    words: str
    parse: Parse
    write: Write
    plain: bool = False


NO_COUNT = np.datetime64("NaT").astype(np.int64)  # what stands for a cell that is no count


def _by_pattern(pattern: re.Pattern[str], iso: ToIso) -> Parse:
    """Cells that match, turned into ISO 8601 and read by numpy."""

    def parse(cells: Sequence[str]) -> Times:
        return np.array([_moment(pattern.fullmatch(cell.strip()), iso) for cell in cells], dtype="M8[us]")

    return parse


def _moment(match: re.Match[str] | None, iso: ToIso) -> np.datetime64:
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
    """By numpy, a whole column at once; what it does not know, or knows too well (today, +01:00), cell by cell."""
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


def _by_format(text: str) -> Parse:
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


def _written(text: str) -> Write:
    return lambda times: [time.strftime(text) for time in times.astype("M8[us]").tolist()]


def as_iso(times: Times) -> list[str]:
    """Dates where all are midnight, else with the clock, and with fractions where there are any."""
    whole = times.astype("M8[us]").astype(np.int64)
    unit: Unit = "us" if (whole % SECOND).any() else "s" if (whole % DAY).any() else "D"
    return [text.replace("T", " ") for text in _parts(unit)(times)]


def _plain_numbers(convert: Callable[[float], str | None]) -> Parse:
    pattern = re.compile(r"\d+(\.0*)?")
    return _by_pattern(pattern, lambda match: convert(float(match[0])))


def _compact(number: float) -> str | None:
    text = f"{int(number)}"
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and "1000" < text[:4] < "2999" else None


def _compact_month(number: float) -> str | None:
    text = f"{int(number)}"
    return f"{text[:4]}-{text[4:]}" if len(text) == 6 and "1000" < text[:4] < "2999" and text[4:] < "13" else None


def _parse_unix(unit: str, digits: int) -> Parse:
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


def _iso_month(match: re.Match[str]) -> str:
    return f"{int(match[1]):04}-{int(match[2]):02}"


def _quarter(year: str, quarter: str) -> str:
    return f"{year}-{int(quarter) * 3 - 2:02}"


def _week(match: re.Match[str]) -> str | None:
    try:
        return date.fromisocalendar(int(match[1]), int(match[2]), 1).isoformat()
    except ValueError:
        return None


def _parts(unit: Unit) -> Write:
    return lambda times: [str(text) for text in np.datetime_as_string(times.astype("M8[us]"), unit=unit)]


def _year(number: float) -> str | None:
    return f"{int(number)}" if 1000 <= number < 3000 else None


def _unix(unit: str) -> Write:
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
    return Style(text, _spoken(text), _by_format(text), _written(text))


STYLES: tuple[Style, ...] = (
    Style("iso", "ISO dates", _parse_iso, as_iso),
    Style("iso-zoned", "ISO dates with a time zone, taken as UTC", _parse_zoned, as_iso),
    Style("year-month", "year-month", _by_pattern(_YEAR_MONTH, _iso_month), _short_months),
    Style("quarter", "quarters", _by_pattern(_QUARTER, lambda m: _quarter(m[1], m[2])), _quarters),
    Style("quarter-first", "quarters", _by_pattern(_QUARTER_FIRST, lambda m: _quarter(m[2], m[1])), _quarters),
    Style("week", "weeks", _by_pattern(_WEEK, _week), _weeks),
    *(_of_format(date + clock) for date in _DATES for clock in _CLOCKS),
    *(_of_format(text) for text in _MONTHS),
    Style("year", "years", _plain_numbers(_year), _parts("Y"), plain=True),
    Style("yyyymmdd", "yyyymmdd", _plain_numbers(_compact), _written("%Y%m%d"), plain=True),
    Style("yyyymm", "yyyymm", _plain_numbers(_compact_month), _written("%Y%m"), plain=True),
    Style("unix-s", "seconds since 1970", _parse_unix("s", 10), _unix("s"), plain=True),
    Style("unix-ms", "milliseconds since 1970", _parse_unix("ms", 13), _unix("ms"), plain=True),
    Style("step", "steps", _parse_counts, lambda times: [str(n) for n in times.tolist()], plain=True),
)
