"""One process with a fixed number of threads: `python -m ostinato.interfaces.bench.child PLAN`, a row a line, as JSON.

Libraries settle how many threads they have when they are loaded, from the cores that the process may use. A process
of its own for each number of threads treats all of them alike; within it everything is timed in turns.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TextIO


def confine(threads: int) -> None:
    """As many cores as threads, before any library asks; where the system cannot, by variables alone."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if threads > len(cores):
            raise ValueError(f"--threads {threads}: this process may use {len(cores)} cores")
        os.sched_setaffinity(0, cores[-threads:])  # the first core serves most interrupts


@contextmanager
def _out() -> Iterator[TextIO]:
    """Standard output for the rows alone: what libraries print there goes to standard error."""
    with os.fdopen(os.dup(1), "w", buffering=1) as rows:
        os.dup2(2, 1)
        yield rows


def main(words: list[str]) -> None:
    given = json.loads(words[0])
    confine(given["threads"])

    import torch

    from ostinato.interfaces.bench import parts

    torch.set_num_threads(given["threads"])
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    plan = parts.Plan(**fields)
    with _out() as out:
        out.write(json.dumps({"count": parts.count(plan)}) + "\n")
        for row in parts.rows(plan):
            out.write(json.dumps(row.to_json()) + "\n")


def words_of(plan: Any) -> str:
    """A plan as this process takes it."""
    return json.dumps(asdict(plan))


if __name__ == "__main__":
    main(sys.argv[1:])
