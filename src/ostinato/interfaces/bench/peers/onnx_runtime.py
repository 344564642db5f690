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
        import onnxruntime

        self._session = session(kind, layer, shape, 1, states=True)
        names = ["h", "c"][: 2 if kind == "LSTM" else 1]
        zeros = np.zeros((1, shape.batch, shape.hidden), np.float32)
        new = onnxruntime.OrtValue.ortvalue_from_numpy
        self.x = np.zeros((1, shape.batch, shape.input), np.float32)
        x, y = new(self.x), new(zeros[None].copy())
        sides = [[new(zeros.copy()) for _ in names] for _ in range(2)]
        self._x, self._y, self._turn = x, y, 0
        self._bindings = []
        for before, after in (sides, sides[::-1]):
            binding = self._session.io_binding()
            binding.bind_ortvalue_input("X", x)
            binding.bind_ortvalue_output("Y", y)
            for name, old, made in zip(names, before, after, strict=True):
                binding.bind_ortvalue_input(f"{name}_in", old)
                binding.bind_ortvalue_output(f"{name}_out", made)
            self._bindings.append(binding)

    def step(self, x: Any) -> Any:
        """x (1, batch, input) -> y, a buffer that the next step writes again."""
        self._x.update_inplace(x)
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn = 1 - self._turn
        return self._y
