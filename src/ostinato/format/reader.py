"""Read a model file: the cheap checks first, then each byte once; nothing in it is ever run."""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
from io import BufferedReader
from pathlib import Path
from reprlib import repr as short
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato.format.atomic import PathLike
from ostinato.format.layout import (
    BFLOAT16,
    DTYPES,
    HEADER_CAP,
    RANK_CAP,
    SEAL,
    TENSOR_CAP,
    TYPES,
    UNSEALED,
    check_manifest,
    named,
)
from ostinato.format.plain import parse

_AGAIN = "take another copy of the file"
_FOREIGN = {
    b"PK\x03\x04": "looks like a PyTorch pickle in a zip archive; ostinato never unpickles",
    b"\x80": "looks like a pickle, perhaps PyTorch's; ostinato never unpickles",
    b"\x89HDF": "looks like an HDF5 file, as Keras writes",
    b"\x93NUMPY": "looks like a numpy array",
    b"\x1f\x8b": "looks like a gzip archive",
    b"\x08": "looks like an ONNX model",
    b"{": "looks like JSON text",
}


class _Slot(NamedTuple):
    """Where one tensor lies, in bytes from the end of the header."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def read(path: PathLike) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The manifest and the tensors of a file in which everything was checked.

    Each byte is read once, hashed and put where it belongs, so memory is the file's size. The
    manifest has all of `format, version, kind, class, arguments, spec, extra`, each of its type, and
    a `spec` that `Spec.from_json` takes. What `kind` and `class` mean is for the caller to look up
    in a registry: nothing named in a file is imported here or run.

    Raises:
        FormatError: the file is missing, foreign, damaged, altered, or of a newer format.
    """
    with named(path), _opened(Path(path)) as file:
        size = os.fstat(file.fileno()).st_size
        raw = _raw_header(file, size)
        header = _read_json("header", raw)
        metadata = _metadata(header)
        slots = _layout(header, size - 8 - len(raw))
        digest = hashlib.sha256(len(raw).to_bytes(8, "little") + _unsealed(raw, metadata["sha256"]))
        tensors = {slot.name: _fill(file, slot, digest) for slot in slots}
        if digest.hexdigest() != metadata["sha256"]:
            raise ValueError(f"the hash does not match: the file was damaged or altered: {_AGAIN}")
        return check_manifest(_read_json("manifest", metadata["ostinato"].encode())), tensors


def _opened(path: Path) -> BufferedReader:
    # Asked before opening: a pipe would wait for its writer, a device has no end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is not a file: give the path of an ostinato file (.ost)")
    return path.open("rb")


def _raw_header(file: BufferedReader, size: int) -> bytes:
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if size < 8 or length > HEADER_CAP:
        raise ValueError(f"{_guess(start)}: give a file that ostinato saved (.ost)")
    if length > size - 8:
        raise ValueError(f"is cut short: the header says {length} bytes, {size - 8} are there: {_AGAIN}")
    raw = file.read(length)
    if raw[:1] != b"{":
        raise ValueError(f"{_guess(start)}: give a file that ostinato saved (.ost)")
    return raw


def _guess(start: bytes) -> str:
    for magic, words in _FOREIGN.items():
        if start.startswith(magic):
            return words
    return "is not an ostinato file" if start else "is empty"


def _read_json(what: str, raw: bytes) -> Any:
    try:
        return parse(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the {what} is not JSON that ostinato reads ({error}): {_AGAIN}") from error


def _metadata(header: dict[str, Any]) -> dict[str, str]:
    found = header.get("__metadata__")
    if not isinstance(found, dict) or "ostinato" not in found:
        raise ValueError(
            "is a safetensors file without ostinato's manifest: "
            "make the layer yourself and load the tensors into it with safetensors"
        )
    if found.keys() != {"ostinato", "sha256"} or not all(isinstance(text, str) for text in found.values()):
        raise ValueError(f"the metadata are {short(list(found))}: needs 'ostinato' and 'sha256', both strings")
    return found


def _unsealed(raw: bytes, sha256: str) -> bytes:
    """The header as it was hashed: with zeros in the hash's place."""
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError(f"the hash is written as {short(sha256)}: needs 64 hexadecimal digits: {_AGAIN}")
    return raw.replace(SEAL + sha256.encode(), SEAL + UNSEALED)


def _layout(header: dict[str, Any], data: int) -> list[_Slot]:
    """The tensors in the order of the file, tiling its `data` bytes exactly."""
    if len(header) - 1 > TENSOR_CAP:
        raise ValueError(f"holds {len(header) - 1} tensors: at most {TENSOR_CAP} are read")
    slots = [_slot(name, entry) for name, entry in header.items() if name != "__metadata__"]
    slots.sort(key=lambda slot: (slot.begin, slot.end))
    position = 0
    for slot in slots:
        if slot.begin != position:
            raise ValueError(f"tensor {short(slot.name)} begins at byte {slot.begin}: {position} was expected")
        position = slot.end
    if position != data:
        raise ValueError(f"the tensors take {position} bytes, {data} are there: {_AGAIN}")
    return slots


def _slot(name: str, entry: Any) -> _Slot:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"tensor {short(name)} needs dtype, shape and data_offsets: got {short(entry)}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        found = BFLOAT16 if dtype == "BF16" else f"{short(dtype)}: {TYPES}"
        raise ValueError(f"tensor {short(name)} is {found}")
    if not _sizes(shape) or len(shape) > RANK_CAP:
        raise ValueError(f"tensor {short(name)} has the shape {short(shape)}: needs at most {RANK_CAP} sizes")
    if not _sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"tensor {short(name)} has the offsets {short(offsets)}: needs two")
    width = math.prod(shape) * DTYPES[dtype].itemsize
    if offsets[1] - offsets[0] != width:
        raise ValueError(f"tensor {short(name)} takes {width} bytes: the offsets say {short(offsets)}")
    return _Slot(name, DTYPES[dtype], tuple(shape), offsets[0], offsets[1])


def _sizes(found: Any) -> bool:
    """Whether this is a list of sizes: True is none, and the bound keeps their product small."""
    return isinstance(found, list) and all(type(size) is int and 0 <= size < 2**48 for size in found)


def _fill(file: BufferedReader, slot: _Slot, digest: hashlib._Hash) -> NDArray[Any]:
    """The next tensor of the file, in memory of its own."""
    flat = np.empty(slot.end - slot.begin, np.uint8)
    if file.readinto(flat.data) != flat.size:
        raise ValueError(f"became shorter while it was read: {_AGAIN}")
    digest.update(flat.data)
    if slot.dtype == np.bool_ and flat.size and flat.max() > 1:
        raise ValueError(f"tensor {short(slot.name)} is boolean and holds {flat.max()}")
    return flat.view(slot.dtype).reshape(slot.shape)
