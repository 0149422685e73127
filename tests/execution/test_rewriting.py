"""Which layers are written anew, and which are left as they are."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fashionbench.data.dataset import Task
from fashionbench.execution.fast import find_objection, rewrite
from fashionbench.execution.layers import ChannelsLast, NormedConvolution, Placeholder
from fashionbench.execution.onednn import Linear, Pixelwise, Product
from fashionbench.execution.rewriting import find_normed_places, fuse_first_batch_norm, pool_before_relu
from fashionbench.models.analysis.dataflow import trace
from fashionbench.models.registry import build_model


def normalise(model: nn.Module) -> None:
    flow = trace(model)
    assert flow is not None
    fuse_first_batch_norm(find_normed_places(model, flow))


def without_bias(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """As newer versions of torch make it when they are asked to."""
    norm.register_parameter("bias", None)
    return norm


def test_a_first_convolution_takes_its_norm_in() -> None:
    model = nn.Sequential(nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9), nn.ReLU(), nn.Conv2d(9, 99, 3), nn.BatchNorm2d(99))

    normalise(model)

    assert [type(layer) for layer in model] == [NormedConvolution, Placeholder, nn.ReLU, nn.Conv2d, nn.BatchNorm2d]


def test_a_layer_with_a_hook_is_left_as_it_is() -> None:
    pool = nn.MaxPool2d(2)
    pool.register_full_backward_hook(lambda *_: None)
    model = nn.Sequential(nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9), nn.ReLU(), pool)

    fast = rewrite(model, (1, 6, 6))
    fast(torch.rand(2, 1, 6, 6)).sum().backward()

    assert fast.get_submodule("3") is pool
    assert type(fast.get_submodule("0")) is NormedConvolution


@pytest.mark.parametrize("size", [1, 6], ids=["a product", "a convolution"])
def test_a_frozen_kernel_stays_frozen(size: int) -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1))
    model[0].weight.requires_grad = False

    fast = rewrite(model, (2, size, size))

    assert [parameter.requires_grad for parameter in fast.parameters()] == [False, True]


def test_a_maximum_that_returns_its_places_is_left_alone() -> None:
    layers = [nn.ReLU(), nn.MaxPool2d(2, return_indices=True)]
    model = nn.Sequential(*layers)

    flow = trace(model)
    assert flow is not None
    pool_before_relu(model, flow)

    assert [*model] == layers


@pytest.mark.parametrize("hook", ["forward", "forward_pre", "full_backward", "full_backward_pre"])
def test_no_layer_with_a_hook_is_rewritten(hook: str) -> None:
    layers: list[nn.Module] = [nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(36, 4), nn.Dropout(0.5)]
    model = nn.Sequential(*layers)
    for layer in layers:
        getattr(layer, f"register_{hook}_hook")(lambda *_: None)

    fast = rewrite(model, (1, 6, 6))
    fast(torch.rand(2, 1, 6, 6, requires_grad=True)).sum().backward()

    assert [*fast.children()] == layers
    assert type(layers[1]) is nn.BatchNorm2d
    assert all(parameter.requires_grad for parameter in fast.parameters())


def test_a_kernel_whose_gradient_someone_changes_is_kept() -> None:
    convolution = nn.Conv2d(2, 4, 3)
    convolution.weight.register_hook(torch.zeros_like)
    model = nn.Sequential(convolution)

    rewrite(model, (2, 6, 6))(torch.rand(2, 2, 6, 6)).sum().backward()

    assert model[0] is convolution
    assert convolution.weight.grad is not None
    assert not bool(convolution.weight.grad.any())


def test_every_weight_of_a_fast_model_is_trained_as_plain_does() -> None:
    shared = nn.Conv2d(3, 3, 3)
    model = nn.Sequential(
        *(nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(9, 3, 1), nn.BatchNorm2d(3)),
        *(shared, nn.BatchNorm2d(3), shared, nn.BatchNorm2d(3)),
    )
    fast = rewrite(model, (1, 14, 14))

    fast(torch.rand(4, 1, 14, 14)).square().sum().backward()

    assert type(fast.get_submodule("0")) is NormedConvolution
    assert all(parameter.grad is not None for parameter in fast.parameters())


@pytest.mark.parametrize(
    ("convolution", "norm"),
    [
        (nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8)),
        (nn.Conv2d(2, 9, 1), nn.BatchNorm2d(9, momentum=None)),
        (nn.Conv2d(2, 8, 1, groups=2), nn.BatchNorm2d(8)),
        (nn.Conv2d(1, 9, 3, padding="same"), nn.BatchNorm2d(9)),
        (nn.Conv2d(1, 9, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(9)),
        (nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9, affine=False)),
        (nn.Conv2d(1, 9, 3), without_bias(nn.BatchNorm2d(9))),
        (nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9).eval()),
        (nn.utils.spectral_norm(nn.Conv2d(1, 9, 3)), nn.BatchNorm2d(9)),
        (nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9, track_running_stats=False)),
        (nn.Conv2d(1, 9, 3), nn.InstanceNorm2d(9)),
        (nn.ConvTranspose2d(1, 9, 3), nn.BatchNorm2d(9)),
    ],
    ids=[
        *("more taps than channels", "mean over all batches", "groups", "padding by name", "circular padding"),
        *("no weight", "no bias", "norm in evaluation", "hook on the kernel", "no running statistics"),
        *("another norm", "another convolution"),
    ],
)
def test_a_pair_that_would_gain_nothing_or_might_differ_stays_as_it_is(convolution: nn.Module, norm: nn.Module) -> None:
    model = nn.Sequential(convolution, norm)

    normalise(model)

    assert [*model] == [convolution, norm]


def test_a_layer_that_is_called_by_name_stays() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.pool = nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            maps: torch.Tensor = self.pool(input=self.convolution(input=images))
            return maps

    model = Named()
    layers = [*model.children()]

    rewrite(model, (1, 4, 4))

    assert [*model.children()] == layers


@pytest.mark.parametrize(("size", "kind"), [(2, Pixelwise), (3, ChannelsLast)])
def test_a_kernel_of_one_tap_over_few_pixels_is_a_product(size: int, kind: type[nn.Module]) -> None:
    model = nn.Sequential(nn.Conv2d(3, 5, 1))
    images = torch.rand(2, 3, size, size)
    expected = model(images)

    fast = rewrite(model, (3, size, size))

    assert type(fast.get_submodule("0")) is kind
    assert torch.allclose(fast(images), expected, atol=1e-6)


def test_resnet18_is_rewritten_throughout() -> None:
    model = build_model("resnet18", Task(shape=(1, 28, 28), classes=10), seed=0)

    kinds = Counter(type(layer) for layer in rewrite(model, (1, 28, 28)).modules())

    assert kinds[nn.BatchNorm2d] == 20
    assert (kinds[ChannelsLast], kinds[Product], kinds[nn.Conv2d]) == (11, 8, 1)
    assert (kinds[Linear], kinds[nn.Linear]) == (1, 0)


class Standardised(nn.Conv2d):
    """A convolution of a kernel that it views as it lies in memory."""

    def forward(self, images: Tensor) -> Tensor:
        rows = self.weight.view(self.out_channels, -1)
        rows = (rows - rows.mean(1, keepdim=True)) / (rows.std(1, keepdim=True) + 1e-5)
        return functional.conv2d(images, rows.view_as(self.weight), self.bias, self.stride, self.padding)


class Encoder(nn.Module):
    """Rows of the images as words, with dropout between transposed axes."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder(images[:, 0]).mean(1))
        return logits


class Recurrent(nn.Module):
    """Rows of the images as a sequence; torch keeps weak references to such weights."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.head = nn.LSTM(8, 16, 2, batch_first=True, bidirectional=True, proj_size=4), nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.rows(images[:, 0])[0][:, -1])
        return logits


def standardised() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), Standardised(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10)
    )


@pytest.mark.parametrize("build", [standardised, Encoder, Recurrent])
def test_a_net_of_layers_of_its_own_is_not_refused(build: Callable[[], nn.Module]) -> None:
    assert find_objection(build(), (1, 8, 8)) == ""
