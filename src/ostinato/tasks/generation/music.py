"""Music as a language model learns it: pieces of frames, what is measured, what stands beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ostinato.data import DataError
from ostinato.data.rolls import Rolls, read_rolls
from ostinato.tasks.generation.plan import Plan, music_plan

if TYPE_CHECKING:
    from torch import Tensor

    from ostinato.models.language import Language

Array = NDArray[np.float64]
Roll = NDArray[np.float32]

FEWEST = 2  # pieces that can be divided in two
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
LOWEST = {88: 21, 128: 0}  # the MIDI number of the first note of a piano, and of all that MIDI has
FRAMES = 100  # of a sample where nobody says how many


class Music:
    """Piano rolls of so many notes. Its twin is `Texts`.

    Attributes:
        width: notes of a frame.
    """

    kind: ClassVar[str] = "music"
    step: ClassVar[str] = "frame"
    best: ClassVar[dict[str, str]] = {"nll": "min"}
    length: ClassVar[int] = FRAMES
    temperature: ClassVar[float] = 1.0  # below it notes would fall silent, for most are more likely off than on

    def __init__(self, width: int) -> None:
        self.width = width

    @staticmethod
    def read(source: Any, on_bad: str) -> Rolls:
        """Pieces; a broken one is an error, whatever `on_bad` says."""
        return read_rolls(source)

    @staticmethod
    def divide(whole: Rolls, share: float, seed: int) -> tuple[Rolls, Rolls]:
        """Pieces at random into two parts.

        Raises:
            DataError: there are too few.
        """
        from ostinato.data.text.split import holdout

        if len(whole) < FEWEST:
            todo = "give three or more: to learn from, to stop by (--valid) and to measure on (--test)"
            raise DataError(whole.source, f"{len(whole)} piece cannot be divided", todo)
        held = max(share, 1.0 / len(whole))
        first, second = (tuple(whole.pieces[int(k)] for k in rows) for rows in holdout(len(whole), held, seed))
        return Rolls(first, whole.source, whole.notes), Rolls(second, whole.source)

    @classmethod
    def learnt_from(cls, rolls: Rolls, options: Any) -> Music:
        """As many notes as the pieces have."""
        return cls(rolls.width)

    def part(self, rolls: Rolls) -> Rolls:
        """The pieces, if they have the notes that were learnt.

        Raises:
            DataError: they have others.
        """
        if rolls.width != self.width:
            found = f"frames of {rolls.width} notes, {self.width} were learnt"
            raise DataError(rolls.source, found, "give rolls of the same notes")
        return rolls

    def plan(self, options: Any, part: Rolls) -> Plan:
        """Sizes by the data."""
        return music_plan(options, self.width, sum(map(len, part.pieces)), len(part))

    def network(self, plan: Plan) -> Language:
        """The network of a plan, drawn from torch's default generator."""
        from ostinato.models.language import frame_model

        return frame_model(
            plan.units, plan.cell, plan.hidden_size, plan.num_layers, dropout=plan.dropout,
            input_dropout=plan.input_dropout, weight_dropout=plan.weight_dropout,
        )  # fmt: skip

    def begin(self, network: Language, part: Rolls) -> None:
        """Let the head begin with how frequent notes are."""
        from ostinato.models.language import begin_at_frequencies

        begin_at_frequencies(network, np.concatenate(part.pieces).mean(0))

    def batches(self, plan: Plan, part: Rolls) -> Any:
        """What training reads: pieces of like length, long ones in segments."""
        from ostinato.data.text.batches import Buckets

        cut = segments(part.pieces, plan.steps)
        return Buckets(
            [len(y) for _, y in cut], plan.batch_size, plan.seed, lambda rows: framed([cut[k] for k in rows])
        )

    @staticmethod
    def objective(model: Any, batch: Mapping[str, Tensor], state: Any) -> tuple[Any, Any, None]:
        """Each frame from all before it in its piece."""
        total, count, _ = model.loss(batch["x"], batch["y"], lengths=batch["lengths"], mask=batch["mask"])
        return total, count, None

    def log_probabilities(self, network: Language, part: Rolls, quick: bool = False) -> Array:
        """log p of each frame given those before it in its piece, piece after piece."""
        import torch

        device, found = next(network.parameters()).device, []
        with torch.no_grad():
            for piece in part.pieces:
                batch = {name: tensor.to(device) for name, tensor in framed(segments([piece], len(piece))).items()}
                raw, _ = network(batch["x"])
                found.append(-network.head.cost(raw, batch["y"])[0].sum(-1).double().cpu().numpy())
        return np.concatenate(found)

    def metrics(self, log_p: Array, part: Rolls) -> dict[str, float]:
        """nll, in nats a frame."""
        from ostinato import metrics

        return {"nll": metrics.nll(log_p)}

    def baselines(self, known: Rolls, part: Rolls) -> dict[str, dict[str, float]]:
        """Laws of single notes that learnt from `known`, on `part`."""
        from ostinato.baselines.notes import NoteFrequencies, NoteRepeats

        found = {}
        for name, kind in (("note_repeats", NoteRepeats), ("note_frequencies", NoteFrequencies)):
            law: Any = kind()
            law.fit(known.pieces)
            found[name] = self.metrics(np.concatenate([law.log_probabilities(piece) for piece in part.pieces]), part)
        return found

    # In use ---------------------------------------------------------------------------------------

    def prompt(self, frames: Any) -> Tensor:
        """What a sample goes on from: silence, then the frames given."""
        import torch

        given = np.zeros((0, self.width), np.float32) if frames is None or not len(frames) else frames
        return torch.from_numpy(np.concatenate([np.zeros((1, self.width), np.float32), given]))

    @property
    def never(self) -> tuple[int, ...]:
        """Every frame may be drawn."""
        return ()

    def written(self, frames: Any, steps: Iterable[Roll]) -> Roll:
        """Frames given and those that were drawn after them, (time, notes)."""
        drawn = [np.asarray(step, np.float32)[None] for step in steps]
        return np.concatenate([self.prompt(frames)[1:].numpy(), *drawn])

    def notes(self, part: Rolls) -> list[str]:
        """What a reader of the figures should know."""
        return [f"nll is in nats a frame of {self.width} notes, each piece's first frame counted too"]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"kind": self.kind, "width": self.width}


