"""A torch layer as an ONNX model of one node, for the peers that read such."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.interfaces.bench.work import Shape

_ORDER = {"RNN": [0], "LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2]}  # torch's blocks in ONNX's order: i o f c; z r h


def model(kind: str, layer: Any, shape: Shape, states: bool = False) -> bytes:
    """X (steps, batch, input) -> Y (steps, 1, batch, hidden); with `states` also the states in and out."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    b, t, d, h = shape
    names = ["h", "c"][: 2 if kind == "LSTM" else 1] if states else []
    weights = [numpy_helper.from_array(v, name) for name, v in zip("WRB", _arrays(kind, layer), strict=True)]
    attributes: dict[str, Any] = {"linear_before_reset": 1} if kind == "GRU" else {}
    asked = [f"{name}_in" for name in names]
    given = ["Y", *(f"{name}_out" for name in names)]
    node = helper.make_node(
        kind, ["X", "W", "R", "B", *([""] if asked else []), *asked], given, hidden_size=h, **attributes
    )

    def value(name: str, size: list[int]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, size)

    graph = helper.make_graph(
        [node], kind,
        [value("X", [t, b, d]), *(value(name, [1, b, h]) for name in asked)],
        [value("Y", [t, 1, b, h]), *(value(name, [1, b, h]) for name in given[1:])],
        weights,
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def _arrays(kind: str, layer: Any) -> list[Any]:
    named = {name: v.detach().numpy() for name, v in layer.named_parameters()}
    order = _ORDER[kind]

    def turned(name: str) -> Any:
        blocks = np.split(named[f"{name}_l0"], len(order))
        return np.concatenate([blocks[k] for k in order])

    W, R, b, bb = (turned(name) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    return [W[None], R[None], np.concatenate([b, bb])[None]]
