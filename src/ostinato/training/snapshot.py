"""What a checkpoint carries: all that the next step depends on, and who may go on from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ostinato.training import checkpoint, trees
from ostinato.training.checkpoint import CheckpointError
from ostinato.training.settings import difference

if TYPE_CHECKING:
    from ostinato.training.loop import Trainer


@dataclass
class Place:
    """Where training stands, in plain numbers."""

    epoch: int = 0  # epochs done
    batch: int = 0  # batches done in this epoch
    step: int = 0  # batches done in all
    loss: float = 0.0  # sums over this epoch
    count: float = 0.0
    norm: float = 0.0
    best: float | None = None  # validation loss
    stale: int = 0  # epochs since the best
    halved: int = 0  # times that the plateau schedule halved the learning rate
    seconds: float = 0.0
    validation: float = 0.0  # seconds that the last one took


def save(trainer: Trainer, path: Path) -> None:
    """Write the checkpoint. Every process brings its random streams and carried state; process 0 writes.

    Raises:
        CheckpointError: the disk is full or failing; the checkpoint before is whole.
    """
    ranks = trainer.ranks.gather({"streams": _streams(trainer.device), "carry": trainer.carry})
    if trainer.ranks.rank == 0:
        tree = {
            "settings": asdict(trainer.settings),
            "run": _run(trainer),
            "place": asdict(trainer.at) | {"seconds": trainer.seconds},
            "model": trainer.model.state_dict(),
            "optimizer": trainer.optimizer.state_dict(),
            "scaler": trainer.scaler.state_dict(),
            "best": trainer.best,
            "history": list(trainer.history),
            "ranks": ranks,
        }
        checkpoint.write(path, tree)


def load(trainer: Trainer, path: Path) -> None:
    """Put a trainer that was just made where the checkpoint's stood.

    Raises:
        CheckpointError: the file is damaged, or of other settings, batches or another model.
    """
    tree = checkpoint.read(path)
    made, own = tree["run"].get("network"), type(trainer.model).__name__
    if made not in (None, own):  # before the settings, which another task chooses otherwise
        raise CheckpointError(f"{path}: is of another network ({made}, this run trains {own}): {checkpoint.ANEW}")
    why = difference(tree["settings"], trainer.settings) or _other(tree["run"], _run(trainer))
    if why is not None:
        raise CheckpointError(f"{path}: {why}; use the same, or {checkpoint.ANEW}")
    try:
        trainer.model.load_state_dict(tree["model"])
        trainer.optimizer.load_state_dict(tree["optimizer"])
        trainer.scaler.load_state_dict(tree["scaler"])
        trainer.at = Place(**tree["place"])
    except (RuntimeError, ValueError, TypeError) as error:
        what = "is of another model, or of another version of ostinato"
        raise CheckpointError(f"{path}: {what}: {' '.join(str(error).split())}") from error
    trainer.best = tree["best"]
    trainer.history[:] = tree["history"]
    rank = tree["ranks"][trainer.ranks.rank]
    trainer.carry = trees.change(rank["carry"], by=lambda t: t.to(trainer.device))
    torch.set_rng_state(rank["streams"]["torch"])
    if rank["streams"]["cuda"] is not None:
        torch.cuda.set_rng_state(rank["streams"]["cuda"], trainer.device)


def _streams(device: torch.device) -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return {"torch": torch.get_rng_state(), "cuda": cuda}


def _run(trainer: Trainer) -> dict[str, Any]:
    """What must be as it was, besides the settings, for the resumed run to be the same run."""
    return {
        "network": type(trainer.model).__name__,
        "batches an epoch": len(trainer.batches),
        "processes": trainer.ranks.world,
        "device": trainer.device.type,
        "precision": str(trainer.precision).removeprefix("torch."),
    }


def _other(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    for name, value in now.items():
        if before.get(name, value) != value:
            return f"was made with {name}: {before[name]}, this run has {value}"
    return None
