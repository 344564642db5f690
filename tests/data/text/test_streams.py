"""Columns: every token is read once, each row goes on where it stopped, any batch can be entered."""

from __future__ import annotations

import pytest
import torch

from ostinato.data.text.streams import Columns


@pytest.mark.parametrize(("length", "rows", "steps"), [(101, 4, 7), (50, 1, 49), (10, 3, 3), (2, 8, 5), (1000, 20, 35)])
def test_an_epoch_is_the_text_in_columns(length: int, rows: int, steps: int) -> None:
    batches = Columns(torch.arange(length), rows, steps, seed=3)
    for epoch in (0, 1):
        found = list(batches.epoch(epoch))
        assert len(found) == len(batches)
        x, y = (torch.cat([batch[side] for batch in found], 1) for side in ("x", "y"))
        assert ((y - x) % length == 1).all()  # the next token; the text is turned, so that its end meets its begin
        assert ((x[:, 1:] - x[:, :-1]) % length == 1).all()
        assert x.unique().numel() == x.numel() >= length - rows - 1 or length < 2 * rows
        assert all(batch["x"].shape[1] <= steps for batch in found)


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    tokens = torch.arange(400)
    first = [batch["x"] for batch in Columns(tokens, 4, 9, seed=1).epoch(5)]
    again = [batch["x"] for batch in Columns(tokens, 4, 9, seed=1).epoch(5, first=3)]
    assert all(torch.equal(a, b) for a, b in zip(first[3:], again, strict=True))
    assert not torch.equal(first[0], next(iter(Columns(tokens, 4, 9, seed=2).epoch(5)))["x"])
    assert not torch.equal(first[0], next(iter(Columns(tokens, 4, 9, seed=1).epoch(6)))["x"])


def test_what_cannot_be_is_refused() -> None:
    for tokens, rows, steps in ((torch.arange(1), 1, 1), (torch.arange(9), 0, 1), (torch.arange(9), 1, 0)):
        with pytest.raises(ValueError, match="columns take 2 tokens"):
            Columns(tokens, rows, steps)
