"""The chain of tags against every path written out: values, gradients, best paths, marginals, what is forbidden."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from ostinato import heads
from ostinato.heads.crf import CRF
from ostinato.ops import chain
from ostinato.ops.chain import Moves

TAGS, TIME = 3, 5
LENGTHS = torch.tensor([5, 0, 1, 2, 4])
BIO = ((-1, 2), (0, 2))  # O, B, I: I stands neither at the start nor after O


def crf(forbidden: tuple[tuple[int, int], ...] = (), spread: float = 1.0, outputs: int = TAGS) -> CRF:
    torch.manual_seed(0)
    head = CRF(4, outputs, forbidden=forbidden).double()
    for part in (head.between, head.first, head.last):
        torch.nn.init.normal_(part, std=spread)
    return head


def scored(spread: float = 1.0) -> tuple[Tensor, Tensor]:
    """Raw scores, and a mask of LENGTHS."""
    return spread * torch.randn(len(LENGTHS), TIME, TAGS).double(), torch.arange(TIME) < LENGTHS[:, None]


def paths(raw: Tensor, moves: Moves) -> tuple[list[tuple[int, ...]], Tensor]:
    """Every path through raw (time, tags), and its score."""
    found = list(product(range(raw.shape[1]), repeat=len(raw)))
    y = torch.tensor(found)  # (paths, n)
    steps = sum(raw[t, y[:, t]] for t in range(len(raw)))
    between = sum((moves.between[y[:, t - 1], y[:, t]] for t in range(1, len(raw))), torch.zeros(()))
    return found, moves.first[y[:, 0]] + steps + between + moves.last[y[:, -1]]


@pytest.mark.parametrize("forbidden", [(), BIO, ((1, -1), (2, 2))], ids=["free", "bio", "ends"])
@pytest.mark.parametrize("spread", [1.0, 40.0, 1000.0])  # the last is summed in logarithms
def test_loss_and_gradients_equal_every_path_written_out(forbidden, spread: float) -> None:
    head = crf(forbidden, spread / 10)
    raw, mask = scored(spread)
    raw.requires_grad_()
    target = head.predict(raw.detach(), mask)
    given = [raw, head.between, head.first, head.last]
    total, count = head.loss(raw, target, mask)
    expected = torch.zeros(())
    for row, n in zip(range(len(raw)), LENGTHS.tolist(), strict=True):
        if n:
            every, scores = paths(raw[row, :n], head.moves())
            own = scores[every.index(tuple(target[row, :n].tolist()))]
            allowed = scores[scores.isfinite()]
            expected = expected + torch.logsumexp(allowed, 0) - own
    assert int(count) == int(LENGTHS.sum())
    torch.testing.assert_close(total, expected, rtol=1e-9, atol=1e-9)
    for ours, theirs in zip(torch.autograd.grad(total, given), torch.autograd.grad(expected, given), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("forbidden", [(), BIO], ids=["free", "bio"])
def test_best_paths_and_marginals_equal_every_path_written_out(forbidden) -> None:
    head = crf(forbidden)
    raw, mask = scored()
    best, marginals = head.predict(raw, mask), head.probabilities(raw, mask)
    for row, n in enumerate(LENGTHS.tolist()):
        assert (best[row, n:] == 0).all()
        assert (marginals[row, n:] == 0).all()
        if n:
            every, scores = paths(raw[row, :n], head.moves())
            assert tuple(best[row, :n].tolist()) == every[int(scores.argmax())]
            ones = torch.nn.functional.one_hot(torch.tensor(every), TAGS).double()  # (paths, n, K)
            torch.testing.assert_close(marginals[row, :n], (scores.softmax(0)[:, None, None] * ones).sum(0))


@pytest.mark.parametrize("case", ["mild", "wide", "single"])
def test_products_equal_the_loop_over_logarithms(case: str) -> None:
    torch.manual_seed(1)
    kind = torch.float32 if case == "single" else torch.float64
    spread = {"mild": 1.0, "wide": 12.0, "single": 3.0}[case]
    raw = (spread * torch.randn(9, 40, 17)).to(kind).requires_grad_()
    parts = [torch.randn(shape).to(kind).requires_grad_() for shape in ((17, 17), (17,), (17,))]
    moves, lengths = Moves(*parts), torch.tensor([40, 1, 0, 2, 39, 17, 40, 8, 3])
    assert not chain._too_wide(raw, moves)
    ours, theirs = chain.log_partition(raw, moves, lengths), chain.log_partition_plain(raw, moves, lengths)
    rows = torch.arange(1, 10).to(kind)
    slack = {"rtol": 1e-5, "atol": 1e-4} if case == "single" else {"rtol": 1e-11, "atol": 1e-11}
    torch.testing.assert_close(ours, theirs, **slack)
    slopes = [torch.autograd.grad((side * rows).sum(), [raw, *parts]) for side in (ours, theirs)]
    for a, b in zip(*slopes, strict=True):
        torch.testing.assert_close(a, b, **slack)


@pytest.mark.parametrize("forbidden", [(), BIO], ids=["free", "bio"])
def test_first_and_second_derivatives_by_finite_differences(forbidden) -> None:
    head = crf(forbidden)
    raw, mask = scored()
    raw, mask = raw[1:4, :2], mask[1:4, :2]
    target = head.predict(raw, mask)

    def loss(raw: Tensor, *parts: Tensor) -> Tensor:
        named = dict(zip(("between", "first", "last"), parts, strict=True))
        return torch.func.functional_call(_Loss(head), {f"head.{k}": v for k, v in named.items()}, (raw, target, mask))

    given = (raw.requires_grad_(), *(part.detach().requires_grad_() for part in (head.between, head.first, head.last)))
    assert torch.autograd.gradcheck(loss, given)
    assert torch.autograd.gradgradcheck(loss, given)


class _Loss(torch.nn.Module):
    def __init__(self, head: CRF) -> None:
        super().__init__()
        self.head = head

    def forward(self, raw: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return self.head.loss(raw, target, mask)[0]


def test_padding_changes_nothing() -> None:
    head = crf(BIO)
    raw, mask = scored()
    target = head.predict(raw, mask)
    clean, dirty = raw.clone().requires_grad_(), raw.clone()
    dirty[~mask] = torch.nan
    dirty.requires_grad_()
    filled = torch.where(mask, target, 77)
    losses = [head.loss(x, y, mask)[0] for x, y in ((clean, target), (dirty, filled))]
    slopes = [torch.autograd.grad(loss, [x, head.between]) for loss, x in zip(losses, (clean, dirty), strict=True)]
    assert torch.equal(losses[0], losses[1])
    for a, b in zip(*slopes, strict=True):
        assert torch.equal(a, b)
    assert (slopes[1][0][~mask] == 0).all()
    assert torch.equal(head.predict(dirty.detach(), mask), target)
    for row, n in enumerate(LENGTHS.tolist()):
        if n:
            torch.testing.assert_close(head.probabilities(dirty, mask)[row, :n], head.probabilities(raw[row, :n]))


def test_a_hole_in_the_mask_joins_its_neighbours() -> None:
    head = crf()
    raw, mask = torch.randn(2, 5, TAGS).double(), torch.tensor([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1]]).bool()
    best, drawn = head.predict(raw, mask), head.sample(raw, torch.Generator().manual_seed(0), mask)
    for row in range(2):
        assert torch.equal(best[row, mask[row]], head.predict(raw[row, mask[row]]))
    assert (best[~mask] == 0).all()
    assert (drawn[~mask] == 0).all()


def test_what_is_forbidden_never_comes_out() -> None:
    head = crf(BIO)
    raw = torch.randn(300, 6, TAGS).double()
    raw[..., 2] += 50  # everything speaks for I
    mask = torch.arange(6) < torch.randint(0, 7, (300, 1))
    for answer in (head.predict(raw, mask), head.sample(raw, torch.Generator().manual_seed(0), mask)):
        head.check(answer, mask)
        before = torch.nn.functional.pad(answer, (1, 0))[:, :-1]
        assert not ((answer == 2) & (before == 0)).any()
    assert (head.probabilities(raw)[:, 0, 2] == 0).all()


def test_a_forbidden_target_is_loud() -> None:
    head = crf(((-1, 2), (0, 2), (1, -1)))
    raw = torch.zeros(2, 3, TAGS).double()
    wrong = torch.tensor([[0, 1, 2], [0, 0, 2]])
    assert head.loss(raw, wrong)[0] == torch.inf
    with pytest.raises(ValueError, match=r"crf head: the pair \(0, 2\) at row 1, step 2 is forbidden"):
        head.check(wrong)
    with pytest.raises(ValueError, match=r"the pair \(-1, 2\) at row 0, step 0 is forbidden"):
        head.check(torch.tensor([2, 0, 0]))
    with pytest.raises(ValueError, match=r"the pair \(1, -1\) at the end of row 0 is forbidden"):
        head.check(torch.tensor([0, 0, 1]))
    masked = torch.tensor([[True, True, True], [True, False, False]])
    head.check(wrong, masked)
    assert head.loss(raw, wrong, masked)[0].isfinite()
    with pytest.raises(ValueError, match="forbidden pairs are of tags 0 to 2, or -1; found"):
        heads.build("crf", 4, 3, forbidden=[(0, 3)])


def test_draws_come_as_often_as_they_are_likely() -> None:
    head = crf(BIO)
    raw = torch.randn(3, TAGS).double()
    draws = head.sample(raw.expand(20_000, 3, TAGS), torch.Generator().manual_seed(1))
    every, scores = paths(raw, head.moves())
    codes, places = (draws * torch.tensor([9, 3, 1])).sum(1), [9 * a + 3 * b + c for a, b, c in every]
    shares = (codes.bincount(minlength=27) / len(draws)).double()[places]
    torch.testing.assert_close(shares, scores.softmax(0), rtol=0, atol=0.015)


def test_a_sequence_counts_by_its_weight() -> None:
    head = crf()
    raw, mask = scored()
    target = head.sample(raw, torch.Generator().manual_seed(0), mask)
    weight = torch.tensor([1.0, 3.0, 0.0, 2.0, 0.5]).double()
    total, count = head.loss(raw, target, mask, weight)
    each = [head.loss(raw[k], target[k], mask[k]) for k in range(5)]
    torch.testing.assert_close(total, sum(w * cost for w, (cost, _) in zip(weight, each, strict=True)))
    assert float(count) == float((weight * LENGTHS).sum())
    with pytest.raises(ValueError, match=r"weight must be one a sequence, \(5,\), found \(5, 5\)"):
        head.loss(raw, target, mask, torch.ones(5, 5))


def test_threads_change_no_bit() -> None:
    threads, found = torch.get_num_threads(), []
    head = CRF(4, 9)
    raw, mask = torch.randn(64, 50, 9), torch.arange(50) < torch.randint(0, 51, (64, 1))
    target = torch.randint(0, 9, (64, 50))
    for count in (1, 2):
        torch.set_num_threads(count)
        x = raw.clone().requires_grad_()
        total = head.loss(x, target, mask)[0]
        found.append([total, *torch.autograd.grad(total, [x, head.between, head.first, head.last])])
    torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_it_learns_what_follows_what() -> None:
    """Steps that say nothing of their tag: all that can be learnt are moves, from a chain that is known."""
    torch.manual_seed(0)
    true = crf(spread=1.5).float()
    raw = torch.zeros(300, 8, TAGS)
    data = true.sample(raw, torch.Generator().manual_seed(2))
    head = CRF(4, TAGS)
    optimiser = torch.optim.Adam(head.parameters(), 0.1)
    for _ in range(60):
        optimiser.zero_grad()
        total, count = head.loss(raw, data)
        (total / count).backward()
        optimiser.step()
    pairs = [part.between - torch.logsumexp(part.between, 1, keepdim=True) for part in (true, head)]
    least = float(true.loss(raw, data)[0].detach() / count)
    assert float(total.detach() / count) <= least + 1e-3
    assert torch.corrcoef(torch.stack([p.detach().flatten() for p in pairs]))[0, 1] > 0.8
