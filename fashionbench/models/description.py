"""What a model is, whatever it learned: parameters, operations, layers, activations."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fashionbench.models.taps import crop_convolutions
from fashionbench.records.record import ModelInfo

__all__ = ["describe_model"]


def _pairs(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Count along one axis the pairs of output and tap that meet data."""
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


def _useful_backward_flops(  # noqa: PLR0913, PLR0917 - aten::convolution_backward's arguments
    _gradient: torch.Size,
    images: torch.Size,
    kernel: torch.Size,
    _bias: object,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    _transposed: bool,  # noqa: FBT001 - the same
    _output_padding: list[int],
    _groups: int,
    wanted: list[bool],
    **__: object,
) -> int:
    return sum(wanted[:2]) * _useful_flops(images, kernel, stride, padding, dilation)


USEFUL: Final = {
    torch.ops.aten.convolution: _useful_forward_flops,
    torch.ops.aten.convolution_backward: _useful_backward_flops,
}
"""For FlopCounterMode: a convolution's operations without those on zero padding."""


def _count_outputs(model: nn.Module, image: Tensor) -> int:
    """Run a model and count the numbers that its innermost modules put out."""
    counts: list[int] = []

    def count(_: nn.Module, __: object, output: object) -> None:
        counts.append(output.numel() if isinstance(output, Tensor) else 0)

    hooks = [module.register_forward_hook(count) for module in model.modules() if not [*module.children()]]
    model(image)
    for hook in hooks:
        hook.remove()
    return sum(counts)


def describe_model(build: Callable[[], nn.Module], shape: tuple[int, int, int]) -> ModelInfo:
    """Count a model's parameters and floating-point operations for one image (torch's FlopCounterMode).

    Args:
        build: Makes the model anew, as it is defined (not sped up).
        shape: Channels, height and width of its images.

    """
    model = build().eval()
    image = torch.zeros(1, *shape)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    reachable = parameters - sum(each.left_out for each in crop_convolutions(model, shape))
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        model(image)
    with FlopCounterMode(display=False) as training:
        model(image).sum().backward()
    with FlopCounterMode(display=False, custom_mapping=USEFUL) as useful_forward, torch.no_grad():
        activations = _count_outputs(model, image)
    with FlopCounterMode(display=False, custom_mapping=USEFUL) as useful_training:
        model(image).sum().backward()
    return ModelInfo(
        parameters=parameters,
        layers=sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in model.modules()),
        activations=activations,
        useful_forward_flops=useful_forward.get_total_flops(),
        useful_training_flops=useful_training.get_total_flops(),
        reachable_parameters=reachable,
        forward_flops=forward.get_total_flops(),
        training_flops=training.get_total_flops(),
    )
