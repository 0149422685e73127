"""The size of a model: parameters, layers, activations, floating-point operations; and which images it fits."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fashionbench.data.dataset import Task
from fashionbench.errors import InputError, describe_error, visible
from fashionbench.models.analysis.taps import crop_convolutions
from fashionbench.models.baselines import BASELINES, Baseline
from fashionbench.models.inspection import count_trained, gives_probabilities
from fashionbench.models.randomness import seeded_generators
from fashionbench.models.registry import Builder, build_model, describe_building, find_builder, network_names
from fashionbench.records.record import ModelInfo

__all__ = ["Fit", "describe", "describe_network", "find_fit", "list_fits"]

LISTED_CLASSES: Final = 10
"""Of the networks in a list of models; their last layer depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Whether a network maps images of a shape to logits, and its size there."""

    parameters: int = 0
    layers: int = 0
    """Convolutions and linear layers."""
    forward_flops: int = 0
    """For one image."""
    misfit: str = ""
    """Why it does not fit; empty where it does."""


def describe(name: str, task: Task, model: nn.Module, build: Callable[[], nn.Module] | None = None) -> ModelInfo:
    """Return the size of a model, and the floating-point operations (FLOP) that one image costs.

    Args:
        name: The model's name in the registry.
        task: The images' shape and the number of classes.
        model: The model at hand. Only a classical baseline is read from it: its size depends on what it learned.
        build: Builds the network again, as it is before it is rewritten for speed; None: by its name alone.

    """
    if isinstance(model, Baseline):
        size = model.size
        return ModelInfo(parameters=size, reachable_parameters=size, forward_flops=0, training_flops=0, layers=0)
    build = build or partial(build_model, name, task, seed=0)
    network = build()
    odd = {
        "trained_parameters": count_trained(network),
        "gives_probabilities": gives_probabilities(network, task),
        "built": visible(describe_building(name, task)),
    }
    return describe_network(build(), task.shape).model_copy(update=odd)


def describe_network(network: nn.Module, shape: tuple[int, int, int]) -> ModelInfo:
    """Return a network's size and its FLOP for one image of a shape (channels, height, width).

    PyTorch's FlopCounterMode counts them, a multiplication and an addition as two. The *useful* ones leave out
    products with a convolution's zero padding.
    """
    network.eval()
    image = torch.zeros(1, *shape)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        network(image)
    with FlopCounterMode(display=False) as training:
        network(image).sum().backward()
    with FlopCounterMode(display=False, custom_mapping=USEFUL) as useful_forward, torch.no_grad():
        activations = _count_outputs(network, image)
    with FlopCounterMode(display=False, custom_mapping=USEFUL) as useful_training:
        network(image).sum().backward()
    return ModelInfo(
        parameters=parameters,
        layers=_count_layers(network),
        activations=activations,
        useful_forward_flops=useful_forward.get_total_flops(),
        useful_training_flops=useful_training.get_total_flops(),
        reachable_parameters=parameters - sum(each.left_out for each in crop_convolutions(network, shape)),
        forward_flops=forward.get_total_flops(),
        training_flops=training.get_total_flops(),
    )


def find_fit(name: str, task: Task) -> Fit:
    """Return whether a network fits a task, in training and in evaluation.

    It is built and called without memory for its numbers (PyTorch's device ``meta``), which takes a fraction of a
    second for networks of any size. One that cannot be built so is built on the CPU.

    Raises:
        FashionBenchError: There is no such model.

    """
    if name in BASELINES:
        raise InputError(
            f"model {name!r} is a classical baseline",
            expected="a network",
            remedy="leave it out: baselines take images of any shape",
        )
    build = find_builder(name)
    for device in ("meta", "cpu"):  # what reads a number, as a value decides its way, needs one that has numbers
        try:
            return _try_network(build, task, device)
        except Exception as error:  # whatever a network raises on images that it is not made for
            failure = error
    return Fit(misfit=describe_error(failure))


def list_fits(
    names: Sequence[str], shapes: Sequence[tuple[int, int, int]], find: Callable[[str, Task], Fit] = find_fit
) -> Iterator[str]:
    """Yield the lines of a table of networks, as Markdown: layers, parameters, and what an image of a shape costs.

    Args:
        names: Of the networks; empty: all but those of timm.
        shapes: Channels, height and width; a column for each.
        find: Returns whether a network fits.

    Raises:
        FashionBenchError: There is no such network.

    """
    names = names or network_names()
    width = max(map(len, names))
    reasons: dict[str, int] = {}
    head = [f"{'model':{width}}", "layers", " parameters", *(f"{'x'.join(map(str, shape)):>11}" for shape in shapes)]
    yield f"| {' | '.join(head)} |"
    yield f"| :{'-' * (width - 1)} | {' | '.join('-' * (len(each) - 1) + ':' for each in head[1:])} |"
    for name in names:
        fits = [find(name, Task(shape=shape, classes=LISTED_CLASSES)) for shape in shapes]
        size = next((fit for fit in fits if not fit.misfit), None)
        cells = [
            f"no ({reasons.setdefault(fit.misfit, len(reasons) + 1)})"
            if fit.misfit
            else f"{fit.forward_flops / 1e6:,.1f}"
            for fit in fits
        ]
        counts = [f"{size.layers:6}", f"{size.parameters:11,}"] if size else [f"{'–':>6}", f"{'–':>11}"]
        yield f"| {name:{width}} | {' | '.join([*counts, *(f'{cell:>11}' for cell in cells)])} |"
    yield ""
    yield (
        "MFLOP of the forward pass of one image, by its shape, operations on zero padding included; "
        f"{LISTED_CLASSES} classes."
    )
    yield from (f"({number}) {reason}" for reason, number in reasons.items())


def _try_network(build: Builder, task: Task, device: str) -> Fit:
    with torch.device(device), seeded_generators(0), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of initial values that are not drawn
        network, images = build(task.shape, task.classes), torch.zeros(2, *task.shape)
        network.train()(images)
        with FlopCounterMode(display=False) as forward:
            logits = network.eval()(images[:1])
    if not isinstance(logits, Tensor) or logits.shape != (1, task.classes):
        return Fit(misfit=f"gives {tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__}")
    return Fit(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        layers=_count_layers(network),
        forward_flops=forward.get_total_flops(),
    )


def _count_layers(network: nn.Module) -> int:
    return sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in network.modules())


def _pairs(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Count along one axis the pairs of output pixel and kernel tap that meet an image's pixel, not padding."""
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return sum(
        0 <= output * stride - padding + tap * dilation < size for output in range(outputs) for tap in range(kernel)
    )


def _useful_flops(
    images: torch.Size, kernel: torch.Size, stride: list[int], padding: list[int], dilation: list[int]
) -> int:
    rows, columns = (_pairs(images[2 + i], kernel[2 + i], stride[i], padding[i], dilation[i]) for i in (0, 1))
    return 2 * images[0] * kernel[0] * kernel[1] * rows * columns


def _useful_forward_flops(
    images: torch.Size,
    kernel: torch.Size,
    _bias: object,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    *_: object,
    **__: object,
) -> int:
    return _useful_flops(images, kernel, stride, padding, dilation)


def _useful_backward_flops(
    _gradient: torch.Size,
    images: torch.Size,
    kernel: torch.Size,
    _bias: object,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    *others: object,
    **__: object,
) -> int:
    wanted = cast("list[bool]", others[-1])  # aten::convolution_backward's output_mask: images, kernel, bias
    return sum(wanted[:2]) * _useful_flops(images, kernel, stride, padding, dilation)


USEFUL: Final = {
    torch.ops.aten.convolution: _useful_forward_flops,
    torch.ops.aten.convolution_backward: _useful_backward_flops,
}
"""For FlopCounterMode: a convolution's operations without those on zero padding."""


def _count_outputs(model: nn.Module, image: Tensor) -> int:
    """Run a model and count the numbers that its innermost modules return."""
    counts: list[int] = []

    def count(_: nn.Module, __: object, output: object) -> None:
        counts.append(output.numel() if isinstance(output, Tensor) else 0)

    hooks = [module.register_forward_hook(count) for module in model.modules() if not [*module.children()]]
    model(image)
    for hook in hooks:
        hook.remove()
    return sum(counts)
