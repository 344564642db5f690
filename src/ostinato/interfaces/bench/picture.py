"""The table of plain layers as a picture: each peer's time divided by ours, a line a shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ostinato.interfaces.bench.row import OURS, Row
from ostinato.interfaces.pictures import INK, OTHERS, drawn, on_paper

_RUNS = ("forward", "train + dx")
_MARKS = "osD^v"


def svg(rows: Sequence[Row]) -> str | None:
    """On the fewest threads that were measured; None where there are no plain layers."""
    layers = [row for row in rows if row.part == "layers"]
    if not layers:
        return None
    threads = min(row.threads for row in layers)
    chosen = [row for row in layers if row.threads == threads]
    places = list(dict.fromkeys((row.cell, row.what) for row in chosen))
    size = (9.5, 1.3 + 0.24 * len(places))
    return on_paper(drawn(lambda figure: _draw(figure, chosen, places, threads), size, 0))


def _draw(figure: Any, rows: list[Row], places: list[tuple[str, str]], threads: int) -> None:
    runs = [run for run in _RUNS if any(row.run == run for row in rows)]
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    peers = list(dict.fromkeys(who for row in rows for who in row.ratios if who != OURS))
    for axes, run in zip(panels, runs, strict=True):
        _panel(axes, [row for row in rows if row.run == run], places, peers)
        axes.set_title(f"{run}, {threads} thread{'s' * (threads > 1)}", fontsize=10)
    panels[0].set_yticks(range(len(places)), [f"{cell}  {what}" for cell, what in places], fontsize=8)
    panels[0].set_ylabel("batch, steps, input, hidden", fontsize=9)
    panels[0].invert_yaxis()
    handles = [
        panels[0].plot([], [], _MARKS[k % len(_MARKS)], color=OTHERS[k % len(OTHERS)], label=who, markersize=6)[0]
        for k, who in enumerate(peers)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(1, len(peers)), fontsize=9)


def _panel(axes: Any, rows: list[Row], places: list[tuple[str, str]], peers: list[str]) -> None:
    axes.set_xscale("log")
    axes.axvline(1, color=INK, linewidth=1)
    for k, who in enumerate(peers):
        found = [(row.ratios[who], places.index((row.cell, row.what))) for row in rows if who in row.ratios]
        if found:
            axes.plot(
                *zip(*found, strict=True),
                _MARKS[k % len(_MARKS)],
                color=OTHERS[k % len(OTHERS)],
                markersize=6,
                alpha=0.9,
            )
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.8), max(high, 4))
    ticks = [v for v in (0.5, 1, 2, 4, 8, 16, 32) if axes.get_xlim()[0] <= v <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{v:g} x" for v in ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("peer's time / ours: right of the line ours is faster")
    axes.grid(axis="both", color=INK, alpha=0.12, linewidth=0.6)
