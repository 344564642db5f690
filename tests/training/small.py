"""A small recurrent problem, with dropout on, that the tests of training share; also run as a child process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import ostinato as ost
from ostinato.training import Settings, fit


class Rows:
    """Rows of (x, y) in batches, shuffled by (seed, epoch)."""

    def __init__(self, rows: int = 20, size: int = 6, steps: int = 5, seed: int = 3) -> None:
        draw = torch.Generator().manual_seed(11)
        self.x = torch.randn(rows, steps, 2, generator=draw)
        self.y = self.x.cumsum(1)[..., :1].tanh()
        self.size, self.seed = size, seed

    def __len__(self) -> int:
        return -(-len(self.x) // self.size)

    def epoch(self, number: int, first: int = 0) -> Iterator[dict[str, Tensor]]:
        order = torch.randperm(len(self.x), generator=torch.Generator().manual_seed(self.seed * 1000 + number))
        for rows in order.split(self.size)[first:]:
            yield {"x": self.x[rows], "y": self.y[rows]}


class Chunks(Rows):
    """One long batch of rows in chunks of time, for truncated back-propagation: the state goes on."""

    def __init__(self, chunks: int = 4) -> None:
        super().__init__(rows=6, steps=4 * chunks)
        self.chunks = chunks

    def __len__(self) -> int:
        return self.chunks

    def epoch(self, number: int, first: int = 0) -> Iterator[dict[str, Tensor]]:
        for k in range(first, self.chunks):
            yield {"x": self.x[:, 4 * k : 4 * k + 4], "y": self.y[:, 4 * k : 4 * k + 4]}


class Net(nn.Module):
    """Two recurrent layers with every kind of dropout, and a dense layer."""

    def __init__(self, cell: type[nn.Module] = ost.GRU, hidden: int = 8, dropout: float = 0.3) -> None:
        super().__init__()
        more = {"recurrent_dropout": dropout} if cell.__module__.startswith("ostinato") else {}
        self.rnn = cell(2, hidden, 2, batch_first=True, dropout=dropout, **more)
        self.dropout, self.dense = nn.Dropout(dropout), nn.Linear(hidden, 1)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        h, state = self.rnn(x, state)
        return self.dense(self.dropout(h)), state


def net(seed: int = 5, **options: Any) -> Net:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return Net(**options)


def squares(model: nn.Module, batch: dict[str, Tensor], state: Any) -> tuple[Tensor, int, None]:
    """Squared error of each row by itself; no state is carried."""
    prediction, _ = model(batch["x"])
    return (prediction - batch["y"]).square().sum(), batch["y"].numel(), None


def carried(model: nn.Module, batch: dict[str, Tensor], state: Any) -> tuple[Tensor, int, Any]:
    """Squared error with the state of the chunk before."""
    prediction, state = model(batch["x"], state)
    return (prediction - batch["y"]).square().sum(), batch["y"].numel(), state


def error(model: nn.Module) -> float:
    """Validation: the mean squared error over the rows."""
    rows = Rows()
    return (model(rows.x)[0] - rows.y).square().mean().item()


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Bit for bit."""
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


def train(**changes: Any) -> tuple[Net, Any]:
    """A run with the settings and arguments named; what is not a setting goes to `fit`."""
    model = changes.pop("model") if "model" in changes else net()
    batches = changes.pop("batches") if "batches" in changes else Rows()
    objective = changes.pop("objective", squares)
    words = {name: changes.pop(name) for name in list(changes) if name in Settings.__dataclass_fields__}
    settings = Settings(**{"epochs": 4, "learning_rate": 0.01, **words})
    return model, fit(model, batches, objective, settings, quiet=True, **changes)


def child(out: str, final: str, dies: tuple[str, int] | None, changes: dict[str, Any]) -> None:
    """In a process of its own: go on from `out` to the end, and put the weights into `final`.

    `dies` names a function of os and the number of its call at which the process kills itself.
    """
    torch.set_num_threads(1)
    if dies is not None:
        setattr(os, dies[0], _deadly(getattr(os, dies[0]), dies[1]))
    model, history = train(out=out, resume=True, validate=error, **changes)
    kept = {name: tensor.numpy() for name, tensor in weights(model).items()}
    with Path(final).open("wb") as file:
        np.savez(file, epochs=len(history), **kept)


def _deadly(function: Callable[..., Any], call: int) -> Callable[..., Any]:
    calls = iter(range(1, 10_000))

    def die(*arguments: Any, **options: Any) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    return die
