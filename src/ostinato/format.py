"""The model file: safetensors with a JSON manifest, and one hash over every byte.

    8 bytes     length N of the header, little-endian
    N bytes     header: JSON, {"__metadata__": {"ostinato": manifest, "sha256": hash}, name: {dtype, shape, data_offsets}, ...}
    the rest    the tensors, end to end

The hash is SHA-256 of the whole file with its own 64 characters read as zeros, so one flipped bit
anywhere is found before anything is used. Any safetensors tool can load the tensors.
Layout: https://github.com/safetensors/safetensors (format).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as short
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from ostinato import __version__
from ostinato.spec import Spec

FORMAT = 1
HEADER_CAP = 1_000_000  # bytes
TENSOR_CAP = 10_000
RANK_CAP = 32  # numpy 1.26 has no more dimensions
DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
PathLike = str | os.PathLike[str]

_UNSEALED = "0" * 64
_SUFFIX = ".ostinato-tmp"
_TYPES = f"a file holds {', '.join(dtype.name for dtype in DTYPES.values())}"
_BFLOAT16 = "bfloat16, which numpy does not have: save it as float32"
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "version": str,
    "kind": str,
    "class": str,
    "arguments": dict,
    "spec": (dict, type(None)),
    "extra": dict,
}
_FOREIGN = {
    b"PK\x03\x04": "looks like a zip archive or a PyTorch pickle; ostinato never unpickles",
    b"\x80": "looks like a pickle; ostinato never unpickles",
    b"\x89HDF": "looks like an HDF5 file, as Keras writes",
    b"\x93NUMPY": "looks like a numpy array",
    b"\x1f\x8b": "looks like a gzip archive",
    b"\x08": "looks like an ONNX model",
    b"{": "looks like JSON text",
}


class FormatError(ValueError):
    """Not a whole, unaltered ostinato file, or content that cannot be made into one.

    The text names the file, what was found and what to do.
    """


class _Slot(NamedTuple):
    """Where one tensor lies, in bytes from the end of the header."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def write(path: PathLike, tensors: Mapping[str, NDArray[Any]], manifest: Mapping[str, Any]) -> None:
    """Write one model file, whole or not at all: see `replace`.

    The manifest is JSON. `kind` is asked for; `class` (""), `arguments` ({}), `spec` (None) and
    `extra` ({}) may be left out; `format` and `version` are put in here. Memory: the file's size
    besides the tensors themselves.

    Args:
        tensors: name -> array of any shape, 0-d and empty ones too, in any memory order.
        manifest: at most about 1 MB together with the names and shapes of the tensors; what is
            longer goes in as a tensor, see `pack_json`.

    Raises:
        FormatError: a dtype, name or manifest that a file cannot hold. The old file stays.
        OSError: the disk is full or failing. The old file stays.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/a.ost", {"w": np.eye(2)}, {"kind": "layer", "class": "RNN"})
    ...     manifest, tensors = read(f"{folder}/a.ost")
    >>> manifest["class"], tensors["w"].tolist()
    ('RNN', [[1.0, 0.0], [0.0, 1.0]])
    """
    with _named(path):
        blob = _serialise(tensors, manifest)
    at = blob.index(_seal(_UNSEALED)) + len(_seal(_UNSEALED)) - 65
    whole = memoryview(blob)
    with replace(path) as file:
        file.write(whole[:at])
        file.write(hashlib.sha256(blob).hexdigest().encode())
        file.write(whole[at + 64 :])


def read(path: PathLike) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The manifest and the tensors of a file in which everything was checked.

    Each byte is read once, hashed and put where it belongs, so memory is the file's size. The
    manifest has all of `format, version, kind, class, arguments, spec, extra`, each of its type, and
    a `spec` that `Spec.from_json` takes. What `kind` and `class` mean is for the caller to look up
    in a registry: nothing named in a file is imported here or run.

    Raises:
        FormatError: the file is missing, foreign, damaged, altered, or of a newer format.
    """
    with _named(path), _opened(Path(path)) as file:
        size = os.fstat(file.fileno()).st_size
        raw = _raw_header(file, size)
        header = _parse(raw.decode("utf-8"))
        metadata = _metadata(header)
        slots = _layout(header, size - 8 - len(raw))
        digest = hashlib.sha256(len(raw).to_bytes(8, "little") + _unsealed(raw, metadata["sha256"]))
        tensors = {slot.name: _fill(file, slot, digest) for slot in slots}
        if digest.hexdigest() != metadata["sha256"]:
            raise ValueError("the hash does not match: the file was damaged or altered: take another copy of it")
        return _manifest(_parse(metadata["ostinato"])), tensors


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
        # Only what speaks of the new file: errors of the caller's own files keep their names.
        if error.errno is None or error.filename not in (None, str(beside)):
            raise
        raise OSError(error.errno, f"{error.strerror}, so it was not written", str(path)) from error
    finally:
        beside.unlink(missing_ok=True)


def replace_text(path: PathLike, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all: see `replace`."""
    with replace(path) as file:
        file.write(text.encode("utf-8"))


