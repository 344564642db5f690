"""What several test files share."""

import pytest


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
