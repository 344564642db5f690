"""The tagging network: padding, neighbours in the batch, and what each direction sees."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from ostinato import heads
from ostinato.baselines import FeedForward
from ostinato.data.text.forms import Forms
from ostinato.models.letters import Letters
from ostinato.models.tagger import EachStep, WordTagger
from ostinato.models.words import WordVectors

SENTENCES = [["a", "dog", "runs", "home"], ["cats", "sleep"], [], ["dogs"]]
FORMS = Forms.fit(SENTENCES)


def tagger(head: str = "crf", bidirectional: bool = True, network: str = "recurrent") -> WordTagger:
    torch.manual_seed(0)
    words = WordVectors(len(FORMS.words), 5, letters=Letters(len(FORMS.letters), 4, 3))
    encoder = EachStep("gru", 9, 6, 2, bidirectional=bidirectional)
    if network == "feed_forward":
        encoder = FeedForward(9, 3, 6, each_step=True, ahead=1)
    return WordTagger(words, encoder, partial(heads.build, head, outputs=3)).eval()


def read(sentences: list[list[str]]) -> dict[str, torch.Tensor]:
    rows = FORMS.read(sentences)
    return rows.spelled(rows[list(range(len(sentences)))])


@pytest.mark.parametrize("network", ["recurrent", "feed_forward"])
def test_a_sentence_is_tagged_as_if_it_were_alone(network: str) -> None:
    model, together = tagger(network=network), read(SENTENCES)
    raw, told = model(together), model.predict(together)
    for row, sentence in enumerate(SENTENCES):
        n = len(sentence)
        alone = read([sentence])
        torch.testing.assert_close(raw[row, :n], model(alone)[0, :n])
        assert torch.equal(told[row, :n], model.predict(alone)[0, :n])
    assert model.inside(together).sum(1).tolist() == [4, 2, 0, 1]


@pytest.mark.parametrize(("bidirectional", "reached"), [(True, True), (False, False)])
def test_what_comes_after_a_word_is_seen_by_both_directions_alone(bidirectional: bool, reached: bool) -> None:
    model = tagger(bidirectional=bidirectional)
    first = [model(read([["a", "dog", last]]))[0, 0] for last in ("runs", "sleep")]
    assert torch.equal(*first) != reached


def test_the_loss_reaches_every_weight() -> None:
    model, batch = tagger().train(), read(SENTENCES)
    tags = torch.tensor([[0, 1, 2, 0], [1, 2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    total, count = model.head.loss(model(batch), tags, model.inside(batch))
    assert float(count) == 7
    total.backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.ne(0).any(), name
