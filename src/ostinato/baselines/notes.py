"""Two plain laws of piano rolls: each note as often as ever, and each as it follows on itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class NoteFrequencies:
    """p(note n is on) = (frames with n + 1/2) / (frames + 1), each note for itself, whatever was before.

    >>> roll = np.array([[1, 0], [1, 0], [1, 1]])
    >>> NoteFrequencies().fit([roll]).log_probabilities(roll).shape
    (3,)
    """

    def fit(self, pieces: Sequence[NDArray[Any]]) -> NoteFrequencies:
        """Count; pieces are (time, notes) of 0 and 1."""
        frames = np.concatenate(list(pieces))
        self.p: Array = (frames.sum(0) + 0.5) / (len(frames) + 1)
        return self

    def log_probabilities(self, piece: NDArray[Any]) -> Array:
        """log p of each frame, (time,)."""
        return _log_bernoulli(piece, np.broadcast_to(self.p, piece.shape))


class NoteRepeats:
    """p(n is on at t) = (times n went on so + 1/2) / (times + 1), given whether n was on at t - 1; each for itself.

    Before a piece no note is on.

    >>> roll = np.array([[1, 0], [1, 0], [1, 1]])
    >>> NoteRepeats().fit([roll]).log_probabilities(roll).shape
    (3,)
    """

    def fit(self, pieces: Sequence[NDArray[Any]]) -> NoteRepeats:
        """Count; pieces are (time, notes) of 0 and 1."""
        before = np.concatenate([_before(piece) for piece in pieces]) > 0
        now = np.concatenate(list(pieces)) > 0
        kinds = [~before, before]
        self.p: Array = np.stack([((kind & now).sum(0) + 0.5) / (kind.sum(0) + 1) for kind in kinds])  # (2, notes)
        return self

    def log_probabilities(self, piece: NDArray[Any]) -> Array:
        """log p of each frame given the one before, (time,)."""
        return _log_bernoulli(piece, np.where(_before(piece) > 0, self.p[1], self.p[0]))


def _before(piece: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([np.zeros_like(piece[:1]), piece[:-1]])


def _log_bernoulli(piece: NDArray[Any], p: NDArray[Any]) -> Array:
    return np.where(piece > 0, np.log(p), np.log1p(-p)).sum(1)
