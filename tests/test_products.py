"""Products that add in their own order: torch's numbers, gradients of gradients, the same bits at any threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from ostinato.ops.products import linear, product

ODD = [0, 1, 2, 15, 16, 17, 63, 97, 300]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _matrix(rows: int, columns: int, turned: bool, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    made = torch.randn(columns, rows, dtype=dtype).t() if turned else torch.randn(rows, columns, dtype=dtype)
    return made.requires_grad_()


@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("inner", ODD)
def test_equals_torch_at_odd_sizes(inner: int, turned: tuple[bool, bool]) -> None:
    for rows in ODD:
        for columns in (1, 4, 33, 65, 130):
            a, b = _matrix(rows, inner, turned[0]), _matrix(inner, columns, turned[1])
            torch.testing.assert_close(product(a, b), a @ b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 5000, 70), (5000, 64, 1), (7, 5000, 7), (300, 300, 300)])
def test_bits_do_not_depend_on_threads(rows: int, inner: int, columns: int, dtype: torch.dtype) -> None:
    x, weight, bias = _matrix(rows, inner, False, dtype), _matrix(columns, inner, False, dtype), torch.randn(columns)
    bias, up = bias.to(dtype).requires_grad_(), torch.randn(rows, columns, dtype=dtype)

    def results(threads: int) -> list[torch.Tensor]:
        torch.set_num_threads(threads)
        y = linear(x, weight, bias)
        return [y, *torch.autograd.grad(y, [x, weight, bias], up)]

    one = results(1)
    for threads in (2, 3, 7):
        assert all(torch.equal(a, b) for a, b in zip(one, results(threads), strict=True))
    torch.testing.assert_close(one[0], torch.nn.functional.linear(x, weight, bias), rtol=1e-4, atol=1e-3)


def test_gradients_of_gradients() -> None:
    given = (_matrix(3, 5, False), _matrix(4, 5, True), torch.randn(4, dtype=torch.float64, requires_grad=True))
    assert torch.autograd.gradcheck(linear, given)
    assert torch.autograd.gradgradcheck(linear, given)


STRANGE: list[Callable[[torch.Tensor], torch.Tensor]] = [
    lambda a: a[:1].expand(6, 8),  # no step from row to row
    lambda a: a[:, :1].expand(6, 8),
    lambda a: a[:, ::2].repeat(1, 2)[:, ::1],
    lambda a: torch.complex(a, a).conj().imag,  # memory that holds the opposite
    lambda a: a.as_strided((6, 8), (1, 3)),
    lambda a: torch.cat([a, a])[::2],
]


@pytest.mark.parametrize("strange", STRANGE)
def test_any_memory(strange: Callable[[torch.Tensor], torch.Tensor]) -> None:
    a, b = strange(torch.randn(6, 8)), torch.randn(8, 5)
    torch.testing.assert_close(product(a, b), a @ b)
    torch.testing.assert_close(product(b.t(), a.t()), b.t() @ a.t())


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises((RuntimeError, ValueError)):
        product(torch.ones(2, 3), torch.ones(4, 2))


def test_under_transforms_and_autocast_it_is_torchs() -> None:
    weight, x = torch.randn(4, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda v: linear(v, weight)))(x)
    torch.testing.assert_close(jacobian, weight.expand(5, 4, 3))
    value, tangent = torch.func.jvp(lambda v: linear(v, weight), (x,), (x,))
    torch.testing.assert_close(value, tangent)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x.float(), weight.float()).dtype == torch.bfloat16
    torch.testing.assert_close(torch.compile(linear, backend="eager", fullgraph=True)(x, weight), x @ weight.t())


def test_a_batch_of_gradients_at_once() -> None:
    x, weight = _matrix(2, 3, False), _matrix(4, 3, False)
    y = linear(x, weight)
    ups = torch.eye(8, dtype=torch.float64).view(8, 2, 4)
    (many,) = torch.autograd.grad(y, weight, ups, is_grads_batched=True, retain_graph=True)
    for up, one in zip(ups, many, strict=True):
        torch.testing.assert_close(one, torch.autograd.grad(y, weight, up, retain_graph=True)[0])
