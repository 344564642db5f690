"""Whole models as people have them, none written for us: what `ost.accelerate` makes faster.

Three in plain torch, in the way such models are written everywhere, and two from public libraries where these are
installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


@dataclass(frozen=True)
class Whole:
    """A model and one call of it; `call()` gives the same answer each time until weights change."""

    what: str
    model: nn.Module
    call: Callable[[], Tensor]


class Tagger(nn.Module):
    """Embedding, packed bidirectional LSTM, a score for each tag."""

    def __init__(self, words: int = 5000, tags: int = 17, width: int = 64, hidden: int = 128) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, hidden, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * hidden, tags)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        return self.head(pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0])


class Agent(nn.Module):
    """A recurrent actor and critic; time comes first, and the memory is emptied where an episode begins.

    As in many trainers the rollout is cut where any episode begins, and the GRU is called on each piece.
    """

    def __init__(self, seen: int = 32, actions: int = 6, hidden: int = 128) -> None:
        super().__init__()
        self.torso, self.memory = nn.Linear(seen, hidden), nn.GRU(hidden, hidden)
        self.policy, self.value = nn.Linear(hidden, actions), nn.Linear(hidden, 1)

    def forward(self, seen: Tensor, starts: Tensor, memory: Tensor) -> Tensor:
        """Observations (time, batch, seen), starts (time, batch) bool, memory (1, batch, hidden)."""
        x, outputs = torch.tanh(self.torso(seen)), []
        cuts = sorted({0, len(x), *starts.any(1).nonzero().flatten().tolist()})
        for first, last in pairwise(cuts):
            y, memory = self.memory(x[first:last], memory * ~starts[first][:, None])
            outputs.append(y)
        y = torch.cat(outputs)
        return torch.cat([self.policy(y), self.value(y)], -1)


class Forecaster(nn.Module):
    """An encoder, and a decoder that is fed its own forecasts one step at a time (Sutskever 2014)."""

    def __init__(self, hidden: int = 96, horizon: int = 12) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.LSTM(1, hidden, 2, batch_first=True), nn.LSTM(1, hidden, 2, batch_first=True)
        self.head, self.horizon = nn.Linear(hidden, 1), horizon

    def forward(self, past: Tensor) -> Tensor:
        _, state = self.encoder(past)
        y, made = past[:, -1:], []
        for _ in range(self.horizon):
            out, state = self.decoder(y, state)
            y = self.head(out)
            made.append(y)
        return torch.cat(made, 1)


def tagger(small: bool = False) -> Whole:
    """Sentences of 5 to 60 words."""
    batch, longest = (4, 12) if small else (32, 60)
    model, lengths = Tagger(), torch.randint(5, longest + 1, (batch,))
    words = torch.randint(0, 5000, (batch, int(lengths.max())))
    return Whole(f"tagger, packed, batch {batch}", model, lambda: model(words, lengths))


def agent(small: bool = False) -> Whole:
    """A rollout; an episode begins at one step in a hundred."""
    steps, batch = (20, 3) if small else (128, 16)
    model, seen, starts = Agent(), torch.randn(steps, batch, 32), torch.rand(steps, batch) < 0.01
    memory = torch.randn(1, batch, 128)
    return Whole(f"agent, {steps} steps, batch {batch}", model, lambda: model(seen, starts, memory))


def forecaster(small: bool = False) -> Whole:
    batch, steps = (3, 10) if small else (64, 96)
    model, past = Forecaster(), torch.randn(batch, steps, 1)
    return Whole(f"encoder-decoder, {steps} steps, batch {batch}", model, lambda: model(past))


def deepar(small: bool = False) -> Whole:
    """neuralforecast's DeepAR (Salinas 2020), as its users make it."""
    from neuralforecast.models import DeepAR

    batch, steps = (3, 16) if small else (128, 96)
    model = DeepAR(h=12, input_size=steps, lstm_n_layers=2, lstm_hidden_size=128, lstm_dropout=0.0)
    given = {"insample_y": torch.randn(batch, steps, 1), "hist_exog": None, "futr_exog": None, "stat_exog": None}

    def call() -> Tensor:
        y: Tensor = model(given)
        return y

    return Whole(f"neuralforecast DeepAR, {steps} steps, batch {batch}", model, call)


def recurrent_ppo(small: bool = False) -> Whole:
    """sb3-contrib's recurrent policy as RecurrentPPO trains it: with an episode's start inside, step by step."""
    import numpy as np
    from gymnasium import spaces
    from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
    from sb3_contrib.common.recurrent.type_aliases import RNNStates

    batch, steps = (2, 6) if small else (8, 64)
    space = spaces.Box(-np.inf, np.inf, (8,), np.float32)
    model = RecurrentActorCriticPolicy(space, spaces.Discrete(4), lambda _: 1e-3, lstm_hidden_size=128)
    seen, actions = torch.randn(batch * steps, 8), torch.randint(0, 4, (batch * steps,))
    starts = (torch.arange(batch * steps) % steps == steps // 2).float()
    state = tuple(torch.zeros(1, batch, 128) for _ in range(2))

    def call() -> Tensor:
        values, log_prob, entropy = model.evaluate_actions(seen, actions, RNNStates(state, state), starts)
        return torch.stack([values.flatten(), log_prob, entropy])

    return Whole(f"sb3-contrib RecurrentPPO, {steps} steps, batch {batch}", model, call)


Maker = Callable[..., Whole]
MODELS: dict[str, tuple[Maker, tuple[str, ...]]] = {  # and what must be installed
    "tagger": (tagger, ()),
    "agent": (agent, ()),
    "forecaster": (forecaster, ()),
    "deepar": (deepar, ("neuralforecast",)),
    "recurrent_ppo": (recurrent_ppo, ("sb3_contrib",)),
}


def makers() -> dict[str, Any]:
    """Those whose library is installed."""
    return {name: make for name, (make, needs) in MODELS.items() if all(map(find_spec, needs))}
