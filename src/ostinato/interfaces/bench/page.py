"""The tables as Markdown, and the page of the docs made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ostinato.interfaces.bench.row import OURS, Row, mean_ratio
from ostinato.interfaces.bench.work import RUNS

_TITLES = {
    "layers": "Plain layers",
    "lengths": "Different lengths, and resets",
    "options": "Options",
    "models": "Whole models, before and after `ost.accelerate`",
    "streams": "Streams: one step at a time",
}
_WORDS = {
    "layers": """\
Shapes are batch, steps, input, hidden. Train is forward and the gradients of the weights, train + dx that of x too.
Times in ms; in brackets the peer's time divided by ours in the same round, median over the rounds: above 1 we are
faster. % is of the peak of fused multiplications and additions of vectors, measured in the same rounds; tiles
(kernels amx) may pass 100. The second table has the means of these ratios; least is the row where the peer is
nearest to us, or ahead.""",
    "lengths": """\
Shapes are batch, steps, input, hidden. Times in ms; in brackets the time divided by ours.""",
    "options": """\
Shapes are batch, steps, input, hidden. Times in ms; in brackets the time divided by that of our layer with the
option: 0.80 for the plain layer says that it takes 80 % of the time. The loop is the same layer by its cell's equation
in operations of torch, one step after the other. All of its own: peephole, coupled_gates, layer_norm and
proj_size=32 at once.""",
    "models": """\
Three in plain torch, and those of public libraries that were installed (neuralforecast, sb3-contrib). The same
weights and data; times in ms, in brackets the time before divided by that after.""",
    "streams": """\
Streams x input, on one thread. Microseconds a step, called from Python; in brackets the time divided by ours; then the
steps of all streams together in a second.""",
}
_HEAD = """\
# Speed

Written by `ostinato bench`; nothing here is typed in. Every contestant's values, and gradients where it trains,
were equal to ours before a clock was read. Then all ran in turns in one process, one after the other in each round,
on inputs that change, each when the threads of the one before had gone to sleep and its own were awake; times are
medians. They are of one machine; ratios travel better.
"""
_QUICK = "**A quick run on few, small shapes: to see that everything works, not to be quoted.**"


def tables(rows: Sequence[Row]) -> str:
    """Every table, with its means."""
    return "\n\n".join(_part(part, found) for part in _TITLES if (found := [r for r in rows if r.part == part]))


def render(rows: Sequence[Row], about: dict[str, Any], picture: str | None) -> str:
    """The page `speed.md`."""
    machine = "{processor}, {cores} cores, kernels {kernels}, Python {python}, ostinato {ostinato}, {date}.".format(
        **about
    )
    pieces = [_HEAD.strip(), *([_QUICK] if about["quick"] else [])]
    pieces.append(f"{machine} Beside it: {'; '.join(about['peers']) or 'nobody'}.")
    if picture:
        pieces.append(f"![The time of each peer divided by ours, shape by shape]({picture})")
    return "\n\n".join([*pieces, tables(rows)]) + "\n"


def _part(part: str, rows: list[Row]) -> str:
    pieces = [f"## {_TITLES[part]}", _WORDS[part]]
    for threads in sorted({row.threads for row in rows}):
        own = [row for row in rows if row.threads == threads]
        pieces.append(f"### {threads} thread{'s' * (threads > 1)}")
        pieces.append(_table(part, own))
        if part == "layers":
            pieces.append(_means(own))
    return "\n\n".join(pieces)


def _others(rows: Iterable[Row]) -> list[str]:
    """Everyone beside ours, in the order of their first appearance."""
    return list(dict.fromkeys(who for row in rows for who in row.seconds if who != OURS))


def _table(part: str, rows: list[Row]) -> str:
    others, scale = _others(rows), (1e6 if part == "streams" else 1e3)
    percent, cells = any(row.percent is not None for row in rows), any(row.cell for row in rows)
    words = [*(["cell"] if cells else []), "shape" if part == "layers" else "what", "run"]
    header = [*words, "ours", *(["%"] if percent else []), *others]
    lines = [header, ["---"] * len(words) + ["---:"] * (len(header) - len(words))]
    for row in rows:
        shares = [f"{row.percent:.0f}" if row.percent is not None else ""] if percent else []
        own = [_time(row, OURS, scale), *shares, *(_time(row, who, scale) for who in others)]
        lines.append([*([row.cell] if cells else []), row.what, row.run, *own])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _time(row: Row, who: str, scale: float) -> str:
    if who not in row.seconds:
        return "-"
    said = number(row.seconds[who] * scale)
    if who in row.ratios:
        said += f" ({row.ratios[who]:.2f})"
    if who in row.rate:
        said += f"<br>{row.rate[who]:,.0f}/s"
    return said


def number(value: float) -> str:
    """Three figures.

    >>> number(0.01234), number(1.234), number(123.4)
    ('0.0123', '1.23', '123')
    """
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _means(rows: list[Row]) -> str:
    """Geometric means over the rows, and the worst row of each peer."""
    lines = ["| peer | run | rows | geometric mean | least |", "| --- | --- | ---: | ---: | ---: |"]
    for who in _others(rows):
        for run in RUNS:
            found = [row for row in rows if row.run == run and who in row.ratios]
            mean = mean_ratio(found, who)
            if mean is not None:
                ratio, least = min((row.ratios[who], f"{row.cell} {row.what}") for row in found)
                lines.append(f"| {who} | {run} | {len(found)} | {mean:.2f} | {ratio:.2f} ({least}) |")
    return "\n".join(lines)
