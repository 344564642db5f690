"""Training: one loop for every recipe, bit-exact to resume, alone or under torchrun (decisions/06).

`loop` is the page to read; the other files each hold one thing that it stands on.
"""

from ostinato.training.checkpoint import CheckpointError
from ostinato.training.finite import TrainingDiverged
from ostinato.training.history import Callback, History
from ostinato.training.loop import Batches, Trainer, fit
from ostinato.training.settings import Settings

__all__ = ["Batches", "Callback", "CheckpointError", "History", "Settings", "Trainer", "TrainingDiverged", "fit"]
