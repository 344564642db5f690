"""What writer and reader agree on: limits, types of tensors, fields of the manifest, the one error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from reprlib import repr as short
from typing import Any

import numpy as np

from ostinato.format.atomic import PathLike
from ostinato.spec import Spec

FORMAT = 1
HEADER_CAP = 1_000_000  # bytes, a multiple of 8
TENSOR_CAP = 10_000
RANK_CAP = 32  # numpy 1.26 has no more dimensions
DTYPES: dict[str, np.dtype[Any]] = {
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
NAMES = {dtype.str: name for name, dtype in DTYPES.items()}

SEAL = b'"sha256":"'  # in the manifest and in names a " is \": these bytes stand in the metadata alone
UNSEALED = b"0" * 64

TYPES = f"convert it to one of {', '.join(dtype.name for dtype in DTYPES.values())}"
BFLOAT16 = "bfloat16, which numpy does not have: save it as float32"
FIELDS = {"version": str, "kind": str, "class": str, "arguments": dict, "extra": dict}


class FormatError(ValueError):
    """Not a whole, unaltered ostinato file, or content that cannot be made into one.

    The text names the file, what was found and what to do.
    """


@contextmanager
def named(path: PathLike) -> Iterator[None]:
    """Whatever is wrong within becomes the one exception type, and names the file."""
    try:
        yield
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise FormatError(f"{path}: {error}") from error


def check_manifest(found: Any) -> dict[str, Any]:
    """The manifest, if every field that a reader relies on is there and of its type."""
    if not isinstance(found, dict):
        raise ValueError(f"the manifest is not an object: got {short(found)}")
    # First of all: of another format nothing else is known.
    if type(found.get("format")) is not int or found["format"] != FORMAT:
        raise ValueError(f"has format {short(found.get('format'))}: this ostinato knows {FORMAT}: upgrade ostinato")
    for field, kind in FIELDS.items():
        if not isinstance(found.get(field), kind):
            raise ValueError(f"{field!r} in the manifest must be a {kind.__name__}: got {short(found.get(field))}")
    if found.setdefault("spec", None) is not None:
        Spec.from_json(found["spec"])
    return found
