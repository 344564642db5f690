"""Spec: the sizes that the data decide once, and every later part takes as given."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, fields
from reprlib import repr as short
from typing import Any

_SIZES = ("inputs", "outputs", "horizon")
_NAMES = ("names", "targets", "classes", "vocabulary")
_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Spec:
    """The frozen sizes of a trained thing: made from the data by the reader, then only handed down.

    Attributes:
        inputs: features of one step.
        outputs: values, classes or tokens that the head speaks of.
        horizon: steps foretold.
        names: the input columns.
        targets: the columns foretold.
        classes, vocabulary: labels and tokens; entry k is what class or token k is called.

    Raises:
        ValueError: a size is not a whole number of at least 1; a tuple holds something that is not
            a string, or one string twice (a name would then mean two numbers).

    >>> spec = Spec(inputs=3, outputs=2, classes=("rain", "sun"))
    >>> Spec.from_json(spec.to_json()) == spec
    True
    >>> Spec(outputs=0)
    Traceback (most recent call last):
    ValueError: spec: outputs must be a whole number of at least 1: got 0
    """

    inputs: int = 1
    outputs: int = 1
    horizon: int = 1
    names: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in _SIZES:
            _check_size(field, getattr(self, field))
        for field in _NAMES:
            _check_names(field, getattr(self, field))

    def to_json(self) -> dict[str, Any]:
        """The spec in plain types, tuples as lists: what a model file's manifest holds.

        >>> Spec(names=("x",)).to_json()["names"]
        ['x']
        """
        return {key: list(value) if key in _NAMES else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, plain: Any) -> Spec:
        """The spec that `to_json` gave out.

        Raises:
            ValueError: a key is unknown or missing, or its value is not what the field asks for.

        >>> Spec.from_json({"inputs": 1})
        Traceback (most recent call last):
        ValueError: spec: missing: 'outputs', 'horizon', 'names', 'targets', 'classes', 'vocabulary'
        """
        if not isinstance(plain, dict):
            raise ValueError(f"spec: must be an object of sizes and names: got {short(plain)}")
        known = [field.name for field in fields(cls)]
        _refuse("unknown", [key for key in plain if key not in known])
        _refuse("missing", [key for key in known if key not in plain])
        # What is no list stays as it is, for the check of the names to refuse.
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()
        }
        return cls(**values)


def _refuse(what: str, keys: list[Any]) -> None:
    if keys:
        raise ValueError(f"spec: {what}: {', '.join(map(short, keys[:10]))}")


def _check_size(field: str, value: Any) -> None:
    # Not isinstance: True is an int to it, and numpy's integers do not go into JSON.
    if type(value) is not int or value < 1:
        raise ValueError(f"spec: {field} must be a whole number of at least 1: got {short(value)}")
    if value > _LARGEST:
        raise ValueError(f"spec: {field} must be at most {_LARGEST}: got {short(value)}")


def _check_names(field: str, value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"spec: {field} must be a tuple of strings: got {short(value)}")
    if len(set(value)) < len(value):
        twice, times = Counter(value).most_common(1)[0]
        raise ValueError(f"spec: {field} holds {short(twice)} {times} times: give each entry its own name")