def sweep(folder: PathLike) -> None:
    """Remove what killed writers left in a folder. For its owner alone: a live writer would lose its work."""
    for left in Path(folder).glob(f".*{_SUFFIX}"):
        left.unlink(missing_ok=True)


def pack_json(value: Any) -> NDArray[np.uint8]:
    """Plain types as a flat uint8 tensor, for what is too long for the manifest.

    JSON in UTF-8, with three words more so that every float comes back: NaN, Infinity, -Infinity.
    In the manifest itself, which other programs read, these are refused.

    Raises:
        FormatError: JSON cannot hold the value, or would change it (keys that are not strings).

    >>> unpack_json(pack_json({"loss": [0.5, float("inf")]}))
    {'loss': [0.5, inf]}
    """
    with _named("pack_json"):
        return np.frombuffer(bytearray(_dump(value, allow_nan=True), "utf-8"), np.uint8)


def unpack_json(packed: NDArray[Any]) -> Any:
    """What `pack_json` packed; tuples come back as lists.

    Raises:
        FormatError: not a flat uint8 tensor, or not such JSON in it.
    """
    with _named("unpack_json"):
        if packed.dtype != np.uint8 or packed.ndim != 1:
            raise ValueError(f"needs a flat uint8 tensor: got {packed.dtype} of shape {packed.shape}")
        return _parse(packed.tobytes().decode("utf-8"), allow_nan=True)


# ---- names and files


@contextmanager
def _named(path: PathLike) -> Iterator[None]:
    """Whatever is wrong within becomes the one exception type, and names the file."""
    try:
        yield
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise FormatError(f"{path}: {error}") from error


def _opened(path: Path) -> BinaryIO:
    # Asked before opening: a pipe would wait for its writer, a device has no end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is not a file: give the path of an ostinato file (.ost)")
    return path.open("rb")


def _sync_folder(folder: Path) -> None:
    """Make a rename last: it is the folder that holds the name."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


# ---- JSON


def _dump(value: Any, allow_nan: bool) -> str:
    _check_keys(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=allow_nan, separators=(",", ":"))


def _check_keys(value: Any) -> None:
    """json.dumps would make {1: ...} into {"1": ...} without a word."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"the key {short(key)} is not a string: JSON has no other keys")
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for inner in value:
        _check_keys(inner)


def _parse(text: str, allow_nan: bool = False) -> Any:
    """JSON without repeated keys, without numbers that have no end, without broken Unicode."""
    value = json.loads(
        text,
        object_pairs_hook=_unrepeated,
        parse_constant=float if allow_nan else _no_constant,
        parse_float=_finite,
        parse_int=_integer,
    )
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair could never be printed
    return value


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("JSON with a repeated key")
    return table


def _no_constant(word: str) -> float:
    raise ValueError(f"JSON with {word}, which is not a number")


def _finite(text: str) -> float:
    if math.isinf(float(text)):
        raise ValueError(f"JSON with {short(text)}, which is out of range")
    return float(text)


def _integer(text: str) -> int:
    if len(text) > 100:  # the time to read a number grows with the square of its length
        raise ValueError(f"JSON with a number of {len(text)} digits")
    return int(text)


# ---- writing


def _serialise(tensors: Mapping[str, NDArray[Any]], manifest: Mapping[str, Any]) -> bytes:
    """The bytes of the file, the hash still zeros."""
    text = _dump(_manifest(_completed(manifest)), allow_nan=False)
    _parse(text)  # nothing is written that would not be read
    if len(tensors) > TENSOR_CAP:
        raise ValueError(f"{len(tensors)} tensors: at most {TENSOR_CAP} go into a file")
    native = {name: _native(name, array) for name, array in tensors.items()}
    blob = save(native, {"ostinato": text, "sha256": _UNSEALED})
    length = int.from_bytes(blob[:8], "little")
    if length > HEADER_CAP:
        raise ValueError(
            f"manifest, names and shapes take {length} bytes: at most {HEADER_CAP} go into a header: "
            "put what is long in a tensor with format.pack_json"
        )
    return blob


