"""The command line as tests type it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from ostinato.interfaces import cli


class Answer(NamedTuple):
    code: int
    out: str
    err: str


class Shell:
    """The command line within this process: a process of its own costs seconds of imports."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd = capfd

    def __call__(self, *words: object) -> Answer:
        self.capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(word) for word in words])
        out, err = self.capfd.readouterr()
        return Answer(int(ended.value.code or 0), out, err)

    def refused(self, *words: object) -> str:
        """What stands on standard error where a command is refused, in one line, and leaves no file behind."""
        before = sorted(Path().rglob("*"))
        answer = self(*words)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("ostinato: error: ")
        assert answer.err.count("\n") == 1
        assert sorted(Path().rglob("*")) == before
        return answer.err
