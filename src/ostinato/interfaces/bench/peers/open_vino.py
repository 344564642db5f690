"""OpenVINO on the CPU, in float32, set to answer one call soon: predicts only."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ostinato.interfaces.bench.peers.graph import model
from ostinato.interfaces.bench.work import Contestant, Work


def contestant(work: Work) -> Contestant:
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": work.threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32",
    }  # fmt: skip
    compiled = core.compile_model(core.read_model(model(work.kind, work.layer, work.shape)), "CPU", settings)
    request = compiled.create_infer_request()
    inputs = [openvino.Tensor(np.ascontiguousarray(x.numpy().swapaxes(0, 1)), shared_memory=True) for x in work.inputs]

    def forward(turn: int) -> Any:
        request.set_input_tensor(inputs[turn % len(inputs)])
        request.infer()
        return request.get_output_tensor(0).data

    return Contestant({"forward": forward}, lambda: torch.from_numpy(forward(0)[:, 0].swapaxes(0, 1).copy()))