def segments(pieces: Sequence[Roll], steps: int) -> list[tuple[Roll, Roll]]:
    """Pieces cut after `steps` frames: each frame's predecessor (silence before a piece), and the frames."""
    found = []
    for piece in pieces:
        before = np.concatenate([np.zeros_like(piece[:1]), piece[:-1]])
        found += [(before[k : k + steps], piece[k : k + steps]) for k in range(0, len(piece), steps)]
    return found


def framed(rows: Sequence[tuple[Roll, Roll]]) -> dict[str, Tensor]:
    """Segments side by side: x the frames before, y the frames, lengths, and which steps count."""
    import torch

    lengths = torch.tensor([len(y) for _, y in rows])
    shape = (2, len(rows), max(1, int(lengths.max())), rows[0][0].shape[1])
    both = torch.zeros(shape)
    for k, pair in enumerate(rows):
        for side, values in enumerate(pair):
            both[side, k, : len(values)] = torch.from_numpy(values)
    return {"x": both[0], "y": both[1], "lengths": lengths, "mask": torch.arange(shape[2]) < lengths[:, None]}


def named(width: int) -> list[str]:
    """What notes are called: C4 where the width is a piano's or MIDI's, else their numbers.

    >>> named(88)[39], named(4)
    ('C4', ['1', '2', '3', '4'])
    """
    if width not in LOWEST:
        return [str(k + 1) for k in range(width)]
    first = LOWEST[width]
    return [f"{NAMES[(first + k) % 12]}{(first + k) // 12 - 1}" for k in range(width)]


def spelled(roll: Roll) -> list[str]:
    """Each frame's notes by name, from low to high; - where nothing sounds."""
    names = named(roll.shape[1])
    return [" ".join(names[k] for k in np.flatnonzero(frame)) or "-" for frame in roll]
