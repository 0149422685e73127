"""A product by oneDNN is torch's own, to rounding, forward and backward."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from fashionbench.execution.onednn import multiply


@settings(max_examples=100, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)),
    has_bias=st.booleans(),
    apart=st.booleans(),
)
def test_a_product_and_its_gradients_are_torchs(size: tuple[int, int, int], *, has_bias: bool, apart: bool) -> None:
    many, inner, out = size
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(many, 2 * inner if apart else inner, generator=generator)[:, :inner].requires_grad_()
    weight = torch.randn(out, inner, generator=generator, requires_grad=True)
    bias = torch.randn(out, generator=generator, requires_grad=True) if has_bias else None
    wanted = [rows, weight, *([] if bias is None else [bias])]
    expected = functional.linear(rows, weight, bias)
    expected_gradients = torch.autograd.grad(expected.square().sum(), wanted)

    product = multiply(rows, weight, bias)
    gradients = torch.autograd.grad(product.square().sum(), wanted)

    assert torch.allclose(product, expected, rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(gradients, expected_gradients, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


def test_a_products_gradient_can_be_differentiated() -> None:
    generator = torch.Generator().manual_seed(0)
    rows, weight, bias = (torch.randn(size, generator=generator, requires_grad=True) for size in [(5, 3), (4, 3), (4,)])
    found = []

    for product in (functional.linear(rows, weight, bias), multiply(rows, weight, bias)):
        (gradient,) = torch.autograd.grad(product.pow(3).sum(), rows, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), [rows, weight, bias]))

    for theirs, mine in zip(*found, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4)


def test_a_product_is_as_exact_as_torchs() -> None:
    generator = torch.Generator().manual_seed(0)
    rows, weight = torch.randn(100, 2304, generator=generator), torch.randn(600, 2304, generator=generator)
    exact = rows.double() @ weight.double().t()

    mine = (multiply(rows, weight, None).double() - exact).abs().max()
    theirs = (functional.linear(rows, weight).double() - exact).abs().max()

    assert mine < 4 * theirs


@pytest.mark.parametrize("precision", ["bf16", "fp64"])
def test_another_precision_is_left_to_torch(precision: str) -> None:
    rows, weight = torch.ones(2, 3), torch.ones(4, 3)

    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        product = (
            multiply(rows.double(), weight.double(), None) if precision == "fp64" else multiply(rows, weight, None)
        )

    assert product.dtype == {"bf16": torch.bfloat16, "fp64": torch.float64}[precision]
    assert torch.equal(product, torch.full_like(product, 3))


def test_a_single_row_is_left_to_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    rows, weight = torch.randn(1, 2304, generator=generator), torch.randn(600, 2304, generator=generator)

    assert torch.equal(multiply(rows, weight, None), functional.linear(rows, weight))
