"""kill -9 at any moment: the resumed run ends with the weights of the run that was never killed."""

from __future__ import annotations

import json
import multiprocessing
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.training import small

RUN = {"epochs": 6, "checkpoint_every": 1, "patience": 5, "recurrent_norm_limit": 1.0}
LIMIT = 60.0  # seconds that no child comes near


@pytest.fixture(scope="module")
def children():
    """Processes forked from a server that has torch loaded, so that one starts in milliseconds."""
    context = multiprocessing.get_context("forkserver")
    # The first step of any optimizer imports torch._dynamo: seconds that each child would spend.
    context.set_forkserver_preload(["ostinato.layers", "ostinato.training", "torch._dynamo"])
    return context


class Run:
    """One training run, in children that may be killed."""

    def __init__(self, children: Any, folder: Path) -> None:
        self.children, self.out, self.final = children, folder / "out", folder / "final.npz"

    def start(self, dies: tuple[str, int] | None = None) -> Any:
        process = self.children.Process(target=small.child, args=(str(self.out), str(self.final), dies, RUN))
        process.start()
        return process

    def killed_at(self, dies: tuple[str, int]) -> bool:
        """Whether the child got as far as the call at which it kills itself."""
        process = self.start(dies)
        process.join(LIMIT)
        assert process.exitcode in (0, -9)
        return process.exitcode == -9

    def killed_after(self, seconds: float) -> bool:
        """Whether the child was still at work, and was killed."""
        process = self.start()
        while process.is_alive() and not (self.out / "checkpoint.ost").exists():
            time.sleep(0.001)
        process.join(seconds)
        process.kill()
        process.join(LIMIT)
        assert process.exitcode in (0, -9)
        return process.exitcode == -9

    def finish(self) -> dict[str, np.ndarray]:
        process = self.start()
        process.join(LIMIT)
        assert process.exitcode == 0
        with np.load(self.final) as file:
            return dict(file)


@pytest.fixture(scope="module")
def whole(children, tmp_path_factory):
    """The run that nobody kills: its weights, its rows, and how many seconds it trains."""
    run = Run(children, tmp_path_factory.mktemp("whole"))
    found = run.finish()
    return found, _rows(run.out), _lines(run.out)[-1]["seconds"]


def _lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]


def _rows(out: Path) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in _lines(out)]


def _same_end(run: Run, whole) -> None:
    found, (expected, rows, _) = run.finish(), whole
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert _rows(run.out) == rows
    assert sorted(path.name for path in run.out.iterdir()) == ["checkpoint.ost", "history.jsonl"]


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_kill_while_a_checkpoint_is_written_loses_nothing(function, children, whole, tmp_path):
    """Before the bytes are on the disk, and before the file has its name; several times in one run."""
    run = Run(children, tmp_path)
    assert [run.killed_at((function, call)) for call in (1, 2, 9, 16)] == [True] * 4
    _same_end(run, whole)


def _random_kills(run: Run, whole, draw: random.Random) -> int:
    kills = 0
    while kills < 3 and run.killed_after(draw.uniform(0, whole[2])):
        kills += 1
    _same_end(run, whole)
    return kills


def test_kills_at_random_moments_lose_nothing(children, whole, tmp_path):
    draw, kills, runs = random.Random(20), 0, iter(range(50))
    while kills < 6:
        kills += _random_kills(Run(children, tmp_path / str(next(runs))), whole, draw)


@pytest.mark.long
def test_many_kills_at_random_moments_lose_nothing(children, whole, tmp_path):
    """200 killed runs, each killed up to three times."""
    draw, killed, runs = random.Random(21), 0, iter(range(1000))
    while killed < 200:
        killed += _random_kills(Run(children, tmp_path / str(next(runs))), whole, draw) > 0
