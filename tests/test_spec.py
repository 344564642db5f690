"""Spec: round trips, frozen, and refuses what is not a size or a name."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.spec import Spec

sizes = st.integers(1, 2**31 - 1)
names = st.lists(st.text(), unique=True).map(tuple)
specs = st.builds(Spec, sizes, sizes, sizes, names, names, names, names)


@given(specs)
def test_json_gives_the_same_spec_back(spec: Spec) -> None:
    again = Spec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert hash(again) == hash(spec)


def test_json_holds_plain_types_only() -> None:
    plain = Spec(names=("x",), vocabulary=("a", "b")).to_json()
    assert list(plain) == ["inputs", "outputs", "horizon", "names", "targets", "classes", "vocabulary"]
    assert [type(value) for value in plain.values()] == [int] * 3 + [list] * 4


def test_a_spec_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Spec().inputs = 2  # type: ignore[misc]


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "1", None, [1], 2**31, 10**99])
@pytest.mark.parametrize("field", ["inputs", "outputs", "horizon"])
def test_what_is_not_a_size_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"spec: {field} must be"):
        Spec(**{field: value})
    with pytest.raises(ValueError, match=f"spec: {field} must be"):
        Spec.from_json({**Spec().to_json(), field: value})


@pytest.mark.parametrize("value", ["text", [1], [None], {"a": 1}, None, 3, [["a"]]])
@pytest.mark.parametrize("field", ["names", "targets", "classes", "vocabulary"])
def test_what_is_not_a_row_of_names_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"spec: {field} must be a tuple of strings"):
        Spec.from_json({**Spec().to_json(), field: value})


def test_a_name_given_twice_is_refused_however_long_the_row() -> None:
    with pytest.raises(ValueError, match="spec: classes holds 'sun' 2 times"):
        Spec(classes=("sun", "rain", "sun"))
    with pytest.raises(ValueError, match="spec: vocabulary holds '7' 2 times"):
        Spec(vocabulary=(*map(str, range(100_000)), "7"))


def test_unknown_and_missing_keys_are_refused() -> None:
    plain = Spec().to_json()
    with pytest.raises(ValueError, match="spec: unknown: 'sizes'"):
        Spec.from_json({**plain, "sizes": 3})
    del plain["horizon"]
    with pytest.raises(ValueError, match="spec: missing: 'horizon'"):
        Spec.from_json(plain)


@pytest.mark.parametrize("value", [None, [], "spec", 3])
def test_what_is_not_an_object_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="spec: must be an object"):
        Spec.from_json(value)
