"""Our layers beside torch.nn's while another program keeps one core busy: values and gradients first, then in turns.

A thread of ours that has done its own rows takes over some of a slower one's. "alone" and "neighbour" come one after
the other for each row. Times of one run on one machine; only the ratios travel. Prints a table in Markdown.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from rich.console import Console
from rich.progress import track

from ostinato.interfaces.bench.clock import in_turns
from ostinato.interfaces.bench.parts.layers import ours, work_of
from ostinato.interfaces.bench.peers import named
from ostinato.interfaces.bench.row import OURS
from ostinato.interfaces.bench.work import RUNS, Shape, check

KINDS = ("RNN", "LSTM", "GRU")
SHAPES = [Shape(32, 100, 64, 128), Shape(64, 100, 128, 256), Shape(64, 50, 512, 512)]
BUSY = """
import os, sys
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(sys.argv[1])})
parent = os.getppid()
print(flush=True)
while os.getppid() == parent:  # whatever ends the one that began it
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def neighbour(there: bool) -> Iterator[None]:
    """Meanwhile a process of its own computes on the last core."""
    if not there:
        yield
        return
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    with subprocess.Popen([sys.executable, "-c", BUSY, str(cores[-1])], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        try:
            yield
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15, help="rounds of ours, theirs")
    options = parser.parse_args()
    if options.threads < 1 or options.rounds < 1:
        parser.error("--threads and --rounds are 1 or more")
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads; ms\n")
    print("| layer | batch, steps, inputs, units | pass | machine | ours | torch.nn | ratio |")
    print("|---|---|---|---|---:|---:|---:|")
    peer = named(["torch"])["torch"]
    every = [(kind, shape) for kind in KINDS for shape in SHAPES]
    for kind, shape in track(every, console=Console(stderr=True), transient=True):
        torch.manual_seed(0)
        work = work_of(kind, shape, options.threads)
        mine, its = ours(work), peer.contestant(work)
        check(f"{peer.title}, {kind} {shape}", mine, its)
        for run in RUNS[:2]:
            for there in (False, True):
                with neighbour(there):
                    times = in_turns({OURS: mine.runs[run], peer.title: its.runs[run]}, options.rounds)
                seconds, ratio = times.seconds(), times.ratios()[peer.title]
                row = (kind, str(shape), run, "neighbour" if there else "alone")
                numbers = (f"{seconds[OURS] * 1e3:.2f}", f"{seconds[peer.title] * 1e3:.2f}", f"{ratio:.2f}")
                print("|", " | ".join((*row, *numbers)), "|", flush=True)


if __name__ == "__main__":
    main()
