"""A sample after each epoch: one sees the model learn to write."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostinato.training import Callback
from ostinato.training.checkpoint import append

if TYPE_CHECKING:
    from ostinato.tasks.generation.learnt import Learnt

FILE = "samples.jsonl"
LENGTHS = {"word": 30, "bpe": 50, "char": 160}
TEMPERATURE = 0.8


class Samples(Callback):
    """Draws a little text after each epoch, from a random stream of its own; says it above the progress line.

    With a folder, samples are kept in `samples.jsonl` too, so that a resumed run has the earlier ones. Music is not
    drawn: there is nothing to read in it.

    Attributes:
        samples: (epoch, text).
    """

    def __init__(self, learnt: Learnt, out: str | os.PathLike[str] | None, resume: bool) -> None:
        self.learnt, self.samples = learnt, list[tuple[int, str]]()
        self.path = None if out is None else Path(out, FILE)
        self.resume = resume

    def on_train_begin(self, logs: dict[str, Any]) -> None:
        """Take up the samples of epochs that are behind a resumed run, and forget all others."""
        done = self.trainer.at.epoch
        if self.path is None:
            return
        if self.resume and self.path.exists():
            rows = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
            self.samples = [(row["epoch"], row["text"]) for row in rows if row["epoch"] <= done]
        self.path.unlink(missing_ok=True)
        for epoch, text in self.samples:
            append(self.path, {"epoch": epoch, "text": text})

    def on_epoch_end(self, logs: dict[str, Any]) -> None:
        """Draw, say and keep a sample."""
        from ostinato.tasks.generation.texts import Texts

        medium, epoch = self.learnt.medium, int(logs["epoch"])
        if not isinstance(medium, Texts):
            return
        drawn = copy.copy(self.learnt)
        drawn.network = copy.deepcopy(self.learnt.network).cpu().eval()
        length = LENGTHS[medium.codec.units.kind]
        text = str(drawn.draw("", length, seed=epoch, temperature=TEMPERATURE)).strip("\n")
        self.samples.append((epoch, text))
        if self.path is not None:
            append(self.path, {"epoch": epoch, "text": text})
        self.trainer.line.say(f"after epoch {epoch} it writes: {' '.join(text.split())}")
