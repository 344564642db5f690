"""Times in turns: each round every contestant runs once, so that what slows the machine slows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from ostinato.interfaces.bench.row import OURS

Run = Callable[[int], object]  # told which of the inputs to take

ROUNDS, FEW, SLOW = 15, 7, 0.5  # a row of which one round takes longer than SLOW seconds gets FEW rounds
SAMPLE = 0.002  # seconds: shorter runs are repeated until they last as long
WARM_UP = 2
PAUSE = 0.02  # seconds: after a run some libraries' threads look for more work for a while, on cores that others need
PAUSES = 50  # at most: ONNX Runtime's look for 40 to 60 ms on a core of their own, longer where they have to share it
ASLEEP = 0.1  # of a pause: what all threads together may still work in it
WAKING = 0.05  # seconds: a shorter run is made before its clock starts, for a rented core takes milliseconds to wake:
AWAKE = 0.01  # so often that it lasts as long


@dataclass(frozen=True)
class Times:
    """Each contestant's time of one run, a number a round, in the order of the rounds."""

    rounds: dict[str, list[float]]

    def seconds(self) -> dict[str, float]:
        return {who: median(times) for who, times in self.rounds.items()}

    def ratios(self, to: str = OURS) -> dict[str, float]:
        """Median of the rounds' own ratios: a round's times were taken within a moment of each other."""
        ours = self.rounds[to]
        return {
            who: median(theirs / mine for theirs, mine in zip(times, ours, strict=True))
            for who, times in self.rounds.items()
            if who != to
        }

    def percent(self, operations: float, peaks: list[float]) -> float:
        """Of the peak (operations a second) that was measured in each round."""
        pairs = zip(self.rounds[OURS], peaks, strict=True)
        return 100 * median(operations / seconds / peak for seconds, peak in pairs)


def in_turns(runs: Mapping[str, Run], rounds: int = ROUNDS, between: Callable[[], object] | None = None) -> Times:
    """Time all contestants, the first of one round being the last of the next, each when the others' threads sleep.

    Args:
        runs: contestant -> what it does; each call of one round is given the same number.
        rounds: at most; fewer where a round is slow.
        between: called once a round, before the contestants.
    """
    repeats, short, whole = {}, {}, 0.0
    for who, run in runs.items():
        once = min(_timed(run, turn, 1) for turn in range(WARM_UP))  # an interruption says nothing of the run
        repeats[who] = max(1, min(1000, round(SAMPLE / max(once, 1e-9))))
        short[who] = once < WAKING
        whole += max(once, SAMPLE)
    if whole > SLOW:
        rounds = min(rounds, FEW)
    found: dict[str, list[float]] = {who: [] for who in runs}
    order = list(runs)
    for turn in range(rounds):
        if between is not None:
            _until_asleep()
            between()
        for who in order:
            _until_asleep()
            if short[who]:
                _wake(runs[who], turn)
            found[who].append(_timed(runs[who], turn, repeats[who]))
        order = [*order[1:], order[0]]
    return Times(found)


def _until_asleep() -> None:
    """Pause until no thread of this process works any more."""
    for _ in range(PAUSES):
        worked = time.process_time()
        time.sleep(PAUSE)
        if time.process_time() - worked < ASLEEP * PAUSE:
            return


def _wake(run: Run, turn: int) -> None:
    began = time.perf_counter()
    run(turn)
    while time.perf_counter() - began < AWAKE:
        run(turn)


def _timed(run: Run, turn: int, repeats: int) -> float:
    began = time.perf_counter()
    for k in range(repeats):
        run(turn + k)
    return (time.perf_counter() - began) / repeats
