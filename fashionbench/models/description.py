"""The size of a model: parameters, layers, activations, floating-point operations."""

from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fashionbench.data.dataset import Task
from fashionbench.models.baselines import Baseline
from fashionbench.models.inspection import count_trained, gives_probabilities
from fashionbench.models.registry import build_model
from fashionbench.models.taps import crop_convolutions
from fashionbench.records.record import ModelInfo

__all__ = ["describe", "describe_network"]


def describe(name: str, task: Task, model: nn.Module) -> ModelInfo:
    """Return the size of a model, and the floating-point operations (FLOP) that one image costs.

    Args:
        name: The model's name in the registry. A network is built again from it, as its author wrote it: the one at
            hand may be rewritten for speed.
        task: The images' shape and the number of classes.
        model: The model at hand. Only a classical baseline is read from it: its size depends on what it learned.

    """
    if isinstance(model, Baseline):
        size = model.size
        return ModelInfo(parameters=size, reachable_parameters=size, forward_flops=0, training_flops=0, layers=0)
    network = build_model(name, task, seed=0)
    odd = {"trained_parameters": count_trained(network), "gives_probabilities": gives_probabilities(network, task)}
    return describe_network(build_model(name, task, seed=0), task.shape).model_copy(update=odd)


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
        layers=sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in network.modules()),
        activations=activations,
        useful_forward_flops=useful_forward.get_total_flops(),
        useful_training_flops=useful_training.get_total_flops(),
        reachable_parameters=parameters - sum(each.left_out for each in crop_convolutions(network, shape)),
        forward_flops=forward.get_total_flops(),
        training_flops=training.get_total_flops(),
    )


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
