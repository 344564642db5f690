"""What a bare installation has is enough to import everything: the extras are imported where they are used."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "ostinato").rglob("*.py"))


def declared() -> set[str]:
    """The names in [project] dependencies."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text[text.index("\ndependencies = [") : text.index("\n]", text.index("\ndependencies = ["))]
    return set(re.findall(r'"([a-z0-9_]+)', block))


def imported(body: list[ast.stmt]) -> Iterator[str]:
    """The roots of what importing a file imports: what stands in functions or for type checkers does not count."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).partition(".")[0]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from imported([*node.body, *node.orelse])
        elif isinstance(node, (ast.Try, ast.With)):
            yield from imported(node.body)


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ROOT / "src")) for path in SOURCES])
def test_imports_are_declared(path: Path) -> None:
    known = declared() | set(sys.stdlib_module_names) | {"ostinato", "__future__"}
    found = set(imported(ast.parse(path.read_text(encoding="utf-8")).body))
    assert found <= known, f"{sorted(found - known)} is imported, and a bare installation does not have it"
