"""Fast trains what plain trains, or leaves the layers as they are; each net here was once trained as another model."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fashionbench.execution.fast import rewrite, speed_up, speed_up_inference
from fashionbench.execution.guard import find_difference
from fashionbench.execution.step import make_optimizer, train_step
from fashionbench.records.record import Execution

SHAPE = (1, 8, 8)


class Blocks(nn.Module):
    """A convolution and its norm in a sequence, and a head; each test's net uses them in its own way."""

    def __init__(self, use: Callable[["Blocks", Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.MaxPool2d(2))
        self.gate, self.head = nn.Linear(64, 16), nn.Linear(16, 10)
        self.seen = 0
        self.use = use

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.use(self, images).mean((2, 3)))
        return logits


def skip(net: Blocks, images: Tensor) -> Tensor:
    raw: Tensor = net.block[0](images)
    maps: Tensor = (net.block[1](raw) + raw).relu()
    return maps


def slices(net: Blocks, images: Tensor) -> Tensor:
    maps: Tensor = net.block[1:](net.block[:1](images)) + net.block[:1](images.flip(3))
    return maps


def loop(net: Blocks, images: Tensor) -> Tensor:
    kept = []
    for layer in net.block:
        images = layer(images)
        kept.append(images)
    return kept[-1] + kept[0]


def gated(net: Blocks, images: Tensor) -> Tensor:
    gate = net.gate(images.flatten(1))[:, :, None, None]
    return torch.relu(net.block[1](net.block[0](images) * gate))


def reads_the_kernel(net: Blocks, images: Tensor) -> Tensor:
    given = net.block(images)
    kernel = net.get_parameter("deep.0.weight")
    maps: Tensor = net.deep[0](given) + functional.conv2d(given, kernel.flip(3), None, 2, 1)
    return maps


def reads_the_norm(net: Blocks, images: Tensor) -> Tensor:
    maps: Tensor = net.block(images) * net.get_parameter("block.1.weight")[:, None, None]
    return maps


def padded_in_training(net: Blocks, images: Tensor) -> Tensor:
    images = functional.pad(images, (12, 12, 12, 12)) if net.training else images
    maps: Tensor = net.deep(net.block(images))
    return maps


def norm_in_evaluation(net: Blocks, images: Tensor) -> Tensor:
    net.block[1].eval()
    maps: Tensor = net.block(images)
    return maps


def norm_frozen_later(net: Blocks, images: Tensor) -> Tensor:
    net.seen += net.training
    if net.seen > 10:
        net.block[1].eval()
    maps: Tensor = net.block(images)
    return maps


def by_its_class(net: Blocks, images: Tensor) -> Tensor:
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            images = images * (1 + layer.weight.square().mean())
    maps: Tensor = net.deep(net.block(images))
    return maps


def usual(net: Blocks, images: Tensor) -> Tensor:
    maps: Tensor = net.deep(net.block(images))
    return maps


def twice(net: Blocks, images: Tensor) -> Tensor:
    given = net.block(images)
    maps: Tensor = net.deep[1](net.deep[0](given)) + net.deep[0](given).abs()
    return maps


USES = [
    *(usual, skip, slices, loop, gated, reads_the_kernel, reads_the_norm, padded_in_training, norm_in_evaluation),
    *(norm_frozen_later, by_its_class, twice),
]


def train(use: Callable[[Blocks, Tensor], Tensor], execution: Execution) -> tuple[Tensor, Tensor]:
    """Return the losses of some steps, and the outputs in evaluation afterwards."""
    model: nn.Module = Blocks(use)
    model = speed_up(model, SHAPE) if execution == "fast" else model
    optimizer = make_optimizer(model, 1e-3, execution)
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.rand(160, *SHAPE, generator=generator), torch.arange(160) % 10
    batches = zip(images.split(10), labels.split(10), strict=True)
    losses = [train_step(model.train(), optimizer, batch.clone(), targets) for batch, targets in batches]
    with torch.no_grad():
        return torch.stack(losses), model.eval()(images.clone())


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_fast_trains_what_plain_trains(use: Callable[[Blocks, Tensor], Tensor]) -> None:
    (plain, expected), (fast, found) = train(use, "plain"), train(use, "fast")

    assert torch.allclose(plain, fast, rtol=1e-3)
    assert float((expected - found).abs().max() / expected.abs().max()) < 0.01


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_inference_gives_what_the_model_gives(use: Callable[[Blocks, Tensor], Tensor]) -> None:
    model = Blocks(use)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.get_buffer("running_var").fill_(0.01)
            layer.get_buffer("running_mean").fill_(0.3)
    images = torch.rand(5, *SHAPE)
    with torch.no_grad():
        expected = model.eval()(images)

        found = speed_up_inference(model, SHAPE)(images)

    assert torch.allclose(expected, found, rtol=1e-3, atol=1e-4)


def test_the_guard_finds_a_model_that_trains_otherwise() -> None:
    model, other = Blocks(usual), Blocks(usual)
    other.block[1] = nn.BatchNorm2d(16, momentum=0.5)

    assert find_difference(model, Blocks(usual), SHAPE) == ""
    assert find_difference(model, other, SHAPE) == "its losses or outputs differ in float64"


def test_the_usual_net_is_rewritten() -> None:
    kinds = {type(layer).__name__ for layer in rewrite(Blocks(usual), SHAPE).modules()}

    assert {"NormedConvolution", "ChannelsLast", "Linear"} <= kinds


def test_a_rewritten_convolution_refuses_maps_of_another_size() -> None:
    layers = [nn.Conv2d(channels, 4, 3, 2, 1) for channels in (1, 4, 4, 4)]  # the last one meets a single pixel
    model = rewrite(nn.Sequential(*layers), SHAPE)

    with pytest.raises(RuntimeError, match=r"rewritten for maps of . x . was given . x ."):
        model(torch.rand(2, 1, 16, 16))
