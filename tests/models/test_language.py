"""Language models: chunks with a carried state equal the whole, weights are tied, dropout is locked, samples stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.contracts.minimal_gated_unit import MinimalGatedUnit

from ostinato.models.language import Language, begin_at_frequencies, frame_model, log_probabilities, token_model
from ostinato.models.sampling import Steps, drawn, sample
from ostinato.models.stack import LockedStack

V, F = 30, 10
TEXT = torch.randint(0, V, (57,), generator=torch.Generator().manual_seed(1))


def tokens(cell: str = "lstm", **options: Any) -> Language:
    torch.manual_seed(0)
    options = {"hidden_size": 12, "num_layers": 2, "embedding_size": 8} | options
    return token_model(V, cell, **options)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("cutoffs", [(), (10, 20)])
def test_chunks_with_a_carried_state_equal_the_whole(cell: str, cutoffs: tuple[int, ...]) -> None:
    model = tokens(cell, cutoffs=cutoffs).eval()
    x, y = TEXT[None, :-1], TEXT[None, 1:]
    whole, count, _ = model.loss(x, y)
    state, parts = None, []
    for a, b in zip(x.split(9, 1), y.split(9, 1), strict=True):
        part, _, state = model.loss(a, b, state)
        parts.append(part)
    torch.testing.assert_close(sum(parts), whole)
    assert int(count) == 56


@pytest.mark.parametrize("cutoffs", [(), (10, 20)])
def test_log_probabilities_are_those_of_one_pass(cutoffs: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    model = tokens(cutoffs=cutoffs).eval()
    found = log_probabilities(model, TEXT, start=3)
    raw, _ = model(torch.cat([torch.tensor([3]), TEXT[:-1]])[None])
    law = model.head.log_probabilities(raw[0]) if cutoffs else raw[0].log_softmax(-1)  # type: ignore[operator]
    np.testing.assert_allclose(found, law.gather(1, TEXT[:, None])[:, 0].detach().numpy(), rtol=1e-4)
    monkeypatch.setattr("ostinato.models.language.LONGEST", 7)
    np.testing.assert_allclose(log_probabilities(model, TEXT, start=3), found, rtol=1e-4)


def test_columns_read_the_text_from_empty_states() -> None:
    model = tokens().eval()
    found = log_probabilities(model, TEXT, start=3, columns=2)
    assert found.shape == (57,)
    first = log_probabilities(model, TEXT[:29], start=3)
    second = log_probabilities(model, TEXT[29:], start=int(TEXT[28]))
    np.testing.assert_allclose(found, np.concatenate([first, second]), rtol=1e-4)


def test_tied_weights_are_one_parameter() -> None:
    tied, free = tokens(), tokens(tied=False)
    assert tied.head.project.weight is tied.inputs.weight
    assert tied.head.features == 8  # a projection stands between
    assert free.head.features == 12
    assert sum(p.numel() for p in free.parameters()) - sum(p.numel() for p in tied.parameters()) == V * 12 - (
        12 * 8 + 8
    )
    assert isinstance(tokens(embedding_size=12).project, torch.nn.Identity)


def test_dropout_is_locked_in_time_and_off_in_evaluation() -> None:
    stack = LockedStack("gru", F, 12, 2, dropout=0.5, input_dropout=0.5)
    seen: list[torch.Tensor] = []
    for layer in stack.layers:
        layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    y, _ = stack(torch.ones(6, 9, F))
    for held in (*seen, y):
        off = held == 0
        assert (off == off[:, :1]).all()
        assert 0.2 < off[:, 0].float().mean() < 0.8
    assert set(seen[0].unique().tolist()) == {0.0, 2.0}
    stack.eval()
    assert torch.equal(stack(torch.ones(6, 9, F))[0], stack(torch.ones(6, 9, F))[0])


def test_word_dropout_leaves_all_uses_of_a_word_out() -> None:
    model = tokens(word_dropout=0.4)
    rows = model.inputs(torch.arange(V).repeat(2))
    dropped = (rows == 0).all(-1)
    assert torch.equal(dropped[:V], dropped[V:])
    assert 3 < int(dropped[:V].sum()) < 22
    kept = ~dropped[:V]
    torch.testing.assert_close(rows[:V][kept], model.inputs.weight[kept] / 0.6)  # type: ignore[index, operator]


@pytest.mark.parametrize("cutoffs", [(), (10, 20)])
def test_a_head_begins_with_the_frequencies(cutoffs: tuple[int, ...]) -> None:
    model = tokens(cutoffs=cutoffs)
    counts = np.arange(V)[::-1] * 100 + 50
    begin_at_frequencies(model, counts)
    h = torch.zeros(model.head.features)
    law = model.head.probabilities(h if cutoffs else model.head.project.bias)  # type: ignore[operator]
    np.testing.assert_allclose(law.detach().numpy(), (counts + 0.5) / (counts + 0.5).sum(), rtol=1e-4)
    music = frame_model(4, "gru", 8, 1)
    begin_at_frequencies(music, [0.1, 0.5, 0.9, 0.0])
    np.testing.assert_allclose(music.head.project.bias.sigmoid().detach(), [0.1, 0.5, 0.9, 1e-4], rtol=1e-3)


def test_padding_of_music_counts_nothing() -> None:
    model = frame_model(4, "gru", 8, 2).eval()
    y = (torch.rand(2, 6, 4) < 0.5).float()
    lengths, mask = torch.tensor([6, 2]), torch.tensor([[True] * 6, [True, True] + [False] * 4])
    total, count, _ = model.loss(y, y, lengths=lengths, mask=mask)
    alone = [model.loss(y[k : k + 1, :n], y[k : k + 1, :n])[0] for k, n in ((0, 6), (1, 2))]
    torch.testing.assert_close(total, sum(alone))
    assert int(count) == 8


# ---- samples


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_one_step_at_a_time_equals_the_whole(cell: str) -> None:
    model = tokens(cell, cutoffs=(10, 20)).eval()
    steps = Steps(model)
    with torch.inference_mode():
        told = [steps.read(TEXT[:20]), *(steps(token) for token in TEXT[20:40])]
        whole = model(TEXT[None, :40])[0][0]
    torch.testing.assert_close(torch.stack(told), whole[19:], rtol=1e-4, atol=1e-5)


def test_a_cell_of_ones_own_is_sampled_by_its_own_loop() -> None:
    model = tokens(MinimalGatedUnit.name).eval()
    with torch.inference_mode():
        steps = Steps(model)
        told = [steps.read(TEXT[:5]), *(steps(token) for token in TEXT[5:12])]
        torch.testing.assert_close(torch.stack(told), model(TEXT[None, :12])[0][0, 4:])


def test_the_same_seed_writes_the_same() -> None:
    model = tokens().eval()
    one, again, other = (list(sample(model, TEXT[:5], 30, seed=seed)) for seed in (1, 1, 2))
    assert one == again != other
    assert len(one) == 30
    before = torch.get_rng_state()
    list(sample(model, TEXT[:5], 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_temperature_zero_and_top_one_take_the_likeliest() -> None:
    model = tokens().eval()
    greedy = list(sample(model, TEXT[:5], 12, temperature=0))
    assert greedy == list(sample(model, TEXT[:5], 12, top_k=1, seed=5))
    text = TEXT[:5].tolist()
    for token in greedy:
        assert token == int(model(torch.tensor([text]))[0][0, -1].argmax())
        text.append(token)


def test_never_is_never_drawn() -> None:
    never = tuple(range(25))
    assert set(sample(tokens().eval(), TEXT[:5], 60, never=never)) <= set(range(25, V))


def test_draws_keep_to_the_law_they_are_cut_to() -> None:
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()

    def shares(**how: Any) -> np.ndarray:
        how = {"temperature": 1.0, "top_k": None, "top_p": None} | how
        generator = torch.Generator().manual_seed(0)
        found = [int(drawn(logits, **how, generator=generator)) for _ in range(4000)]
        return np.bincount(found, minlength=4) / 4000

    np.testing.assert_allclose(shares(), [0.4, 0.3, 0.2, 0.1], atol=0.03)
    np.testing.assert_allclose(shares(top_k=2), [4 / 7, 3 / 7, 0, 0], atol=0.03)
    np.testing.assert_allclose(shares(top_p=0.65), [4 / 7, 3 / 7, 0, 0], atol=0.03)
    np.testing.assert_allclose(shares(top_p=0.75), [4 / 9, 3 / 9, 2 / 9, 0], atol=0.03)
    squares = np.array([16, 9, 4, 1]) / 30
    np.testing.assert_allclose(shares(temperature=0.5), squares, atol=0.03)


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
    ],
)
def test_what_cannot_be_is_refused(how: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        next(sample(tokens().eval(), TEXT[:2], 1, **how))


def test_music_is_drawn_frame_by_frame() -> None:
    torch.manual_seed(0)
    model = frame_model(4, "gru", 8, 1).eval()
    begin_at_frequencies(model, [0.9999, 0.0, 0.5, 0.5])
    with torch.no_grad():
        model.head.project.weight.zero_()
    frames = np.stack(list(sample(model, torch.zeros(1, 4), 200)))
    assert frames.shape == (200, 4)
    assert set(np.unique(frames)) <= {0.0, 1.0}
    np.testing.assert_allclose(frames.mean(0), [1, 0, 0.5, 0.5], atol=0.12)
