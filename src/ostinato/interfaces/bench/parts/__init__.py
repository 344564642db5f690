"""The tables of `ostinato bench`, one file each: a part is a function from a Plan to its rows, in their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from ostinato.interfaces.bench.clock import ROUNDS
from ostinato.interfaces.bench.row import Row

PARTS = ("layers", "lengths", "options", "models", "streams")
CELLS = ("RNN", "LSTM", "GRU")


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        parts, cells: names of PARTS and CELLS.
        peers: names of `peers.PEERS`; those that are not installed take no part.
        threads: of every contestant.
        rounds: in turns.
        quick: a few small shapes, to see that all works.
    """

    parts: tuple[str, ...] = PARTS
    cells: tuple[str, ...] = CELLS
    peers: tuple[str, ...] = ()
    threads: int = 1
    rounds: int = ROUNDS
    quick: bool = False


class _Module(Protocol):
    def rows(self, plan: Plan) -> Iterator[Row]: ...
    def count(self, plan: Plan) -> int: ...


def _module(part: str) -> _Module:
    return cast(_Module, import_module(f"{__name__}.{part}"))


def rows(plan: Plan) -> Iterator[Row]:
    """All rows of the plan, as they are measured."""
    for part in plan.parts:
        yield from _module(part).rows(plan)


def count(plan: Plan) -> int:
    """How many rows there will be."""
    return sum(_module(part).count(plan) for part in plan.parts)
