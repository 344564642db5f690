"""Keras' layers on JAX, compiled: its fastest way on a CPU."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.interfaces.bench.clock import Run
from ostinato.interfaces.bench.work import Contestant, Work

_KERAS = {"RNN": "SimpleRNN", "LSTM": "LSTM", "GRU": "GRU"}


def contestant(work: Work) -> Contestant:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import jax
    import keras

    if keras.backend.backend() != "jax":
        raise ValueError(f"Keras runs on {keras.backend.backend()} here: set KERAS_BACKEND=jax")
    layer = getattr(keras.layers, _KERAS[work.kind])(work.shape.hidden, return_sequences=True)
    layer.build(tuple(work.inputs[0].shape))
    layer.set_weights(_arrays(work, dict(work.layer.named_parameters())))
    weights = [v.value for v in layer.trainable_variables]
    others = [v.value for v in layer.non_trainable_variables]
    inputs = [jax.numpy.asarray(x.numpy()) for x in work.inputs]
    factor = jax.numpy.asarray(work.weight.numpy())

    def call(weights: Any, x: Any) -> Any:
        return layer.stateless_call(weights, others, x)[0]

    def loss(weights: Any, x: Any) -> Any:
        return (call(weights, x) * factor).sum()

    forward, train = jax.jit(call), jax.jit(jax.value_and_grad(loss))
    train_dx = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))

    def run(function: Any) -> Run:
        return lambda turn: jax.block_until_ready(function(weights, inputs[turn % len(inputs)]))

    def gradients() -> dict[str, Tensor]:
        _, (by_weights, by_x) = train_dx(weights, inputs[0])
        return {**_named(work, by_weights), "x": torch.from_numpy(np.array(by_x))}

    runs = {"forward": run(forward), "train": run(train), "train + dx": run(train_dx)}
    return Contestant(runs, lambda: torch.from_numpy(np.array(forward(weights, inputs[0]))), gradients)


def _turned(work: Work, v: Any) -> Any:
    """Between torch's order of gates along the last axis and Keras': r z n is z r h; i f g o is i f c o."""
    if work.kind != "GRU":
        return v
    r, z, n = np.split(v, 3, -1)
    return np.concatenate([z, r, n], -1)


def _arrays(work: Work, named: dict[str, Any]) -> list[Any]:
    """torch's parameters as Keras has them: (input, gates), (hidden, gates), the biases added up but for the GRU."""
    W, R, b, bb = (named[f"{name}_l0"].detach().numpy() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    bias = np.stack([b, bb]) if work.kind == "GRU" else b + bb
    return [_turned(work, v) for v in (W.T, R.T, bias)]


def _named(work: Work, gradients: list[Any]) -> dict[str, Tensor]:
    """The other way round; a sum of two biases has each one's gradient."""
    W, R, bias = (_turned(work, np.array(g)) for g in gradients)
    b, bb = bias if work.kind == "GRU" else (bias, bias)
    found = {"weight_ih_l0": W.T, "weight_hh_l0": R.T, "bias_ih_l0": b, "bias_hh_l0": bb}
    return {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in found.items()}
