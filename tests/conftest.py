"""What several test files share."""

import os
import sys

import pytest
from tests.shell import Shell


@pytest.fixture
def shell(capfd, tmp_path, monkeypatch):
    """The command line in an empty directory, with nothing to read from the keyboard."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("OSTINATO_DEBUG", raising=False)
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115, PTH123 - closed with the process
    return Shell(capfd)


@pytest.fixture
def poisoned(monkeypatch):
    """Every buffer that is handed to a kernel is full of NaN: what is not written shows."""
    import torch

    from ostinato.ops import kernel

    made = kernel._pooled
    monkeypatch.setattr(kernel, "_pooled", lambda *a: made(*a).fill_(torch.nan))
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
