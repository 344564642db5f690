"""`ost.save` and `ost.load`: layers and trained tasks, by what the file says it holds."""

from __future__ import annotations

import os
from typing import Any

from ostinato import format
from ostinato.format import FormatError


def save(module: Any, path: str | os.PathLike[str]) -> None:
    """Write a layer or a trained task to a model file, whole or not at all.

    Raises:
        TypeError: it is neither.
        OSError: it could not be written; a file that was there before is as it was.

    >>> import tempfile, ostinato as ost
    >>> path = tempfile.mkdtemp() + "/layer.ost"
    >>> ost.save(ost.GRU(3, 8), path)
    >>> ost.load(path).hidden_size
    8
    """
    from ostinato.layers import files

    if files.storable(module):
        manifest, tensors = files.to_file(module)
        format.write(path, tensors, manifest)
    elif hasattr(module, "to_file"):
        module.save(path)
    else:
        raise TypeError(
            f"{type(module).__name__} is neither a layer nor a task of ostinato: save its state_dict yourself"
        )


def load(path: str | os.PathLike[str]) -> Any:
    """The layer or task in a model file, in evaluation mode. Nothing in a file is ever run or imported.

    Raises:
        FormatError: the file is damaged, or holds something else.
    """
    manifest, tensors = format.read(path)
    if manifest.get("kind") == "layer":
        from ostinato import models  # noqa: F401  they tell `files` of themselves
        from ostinato.layers import files

        return files.from_file(str(path), manifest, tensors)
    if manifest.get("kind") == "task":
        from ostinato.tasks import task

        return task.from_file(str(path), manifest, tensors)
    raise FormatError(f"{path}: holds a {manifest.get('kind')!r}, neither a layer nor a task")
