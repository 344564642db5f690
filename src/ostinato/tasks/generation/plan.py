"""The sizes of a language model, by what was asked for and by how much there is to learn from."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ostinato.tasks.options import Options

WIDE = 1_000  # units from which on a head's weights are the embedding's
NARROW = 64  # numbers of a character's embedding
SEEN = 14_000_000  # steps that training is to see, where the data are not so few that they must be seen often
FEWEST, MOST = 10, 40  # epochs
MUSIC_EPOCHS = 80
FRAMES = 500  # through which a gradient goes back
PATIENCE = 6


class Plan(BaseModel):
    """What a network and its training are made with; in the model file, and in the report's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: str
    units: int = Field(ge=1)
    hidden_size: int = Field(ge=1)
    num_layers: int = Field(ge=1)
    embedding_size: int = Field(ge=1)
    tied: bool
    cutoffs: tuple[int, ...] = ()
    dropout: float = Field(ge=0, lt=1)
    input_dropout: float = Field(ge=0, lt=1)
    word_dropout: float = Field(ge=0, lt=1)
    weight_dropout: float = Field(ge=0, lt=1)
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    clip: float | None = None
    recurrent_norm_limit: float | None = None
    weight_norm: bool = False
    seed: int = 0
    device: str = "auto"


def text_plan(options: Options, units: int, tokens: int, cutoffs: tuple[int, ...]) -> Plan:
    """Sizes for a text.

    Args:
        options: of the task.
        units: in the vocabulary.
        tokens: to learn from.
        cutoffs: groups of rare units; none where the vocabulary is small.
    """
    words: Any = options
    wide = units >= WIDE
    hidden = options.hidden_size or _width(tokens, wide)
    embedding = words.embedding_size or (hidden if wide else min(NARROW, hidden))
    gates = {"lstm": 4, "gru": 3}.get(options.cell, 1)
    recurrent = gates * hidden * (embedding + hidden + 2 * hidden * (options.num_layers - 1))
    parameters = recurrent + units * (embedding if wide else embedding + hidden)
    dropout = _dropout(parameters / max(1, tokens), wide) if options.dropout is None else options.dropout
    return Plan(
        units=units, hidden_size=hidden, embedding_size=embedding, tied=wide, cutoffs=cutoffs,
        dropout=dropout, input_dropout=dropout if wide else 0.0, word_dropout=dropout / 5 if wide else 0.0,
        weight_dropout=0.6 * dropout if words.weight_dropout is None else words.weight_dropout,
        epochs=options.epochs or min(MOST, max(FEWEST, round(SEEN / max(1, tokens)))),
        batch_size=options.batch_size or _rows(tokens, wide), steps=words.bptt or (35 if wide else 100),
        learning_rate=options.learning_rate or (5e-3 if wide else 4e-3), **_shared(options),
    )  # fmt: skip


def music_plan(options: Options, notes: int, frames: int, pieces: int) -> Plan:
    """Sizes for piano rolls."""
    words: Any = options
    dropout = 0.5 if options.dropout is None else options.dropout
    return Plan(
        units=notes, hidden_size=options.hidden_size or (300 if frames < 100_000 else 500), embedding_size=notes,
        tied=False, dropout=dropout, input_dropout=dropout / 5, word_dropout=0.0,
        weight_dropout=0.8 * dropout if words.weight_dropout is None else words.weight_dropout,
        epochs=options.epochs or MUSIC_EPOCHS, batch_size=options.batch_size or min(16, max(1, pieces // 8)),
        steps=words.bptt or FRAMES, learning_rate=options.learning_rate or 5e-3, **_shared(options),
    )  # fmt: skip


def _shared(options: Options) -> dict[str, Any]:
    names = ("cell", "num_layers", "clip", "recurrent_norm_limit", "weight_norm", "seed", "device")
    return {name: getattr(options, name) for name in names}


def _width(tokens: int, wide: bool) -> int:
    """Of the state: what a text of that length can fill."""
    if wide:
        return 100 if tokens < 100_000 else 200 if tokens < 2_000_000 else 400
    return 64 if tokens < 30_000 else 128 if tokens < 200_000 else 256 if tokens < 800_000 else 512


def _dropout(load: float, wide: bool) -> float:
    """By the numbers to learn for each token: the more, the more is dropped; less where it is dropped in more places.

    >>> round(_dropout(1.3, wide=False), 2), round(_dropout(3.0, wide=True), 2)
    (0.31, 0.25)
    """
    return min(0.5, max(0.0, (0.2 if wide else 0.3) + 0.1 * math.log10(max(load, 1e-3))))


def _rows(tokens: int, wide: bool) -> int:
    """Columns of a batch: fewer where the text is short, so that an epoch has steps enough."""
    return max(4, min(20 if wide else 32, tokens // (2_000 if wide else 5_000)))
