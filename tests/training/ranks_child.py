"""What each of two processes runs, started by torchrun: several trainings, their weights into one file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.training.small import Chunks, Net, Rows, carried, error, net, squares, train
from torch import nn

import ostinato as ost
from ostinato.training import Callback


class StopAt(Callback):
    def on_batch_end(self, logs: dict[str, Any]) -> None:
        self.trainer.stop = logs["step"] == 6


class Masked(Rows):
    """Lengths differ, so that the processes count different numbers of values."""

    def epoch(self, number: int, first: int = 0) -> Any:
        for batch in super().epoch(number, first):
            lengths = 1 + torch.arange(len(batch["x"])) % 5
            yield {**batch, "lengths": lengths}


def masked(model: nn.Module, batch: dict[str, Any], state: Any) -> tuple[torch.Tensor, Any, None]:
    steps = torch.arange(batch["x"].shape[1]) < batch["lengths"][:, None]
    wrong = (model(batch["x"])[0] - batch["y"]).square()[..., 0] * steps
    return wrong.sum(), steps.sum(), None


class WithBuffer(Net):
    """A buffer that each process fills in its own way, and a parameter that nothing uses."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.register_buffer("mean", torch.zeros(()))
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, x: torch.Tensor, state: Any = None) -> Any:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean()
        return super().forward(x, state)


def plain(cell: type[nn.Module] = ost.GRU) -> Net:
    """No dropout: then one process and two compute the same."""
    return net(cell=cell, dropout=0.0)


def filled(model: nn.Module, batch: dict[str, Any], state: Any) -> Any:
    """An objective that, as many do, wants at least one row."""
    assert len(batch["x"])
    return squares(model, batch, state)


# The last batch of each epoch of `uneven` is a single row: the second process has none of it.
COMPARED = {
    "even": lambda: {"model": plain(), "batches": Rows(rows=24)},
    "uneven": lambda: {"model": plain(), "batches": Rows(rows=13), "objective": filled, "validate": error},
    "unclipped sgd": lambda: {"model": plain(nn.LSTM), "optimizer": "sgd", "learning_rate": 0.1, "clip": None},
    "masked": lambda: {"model": plain(), "batches": Masked(), "objective": masked, "clip": 0.1},
    "carried": lambda: {"model": plain(), "batches": Chunks(), "objective": carried},
    "decay of unused": lambda: {"model": WithBuffer(dropout=0.0), "optimizer": "adamw", "weight_decay": 0.5},
    "weight norm": lambda: {"model": plain(), "weight_norm": True, "recurrent_norm_limit": 0.5},
}


def compared(name: str) -> dict[str, np.ndarray]:
    torch.manual_seed(7)
    model, history = train(**COMPARED[name]())
    found = {key: value.numpy() for key, value in model.state_dict().items() if key != "mean"}
    return found | {"loss": np.array([row["loss"] for row in history])}


def draws() -> np.ndarray:
    """What each process draws in its objective."""
    found = []

    def drawing(model: nn.Module, batch: dict[str, Any], state: Any) -> Any:
        found.append(torch.rand(()).item())
        return squares(model, batch, state)

    train(model=plain(), objective=drawing, epochs=1)
    return np.array(found)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    arrays: dict[str, np.ndarray] = {}

    def keep(run: str, found: dict[str, np.ndarray]) -> None:
        arrays.update({f"{run}/{name}": array for name, array in found.items()})

    def dropped(**changes: Any) -> dict[str, np.ndarray]:
        model, _ = train(**{"model": net(seed=rank), "validate": error, "patience": 9, **changes})
        return {name: value.numpy() for name, value in model.state_dict().items()}

    for name in COMPARED:
        keep(name, compared(name))
    keep("dropout", dropped())
    keep("again", dropped())
    keep("draws", {"draws": draws()})
    torch.manual_seed(7)
    keep("buffer", {k: v.numpy() for k, v in train(model=WithBuffer())[0].state_dict().items()})
    for kind, words in {"rows": {}, "chunks": {"batches": Chunks(), "objective": carried}}.items():
        stopping = {"out": folder / kind, "callbacks": [StopAt()], **words}
        dropped(**stopping)
        keep(f"{kind}, resumed", dropped(out=folder / kind, resume=True, **words))
        keep(f"{kind}, whole", dropped(**words))
    try:
        train(model=plain(), batches=Bad())
    except Exception as error_:
        keep("refused", {type(error_).__name__: np.array(str(error_))})
    with (folder / f"{rank}.npz").open("wb") as file:
        np.savez(file, **arrays)


class Bad(Rows):
    def epoch(self, number: int, first: int = 0) -> Any:
        for batch in super().epoch(number, first):
            yield {**batch, "y": batch["y"][:-1]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
