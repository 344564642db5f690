"""What `make figures` does: each row that is not measured yet in a process of its own, a line a figure, the tables."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from . import ledger
from .page import Sheet, page, show
from .row import Row

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).resolve().parents[1] / "figures.py"
TASKS = ("classify", "forecast", "generate", "tag")
FAILED, REFUSED, STOPPED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, print the table, write the docs' page; 1 where a row came to nothing."""
    words = _parsed(arguments)
    home = import_module(f"{__package__}.{words.task}")
    rows: tuple[Row, ...] = home.ROWS
    try:
        if words.child:
            return _child(_named(rows, words.child)[0], words)
        return _all(rows, home.SHEET, words)
    except (ValueError, OSError) as error:
        print(f"figures: error: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("\nfigures: stopped: the same command goes on with the rows that are missing", file=sys.stderr)
        return STOPPED


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="figures", description="Measure a task on public data; see benchmarks/.")
    parser.add_argument("--task", required=True, choices=TASKS)
    parser.add_argument("--data", required=True, type=Path, help="folder of the public data")
    parser.add_argument("--only", help="rows, with commas between; all where left out")
    parser.add_argument("--again", action="store_true", help="also those that are measured")
    parser.add_argument("--threads", type=int, default=_cores(), help="CPU threads (default all)")
    parser.add_argument("--quick", action="store_true", help=argparse.SUPPRESS)  # one epoch: shows that a row runs
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)  # folder to write into; that of the project
    parser.add_argument("--child", help=argparse.SUPPRESS)  # the row to run in this process
    words = parser.parse_args(arguments)
    if not words.data.is_dir():
        parser.error(f"--data {words.data}: is no folder: name the folder of the public data")
    if words.threads < 1:
        parser.error(f"--threads {words.threads}: give at least 1")
    if words.quick and words.out is None and not words.child:
        parser.error("--quick makes no figures: say --out FOLDER, so that none gets among the real ones")
    return words


def _cores() -> int:
    """Those this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _named(rows: tuple[Row, ...], only: str | None) -> list[Row]:
    """The rows that were asked for, in the order of the table.

    Raises:
        ValueError: one is not known; the nearest is given.
    """
    if not only:
        return list(rows)
    names = [name.strip() for name in only.split(",") if name.strip()]
    known = [row.name for row in rows]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"--only {name}: there is no such row: {hint}")
    return [row for row in rows if row.name in names]


def _all(rows: tuple[Row, ...], sheet: Sheet, words: argparse.Namespace) -> int:
    """Rows that are there are passed over; one that fails is told and the others go on."""
    out = words.out or ROOT
    file = out / "benchmarks" / "figures.jsonl"
    asked, there, failed = _named(rows, words.only), ledger.read(file), False
    machine = ledger.machine(words.threads)
    for row in asked:
        if ledger.newest(there, words.task, row, words.quick) and not words.again:
            print(f"{row.name}: is there (--again runs it anew)", file=sys.stderr)
            continue
        print(f"{row.name}: {row.said(words.quick)}", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            found = run(row, words, out)
        except ValueError as error:
            print(f"figures: {row.name}: not recorded: {error}", file=sys.stderr, flush=True)
            failed = True
            continue
        made = {"commit": ledger.commit(ROOT), "seconds": time.monotonic() - began, "machine": machine}
        print(f"{row.name}: {made['seconds']:.0f} s", file=sys.stderr, flush=True)
        ledger.append(file, ledger.lines_of(words.task, row, found, words.quick, **made))
    _tell(rows, sheet, words, out, file)
    return FAILED if failed else 0


def run(row: Row, words: argparse.Namespace, out: Path) -> dict[str, Any]:
    """What metrics.json holds of a row, run in a process of its own: memory and failures stay apart.

    Raises:
        ValueError: it failed, or its figures may not be recorded.
    """
    done = subprocess.run(typed(row, words, out), capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise ValueError(f"exit status {done.returncode}: {said[-1] if said else 'nothing was said'}")
    found: dict[str, Any] = json.loads(done.stdout)
    refused = row.refused(found)
    if refused:
        raise ValueError(refused)
    return found


def typed(row: Row, words: argparse.Namespace, out: Path) -> list[str]:
    """The words of the process: the row's own command, or this one again for a row that is Python."""
    threads = ["--threads", str(words.threads)]
    if row.measure is not None:
        child = [sys.executable, str(SCRIPT), "--task", words.task, "--data", str(words.data), "--child", row.name]
        return [*child, *threads, *["--quick"] * words.quick]
    program, *rest = shlex.split(row.said(words.quick))
    if program != "ostinato":
        raise ValueError(f"row {row.name}: its command begins with {program!r}: it must be ostinato")
    rest = [str(words.data / word.removeprefix("DATA/")) if word.startswith("DATA/") else word for word in rest]
    folder = ["--out", str(out / "runs" / "figures" / row.name), "--overwrite"]
    return [sys.executable, "-m", "ostinato.interfaces.cli", *rest, *folder, *threads, "--json"]


def _child(row: Row, words: argparse.Namespace) -> int:
    import torch

    torch.set_num_threads(words.threads)
    print(json.dumps(row.measured(words.data, words.quick), allow_nan=False))
    return 0


def _tell(rows: tuple[Row, ...], sheet: Sheet, words: argparse.Namespace, out: Path, file: Path) -> None:
    """Both tables, of all rows that are there, also those that were not asked for."""
    from ostinato.format import replace_text

    lines = ledger.read(file)
    newest = {row.name: ledger.newest(lines, words.task, row, words.quick) for row in rows}
    found = {name: each for name, each in newest.items() if each}
    if not found:
        return
    show(found, sheet)
    target = out / "docs" / f"figures-{words.task}.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_text(target, page(words.task, rows, found, sheet))
    print(f"wrote {target}", file=sys.stderr)
