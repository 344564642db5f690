"""One step at a time, the state kept: the runtime without torch, beside bound buffers and torch's own steps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ostinato.interfaces.bench.clock import Run, in_turns
from ostinato.interfaces.bench.parts import Plan
from ostinato.interfaces.bench.peers import PEERS
from ostinato.interfaces.bench.row import OURS, Row
from ostinato.interfaces.bench.work import DiffersError, Shape
from ostinato.layers import Recurrent
from ostinato.tasks.files import save

INPUT, CHECKED = 32, 20
SIZES = [(1, 64), (1, 128), (1, 256), (1000, 64)]  # (streams, hidden)
QUICK = [(1, 64), (100, 64)]
BOUND, LAYER, CELL = "ONNX Runtime, bound buffers", "torch.nn layer", "torch.nn cell"
TOLERANCE = 1e-4


def _sizes(plan: Plan) -> list[tuple[int, int]]:
    return QUICK if plan.quick else SIZES


def count(plan: Plan) -> int:
    return len(plan.cells) * len(_sizes(plan)) if plan.threads == 1 else 0


def rows(plan: Plan) -> Iterator[Row]:
    """Streams run on one thread: there are none for another number."""
    if plan.threads != 1:
        return
    for kind in plan.cells:
        for streams, hidden in _sizes(plan):
            torch.manual_seed(0)
            yield _of(kind, Shape(streams, 1, INPUT, hidden), plan)


def _of(kind: str, shape: Shape, plan: Plan) -> Row:
    layer = getattr(nn, kind)(shape.input, shape.hidden, batch_first=True).eval()
    x = [np.random.default_rng(k).standard_normal((shape.batch, shape.input), np.float32) for k in range(64)]
    runs, notes = {OURS: _ours(kind, layer, shape, x)}, {}
    if "onnxruntime" in plan.peers:
        missing = PEERS["onnxruntime"].missing()
        if missing is None:
            runs[BOUND] = _bound(kind, layer, shape, x)
        else:
            notes[BOUND] = missing
    if "torch" in plan.peers:
        runs[LAYER] = _layer(layer, x)
        runs[CELL] = _cell(kind, layer, shape, x)
    _check(kind, runs)
    times = in_turns(runs, plan.rounds)
    seconds = times.seconds()
    rate = {who: shape.batch / each for who, each in seconds.items()}
    what = f"{shape.batch} x {shape.input}, hidden {shape.hidden}"
    return Row("streams", kind, what, "step", plan.threads, seconds, times.ratios(), None, notes, rate)


def _check(kind: str, runs: dict[str, Run]) -> None:
    """All begin at zero and see the same first steps."""
    for turn in range(CHECKED):
        found = {who: np.array(run(turn)).reshape(-1) for who, run in runs.items()}
        for who, y in found.items():
            difference = np.abs(y - found[OURS]).max()
            if not difference <= TOLERANCE:
                raise DiffersError(f"{kind}, stream, {who}: step {turn} differs by {difference:.1e}")


def _ours(kind: str, layer: Any, shape: Shape, x: list[Any]) -> Run:
    from ostinato import runtime

    made = Recurrent(kind.lower(), shape.input, shape.hidden).eval()
    made.load_state_dict(layer.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layer.ost"
        save(made, path)
        stream = runtime.load(path).stream(batch=shape.batch)
    return lambda turn: stream.step(x[turn % len(x)])


def _bound(kind: str, layer: Any, shape: Shape, x: list[Any]) -> Run:
    from ostinato.interfaces.bench.peers.onnx_runtime import Bound

    bound = Bound(kind, layer, shape)
    return lambda turn: bound.step(x[turn % len(x)])


def _layer(layer: Any, x: list[Any]) -> Run:
    steps, state = [torch.from_numpy(v)[:, None] for v in x], None

    def step(turn: int) -> Any:
        nonlocal state
        with torch.inference_mode():
            y, state = layer(steps[turn % len(steps)], state)
        return y

    return step


def _cell(kind: str, layer: Any, shape: Shape, x: list[Any]) -> Run:
    cell = getattr(nn, f"{kind}Cell")(shape.input, shape.hidden)
    cell.load_state_dict({name.removesuffix("_l0"): v for name, v in layer.state_dict().items()})
    steps, state = [torch.from_numpy(v) for v in x], None

    def step(turn: int) -> Any:
        nonlocal state
        with torch.inference_mode():
            state = cell(steps[turn % len(steps)], state)
        return state[0] if isinstance(state, tuple) else state

    return step
