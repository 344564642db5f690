"""Write a model file: the manifest, the tensors as they lie in memory, the hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato import __version__
from ostinato.format.atomic import PathLike, replace
from ostinato.format.layout import (
    BFLOAT16,
    FORMAT,
    HEADER_CAP,
    NAMES,
    RANK_CAP,
    SEAL,
    TENSOR_CAP,
    TYPES,
    UNSEALED,
    check_manifest,
    named,
)
from ostinato.format.plain import dump, parse


def write(path: PathLike, tensors: Mapping[str, NDArray[Any]], manifest: Mapping[str, Any]) -> None:
    """Write one model file, whole or not at all: see `replace`.

    The manifest is JSON. `kind` is asked for; `class` (""), `arguments` ({}), `spec` (None) and
    `extra` ({}) may be left out; `format` and `version` are put in here. A tensor is copied in memory
    only where it is not in C order; none may change during the call.

    Args:
        tensors: name -> array of any shape, 0-d and empty ones too, in any memory order.
        manifest: at most about 1 MB together with the names and shapes of the tensors; what is
            longer goes in as a tensor, see `pack_json`.

    Raises:
        FormatError: a dtype, name or manifest that a file cannot hold. The old file stays.
        OSError: the disk is full or failing. The old file stays.

    >>> import tempfile
    >>> from ostinato import format
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     format.write(f"{folder}/a.ost", {"w": np.eye(2)}, {"kind": "layer", "class": "RNN"})
    ...     manifest, tensors = format.read(f"{folder}/a.ost")
    >>> manifest["class"], tensors["w"].tolist()
    ('RNN', [[1.0, 0.0], [0.0, 1.0]])
    """
    with named(path):
        text = _manifest_text(manifest)
        native = _natives(tensors)
        raw = _header(native, text)
    start = len(raw).to_bytes(8, "little")
    digest = hashlib.sha256(start + raw)
    for array in native.values():
        digest.update(_bytes(array))
    with replace(path) as file:
        file.write(start + raw.replace(SEAL + UNSEALED, SEAL + digest.hexdigest().encode()))
        for array in native.values():
            file.write(_bytes(array))


def _manifest_text(manifest: Mapping[str, Any]) -> str:
    usual = {"format": FORMAT, "version": __version__, "class": "", "arguments": {}, "spec": None, "extra": {}}
    text = dump(check_manifest({**usual, **manifest}), allow_nan=False)
    parse(text)  # nothing is written that would not be read
    return text


def _natives(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The tensors as the file holds them, the widest types first: so that each begins where its type may."""
    if len(tensors) > TENSOR_CAP:
        raise ValueError(f"{len(tensors)} tensors: at most {TENSOR_CAP} go into a file")
    native = {name: _native(name, array) for name, array in tensors.items()}
    return dict(sorted(native.items(), key=lambda item: (-item[1].itemsize, item[0])))


def _native(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """The array little-endian, in C order."""
    if not isinstance(name, str) or name == "__metadata__":
        raise ValueError(f"a tensor cannot be named {short(name)}: use another string")
    if not isinstance(array, np.ndarray):
        raise ValueError(f"tensor {short(name)} is a {type(array).__name__}: give a numpy array")
    if array.dtype.name == "bfloat16":
        raise ValueError(f"tensor {short(name)} is {BFLOAT16}")
    little = array.dtype.newbyteorder("<")
    if little.str not in NAMES:
        raise ValueError(f"tensor {short(name)} is {array.dtype}: {TYPES}")
    if array.ndim > RANK_CAP:
        raise ValueError(f"tensor {short(name)} has {array.ndim} dimensions: at most {RANK_CAP}")
    return np.asarray(array, little, order="C")


def _header(native: Mapping[str, NDArray[Any]], text: str) -> bytes:
    """The header, the hash still zeros, filled with spaces so that the tensors begin at a multiple of 8."""
    table: dict[str, Any] = {"__metadata__": {"ostinato": text, "sha256": UNSEALED.decode()}}
    end = 0
    for name, array in native.items():
        begin, end = end, end + array.nbytes
        table[name] = {"dtype": NAMES[array.dtype.str], "shape": array.shape, "data_offsets": [begin, end]}
    raw = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    if len(raw) > HEADER_CAP:
        raise ValueError(
            f"manifest, names and shapes take {len(raw)} bytes: at most {HEADER_CAP} go into a header: "
            "put what is long in a tensor with format.pack_json"
        )
    return raw + b" " * (-len(raw) % 8)


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