def _completed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    usual = {"format": FORMAT, "version": __version__, "class": "", "arguments": {}, "spec": None, "extra": {}}
    return {**usual, **manifest}


def _native(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """The array as the file holds it: little-endian, in C order."""
    if not isinstance(name, str) or name == "__metadata__":
        raise ValueError(f"a tensor cannot be named {short(name)}: use another string")
    if not isinstance(array, np.ndarray):
        raise ValueError(f"tensor {short(name)} is a {type(array).__name__}: give a numpy array")
    if array.dtype.name == "bfloat16":
        raise ValueError(f"tensor {short(name)} is {_BFLOAT16}")
    if array.dtype.newbyteorder("<") not in DTYPES.values():
        raise ValueError(f"tensor {short(name)} is {array.dtype}: {_TYPES}")
    if array.ndim > RANK_CAP:
        raise ValueError(f"tensor {short(name)} has {array.ndim} dimensions: at most {RANK_CAP}")
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")


# ---- reading


def _raw_header(file: BinaryIO, size: int) -> bytes:
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if size < 8 or length > HEADER_CAP:
        raise ValueError(f"{_guess(start)}: give a file that ostinato saved (.ost)")
    if length > size - 8:
        raise ValueError(f"is cut short: the header says {length} bytes, {size - 8} are there: take another copy of it")
    raw = file.read(length)
    if raw[:1] != b"{":
        raise ValueError(f"{_guess(start)}: give a file that ostinato saved (.ost)")
    return raw


def _guess(start: bytes) -> str:
    for magic, words in _FOREIGN.items():
        if start.startswith(magic):
            return words
    return "is not an ostinato file" if start else "is empty"


def _metadata(header: Any) -> dict[str, str]:
    found = header.get("__metadata__") if isinstance(header, dict) else None
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
    if not re.fullmatch("[0-9a-f]{64}", sha256) or raw.count(_seal(sha256)) != 1:
        raise ValueError(f"the hash is written as {short(sha256)}: needs 64 hexadecimal digits, once")
    return raw.replace(_seal(sha256), _seal(_UNSEALED))


def _seal(sha256: str) -> bytes:
    # Within the manifest, and in names, each " is \": these bytes stand in the metadata alone.
    return f'"sha256":"{sha256}"'.encode()


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
        raise ValueError(f"the tensors take {position} bytes, {data} are there: take another copy of the file")
    return slots


def _slot(name: str, entry: Any) -> _Slot:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"tensor {short(name)} needs dtype, shape and data_offsets: got {short(entry)}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        found = _BFLOAT16 if dtype == "BF16" else f"{short(dtype)}: {_TYPES}"
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
    """Whether this is a list of sizes; True is not one, and 2^31 is more than any tensor has."""
    return isinstance(found, list) and all(type(size) is int and 0 <= size < 2**48 for size in found)


def _fill(file: BinaryIO, slot: _Slot, digest: Any) -> NDArray[Any]:
    """The next tensor of the file, in memory of its own."""
    flat = np.empty(slot.end - slot.begin, np.uint8)
    if file.readinto(flat.data) != flat.size:  # type: ignore[attr-defined]
        raise ValueError("became shorter while it was read: take another copy of it")
    digest.update(flat)
    if slot.dtype == np.bool_ and flat.size and flat.max() > 1:
        raise ValueError(f"tensor {short(slot.name)} is boolean and holds {flat.max()}")
    return flat.view(slot.dtype).reshape(slot.shape)


def _manifest(found: Any) -> dict[str, Any]:
    """The manifest, if every field that a reader relies on is there and of its type."""
    if not isinstance(found, dict):
        raise ValueError(f"the manifest is not an object: got {short(found)}")
    for field, kind in _FIELDS.items():
        if field not in found or not isinstance(found[field], kind):
            raise ValueError(f"the manifest's {field!r} is {short(found.get(field, 'missing'))}: see decisions/07")
    if type(found["format"]) is not int or found["format"] != FORMAT:
        raise ValueError(f"has format {short(found['format'])}, this ostinato reads {FORMAT}: upgrade ostinato")
    if found["spec"] is not None:
        Spec.from_json(found["spec"])
    return found
