"""Fast trains what plain trains, or leaves the layers as they are."""

import contextlib
import random
import threading
import weakref
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from fashionbench.execution.fast import find_objection, rewrite, speed_up, speed_up_inference
from fashionbench.execution.guard import find_difference
from fashionbench.execution.step import make_optimizer, train_step
from fashionbench.models.randomness import seeded_generators
from fashionbench.records.record import Execution

SHAPE = (1, 8, 8)


class Blocks(nn.Module):
    """A convolution and its norm in a sequence, and a head; each test's net uses them in its own way."""

    def __init__(self, use: Callable[["Blocks", Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.MaxPool2d(2))
        self.gate, self.drop, self.head = nn.Linear(64, 16), nn.Dropout(0.3), nn.Linear(16, 10)
        self.seen = 0
        self.lock: object = None
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


def reads_the_kernel_later(net: Blocks, images: Tensor) -> Tensor:
    net.seen += net.training
    maps: Tensor = net.deep(net.block(images))
    return maps * (1 + net.get_parameter("deep.2.weight").square().sum()) if net.seen > 10 else maps


def takes_the_raw_maps_later(net: Blocks, images: Tensor) -> Tensor:
    net.seen += net.training
    raw = net.block[0](images)
    maps: Tensor = net.deep(net.block[1](raw) + raw if net.seen > 10 else net.block[1](raw))
    return maps


def reads_the_kernel_at_random(net: Blocks, images: Tensor) -> Tensor:
    maps: Tensor = net.deep(net.block(images))
    rarely = net.training and random.random() < 0.2
    return maps * (1 + net.get_parameter("deep.2.weight").square().sum()) if rarely else maps


def stochastic_depth(net: Blocks, images: Tensor) -> Tensor:
    raw = net.block[0](images)
    maps: Tensor = net.deep(net.block[1](raw) if torch.rand(1) < 0.5 or not net.training else raw)
    return maps


def drops_values_of_maps(net: Blocks, images: Tensor) -> Tensor:
    maps: Tensor = net.deep(net.drop(net.block(images)))
    return maps


def adds_noise_to_maps(net: Blocks, images: Tensor) -> Tensor:
    maps = net.block(images)
    deep: Tensor = net.deep(maps + torch.randn_like(maps) if net.training else maps)
    return deep


def without_gradients_otherwise(net: Blocks, images: Tensor) -> Tensor:
    raw = net.block[0](images)
    maps: Tensor = net.deep(net.block[1](raw) if torch.is_grad_enabled() else raw)
    return maps


def views(net: Blocks, images: Tensor) -> Tensor:
    maps: Tensor = net.deep(net.block(images))
    return maps.view(maps.size(0), 16, -1, 1)


def recomputes(net: Blocks, images: Tensor) -> Tensor:
    maps: Tensor = checkpoint(lambda given: net.deep(net.block(given)), images, use_reentrant=False)
    return maps


def differentiates_twice(net: Blocks, images: Tensor) -> Tensor:
    with torch.enable_grad():
        images = images.clone().requires_grad_()
        maps: Tensor = net.deep(net.block(images))
        (gradient,) = torch.autograd.grad(net.head(maps.mean((2, 3))).tanh().sum(), images, create_graph=True)
    return maps + gradient.square().sum()


def writes_on_its_input(net: Blocks, images: Tensor) -> Tensor:
    maps: Tensor = net.deep(net.block(images.sub_(0.5)))
    return maps


def constrains_its_kernels(net: Blocks, images: Tensor) -> Tensor:
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.copy_(layer.weight.renorm(2, 0, 0.5))
    maps: Tensor = net.deep(net.block(images))
    return maps


def hides_that_it_branches(net: Blocks, images: Tensor) -> Tensor:
    raw = net.block[0](images)
    bright = False
    with contextlib.suppress(Exception):
        bright = bool(images[0, 0, 0, 0] > 0.8)
    maps: Tensor = net.deep(net.block[1](raw) + raw if bright else net.block[1](raw))
    return maps


def asks_for_a_tensor(net: Blocks, images: Tensor) -> Tensor:
    raw = net.block[0](images)
    bright = isinstance(images, Tensor) and images[0, 0, 0, 0] > 0.8
    maps: Tensor = net.deep(net.block[1](raw) + raw if bright else net.block[1](raw))
    return maps


def keyed_by_the_batch(net: Blocks, images: Tensor) -> Tensor:
    raw = net.block[0](images)
    maps: Tensor = net.deep(net.block[1](raw) + raw if {10: True}.get(images.shape[0]) else net.block[1](raw))
    return maps


USES = [
    *(usual, skip, slices, loop, gated, reads_the_kernel, reads_the_norm, padded_in_training, norm_in_evaluation),
    *(norm_frozen_later, by_its_class, twice, reads_the_kernel_later, takes_the_raw_maps_later),
    *(reads_the_kernel_at_random, stochastic_depth, drops_values_of_maps, adds_noise_to_maps),
    *(without_gradients_otherwise, views, recomputes, differentiates_twice, writes_on_its_input),
    *(constrains_its_kernels, hides_that_it_branches, asks_for_a_tensor, keyed_by_the_batch),
]


def train(build: Callable[[], nn.Module], execution: Execution) -> tuple[Tensor, Tensor]:
    """Return the losses of some steps, and the outputs in evaluation afterwards."""
    model = build()
    model = speed_up(model, SHAPE) if execution == "fast" else model
    optimizer = make_optimizer(model, 1e-3, execution)
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.rand(160, *SHAPE, generator=generator), torch.arange(160) % 10
    losses = []
    for step, (batch, targets) in enumerate(zip(images.split(10), labels.split(10), strict=True)):
        with seeded_generators(step):
            losses.append(train_step(model.train(), optimizer, batch.clone(), targets))
    with torch.no_grad():
        return torch.stack(losses), model.eval()(images.clone())


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_fast_trains_what_plain_trains(use: Callable[[Blocks, Tensor], Tensor]) -> None:
    (plain, expected), (fast, found) = train(lambda: Blocks(use), "plain"), train(lambda: Blocks(use), "fast")

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
        expected = model.eval()(images.clone())

        found = speed_up_inference(model, SHAPE)(images.clone())

    assert torch.allclose(expected, found, rtol=1e-3, atol=1e-4)


def scales(net: Blocks, images: Tensor) -> Tensor:
    return usual(net, images) * 3


def leaves_the_norm_out(net: Blocks, images: Tensor) -> Tensor:
    maps: Tensor = net.block[0](images)
    return maps


@pytest.mark.parametrize("way", [scales, leaves_the_norm_out, skip], ids=lambda way: way.__name__)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference_mode"])
def test_a_net_that_asks_for_its_mode_is_timed_as_it_is(
    mode: Callable[[], contextlib.AbstractContextManager[None]], way: Callable[[Blocks, Tensor], Tensor]
) -> None:
    def use(net: Blocks, images: Tensor) -> Tensor:
        return way(net, images) if torch.is_inference_mode_enabled() else usual(net, images)

    model, images = Blocks(use), torch.rand(5, *SHAPE)
    with mode():
        expected = model.eval()(images)

        found = speed_up_inference(model, SHAPE)(images)

    assert torch.allclose(expected, found, rtol=1e-3, atol=1e-4)


def closes_over_itself(net: Blocks) -> None:
    net.use = lambda _, images: functional.dropout(net.deep(net.block(images)), 0.5, net.training)


def is_weakly_known(net: Blocks) -> None:
    itself = weakref.ref(net)
    net.use = lambda _, images: itself().deep(net.block(images))  # type: ignore[union-attr] # it is alive


def has_a_lock(net: Blocks) -> None:
    net.lock = threading.Lock()


def has_a_hook(net: Blocks) -> None:
    net.deep[0].register_forward_hook(lambda _, __, maps: maps * 2)


def hooks_on_to_what_accumulates(net: Blocks) -> None:
    weight = net.get_parameter("deep.0.weight")
    ((node, _),) = weight.expand_as(weight).grad_fn.next_functions  # type: ignore[union-attr] # as libraries did
    assert node is not None
    node.register_prehook(lambda gradients: gradients)
    net.lock = node


NOT_COPIED = [closes_over_itself, is_weakly_known, has_a_lock, has_a_hook, hooks_on_to_what_accumulates]


@pytest.mark.parametrize("change", NOT_COPIED)
def test_a_net_that_cannot_be_copied_whole_stays_as_it_is(change: Callable[[Blocks], None]) -> None:
    net = Blocks(usual)
    change(net)
    layers = [*net.modules()]

    assert find_objection(net, SHAPE)
    assert [*speed_up(net, SHAPE).modules()] == layers


class Odd(nn.Module):
    """A network with a weight that is no matrix of single precision."""

    def __init__(self, size: tuple[int, ...], dtype: torch.dtype, apply: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.odd, self.apply_odd = nn.Parameter(torch.randn(size, dtype=dtype).mT), apply
        self.body, self.head = nn.Conv2d(1, 16, 3, 2, 1), nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.body(self.apply_odd(images, self.odd)).relu()
        logits: Tensor = self.head(maps.mean((2, 3)))
        return logits


def filters(images: Tensor, odd: Tensor) -> Tensor:
    filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(images) * odd, s=(8, 8))
    return filtered.to(images.dtype)


@pytest.mark.parametrize(
    ("size", "dtype", "apply"),
    [
        ((5, 8), torch.complex64, filters),
        ((1, 1, 1, 8, 8), torch.float32, lambda images, odd: images * odd[0]),
        ((8, 8), torch.bfloat16, lambda images, odd: images * odd),
        ((0, 8), torch.float32, lambda images, odd: images + odd.sum()),
        ((4, 8), torch.float32, lambda images, odd: images * odd.repeat(1, 2)),
    ],
    ids=["complex", "five axes", "bfloat16", "empty", "transposed"],
)
def test_an_odd_weight_is_trained_as_plain_trains_it(
    size: tuple[int, ...], dtype: torch.dtype, apply: Callable[[Tensor, Tensor], Tensor]
) -> None:
    build = partial(Odd, size, dtype, apply)

    (plain, expected), (fast, found) = train(build, "plain"), train(build, "fast")

    assert not find_objection(build(), SHAPE)
    assert torch.allclose(plain, fast, rtol=1e-3)
    assert float((expected - found).abs().max() / expected.abs().max()) < 0.01


def test_the_guard_finds_a_model_that_trains_otherwise() -> None:
    model, other = Blocks(usual), Blocks(usual)
    other.block[1] = nn.BatchNorm2d(16, momentum=0.5)

    assert find_difference(model, Blocks(usual), SHAPE) == ""
    assert find_difference(model, other, SHAPE) == "its losses or outputs differ in float64"


@pytest.mark.parametrize("use", [usual, drops_values_of_maps, views, writes_on_its_input], ids=lambda use: use.__name__)
def test_an_everyday_net_is_rewritten(use: Callable[[Blocks, Tensor], Tensor]) -> None:
    kinds = {type(layer).__name__ for layer in speed_up(Blocks(use), SHAPE).modules()}

    assert kinds >= {"NormedConvolution", "ChannelsLast", "Linear", "Dropout"}


def test_a_rewritten_convolution_refuses_maps_of_another_size() -> None:
    layers = [nn.Conv2d(channels, 4, 3, 2, 1) for channels in (1, 4, 4, 4)]  # the last one meets a single pixel
    model = rewrite(nn.Sequential(*layers), SHAPE)

    with pytest.raises(RuntimeError, match=r"rewritten for maps of . x . was given . x ."):
        model(torch.rand(2, 1, 16, 16))
