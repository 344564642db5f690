"""Vectors of words: rare ones are now and then unknown, letters stand beside, pretrained vectors hold."""

from __future__ import annotations

import pytest
import torch

from ostinato.data.text import Units
from ostinato.data.text.batches import padded
from ostinato.models.letters import Letters
from ostinato.models.words import RARE, WordVectors


def test_rare_words_are_now_and_then_unknown() -> None:
    counts = torch.tensor([50, 0, 1, 10, 1000])
    words = WordVectors(5, 4, counts=counts)
    words.train()
    torch.manual_seed(0)
    ids = torch.arange(5).repeat(20_000, 1)
    unknown = words(ids)[..., :].eq(words.embedding.weight[1]).all(-1).double().mean(0)
    expected = RARE / (RARE + counts.double())
    torch.testing.assert_close(unknown[2:], expected[2:], atol=0.01, rtol=0)
    assert unknown[0] == 0, "padding stays padding"
    assert unknown[1] == 1


def test_nothing_is_dropped_in_use_or_without_counts() -> None:
    ids = torch.arange(5).repeat(100, 1)
    counted = WordVectors(5, 4, counts=torch.ones(5), dropout=0.5).eval()
    assert torch.equal(counted(ids), counted.embedding(ids))
    plain = WordVectors(5, 4).train()
    assert torch.equal(plain(ids), plain.embedding(ids))


def test_drops_come_from_torchs_generator() -> None:
    words = WordVectors(5, 4, counts=torch.ones(5)).train()
    ids = torch.arange(5).repeat(50, 1)
    torch.manual_seed(3)
    first = words(ids)
    second = words(ids)
    torch.manual_seed(3)
    assert torch.equal(words(ids), first)
    assert not torch.equal(first, second)


def test_unknown_words_learn() -> None:
    words = WordVectors(5, 4, counts=torch.ones(5)).train()
    torch.manual_seed(0)
    words(torch.full((50, 2), 3)).sum().backward()
    gradient = words.embedding.weight.grad
    assert gradient is not None
    assert (gradient[1] != 0).all()


def test_letters_stand_beside() -> None:
    torch.manual_seed(0)
    sentences = [["a", "cat"], ["cat"]]
    units, letters = Units.fit("word", ["a dog"]), Units.fit("char", ["a cat"])
    words = WordVectors(len(units), 4, letters=Letters(len(letters), 6)).eval()
    ids, _ = padded([units.encode(sentence) for sentence in sentences])
    spelled, lengths = padded([letters.encode(word) for word in ("a", "cat")])
    places = torch.tensor([[0, 1], [1, 0]])
    found = words(ids, spelled, lengths, places)
    assert found.shape == (2, 2, words.features) == (2, 2, 10)
    assert torch.equal(found[0, 1], found[1, 0]), "the same word, in another place"
    assert words.letters is not None
    alone = words.letters(torch.tensor([letters.encode("cat")]), torch.tensor([3]))[0]
    torch.testing.assert_close(found[0, 1, 4:], alone)
    with pytest.raises(ValueError, match="spelled"):
        words(ids)


@pytest.mark.parametrize("frozen", [True, False])
def test_pretrained_vectors(frozen: bool) -> None:
    torch.manual_seed(0)
    given = torch.zeros(200, 50)
    given[100:] = 0.1 * torch.randn(100, 50)
    words = WordVectors(200, 7, pretrained=given, frozen=frozen).eval()
    weight = words.embedding.weight
    assert words.features == 50
    assert torch.equal(weight[100:], given[100:])
    assert (weight[0] == 0).all()
    assert 0.08 < float(weight[1:100].detach().std()) < 0.12, "words without a vector are as wide apart"
    assert weight.requires_grad is not frozen


def test_state_is_whole() -> None:
    """What is loaded drops the same words, without being told the counts again."""
    torch.manual_seed(0)
    words, again = WordVectors(5, 4, counts=torch.tensor([9, 9, 1, 1, 1])), WordVectors(5, 4)
    again.load_state_dict(words.state_dict())
    assert torch.equal(again.rate, words.rate)
    assert float(again.rate[2]) > 0
