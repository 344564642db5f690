"""JSON that means one thing only: no repeated keys, no numbers without end, no broken Unicode."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.format.layout import named


def pack_json(value: Any) -> NDArray[np.uint8]:
    """Plain types as a flat uint8 tensor, for what is too long for the manifest.

    JSON in UTF-8, with three words more so that every float comes back: NaN, Infinity, -Infinity.
    In the manifest itself, which other programs read, these are refused.

    Raises:
        FormatError: JSON cannot hold the value, or would change it (keys that are not strings).

    >>> unpack_json(pack_json({"loss": [0.5, float("inf")]}))
    {'loss': [0.5, inf]}
    """
    with named("pack_json"):
        return np.frombuffer(bytearray(dump(value, allow_nan=True), "utf-8"), np.uint8)


def unpack_json(packed: NDArray[Any]) -> Any:
    """What `pack_json` packed; tuples come back as lists.

    Raises:
        FormatError: not a flat uint8 tensor, or not such JSON in it.
    """
    with named("unpack_json"):
        if packed.dtype != np.uint8 or packed.ndim != 1:
            raise ValueError(f"needs a flat uint8 tensor: got {packed.dtype} of shape {packed.shape}")
        return parse(packed.tobytes().decode("utf-8"), allow_nan=True)


def dump(value: Any, allow_nan: bool) -> str:
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


def parse(text: str, allow_nan: bool = False) -> Any:
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
