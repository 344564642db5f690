"""ONNX Runtime: predicts only. Its own layout is time first; it is given that, so that nobody turns anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ostinato.interfaces.bench.peers.graph import model
from ostinato.interfaces.bench.work import Contestant, Shape, Work


def session(kind: str, layer: Any, shape: Shape, threads: int, states: bool = False) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model(kind, layer, shape, states), options, providers=["CPUExecutionProvider"])


def contestant(work: Work) -> Contestant:
    opened = session(work.kind, work.layer, work.shape, work.threads)
    inputs = [np.ascontiguousarray(x.numpy().swapaxes(0, 1)) for x in work.inputs]

    def forward(turn: int) -> Any:
        return opened.run(["Y"], {"X": inputs[turn % len(inputs)]})[0]

    return Contestant({"forward": forward}, lambda: torch.from_numpy(forward(0)[:, 0].swapaxes(0, 1).copy()))


class Bound:
    """One step at a time with every buffer bound beforehand: the state that a step writes is read by the next."""

    def __init__(self, kind: str, layer: Any, shape: Shape) -> None:
        self._session = session(kind, layer, shape, 1, states=True)
        names = ["h", "c"][: 2 if kind == "LSTM" else 1]
        state = (1, shape.batch, shape.hidden)
        self.x = np.zeros((1, shape.batch, shape.input), np.float32)
        self.y: Any = np.zeros((1, *state), np.float32)
        self._states = [[np.zeros(state, np.float32) for _ in names] for _ in range(2)]
        self._bindings, self._turn = [], 0
        for before, after in (self._states, self._states[::-1]):
            binding = self._session.io_binding()
            read: dict[str, Any] = {"X": self.x} | {f"{name}_in": v for name, v in zip(names, before, strict=True)}
            written: dict[str, Any] = {"Y": self.y} | {f"{name}_out": v for name, v in zip(names, after, strict=True)}
            for name, v in read.items():
                binding.bind_input(name, "cpu", 0, np.float32, v.shape, v.ctypes.data)
            for name, v in written.items():
                binding.bind_output(name, "cpu", 0, np.float32, v.shape, v.ctypes.data)
            self._bindings.append(binding)

    def step(self, x: Any) -> Any:
        """x (batch, input) -> y (1, 1, batch, hidden), a buffer that the next step writes again."""
        self.x[0] = x
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn = 1 - self._turn
        return self.y
