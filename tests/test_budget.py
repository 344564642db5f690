"""Costly baselines within a budget of time: other processes, which end in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from ostinato import baselines
from ostinato.baselines import budget

NAN = float("nan")
RNG = np.random.default_rng(0)
SLOW = """
import os, sys, time
from pathlib import Path
from ostinato.baselines.baseline import Baseline

class Slow(Baseline):
    name = "test-slow"

    @staticmethod
    def cost(time, season):
        return float(season)

    def forecast(self, x, horizon):
        print("a library speaks")
        self.say(f"torch {'torch' in sys.modules}")
        if x[0] == -1:
            raise ValueError("-1 is\\nrefused")
        if x[0] == -2:
            os._exit(1)
        if x[0] < -2:
            Path("process").write_text(str(os.getpid()))
            time.sleep(60)
        return x[-1] + 0.1 * x[:horizon]
"""


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A method that other processes can import; a first value below 0 has it misbehave."""
    (tmp_path / "slow_method.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    import_module("slow_method")
    yield "test-slow"
    del sys.modules["slow_method"]
    baselines.baseline._REGISTRY.pop("test-slow")


def test_a_cheap_method_forecasts_all_of_them() -> None:
    histories = [np.arange(n + 1.0) for n in range(5)]
    found, note = budget.forecasts("naive", histories, 1, 2, seconds=0)
    np.testing.assert_array_equal(found, [[n, n] for n in range(5)])
    assert note == ""


def test_the_choice_is_every_kth_and_fits_the_budget() -> None:
    costs = RNG.uniform(1, 20, size=100).tolist()
    for seconds in (15.0, 50.0, 500.0, 5000.0):
        rows = budget.chosen(costs, seconds)
        assert rows == budget.chosen(costs, seconds)
        assert rows == range(0, 100, rows.step)
        assert sum(costs[row] for row in rows) / budget.PROCESSES <= seconds
        if rows.step > 1:
            assert sum(costs[:: rows.step - 1]) / budget.PROCESSES > seconds
    assert budget.chosen(costs, 5000.0) == range(100)
    assert len(budget.chosen(costs, 0.1)) == len(budget.chosen([], 1.0)) == 0


def test_processes_answer_what_this_one_would(slow: str) -> None:
    histories = [RNG.uniform(1, 2, size=5 + row) for row in range(7)]
    histories[2][3] = NAN
    found, note = budget.forecasts(slow, histories, season=4, horizon=5, seconds=8)
    assert [row for row, values in enumerate(found) if values is not None] == [0, 2, 4, 6]
    for row in (0, 2, 4, 6):
        np.testing.assert_array_equal(found[row], baselines.get(slow)().fit(histories[row], 4).predict(5))
    assert (
        note
        == "test-slow was run on 4 of 7 series: all would take about 14 s; test-slow: torch False (4 of 4 forecasts)"
    )


def test_a_series_that_fails_costs_no_other(slow: str) -> None:
    histories = [np.array([first, 1.0]) for first in (-1.0, 0.0, -2.0, 0.0)]
    found, note = budget.forecasts(slow, histories, season=4, horizon=1, seconds=30)
    assert [values is None for values in found] == [True, False, True, False]
    assert "1 of 4 series had not come after 90 s or were lost" in note
    assert "-1 is refused (1 of 4 forecasts)" in note


def test_it_stops_hard(slow: str) -> None:
    begun = time.monotonic()
    found, note = budget.forecasts(slow, [np.array([1.0]), np.array([-3.0])], season=1, horizon=1, seconds=2)
    assert time.monotonic() - begun < 20
    assert found[1] is None
    assert "had not come after 6 s" in note
    assert ended(int(Path("process").read_text()))


def test_what_does_not_fit_is_left_out_without_a_process(slow: str) -> None:
    found, note = budget.forecasts(slow, [np.array([-3.0])] * 3, season=4, horizon=1, seconds=1)
    assert found == [None] * 3
    assert note == "test-slow was run on 0 of 3 series: all would take about 6 s"


def test_the_processes_end_with_their_parent(slow: str) -> None:
    code = (
        "import sys, numpy as np; sys.path.insert(0, '.'); import slow_method; from ostinato.baselines import budget\n"
        "budget.forecasts('test-slow', [np.array([-3.0])], 1, 1, 60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert before(lambda: Path("process").exists() and Path("process").read_text())
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert ended(int(Path("process").read_text()))


def before(condition, seconds: float = 30) -> bool:
    """Whether it comes true before so many seconds are over."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(condition())


def ended(process: int) -> bool:
    def gone() -> bool:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{process}/stat")  # one that nobody waits for stays in the table
        return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z"

    return before(gone, 10)


@pytest.mark.parametrize(("season", "horizon", "seconds"), [(0, 1, 1), (1, -1, 1), (1, 1, -1), (1, 1, NAN)])
def test_a_budget_that_is_none_is_refused(season: int, horizon: int, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"found season={season}, horizon={horizon}, seconds={seconds}"):
        budget.forecasts("naive", [np.ones(3)], season, horizon, seconds)
    with pytest.raises(ValueError, match="did you mean 'naive'"):
        budget.forecasts("naiv", [np.ones(3)], 1, 1, 1)
