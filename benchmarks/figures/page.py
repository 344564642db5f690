"""The figures as a table: on the terminal, and as the docs' page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table

from ostinato.interfaces.screen import number

from .ledger import Line
from .row import Row

NETWORKS = ("feed_forward", "outlook", "tcn")  # baselines that are parts of this project, and so not classical
HIGHER = ("direction", "accuracy", "f1", "macro_f1", "auroc", "exact_match")  # metrics of which more is better
WIDE = 120  # columns of the terminal's table at least: a narrower one would drop words

Found = Mapping[str, Mapping[str, Line]]


@dataclass(frozen=True)
class Sheet:
    """What the page of a task says of its figures.

    Attributes:
        simple: the baseline that has a column of its own.
        words: which way metrics are better, and what the classical baselines are.
    """

    simple: str
    words: str

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns."""
        simple = self.simple.replace("_", " ")
        return ("data", "metric", "ostinato", "published", simple, "best classical", "feed-forward", "seconds")


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


def cells(line: Line, sheet: Sheet) -> tuple[str, ...]:
    """A line under the sheet's header."""
    beside, classical = line["beside"], best(line)
    published = ", ".join(f"{value:g} {who}" for who, value in (line["published"] or {}).items())
    return (
        line["row"], line["metric"], number(line["value"]), published or "-", number(beside.get(sheet.simple)),
        f"{number(classical[1])} {classical[0]}" if classical else "-", number(beside.get("feed_forward")),
        number(line["seconds"]),
    )  # fmt: skip


def show(found: Found, sheet: Sheet, console: Console | None = None) -> None:
    """The table on the terminal."""
    grid = Table(header_style="", box=box.SIMPLE)
    for k, name in enumerate(sheet.header):
        wordy = name in ("published", "best classical")
        side: Literal["left", "right"] = "left" if k < 2 or wordy else "right"
        grid.add_column(name.replace(" ", "\n").replace("-", "-\n"), justify=side, no_wrap=not wordy, overflow="fold")
    for lines in found.values():
        for line in lines.values():
            grid.add_row(*cells(line, sheet))
    (console or Console(width=max(Console().width, WIDE))).print(grid)


def page(task: str, rows: tuple[Row, ...], found: Found, sheet: Sheet) -> str:
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
        f"what others have published. {sheet.words} Seconds are those of the whole command, "
        "baselines and report included.",
        _table(sheet.header, [cells(line, sheet) for line in metrics], numbers=2),
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
