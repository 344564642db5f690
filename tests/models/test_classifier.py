"""The network that classifies texts, its poolings, and the n-grams beside it: each against a slow twin."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from ostinato.models.classifier import UNKNOWN, Classifier, Convolutions
from ostinato.models.ngrams import BUCKETS, STRENGTH, Ngrams, _grams
from ostinato.models.pooling import POOLINGS, Pooling

LENGTHS = torch.tensor([7, 3, 0, 1, 5])


def steps(features: int = 6) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(len(LENGTHS), 7, features)


def slow(pooling: Pooling, row: Tensor) -> Tensor:
    """One sequence by itself, (time, features), by the equations."""
    if pooling.kind == "last":
        return torch.cat([row[-1, : pooling.forwards], row[0, pooling.forwards :]])
    if pooling.kind == "max":
        return torch.stack([max(row[:, k]) for k in range(row.shape[1])])
    if pooling.kind == "mean":
        return sum(row) / len(row)
    score = torch.stack([pooling.weigh(torch.tanh(pooling.look(y))) for y in row])
    share = score.exp() / score.exp().sum()
    return sum(a * y for a, y in zip(share, row, strict=True))


@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_is_that_of_each_sequence_alone(kind: str) -> None:
    y, pooling = steps(), Pooling(kind, 6, directions=2)
    dirty = y.clone()
    for row, length in enumerate(LENGTHS):
        dirty[row, length:] = torch.nan
    dirty.requires_grad_()
    found = pooling(dirty, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        expected = slow(pooling, y[row, :length]) if length else torch.zeros(6)
        torch.testing.assert_close(found[row], expected)
    found.sum().backward()
    assert dirty.grad is not None
    assert bool(dirty.grad.isfinite().all())
    assert all(not dirty.grad[row, length:].any() for row, length in enumerate(LENGTHS))


def test_pooling_without_lengths_takes_all_steps() -> None:
    y = steps()
    for kind in POOLINGS:
        pooling = Pooling(kind, 6)
        torch.testing.assert_close(pooling(y), pooling(y, torch.full((len(y),), 7)))


def test_pooling_refuses_other_kinds() -> None:
    with pytest.raises(ValueError, match="pooling 'median': it is one of last, max, mean, attention"):
        Pooling("median", 4)


def test_convolutions_see_each_window_within_its_sequence() -> None:
    torch.manual_seed(2)
    x, layer = steps(), Convolutions(6, 4, widths=(2, 3, 5))
    found = layer(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        assert not found[row, length:].any()
        for t in range(length):
            parts = []
            for width, window in zip((2, 3, 5), layer.windows, strict=True):
                total, before = window.bias.clone(), (width - 1) // 2
                for k in range(width):
                    if 0 <= t - before + k < length:
                        total = total + window.weight[:, :, k] @ x[row, t - before + k]
                parts.append(total.relu())
            torch.testing.assert_close(found[row, t], torch.cat(parts))


@pytest.mark.parametrize(("cell", "pooling"), [*itertools.product(["gru", "conv"], POOLINGS), ("lstm", "max")])
def test_what_lies_in_the_padding_never_matters(cell: str, pooling: str) -> None:
    torch.manual_seed(3)
    network = Classifier(20, 3, cell=cell, pooling=pooling, hidden_size=5, width=4).eval()
    ids = torch.randint(2, 20, (len(LENGTHS), 7))
    whole = network(ids, LENGTHS)
    padding = torch.arange(7) >= LENGTHS[:, None]
    torch.testing.assert_close(network(torch.where(padding, 19, ids), LENGTHS), whole, rtol=0, atol=0)
    for row, length in enumerate(LENGTHS.tolist()):
        if length:
            alone = network(ids[row : row + 1, :length], LENGTHS[row : row + 1])
            torch.testing.assert_close(alone[0], whole[row])
    torch.testing.assert_close(whole[2], network.head.project.bias)  # nothing was read


def test_one_direction_knows_nothing_of_what_follows() -> None:
    torch.manual_seed(4)
    network = Classifier(20, 2, hidden_size=5, width=4, bidirectional=False, pooling="last").eval()
    assert network.head.features == 5
    ids = torch.randint(2, 20, (1, 6))
    y, _ = network.encoder(network.words(ids))
    other = ids.clone()
    other[0, 5] = 2 + (ids[0, 5] - 1) % 18
    z, _ = network.encoder(network.words(other))
    torch.testing.assert_close(y[:, :5], z[:, :5], rtol=0, atol=0)


def test_units_become_unknown_in_training_alone() -> None:
    torch.manual_seed(5)
    network = Classifier(20, 2, hidden_size=4, width=4, unit_dropout=0.5)
    ids = torch.randint(2, 20, (40, 50))
    ids[:, 40:] = 0
    drawn = network._some_unknown(ids)
    changed = drawn != ids
    assert bool((drawn[changed] == UNKNOWN).all())
    assert not changed[:, 40:].any()
    assert 0.45 < float(changed[:, :40].float().mean()) < 0.55
    assert network.eval()._some_unknown(ids) is ids


def test_pretrained_vectors_are_where_it_begins() -> None:
    torch.manual_seed(6)
    vectors = torch.randn(20, 7)
    vectors[4:] = 0
    network = Classifier(20, 2, hidden_size=4, width=3, pretrained=vectors)
    assert network.words.features == 7
    torch.testing.assert_close(network.words.embedding.weight[2:4], vectors[2:4], rtol=0, atol=0)
    assert bool(network.words.embedding.weight[4:].ne(0).any())


# ---- n-grams


WORDS = np.array(["the", "a", "film", "plot", "good", "bad", "dull", "fine", "so", "very", "not", "is", "was"])


def corpus(n: int, seed: int = 0) -> tuple[list[list[str]], np.ndarray]:
    random = np.random.default_rng(seed)
    texts = [random.choice(WORDS, random.integers(3, 9)).tolist() for _ in range(n)]
    score = [sum(w in ("good", "fine") for w in t) - sum(w in ("bad", "dull") for w in t) for t in texts]
    return texts, np.sign(score) + 1


def test_grams_are_all_runs_with_the_ends() -> None:
    assert [g.replace("\x1f", "+") for g in _grams(["A", "b"], 3)] == [
        "a", "b", "\x02+a", "a+b", "b+\x03", "\x02+a+b", "a+b+\x03",
    ]  # fmt: skip
    assert list(_grams([], 3)) == []


def test_ngrams_are_the_softmax_regression_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    texts, labels = corpus(120)
    found = Ngrams.fit(texts, labels, 3)
    rows = found._rows([(np.array(b), np.array(c)) for b, c in map(counted, texts)]).toarray()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)
    twin = LogisticRegression(C=STRENGTH, max_iter=2000, tol=1e-10).fit(rows, labels)
    other, _ = corpus(30, seed=1)
    told = found._rows([(np.array(b), np.array(c)) for b, c in map(counted, other)]).toarray()
    np.testing.assert_allclose(np.exp(found.log_probability(other)), twin.predict_proba(told), atol=2e-3)


def counted(units: list[str]) -> tuple[list[int], list[int]]:
    """A twin of the counting, gram by gram."""
    import zlib

    found: dict[int, int] = {}
    for gram in _grams(units, 2):
        bucket = zlib.crc32(gram.encode()) % BUCKETS
        found[bucket] = found.get(bucket, 0) + 1
    return list(found), list(found.values())


def test_ngrams_that_were_never_seen_count_nothing() -> None:
    texts, labels = corpus(60)
    found = Ngrams.fit(texts, labels, 3)
    nothing = found.log_probability([[]])
    np.testing.assert_allclose(found.log_probability([["unheard", "of"]]), nothing)
    np.testing.assert_allclose(np.exp(nothing).sum(), 1)
    assert (found.log_probability([["GOOD"]]) == found.log_probability([["good"]])).all()


def test_many_classes_have_fewer_ngrams(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels = corpus(60)
    monkeypatch.setattr("ostinato.models.ngrams.NUMBERS", 30)
    assert Ngrams.fit(texts, labels, 3).weights.shape == (10, 3)


def test_a_class_that_counts_more_is_told_more_often() -> None:
    texts, labels = corpus(200)
    plain, heavy = (Ngrams.fit(texts, labels, 3, weigh=w) for w in (None, [20.0, 1.0, 1.0]))
    other, _ = corpus(200, seed=2)
    assert (heavy.log_probability(other).argmax(1) == 0).sum() > (plain.log_probability(other).argmax(1) == 0).sum()


def test_ngrams_come_back_from_a_file() -> None:
    texts, labels = corpus(60)
    found = Ngrams.fit(texts, labels, 3, longest=3)
    again = Ngrams.of_file(found.to_file(), 3)
    assert (again.log_probability(texts) == found.log_probability(texts)).all()
    with pytest.raises(ValueError, match="n-grams of 3 classes, the model has 2"):
        Ngrams.of_file(found.to_file(), 2)
    with pytest.raises(ValueError, match="not whole numbers in order"):
        Ngrams.of_file(found.to_file() | {"columns": found.columns[::-1].copy()}, 3)
    with pytest.raises(ValueError, match="rarity"):
        Ngrams.of_file(found.to_file() | {"rarity": found.rarity[1:]}, 3)
