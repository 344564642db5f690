"""The figures as a table: on the terminal, and as the docs' page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table

from ostinato.interfaces.screen import number

from .ledger import Line
from .row import Row

NETWORKS = ("feed_forward", "outlook")  # baselines that are parts of this project, and so not classical
HIGHER = ("direction",)  # metrics of which more is better
HEADER = ("data", "metric", "ostinato", "published", "seasonal naive", "best classical", "feed-forward", "seconds")
WIDE = 120  # columns of the terminal's table at least: a narrower one would drop words

Found = Mapping[str, Mapping[str, Line]]


def best(line: Line) -> tuple[str, float] | None:
    """The best classical baseline by the line's metric.

    >>> best({"metric": "mae", "beside": {"naive": 3.0, "auto_ets": 2.0, "feed_forward": 1.0}})
    ('auto_ets', 2.0)
    """
    classical = {name: value for name, value in line["beside"].items() if name not in NETWORKS}
    if not classical:
        return None
    choose = max if line["metric"] in HIGHER else min
    name = choose(classical, key=lambda each: classical[each])
    return name, classical[name]


def cells(line: Line) -> tuple[str, ...]:
    """A line under HEADER."""
    beside, classical = line["beside"], best(line)
    published = ", ".join(f"{value:g} {who}" for who, value in (line["published"] or {}).items())
    return (
        line["row"], line["metric"], number(line["value"]), published or "-", number(beside.get("seasonal_naive")),
        f"{number(classical[1])} {classical[0]}" if classical else "-", number(beside.get("feed_forward")),
        number(line["seconds"]),
    )  # fmt: skip


def show(found: Found, console: Console | None = None) -> None:
    """The table on the terminal."""
    grid = Table(header_style="", box=box.SIMPLE)
    for k, name in enumerate(HEADER):
        wordy = name in ("published", "best classical")
        side: Literal["left", "right"] = "left" if k < 2 or wordy else "right"
        grid.add_column(name.replace(" ", "\n").replace("-", "-\n"), justify=side, no_wrap=not wordy, overflow="fold")
    for lines in found.values():
        for line in lines.values():
            grid.add_row(*cells(line))
    (console or Console(width=max(Console().width, WIDE))).print(grid)


def page(task: str, rows: tuple[Row, ...], found: Found) -> str:
    """The docs' page in Markdown.

    Args:
        found: by row and metric, rows without a figure left out.
    """
    metrics = [line for lines in found.values() for line in lines.values()]
    runs = [next(iter(lines.values())) for lines in found.values()]
    sources: dict[str, list[str]] = {}
    for row in rows:
        if row.name in found and row.source:
            sources.setdefault(row.source, []).append(row.name)
    parts = [
        f"# Figures of `{task}`",
        f"Made from `benchmarks/figures.jsonl` by `make figures TASK={task} DATA=FOLDER`; nothing here is typed in but "
        "what others have published. Less is better, but for direction (more) and coverage (the nearer to its level "
        "the better). The best classical baseline is the best of naive, seasonal naive, drift, Markov chain, Naive2, "
        "ARIMA and ETS, as far as they were run on all that is held out. Seconds are those of the whole command, "
        "baselines and report included.",
        _table(HEADER, [cells(line) for line in metrics], numbers=2),
        "## How they were made",
        _table(
            ("data", "command", "held out", "seed", "commit", "date", "machine"),
            [
                (line["row"], f"`{line['command']}`", line["split"], str(line["seed"]), line["commit"] or "-",
                 line["date"], line["machine"])
                for line in runs
            ],
        ),
    ]  # fmt: skip
    if sources:
        parts += [
            "## What was published",
            "\n".join(f"- {', '.join(names)}: {source}." for source, names in sources.items()),
        ]
    return "\n\n".join(parts) + "\n"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]], numbers: int | None = None) -> str:
    """Markdown; columns from `numbers` on stand to the right."""
    rules = ["---" if numbers is None or k < numbers else "---:" for k in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, tuple(rules), *rows])
