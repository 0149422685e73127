"""Layers written anew compute what PyTorch's own do."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fashionbench.data.dataset import Dataset, Task
from fashionbench.execution import layers as layers_module
from fashionbench.execution.fast import rewrite
from fashionbench.execution.layers import NormedConvolution
from fashionbench.execution.step import scale_pixels
from fashionbench.models.registry import build_model


def pair(convolution: nn.Conv2d, momentum: float = 0.1) -> tuple[nn.Sequential, NormedConvolution]:
    """Return the layers in a row, and the same in one; the norm's weights are as after a training."""
    norm = nn.BatchNorm2d(convolution.out_channels, eps=1e-3, momentum=momentum)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    plain = nn.Sequential(convolution, norm)
    return plain, NormedConvolution(*copy.deepcopy(plain))


@settings(max_examples=100, deadline=None)
@given(
    channels=st.tuples(st.integers(1, 3), st.integers(1, 5)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    bias=st.booleans(),
    momentum=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_a_normed_convolution_has_the_outputs_gradients_and_statistics_of_its_layers(
    channels: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    bias: bool,
    momentum: float,
) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(*channels, kernel, stride, padding, dilation, bias=bias).double()
    plain, fast = pair(convolution, momentum=momentum)
    plain, fast = plain.double(), fast.double()
    images = torch.rand(3, channels[0], 9, 8, dtype=torch.double)

    outputs = [model(images) for model in (plain, fast)]
    weights = torch.rand_like(outputs[0])
    for output in outputs:
        (output * weights).sum().backward()

    assert torch.allclose(*outputs)
    for mine, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        assert theirs.grad is not None
        assert mine.grad is not None
        assert torch.allclose(mine.grad, theirs.grad, atol=1e-9)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.allclose(fast.norm.get_buffer(name), plain[1].get_buffer(name))


def test_a_bias_that_is_used_elsewhere_too_has_that_gradient() -> None:
    plain, fast = pair(nn.Conv2d(1, 4, 3).double())
    plain, fast = plain.double(), fast.double()
    images = torch.rand(3, 1, 6, 6, dtype=torch.double)
    gradients = []

    for model, convolution in ((plain, plain[0]), (fast, fast.convolution)):
        loss = model(images).square().sum() + convolution(images).square().sum()
        gradients.append(torch.autograd.grad(loss, [*model.parameters()]))

    assert float(gradients[0][1].abs().max()) > 1
    assert all(torch.allclose(mine, theirs) for theirs, mine in zip(*gradients, strict=True))


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("brightness", [0.0, 100.0])
def test_sped_up_in_single_precision_it_is_nearly_as_exact_as_the_two(stride: int, brightness: float) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(1, 32, 3, stride=stride, padding=1)
    with torch.no_grad():
        convolution.weight -= convolution.weight.mean((1, 2, 3), keepdim=True)  # such a kernel's outputs vary little
    model = nn.Sequential(convolution, nn.BatchNorm2d(32))
    images = brightness + torch.rand(20, 1, 12, 12)
    exact = copy.deepcopy(model).double()(images.double())
    theirs = (model(images) - exact).abs().max()

    fast = rewrite(model, (1, 12, 12))
    mine = (fast(images) - exact).abs().max()

    assert isinstance(fast.get_submodule("0"), NormedConvolution)
    assert mine < 10 * theirs


def test_edges_of_smooth_images_are_as_precise_as_from_the_norm_itself() -> None:
    plain, fast = pair(nn.Conv2d(1, 4, 3))
    edges = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    with torch.no_grad():
        for kernel in (plain[0].get_parameter("weight"), fast.convolution.weight):
            kernel.copy_(edges + 1e-3 * torch.linspace(-1, 1, 4 * 9).view_as(kernel))
    axis = torch.linspace(0, 2, 48)
    images = (axis[:, None] + axis + 0.1 * torch.rand(8, 1, 1, 1)).sin()
    exact = copy.deepcopy(plain).double()(images.double())

    error, theirs = ((model(images) - exact).abs().max() for model in (fast, plain))

    assert error < 4 * theirs


def test_a_convolution_of_nothing_but_padding_takes_its_norm_in() -> None:
    plain, fast = pair(nn.Conv2d(2, 8, 2, stride=3, padding=(3, 4), dilation=2))
    images = torch.rand(2, 2, 6, 1)

    assert torch.allclose(rewrite(nn.Sequential(fast), (2, 6, 1))(images), plain(images), atol=1e-5)


def test_images_that_need_a_gradient_get_it() -> None:
    plain, fast = pair(nn.Conv2d(1, 4, 3))
    images = torch.rand(2, 1, 6, 6, requires_grad=True)

    expected, gradient = (torch.autograd.grad(model(images)[0].sum(), images)[0] for model in (plain, fast))

    assert torch.equal(gradient, expected)


def test_in_evaluation_the_running_statistics_count() -> None:
    plain, fast = pair(nn.Conv2d(1, 4, 3))
    images = torch.rand(2, 1, 6, 6)

    assert torch.equal(fast.eval()(images), plain.eval()(images))
    assert not bool(fast.norm.get_buffer("running_mean").any())


def test_a_norm_kept_in_evaluation_stays_in_it() -> None:
    plain, fast = pair(nn.Conv2d(1, 4, 3))
    plain[1].eval()
    fast.norm.eval()
    images = torch.rand(2, 1, 6, 6)

    assert torch.equal(fast(images), plain(images))


@pytest.mark.parametrize("few_taps", [True, False])
def test_a_single_image_meets_torchs_own_norm(few_taps: bool) -> None:
    plain, normed = pair(nn.Conv2d(1, 4, 3))
    fast = rewrite(nn.Sequential(normed) if few_taps else plain, (1, 3, 3))

    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        fast(torch.rand(1, 1, 3, 3))


def test_under_autocast_the_two_are_left_to_torch() -> None:
    plain, fast = pair(nn.Conv2d(1, 4, 3))
    images = torch.rand(2, 1, 6, 6)

    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fast(images), plain(images))


@pytest.mark.threads  # PyTorch's second norm adds up for each thread: on one alone 1.5e-5 were found
def test_fashioncnns_logits_in_single_precision_are_within_1e5_of_the_exact_ones(sample: Dataset) -> None:
    plain, fast = (build_model("fashioncnn", Task(shape=(1, 28, 28), classes=10), seed=0) for _ in range(2))
    fast = rewrite(fast, (1, 28, 28))
    for model in (plain, fast):
        model.get_submodule("dropout").register_forward_hook(lambda _, given, __: given[0])
    images = scale_pixels(sample.train_images[:100])

    with torch.no_grad():
        exact, mine = plain.double()(images.double()), fast(images)

    assert float((mine - exact).abs().max() / exact.abs().max()) < 1e-5


def test_the_variance_of_outputs_that_are_all_but_constant_is_exact() -> None:
    plain, fast = pair(nn.Conv2d(1, 16, 4, stride=4), momentum=1.0)
    images = torch.linspace(0, 1000, 16).view(4, 4).tile(8, 1, 3, 3) + 0.01 * torch.rand(8, 1, 12, 12)

    plain.double()(images.double())
    fast(images)

    exact = plain[1].get_buffer("running_var")
    assert torch.allclose(fast.norm.get_buffer("running_var").double(), exact, rtol=0.01)


def test_a_variance_that_rounding_leaves_below_zero_counts_as_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    _, fast = pair(nn.Conv2d(1, 4, 3))
    monkeypatch.setattr(layers_module, "_moments", lambda *_: (torch.zeros(9), -torch.eye(9), 100))

    assert bool(fast(torch.rand(2, 1, 6, 6)).isfinite().all())
