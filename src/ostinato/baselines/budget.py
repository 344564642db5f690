"""Forecasts of many series by one method within so many seconds: where all would take too long, of every k-th."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from ostinato.baselines.baseline import Array, Baseline, get

PROCESSES = 2
PAYS = 6.0  # seconds of work from which on a second process earns what it costs to start
PATIENCE = 3.0  # times the budget, after which what has not come is given up
SHOWN = 3  # kinds of notes that are passed on
START = "import sys; sys.path[:] = sys.argv[1:]; from ostinato.baselines.budget import child; child()"
# Two processes on two cores: threads of their own would only be in each other's way.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def forecasts(
    name: str, histories: Sequence[Array], season: int, horizon: int, seconds: float
) -> tuple[list[Array | None], str]:
    """Each history's forecast by one method, and what the report should say of it; None where it was left out.

    A method whose `cost` is 0 forecasts all. Another forecasts rows 0, k, 2k, ..., with the least k for
    which sum(costs) / 2 <= seconds, in one process or two of its own, which end with this one. The choice
    depends on the lengths, the season and the budget alone: the same call gives the same rows. Only what
    is not there after 3 times the budget is left out by the clock. A history that cannot be forecast
    costs its own row, and the sentence says why.

    Args:
        name: of the baseline.
        histories: (time,) each.
        season, horizon: the same for all.
        seconds: the budget for all of them together.

    Raises:
        ValueError: an unknown name, season below 1, horizon or seconds below 0.

    >>> forecasts("naive", [np.array([1.0, 2.0]), np.array([5.0])], season=1, horizon=2, seconds=60.0)
    ([array([2., 2.]), array([5., 5.])], '')
    """
    kind = get(name)
    if season < 1 or horizon < 0 or not seconds >= 0:
        found = f"season={season}, horizon={horizon}, seconds={seconds}"
        raise ValueError(f"budget: season must be at least 1, horizon and seconds at least 0, found {found}")
    costs = [kind.cost(len(history), season) for history in histories]
    rows = chosen(costs, seconds)
    if any(costs):
        work = sum(costs[row] for row in rows)
        answers = _Crew(kind, histories, season, horizon).answers(rows, PATIENCE * seconds, work)
    else:
        answers = {row: answer(kind, histories[row], season, horizon) for row in rows}
    values = [answers.get(row, {}).get("forecast") for row in range(len(histories))]
    arrays = [None if each is None else np.asarray(each, dtype=np.float64) for each in values]
    return arrays, _sentence(name, costs, rows, answers, seconds)


def chosen(costs: Sequence[float], seconds: float) -> range:
    """Every k-th row, k the least with which two processes need no longer than that; none where one row is too much.

    >>> chosen([4.0] * 10, seconds=10.0), chosen([4.0] * 10, seconds=1.0)
    (range(0, 10, 2), range(0, 0))
    """
    for k in range(1, len(costs) + 1):
        if sum(costs[::k]) / PROCESSES <= seconds:
            return range(0, len(costs), k)
    return range(0)


def answer(kind: type[Baseline], history: Any, season: int, horizon: int) -> dict[str, Any]:
    """`forecast` and `notes`, or `error`, whatever goes wrong: one series must not cost the others theirs."""
    method = kind()
    try:
        values = method.fit(history, season).predict(horizon).tolist()
    except Exception as error:
        return {"error": " ".join(str(error).split()) or type(error).__name__}
    return {"forecast": values, "notes": method.notes}


def _sentence(
    name: str, costs: Sequence[float], rows: range, answers: dict[int, dict[str, Any]], seconds: float
) -> str:
    """What was left out and why, then the methods' own notes with how many forecasts each is true of."""
    said = []
    if len(rows) < len(costs):
        all_of_them = f"all would take about {_round(sum(costs) / PROCESSES):,} s"
        said.append(f"{name} was run on {len(rows)} of {len(costs)} series: {all_of_them}")
    lost = len(rows) - len(answers)
    if lost:
        said.append(f"{name}: {lost} of {len(rows)} series had not come after {PATIENCE * seconds:g} s or were lost")
    for word in ("error", "notes"):
        counts = Counter(note for found in answers.values() for note in _listed(found.get(word, ())))
        for note, count in counts.most_common(SHOWN):
            said.append(note if len(costs) == 1 else f"{note} ({count} of {len(rows)} forecasts)")
    return "; ".join(said)


def _listed(notes: str | Iterable[str]) -> Iterable[str]:
    return [notes] if isinstance(notes, str) else notes


def _round(seconds: float) -> int:
    """To two digits: more would be pretence.

    >>> _round(2149.0)
    2100
    """
    return int(round(seconds, 1 - math.floor(math.log10(seconds)))) if seconds >= 1 else 1


@dataclass
class _Crew:
    """Processes that are handed one history after the other."""

    kind: type[Baseline]
    histories: Sequence[Array]
    season: int
    horizon: int
    waiting: SimpleQueue[int] = field(default_factory=SimpleQueue)
    found: dict[int, dict[str, Any]] = field(default_factory=dict)

    def answers(self, rows: Sequence[int], limit: float, work: float) -> dict[int, dict[str, Any]]:
        """What has come of those rows within `limit` seconds; `work` is what they are thought to take one core."""
        deadline = time.monotonic() + limit
        for row in rows:
            self.waiting.put(row)
        crew = [_spawned() for _ in range(min(PROCESSES if work > PAYS else 1, len(rows)))]
        threads = [threading.Thread(target=self._keep_busy, args=(process,), daemon=True) for process in crew]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(max(deadline - time.monotonic(), 0))
        finally:
            for process in crew:
                process.kill()
            for process, thread in zip(crew, threads, strict=True):
                process.wait()
                thread.join()
                with suppress(BrokenPipeError):
                    process.stdin.close()  # type: ignore[union-attr]
                process.stdout.close()  # type: ignore[union-attr]
        return self.found

    def _keep_busy(self, process: subprocess.Popen[str]) -> None:
        """One history in, one answer out, until none waits or the process is gone."""
        task = {"module": self.kind.__module__, "name": self.kind.name, "season": self.season, "horizon": self.horizon}
        with suppress(Empty, OSError):
            _write(process, task)
            while True:
                row = self.waiting.get_nowait()
                _write(process, np.asarray(self.histories[row], dtype=np.float64).tolist())
                line = process.stdout.readline()  # type: ignore[union-attr]
                if not line.endswith("\n"):
                    return
                self.found[row] = json.loads(line)


def _spawned() -> subprocess.Popen[str]:
    """A fresh interpreter that imports from where this one does, and runs no main module of the caller's."""
    command = [sys.executable, "-c", START, *map(str, sys.path)]
    return subprocess.Popen(
        command, env=os.environ | ONE_THREAD, text=True, encoding="ascii",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _write(process: subprocess.Popen[str], line: Any) -> None:
    process.stdin.write(json.dumps(line) + "\n")  # type: ignore[union-attr]
    process.stdin.flush()  # type: ignore[union-attr]


def child() -> None:
    """The other end: a task, then histories, each on a line of its own, until the parent hangs up."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    task = json.loads(lines.get())
    import_module(task["module"])
    while True:
        found = answer(get(task["name"]), json.loads(lines.get()), task["season"], task["horizon"])
        print(json.dumps(found), file=answers, flush=True)


def _listen(lines: SimpleQueue[str]) -> None:
    """Hands on what the parent writes. The end of it is the parent's end, and nobody waits for the rest."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)
