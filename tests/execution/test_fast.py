"""The fast execution computes what the plain one does: outputs, gradients and training."""

import copy
from functools import partial

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from fashionbench.data.dataset import Task
from fashionbench.execution.fast import speed_up, speed_up_inference
from fashionbench.execution.rewriting import fold_batch_norm, pool_before_relu, rewrite_convolutions
from fashionbench.execution.step import make_optimizer, train_step
from fashionbench.models.analysis.dataflow import trace
from fashionbench.models.analysis.taps import crop_convolutions
from fashionbench.models.registry import MODELS, build_model

SHAPE = (1, 28, 28)


@torch.no_grad()
def relative_difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-9))


@pytest.mark.parametrize("name", MODELS)
def test_fast_models_logits_and_reachable_gradients_are_the_plain_ones(name: str) -> None:
    build = partial(build_model, name, Task(shape=(1, 28, 28), classes=10), seed=1)
    plain, fast = build().double(), speed_up(build(), SHAPE).double()
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(6, *SHAPE, generator=generator, dtype=torch.double)
    labels = torch.randint(10, (6,), generator=generator)
    for module in (*plain.modules(), *fast.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0

    for model in (plain, fast):
        torch.autograd.backward(functional.cross_entropy(model(images), labels))

    assert relative_difference(fast(images), plain(images)) < 1e-5
    gradients = zip(fast.parameters(), plain.parameters(), strict=True)
    for mine, theirs in gradients:
        assert theirs.grad is not None
        found = torch.zeros_like(theirs).flatten()  # of taps that never meet data the gradient is zero
        if mine.grad is not None:
            found[: mine.numel()] = mine.grad.flatten()
        assert relative_difference(found.sort().values, theirs.grad.flatten().sort().values) < 1e-5  # the order differs


def crop(model: nn.Module, shape: tuple[int, int, int]) -> int:
    left_out = sum(each.left_out for each in crop_convolutions(model, shape))
    flow = trace(model)
    assert flow is not None
    rewrite_convolutions(model, flow, shape)
    return left_out


@settings(max_examples=150, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.integers(1, 3),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dilation=st.integers(1, 3),
    groups=st.sampled_from([1, 2]),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)
def test_rewriting_any_convolution_changes_neither_output_nor_gradient(
    kernel: tuple[int, int],
    stride: int,
    padding: tuple[int, int],
    dilation: int,
    groups: int,
    size: tuple[int, int],
) -> None:
    assume(all(size[i] + 2 * padding[i] > dilation * (kernel[i] - 1) for i in (0, 1)))
    torch.manual_seed(0)
    convolution = nn.Conv2d(2, 4, kernel, stride, padding, dilation, groups)
    model = nn.Sequential(convolution)
    images = torch.rand(3, 2, *size, requires_grad=True)
    expected = model(images)
    weights = torch.rand_like(expected)
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), images)

    left_out = crop(model, (2, *size))
    output = model(images)
    (gradient,) = torch.autograd.grad((output * weights).sum(), images)

    assert output.shape == expected.shape
    assert torch.allclose(output, expected, atol=1e-5)
    assert torch.allclose(gradient, expected_gradient, atol=1e-5)
    kept = sum(parameter.numel() for parameter in model.parameters())
    assert left_out == convolution.weight.numel() + 4 - kept


@pytest.mark.parametrize(
    "convolution",
    [nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.Conv2d(1, 2, 3, padding="same")],
    ids=["circular padding", "padding by name"],
)
def test_convolutions_whose_padding_is_not_plain_zeros_stay_as_they_are(convolution: nn.Conv2d) -> None:
    model = nn.Sequential(convolution)

    left_out = crop(model, (1, 1, 1))

    assert left_out == 0
    assert model[0] is convolution


def test_a_convolution_of_nothing_but_padding_stays_as_it_is() -> None:
    convolution = nn.Conv2d(2, 4, 2, stride=3, padding=(3, 4), dilation=2)
    model = nn.Sequential(convolution)

    left_out = crop(model.to(memory_format=torch.channels_last), (2, 6, 1))

    assert left_out == 0
    assert model[0] is convolution
    assert convolution.weight.is_contiguous()


def test_a_convolution_used_at_two_sizes_stays_as_it_is() -> None:
    convolution = nn.Conv2d(1, 1, 3, padding=1)
    model = nn.Sequential(convolution, nn.MaxPool2d(2), convolution)

    left_out = crop(model, (1, 2, 2))

    assert left_out == 0


def test_a_weight_that_two_layers_share_stays_shared() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1))
    model[1].weight = model[0].weight

    left_out = crop(model, (1, 1, 1))

    assert left_out == 0
    assert model[1].weight is model[0].weight


def test_the_maximum_before_relu_has_the_same_output_and_gradient() -> None:
    pooled = nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, padding=1))
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(-2, 3, (4, 3, 7, 7), generator=generator, dtype=torch.float).requires_grad_()
    expected = pooled(images)
    (expected_gradient,) = torch.autograd.grad(expected.square().sum(), images)

    flow = trace(pooled)
    assert flow is not None
    pool_before_relu(pooled, flow)
    output = pooled(images)
    (gradient,) = torch.autograd.grad(output.square().sum(), images)

    assert isinstance(pooled[0], nn.MaxPool2d)
    assert torch.equal(output, expected)
    assert torch.equal(gradient, expected_gradient)


@pytest.mark.parametrize("name", MODELS)
def test_inference_gives_the_plain_models_logits(name: str) -> None:
    build = partial(build_model, name, Task(shape=(1, 28, 28), classes=10), seed=1)
    images = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(0))
    plain = build()
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after a training
            module.running_mean = torch.rand(module.num_features) - 0.5
            module.running_var = torch.rand(module.num_features) + 0.5
    fast = speed_up_inference(copy.deepcopy(plain), SHAPE)

    with torch.inference_mode():
        difference = relative_difference(fast(images), plain.eval()(images))

    assert difference < 1e-5
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())


def test_a_model_that_cannot_be_traced_keeps_its_batch_norms() -> None:
    class Untraceable(nn.BatchNorm2d):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if float(images.sum()) > 0 else -images

    model = nn.Sequential(nn.Conv2d(1, 1, 1), Untraceable(1))

    flow = trace(model)
    assert flow is None or fold_batch_norm(model, flow) is model


def test_a_model_with_hooks_keeps_its_batch_norms_in_inference() -> None:
    model = nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(1, 9, 3)), nn.BatchNorm2d(9))
    images = torch.rand(2, 1, 6, 6)
    expected = model.eval()(images)

    fast = speed_up_inference(model, (1, 6, 6))

    assert torch.allclose(fast(images), expected, atol=1e-5)
    assert isinstance(fast.get_submodule("1"), nn.BatchNorm2d)


def test_twenty_five_steps_of_fast_training_stay_within_rounding_of_plain() -> None:
    build = partial(build_model, "resnet18", Task(shape=(1, 28, 28), classes=10), seed=1)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, *SHAPE, generator=generator, dtype=torch.double)
    labels = torch.tensor([0, 1, 2, 3])
    losses = {}

    for execution, model in (("plain", build()), ("fast", speed_up(build(), SHAPE))):
        model.double()
        optimizer = make_optimizer(model, 1e-4, "fast" if execution == "fast" else "plain")
        losses[execution] = torch.stack([train_step(model, optimizer, images, labels) for _ in range(25)])

    assert losses["fast"][0] > 2 * losses["fast"][-1]
    assert torch.allclose(losses["fast"], losses["plain"], rtol=1e-5)
