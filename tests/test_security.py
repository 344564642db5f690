"""What SECURITY.md promises of loading: no file is ever run, nothing goes over the network."""

import ast
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ostinato
from ostinato import format

WATCH = """
    import sys
    from ostinato import format
    seen = set()
    watching = False
    sys.addaudithook(lambda event, _: seen.add(event) if watching else None)
    for name in sys.argv[1:]:
        watching = True
        try:
            format.read(name)
        except format.FormatError:
            pass
        watching = False
    print(*sorted(seen))
"""


def test_reading_a_file_imports_runs_and_calls_nothing(tmp_path: Path) -> None:
    """Python's own audit says what was done: files were opened, that is all."""
    mark = tmp_path / "mark"
    hostile = {"kind": "layer", "class": "os.system", "arguments": {"command": f"touch {mark}"}}
    format.write(tmp_path / "named.ost", {"__reduce__": np.ones(3)}, hostile)
    (tmp_path / "pickle.ost").write_bytes(pickle.dumps(Touch(mark)))
    (tmp_path / "flipped.ost").write_bytes((tmp_path / "named.ost").read_bytes()[:-1] + b"x")
    command = [sys.executable, "-c", textwrap.dedent(WATCH), *sorted(map(str, tmp_path.iterdir()))]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert seen == ["open"]
    assert not mark.exists()
    pickle.loads((tmp_path / "pickle.ost").read_bytes())  # noqa: S301 - it would have been done
    assert mark.exists()


class Touch:
    """Unpickled, it makes a file: what a hostile pickle does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


UNPICKLING = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "pickletools"}
NETWORK = {
    "socket",
    "ssl",
    "http",
    "urllib",
    "requests",
    "httpx",
    "aiohttp",
    "ftplib",
    "smtplib",
    "xmlrpc",
    "socketserver",
}
SOURCES = sorted(Path(ostinato.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(Path(ostinato.__file__).parent)))
def test_no_source_unpickles_evaluates_or_speaks_to_the_network(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        assert not set(imported(node)) & (UNPICKLING | NETWORK), f"{source}: imports {list(imported(node))}"
        assert not runs_what_it_reads(node), f"{source}:{node.lineno}: {ast.unparse(node)}"  # type: ignore[attr-defined]


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module.split(".")[0]]
    return []


def runs_what_it_reads(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    allowed = any(word.arg == "allow_pickle" and ast.unparse(word.value) != "False" for word in node.keywords)
    return allowed or called in {"eval", "exec", "torch.load", "np.fromregex"} or called.endswith("read_pickle")


def test_the_search_of_the_sources_finds_what_it_looks_for() -> None:
    bad = ["import pickle", "from urllib.request import urlopen"]
    assert all(set(imported(ast.parse(line).body[0])) & (UNPICKLING | NETWORK) for line in bad)
    calls = ["torch.load(p)", "eval(x)", "pd.read_pickle(p)", "np.load(p, allow_pickle=True)"]
    assert all(runs_what_it_reads(ast.parse(line, mode="eval").body) for line in calls)
    assert not runs_what_it_reads(ast.parse("np.load(p, allow_pickle=False)", mode="eval").body)
    assert len(SOURCES) > 3
