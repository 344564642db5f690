"""One registry serves cells, heads and baselines: no name is ever taken over without a word."""

import pytest

from ostinato.registry import Registry, nearest


def make(name, module, qualname="Thing"):
    return type("Thing", (), {"name": name, "__module__": module, "__qualname__": qualname})


def test_a_class_is_found_by_its_name():
    registry, kind = Registry("thing"), make("one", "here")
    registry.add(kind)
    assert registry.find("one") is kind


def test_a_class_without_a_name_is_not_registered():
    registry = Registry("thing")
    registry.add(make("", "here"))
    assert not registry


@pytest.mark.parametrize(("module", "qualname"), [("there", "Thing"), ("here", "Other")])
def test_a_name_is_not_taken_over(module, qualname):
    registry = Registry("thing")
    registry.add(make("one", "here"))
    with pytest.raises(ValueError, match=r"thing 'one' is registered already, by here\.Thing"):
        registry.add(make("one", module, qualname))


def test_a_module_may_be_loaded_anew():
    registry, again = Registry("thing"), make("one", "here")
    registry.add(make("one", "here"))
    registry.add(again)
    assert registry.find("one") is again


def test_the_nearest_name_is_given():
    assert nearest("oen", ["one", "two"]) == "did you mean 'one'?"
    assert nearest("zzz", []) == "known: none"
