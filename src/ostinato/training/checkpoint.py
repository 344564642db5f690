"""The checkpoint: one tree of dicts, lists, tuples, plain values and tensors, in one file (decisions/07).

The tensors are the file's tensors, under their paths in the tree; what holds them together is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato import format

Arrays = dict[str, NDArray[Any]]

ANEW = "start anew with resume=False (--overwrite instead of --resume)"
_ANEW = f"it cannot be resumed from; {ANEW}"


class CheckpointError(RuntimeError):
    """A file of a training run cannot be written or read, or belongs to another run; it is named."""


def write(path: Path, tree: Any) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        CheckpointError: the disk is full or failing; the checkpoint before is whole.
    """
    with writing(path):
        format.write(path, pack(tree), {"kind": "checkpoint"})


def read(path: Path) -> Any:
    """Read a checkpoint.

    Raises:
        CheckpointError: the file is damaged, or is no checkpoint.
    """
    try:
        manifest, arrays = format.read(path)
        if manifest["kind"] != "checkpoint":
            raise CheckpointError(f"{path}: is a {manifest['kind']}, not a checkpoint: {_ANEW}")
        return unpack(arrays)
    except format.FormatError as error:
        raise CheckpointError(f"{error}; {_ANEW}") from error


def rewrite(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """A file of one line of JSON a row, whole or not at all."""
    with writing(path):
        format.replace_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def append(path: Path, row: Mapping[str, Any]) -> None:
    """One line of JSON more, or, where it does not fit on the disk, none."""
    line = json.dumps(row, allow_nan=False).encode() + b"\n"
    with writing(path), path.open("ab", buffering=0) as file:  # a buffer would be written again on closing
        size = file.tell()
        try:
            while line:
                line = line[file.write(line) :]
        except OSError:
            file.truncate(size)
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the disk refuses, in words."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        saved = "what was saved before is whole: set this right and go on with resume=True (--resume)"
        raise CheckpointError(f"{path}: {why}; {saved}") from error


def pack(tree: Any) -> Arrays:
    """A tree as named arrays, of which "tree" holds the JSON.

    Raises:
        TypeError: something in the tree is neither a container, a plain value nor a tensor; its path is given.

    >>> unpack(pack({"moments": {0: (torch.ones(2), None)}}))
    {'moments': {0: (tensor([1., 1.]), None)}}
    """
    arrays: Arrays = {}
    skeleton = _pack(tree, arrays, "")
    return {"tree": format.pack_json(skeleton), **arrays}


def unpack(arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The tree that `pack` took apart, its tensors on the CPU."""
    return _unpack(format.unpack_json(arrays["tree"]), arrays)


def _pack(tree: Any, arrays: Arrays, path: str) -> Any:
    if isinstance(tree, Tensor):
        whole = tree.detach().cpu().contiguous()
        half = whole.dtype == torch.bfloat16  # numpy has no such type
        name = f"{len(arrays)}{path}"
        arrays[name] = (whole.view(torch.int16) if half else whole).numpy()
        return {"tensor": name, "bfloat16": half}
    if isinstance(tree, dict):  # as pairs: an optimizer's keys are whole numbers
        return {"dict": [[key, _pack(value, arrays, f"{path}/{key}")] for key, value in tree.items()]}
    if type(tree) in (list, tuple):
        items = [_pack(value, arrays, f"{path}/{i}") for i, value in enumerate(tree)]
        return items if isinstance(tree, list) else {"tuple": items}
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError(f"{path.strip('/')} is a {type(tree).__name__}: a checkpoint carries tensors and plain values only")


def _unpack(node: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(node, list):
        return [_unpack(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    if "tensor" in node:
        whole = torch.from_numpy(arrays[node["tensor"]])
        return whole.view(torch.bfloat16) if node["bfloat16"] else whole
    if "tuple" in node:
        return tuple(_unpack(item, arrays) for item in node["tuple"])
    return {key: _unpack(value, arrays) for key, value in node["dict"]}
