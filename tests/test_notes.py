"""The plain laws of piano rolls are laws, and know what they should."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from ostinato.baselines.notes import NoteFrequencies, NoteRepeats

PIECES = [np.array([[1, 0, 0], [1, 0, 1], [1, 0, 1], [0, 0, 1]]), np.array([[1, 0, 0], [1, 1, 0]])]


@pytest.mark.parametrize("law", [NoteFrequencies, NoteRepeats])
def test_the_frames_that_can_come_share_all_probability(law: Any) -> None:
    model = law().fit(PIECES)
    first = np.array([1, 0, 1])
    told = [model.log_probabilities(np.array([first, frame]))[1] for frame in product([0, 1], repeat=3)]
    assert np.exp(told).sum() == pytest.approx(1)


def test_repeats_know_what_sounded() -> None:
    held = np.repeat(np.random.default_rng(0).integers(0, 2, (20, 5)), 8, axis=0)
    plain, repeats = (
        law().fit([held[:80]]).log_probabilities(held[80:]).mean() for law in (NoteFrequencies, NoteRepeats)
    )
    assert repeats > plain + 1
    p = NoteRepeats().fit(PIECES).p
    assert p[1, 0] == pytest.approx((3 + 0.5) / (4 + 1))  # on before 4 frames, and on in 3 of them
