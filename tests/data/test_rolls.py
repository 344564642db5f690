"""Piano rolls: every form of file, and what is wrong with one said in a line; nothing is unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from ostinato.data import DataError
from ostinato.data.rolls import read_rolls

RANDOM = np.random.default_rng(0)
PIECES = [(RANDOM.random((n, 6)) < 0.3).astype(np.uint8) for n in (5, 9, 1, 7)]


def cells(pieces: list[Any]) -> Any:
    found = np.empty((1, len(pieces)), dtype=object)
    for k, piece in enumerate(pieces):
        found[0, k] = piece.astype(float)
    return found


def test_matlab_cells_with_parts(tmp_path: Path) -> None:
    path = tmp_path / "JSB.mat"
    savemat(path, {"traindata": cells(PIECES[:2]), "validdata": cells(PIECES[2:3]), "testdata": cells(PIECES[3:])})
    found = read_rolls(path)
    for got, wanted in zip([*found.pieces, *found.valid, *found.test], PIECES, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert found.notes == ("read 22 frames of 6 notes in 4 pieces (2 train, 1 valid, 1 test)",)


def test_npz_with_an_array_a_piece_or_padded(tmp_path: Path) -> None:
    several, padded = tmp_path / "several.npz", tmp_path / "padded.npz"
    np.savez(several, train_a=PIECES[0], train_b=PIECES[1], test_a=PIECES[3])
    whole = np.zeros((2, 9, 6), np.int8)
    whole[0, :5], whole[1] = PIECES[0], PIECES[1]
    np.savez(padded, train=whole, train_lengths=[5, 9], test=PIECES[3][None], test_lengths=[7])
    for path in (several, padded):
        found = read_rolls(path)
        assert [len(piece) for piece in found.pieces] == [5, 9]
        np.testing.assert_array_equal(found.pieces[1], PIECES[1])
        np.testing.assert_array_equal(found.test[0], PIECES[3])


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    np.savez(path, train=cells(PIECES)[0])
    with pytest.raises(DataError, match=r"objects\.npz: arrays of objects, which are not read: save a padded array"):
        read_rolls(path)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"train": np.ones((2, 3, 6))}, "without lengths"),
        ({"train": np.ones((2, 3, 6)), "train_lengths": [3, 9]}, "goes from 3 to 9"),
        ({"train": np.ones((2, 3, 6)), "train_lengths": [3]}, "of shape"),
        ({"train": np.full((4, 6), 0.5)}, "0.5 in frame 1, note 1 of 'train'"),
        ({"train": np.ones(4)}, "not frames by notes"),
        ({"a": np.ones((4, 6)), "b": np.ones((4, 5))}, "pieces of 5 and of 6 notes"),
        ({"test": np.ones((4, 6))}, "no pieces to learn from"),
        ({"train": np.array(["a"])}, "not frames by notes"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError) as error:
        read_rolls(path)
    assert said in str(error.value)
    assert str(error.value).startswith("bad.npz: ")


@pytest.mark.parametrize("name", ["x.mat", "x.npz"])
@pytest.mark.parametrize(
    "content", [b"", b"no music at all", b"PK\x03\x04" + b"\0" * 50, b"MATLAB 5.0 MAT-file" + b"\1" * 200]
)
def test_broken_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"^{name}: "):
        read_rolls(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_rolls(tmp_path / "missing.npz")
