"""How steps are carried out without changing what is computed: layers written anew, kept memory, one fused update."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, get_args

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.utils.flop_counter import FlopCounterMode

from fashionbench.measure.rewriting import (
    fold_batch_norm,
    norm_by_patches,
    pool_before_relu,
    rewrite_convolutions,
    rewrite_dropout,
    rewrite_linear,
)
from fashionbench.record import Execution, ModelInfo, Precision

__all__ = [
    "EXECUTIONS",
    "PRECISIONS",
    "arithmetic",
    "describe_model",
    "keep_memory",
    "make_optimizer",
    "speed_up",
    "speed_up_inference",
]

EXECUTIONS: Final[tuple[Execution, ...]] = get_args(Execution)
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)

_MALLOC_PARAMETERS: Final = (
    (-1, 2**31 - 1),  # M_TRIM_THRESHOLD
    (-2, 256 * 1024**2),  # M_TOP_PAD
    (-3, 32 * 1024**2),  # M_MMAP_THRESHOLD, of which 32 MiB is the most
)
"""Of mallopt(3): the parameter's number in malloc.h, and bytes."""


def speed_up(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """Rewrite a model in place for speed, computing the same function and gradients to rounding.

    Args:
        model: The model, on the CPU.
        shape: Channels, height and width of its images.

    """
    model.to(memory_format=torch.channels_last)
    pool_before_relu(model)
    rewrite_convolutions(model, shape)
    norm_by_patches(model)
    rewrite_linear(model)
    rewrite_dropout(model)
    return model


def speed_up_inference(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """Return a model, in evaluation mode, rewritten for speed: as ``speed_up``, with batch norms folded."""
    pool_before_relu(model)
    return speed_up(fold_batch_norm(model), shape).eval()


def keep_memory() -> None:
    """Let glibc keep freed memory for the next step, for the rest of this process.

    By default each step's large buffers are mapped anew and every page of them faults: half of a FashionCNN step.
    Elsewhere than under glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in _MALLOC_PARAMETERS:
            mallopt(parameter, value)


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
        reachable_parameters=parameters - rewrite_convolutions(model, shape),
        forward_flops=forward.get_total_flops(),
        training_flops=training.get_total_flops(),
    )


@contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute the block's forward pass in a precision; the backward pass follows it.

    On NVIDIA's devices fp32 is IEEE single in convolutions too, where PyTorch's own default is tf32.
    """
    if device.type == "cuda":
        single = "tf32" if precision == "tf32" else "ieee"
        torch.backends.cudnn.fp32_precision = single
        torch.backends.cuda.matmul.fp32_precision = single
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


def make_optimizer(model: nn.Module, learning_rate: float, execution: Execution) -> Adam:
    """Return Adam with PyTorch's defaults; the fast execution updates all weights in one fused kernel."""
    return Adam(model.parameters(), lr=learning_rate, fused=True if execution == "fast" else None)
