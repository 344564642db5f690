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
def poisoned():
    """All memory that kernels work in or answer with is full of NaN at first: what is not written shows."""
    import torch

    from ostinato import _kernels

    _kernels.poison(True)
    was, torch.utils.deterministic.fill_uninitialized_memory = torch.utils.deterministic.fill_uninitialized_memory, True
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = was
    _kernels.poison(False)
