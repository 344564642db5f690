"""`ostinato bench` from its words to its files: a process for each number of threads, then table, picture and page."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from ostinato.format import replace_text
from ostinato.interfaces.bench import page, peers, picture
from ostinato.interfaces.bench.machine import described
from ostinato.interfaces.bench.parts import CELLS, PARTS, Plan
from ostinato.interfaces.bench.progress import Progress
from ostinato.interfaces.bench.row import Row

QUICK_ROUNDS = 3
PICTURE = "pictures/speed.svg"


def plans(only: str | None, others: str | None, threads: str, quick: bool) -> list[Plan]:
    """What the words ask for, a plan for each number of threads; `others` names peers.

    Raises:
        ValueError: a word is none of those to choose from.

    >>> [(plan.parts, plan.cells, plan.threads) for plan in plans("layers,lstm", "torch", "1,2", quick=True)]
    [(('layers',), ('LSTM',), 1), (('layers',), ('LSTM',), 2)]
    """
    parts, cells = _chosen(only)
    wanted = tuple(peers.named(None if others is None else _list(others)))
    rounds = QUICK_ROUNDS if quick else Plan.rounds
    return [Plan(parts, cells, wanted, count, rounds, quick) for count in _counts(threads)]


def _list(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _chosen(only: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    words = _list(only or "")
    choices = [*PARTS, *(cell.lower() for cell in CELLS)]
    for word in words:
        if word.lower() not in choices:
            raise ValueError(f"--only {word}: choose from {', '.join(choices)}")
    asked = {word.lower() for word in words}
    parts = tuple(part for part in PARTS if part in asked) or PARTS
    return parts, tuple(cell for cell in CELLS if cell.lower() in asked) or CELLS


def _counts(threads: str) -> list[int]:
    words = _list(threads)
    if not words or not all(word.isdigit() and int(word) > 0 for word in words):
        raise ValueError(f"--threads {threads}: give whole numbers of at least 1, such as 1,2")
    return [int(word) for word in words]


def run(asked: Sequence[Plan], out: Path, quiet: bool = False) -> tuple[str, list[str]]:
    """Measure, and write into the folder; the tables as text, and the names of the files.

    Plain layers have a picture beside speed.md and speed.json.

    Raises:
        ValueError: the plans have no row.
        RuntimeError: a process that measures failed.
    """
    rows: list[Row] = []
    with Progress(quiet) as progress:
        for plan in asked:
            rows += measured(plan, progress)
    if not rows:
        raise ValueError("nothing is left to measure: models want no cell beside them, streams one thread")
    beside = [peer.said() for peer in peers.beside(rows, asked[0].peers)]
    about = described() | {"peers": beside, "quick": asked[0].quick, "date": f"{datetime.now():%Y-%m-%d}"}
    out.mkdir(parents=True, exist_ok=True)
    drawn = picture.svg(rows)
    if drawn is not None:
        (out / PICTURE).parent.mkdir(exist_ok=True)
        replace_text(out / PICTURE, drawn)
    text = page.tables(rows)
    replace_text(out / "speed.md", page.render(rows, about, PICTURE if drawn else None))
    found = {"about": about, "rows": [row.to_json() for row in rows]}
    replace_text(out / "speed.json", json.dumps(found, indent=1) + "\n")
    return text, ["speed.md", "speed.json", *([PICTURE] if drawn else [])]


def measured(plan: Plan, progress: Progress) -> Iterator[Row]:
    """The rows of one plan, from a process of their own."""
    from ostinato.interfaces.bench import child

    words = [sys.executable, "-W", "ignore", "-m", child.__name__, child.words_of(plan)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            first = process.stdout.readline()
            if first:
                progress.begin(json.loads(first)["count"], plan.threads)
            for line in process.stdout:
                row = Row(**json.loads(line))
                progress.step(row)
                yield row
            said = process.stderr.read()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        last = next((line for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
        raise RuntimeError(f"the process that measures ended with status {process.returncode}: {last}")
