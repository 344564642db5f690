"""Folders that hold a class each, or a file each: names/Dutch.txt, or reviews/good/0001.txt."""

from __future__ import annotations

from pathlib import Path

from ostinato.data.decoded import Refusals
from ostinato.data.errors import DataError
from ostinato.data.text.source import opened

SUFFIXES = (".txt", ".text")
NOTHING = ("readme", "license", "licence", "copying", "notice", "changelog", "sha256sums")

Rows = list[tuple[int, str, str]]


def read_folder(folder: Path, on_bad: str) -> tuple[str, Rows, Refusals, tuple[str, ...]]:
    """Name, rows (number, text, label), refusals and notes, as `labelled` takes them.

    Folders within it are classes, each file of theirs a text; without any, its files are classes, each line a text.
    Files are told by `.txt` (`.gz` too), or, where none is called so, all but README, LICENSE and hidden ones.

    Raises:
        DataError: neither is there.
    """
    inner = sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    classes = [(each.name, _texts(each)) for each in inner]
    classes = [(name, files) for name, files in classes if files]
    if classes:
        return _whole_files(folder, classes, on_bad)
    files = _texts(folder)
    if not files:
        found = "a folder without texts"
        raise DataError(folder.name, found, "give one file a class (Dutch.txt, ...), or one folder of files a class")
    return _lines(folder, files, on_bad)


def _texts(folder: Path) -> list[Path]:
    files = sorted(each for each in folder.iterdir() if each.is_file() and not each.name.startswith("."))
    plain = [each for each in files if _stem(each)[1] in SUFFIXES]
    kept = plain or files
    return [each for each in kept if not _stem(each)[0].lower().startswith(NOTHING)]


def _stem(file: Path) -> tuple[str, str]:
    """Name and suffix without `.gz`."""
    plain = Path(file.name.removesuffix(".gz"))
    return plain.stem, plain.suffix.lower()


def _lines(folder: Path, files: list[Path], on_bad: str) -> tuple[str, Rows, Refusals, tuple[str, ...]]:
    rows: Rows = []
    notes = [f"took each of {len(files)} files as a class, each line as a text"]
    for file in files:
        source = opened(file, on_bad, f"{folder.name}/{file.name}")
        rows += [(number, line, _stem(file)[0]) for number, line in source.filled()]
        notes += [f"{source.name}: {note}" for note in source.notes()]
    return folder.name, rows, Refusals(folder.name, on_bad == "skip"), tuple(notes)


def _whole_files(
    folder: Path, classes: list[tuple[str, list[Path]]], on_bad: str
) -> tuple[str, Rows, Refusals, tuple[str, ...]]:
    rows: Rows = []
    done: list[str] = []
    for label, files in classes:
        for file in files:
            source = opened(file, on_bad, f"{folder.name}/{label}/{file.name}")
            rows.append((len(rows) + 1, "\n".join(source.lines), label))
            done += [f"{source.name}: {note}" for note in source.notes()]
    more = (f"so with {len(done) - 1} more",) if len(done) > 1 else ()
    took = f"took each of {len(classes)} folders as a class, each file as a text"
    return folder.name, rows, Refusals(folder.name, on_bad == "skip"), (took, *done[:1], *more)
