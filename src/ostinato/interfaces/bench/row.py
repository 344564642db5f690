"""What is measured: a row of a table, with each contestant's time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

OURS = "ostinato"


@dataclass(frozen=True)
class Row:
    """One thing that was timed, by one contestant or more.

    Attributes:
        part: the table it belongs to: "layers", "options", "lengths", "streams".
        cell: "RNN", "LSTM" or "GRU".
        what: shape or option, as the table shows it.
        run: "forward", "train", "train + dx", "step".
        threads: of every contestant.
        seconds: the median of each contestant's rounds.
        ratios: contestant -> median over the rounds of its time divided by ours in the same round.
        percent: of the peak that was measured in the same rounds; None where there is no such figure.
        notes: contestant -> why it has no time here.
        rate: steps of all streams together in a second, by contestant; streams alone have it.
    """

    part: str
    cell: str
    what: str
    run: str
    threads: int
    seconds: dict[str, float]
    ratios: dict[str, float]
    percent: float | None = None
    notes: dict[str, str] = field(default_factory=dict)
    rate: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def mean_ratio(rows: Iterable[Row], who: str) -> float | None:
    """The geometric mean of a contestant's ratios; None where it has none.

    >>> row = Row("layers", "GRU", "1, 2, 3, 4", "forward", 1, {}, {"torch.nn": 8.0})
    >>> mean_ratio([row, Row("layers", "RNN", "1, 2, 3, 4", "forward", 1, {}, {"torch.nn": 2.0})], "torch.nn")
    4.0
    """
    found = [row.ratios[who] for row in rows if who in row.ratios]
    return math.exp(math.fsum(map(math.log, found)) / len(found)) if found else None
