"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PathLike = str | os.PathLike[str]

_SUFFIX = ".ostinato-tmp"


@contextmanager
def replace(path: PathLike) -> Iterator[BinaryIO]:
    """A new content for a file, whole or not at all: the one way in which files are written.

    What is written goes to a temporary file in the same folder, is synced to the disk, and takes
    the file's name in one step. After a kill, a power cut or a full disk there is the old file or
    the new one, never a part. An error removes the temporary file; a kill may leave it: `sweep`.

    Raises:
        OSError: the disk is full or failing; it names `path`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replace(f"{folder}/notes.txt") as file:
    ...         _ = file.write(b"whole")
    ...     Path(folder, "notes.txt").read_text()
    'whole'
    """
    target = Path(os.path.realpath(path))  # through a link: the file changes, the link stays
    beside = target.with_name(f".{secrets.token_hex(8)}{_SUFFIX}")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, beside)
        beside.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        # A full disk has no name, and the temporary one tells nobody anything.
        if error.errno is None or error.filename not in (None, str(beside)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        if beside.exists():
            beside.unlink()


def replace_text(path: PathLike, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all: see `replace`."""
    with replace(path) as file:
        file.write(text.encode("utf-8"))


def sweep(folder: PathLike) -> None:
    """Remove what killed writers left in a folder. For its owner alone: a live writer would lose its work."""
    for left in Path(folder).glob(f".*{_SUFFIX}"):
        left.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last: it is the folder that holds the name."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
