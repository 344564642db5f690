"""Piano rolls: pieces of music as frames of notes that are on or off, out of .mat and .npz files."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data.errors import DataError

Array = NDArray[np.float32]

SUFFIXES = (".mat", ".npz")
PARTS = ("train", "valid", "test")
LENGTHS = "lengths"


@dataclass(frozen=True)
class Rolls:
    """Pieces of music.

    Attributes:
        pieces: each (time, notes), 0 or 1; what is learnt from.
        source: what errors call them.
        notes: what was done, each a sentence without a stop.
        valid, test: pieces that the file holds apart for these; empty where it does not.
    """

    pieces: tuple[Array, ...]
    source: str
    notes: tuple[str, ...] = ()
    valid: tuple[Array, ...] = ()
    test: tuple[Array, ...] = ()

    @property
    def width(self) -> int:
        """Notes of a frame."""
        return int(self.pieces[0].shape[1])

    def __len__(self) -> int:
        return len(self.pieces)


def is_rolls(source: Any) -> bool:
    """Whether a source is music: by its suffix, or because it was read already.

    >>> is_rolls("JSB.mat"), is_rolls("input.txt")
    (True, False)
    """
    return isinstance(source, Rolls) or (isinstance(source, (str, os.PathLike)) and _suffix(source) in SUFFIXES)


def _suffix(source: str | os.PathLike[str]) -> str:
    return Path(source).suffix.lower()


def read_rolls(source: str | os.PathLike[str] | Rolls | Sequence[Any]) -> Rolls:
    """Piano rolls out of a file, or arrays (time, notes).

    A .mat file has a cell array for each part, such as traindata, validdata and testdata. An .npz file has an array
    (time, notes) a piece, or (pieces, time, notes) with `lengths`; names that begin with train, valid or test (as
    train_3, test, test_lengths) say to which part pieces belong. Nothing is ever unpickled.

    Raises:
        DataError: there are no pieces, or one is not made of 0 and 1, or they differ in notes.

    >>> read_rolls([[[0, 1], [1, 1]], [[0, 0]]]).pieces[0].shape
    (2, 2)
    """
    if isinstance(source, Rolls):
        return source
    if not isinstance(source, (str, os.PathLike)):
        return _rolls({"train": [(f"piece {k + 1}", piece) for k, piece in enumerate(source)]}, "pieces")
    path = Path(source)
    found = _mat(path) if _suffix(path) == ".mat" else _npz(path)
    return _rolls(found, path.name)


def _rolls(parts: Mapping[str, Sequence[tuple[str, Any]]], source: str) -> Rolls:
    pieces = {part: tuple(_piece(each, name, source) for name, each in found) for part, found in parts.items()}
    every = [piece for found in pieces.values() for piece in found]
    if not pieces.get("train"):
        raise DataError(source, "no pieces to learn from", "give arrays (time, notes), named train... or anything else")
    widths = sorted({piece.shape[1] for piece in every})
    if len(widths) > 1:
        raise DataError(source, f"pieces of {widths[0]} and of {widths[-1]} notes", "give all the same notes")
    counts = ", ".join(f"{len(found)} {part}" for part, found in pieces.items() if found)
    notes = (f"read {sum(map(len, every)):,} frames of {widths[0]} notes in {len(every)} pieces ({counts})",)
    return Rolls(pieces["train"], source, notes, pieces.get("valid", ()), pieces.get("test", ()))


def _piece(values: Any, name: str, source: str) -> Array:
    found = np.asarray(values)
    if found.ndim != 2 or found.dtype.kind not in "biuf" or not found.size:
        shape = f"{name!r} is {found.dtype} of shape {found.shape}, not frames by notes"
        raise DataError(source, shape if found.size else f"{name!r} is empty", "give an array (time, notes) a piece")
    wrong = np.argwhere((found != 0) & (found != 1))
    if len(wrong):
        frame, note = wrong[0]
        value = f"{found[frame, note]} in frame {frame + 1}, note {note + 1} of {name!r}"
        raise DataError(source, value, "notes are 0 or 1: mark what sounds with 1")
    return found.astype(np.float32)


def _part(name: str) -> str:
    """train, valid or test, by how a name begins; what says nothing is learnt from."""
    return next((part for part in PARTS if name.lower().startswith(part)), "train")


def _mat(path: Path) -> dict[str, list[tuple[str, Any]]]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path)
    except OSError as error:
        if error.errno is None:  # scipy's own word for a file that ends too early
            raise DataError(path.name, f"no whole MATLAB file ({error})", "take another copy of the file") from error
        raise _unreadable(path, error) from error
    except (MatReadError, NotImplementedError, ValueError, TypeError, KeyError, IndexError, zlib.error) as error:
        raise DataError(
            path.name, f"no MATLAB file of version 5 to 7.2 ({error})", "save it anew, or as .npz"
        ) from error
    parts: dict[str, list[tuple[str, Any]]] = {part: [] for part in PARTS}
    for name, value in found.items():
        if not name.startswith("__"):
            cells = value.ravel() if value.dtype == object else [value]
            parts[_part(name)] += [(f"{name}[{k + 1}]", cell) for k, cell in enumerate(cells)]
    return parts


def _npz(path: Path) -> dict[str, list[tuple[str, Any]]]:
    parts: dict[str, list[tuple[str, Any]]] = {part: [] for part in PARTS}
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        what = "arrays of objects, which are not read" if "pickle" in str(error).lower() else f"no whole .npz ({error})"
        todo = "save a padded array (pieces, time, notes) with lengths, or an array a piece"
        raise DataError(path.name, what, todo) from error
    for name, values in found.items():
        if not name.lower().endswith(LENGTHS):
            parts[_part(name)] += _unpadded(path, name, values, found)
    return parts


def _unpadded(path: Path, name: str, values: Any, found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The pieces of an array: itself, or the rows of a padded one up to their lengths."""
    if values.ndim != 3:
        return [(name, values)]
    own = next((key for key in (f"{name}_{LENGTHS}", f"{_part(name)}_{LENGTHS}", LENGTHS) if key in found), None)
    if own is None:
        raise DataError(path.name, f"{name!r} holds {len(values)} padded pieces without lengths", f"add {name}_lengths")
    lengths = np.asarray(found[own])
    if lengths.shape != values.shape[:1] or lengths.dtype.kind not in "iu":
        shape = f"{own!r} is {lengths.dtype} of shape {lengths.shape}"
        raise DataError(path.name, shape, f"give {len(values)} whole numbers")
    if len(lengths) and not (lengths.min() >= 1 and lengths.max() <= values.shape[1]):
        ends = f"{own!r} goes from {lengths.min()} to {lengths.max()}"
        raise DataError(path.name, ends, f"lengths lie between 1 and {values.shape[1]}")
    return [(f"{name}[{k + 1}]", piece[:n]) for k, (piece, n) in enumerate(zip(values, lengths, strict=True))]


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(
        path.name, f"cannot be read ({error.strerror or error})", "give the path of a file that can be read"
    )
