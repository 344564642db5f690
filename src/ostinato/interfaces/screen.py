"""What a run says on the terminal: the table, the first lines of the prediction, where everything is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ostinato.tasks.outcome import Outcome, Sample


def show(outcome: Outcome, folder: Path | None, console: Console | None = None) -> None:
    """Notes, the prediction's first lines, the table beside the baselines, and an honest word about it."""
    console = console or Console(soft_wrap=True)
    for note in outcome.notes:
        console.print(f"[dim]- {escape(note)}[/dim]", highlight=False)
    header, rows = outcome.answer
    if rows:
        console.print(_grid(outcome.answer_title, list(header), [list(row) for row in rows]))
    console.print(_metrics(outcome))
    for sample in outcome.samples:
        console.print(f"[dim]- {escape(told(sample, outcome.best))}[/dim]", highlight=False)
    console.print(escape(verdict(outcome)), highlight=False)
    console.print(
        f"{outcome.parameters:,} parameters, {outcome.epochs} epochs, {outcome.seconds:.1f} s", highlight=False
    )
    if folder is not None:
        console.print(
            f"wrote {escape(str(folder))}: report.html, {outcome.predictions}, metrics.json, model.ost",
            highlight=False,
        )


def verdict(outcome: Outcome) -> str:
    """Where ostinato stands by the first metric of the table, and who is best, whoever that is."""
    able = [m for m in outcome.best if math.isfinite(outcome.metrics.get(m, math.nan))]
    if not able:
        return "nothing could be measured"
    metric = able[0]
    scores = {name: row[metric] for name, row in outcome.rows() if math.isfinite(row.get(metric, math.nan))}
    ordered = sorted(scores, key=lambda name: scores[name], reverse=outcome.best[metric] == "max")
    place = ordered.index("ostinato") + 1
    other = ordered[0] if place > 1 else next(iter(ordered[1:]), None)
    ours = f"by {metric} ostinato is number {place} of {len(ordered)} with {number(scores['ostinato'])}"
    if other is None:
        return ours
    return f"{ours}; {'best' if place > 1 else 'next'} is {other} with {number(scores[other])}"


def told(sample: Sample, shown: Iterable[str]) -> str:
    """A baseline that was run on a part of the data, in a sentence."""
    pairs = [(m, sample.theirs[m], sample.ours[m]) for m in shown if math.isfinite(sample.theirs.get(m, math.nan))]
    said = ", ".join(f"{metric} {number(theirs)} (ostinato {number(ours)})" for metric, theirs, ours in pairs)
    return f"{sample.name} on {sample.count} of {sample.of} {sample.what}: {said}"


def _metrics(outcome: Outcome) -> Table:
    names = [metric for metric in outcome.best if metric in outcome.metrics]
    names += [name for name in outcome.metrics if name.startswith("coverage_")]
    best = {metric: outcome.winner(metric) for metric in outcome.best}
    rows = []
    for who, scores in outcome.rows():
        cells = [f"[bold green]{number(scores[m])}[/]" if best.get(m) == who else number(scores.get(m)) for m in names]
        rows.append([f"[bold]{who}[/]" if who == "ostinato" else who, *cells])
    return _grid("Held out", ["", *names], rows)


def _grid(title: str, header: list[str], rows: list[list[str]]) -> Table:
    grid = Table(title=title, title_justify="left", title_style="bold", header_style="")
    for k, name in enumerate(header):
        grid.add_column(name, justify="left" if k == 0 else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*row)
    return grid


def number(value: float | None) -> str:
    """A number as a table shows it; - where there is none.

    >>> number(12345.678), number(0.01234), number(None)
    ('12,346', '0.01234', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
