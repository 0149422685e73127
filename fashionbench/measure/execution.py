"""How steps are carried out without changing what is computed: cropped kernels, kept memory, one fused update."""

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.utils.flop_counter import FlopCounterMode

from fashionbench.record import ModelInfo

__all__ = ["EXECUTIONS", "Execution", "crop_kernels", "describe_model", "keep_memory", "make_optimizer", "speed_up"]

Execution = Literal["fast", "plain"]
EXECUTIONS: Final[tuple[Execution, ...]] = ("fast", "plain")


_MALLOC_PARAMETERS: Final = (
    (-1, 2**31 - 1),  # M_TRIM_THRESHOLD
    (-2, 256 * 1024**2),  # M_TOP_PAD
    (-3, 32 * 1024**2),  # M_MMAP_THRESHOLD, of which 32 MiB is the most
)
"""Of mallopt(3): the parameter's number in malloc.h, and bytes."""


@dataclass(frozen=True, slots=True)
class _Taps:
    """The reachable part of a kernel along one axis, and the padding that keeps its output where it was."""

    first: int
    last: int
    before: int
    """Padding before the data; negative where the image itself is cropped."""
    after: int
    even: bool
    """Whether ``before`` on both sides gives the same output, as a convolution's own padding does."""


def speed_up(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """Rewrite a model in place for speed, computing the same function and gradients to rounding.

    Args:
        model: The model, on the CPU.
        shape: Channels, height and width of its images.

    """
    crop_kernels(model, shape)
    model.to(memory_format=torch.channels_last)
    return model


def keep_memory() -> None:
    """Let glibc keep freed memory for the next step, for the rest of this process.

    By default each step's large buffers are mapped anew and every page of them faults: half of a FashionCNN step.
    Elsewhere than under glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in _MALLOC_PARAMETERS:
            mallopt(parameter, value)


def crop_kernels(model: nn.Module, shape: tuple[int, int, int]) -> int:
    """Crop each convolution, in place, to the kernel taps that meet data; return the number of weights left out.

    A tap that only ever meets zero padding adds nothing to the output and has a zero gradient, so that Adam without
    weight decay leaves it at its initial value: leaving it out is the same function, for images of this shape only.

    Args:
        model: The model, on the CPU.
        shape: Channels, height and width of its images.

    """
    left_out = 0
    for name, (convolution, sizes) in _convolution_inputs(model, shape).items():
        if len(sizes) != 1 or convolution.padding_mode != "zeros" or isinstance(convolution.padding, str):
            continue
        ((height, width),) = sizes
        cropped = _crop(convolution, _reachable_taps(convolution, height, 0), _reachable_taps(convolution, width, 1))
        saved = sum(weight.numel() for weight in convolution.parameters()) - sum(
            weight.numel() for weight in cropped.parameters()
        )
        if saved:
            left_out += saved
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, cropped)
    return left_out


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
    return ModelInfo(
        parameters=parameters,
        reachable_parameters=parameters - crop_kernels(model, shape),
        forward_flops=forward.get_total_flops(),
        training_flops=training.get_total_flops(),
    )


def make_optimizer(model: nn.Module, learning_rate: float, execution: Execution) -> Adam:
    """Return Adam with PyTorch's defaults; the fast execution updates all weights in one fused kernel."""
    return Adam(model.parameters(), lr=learning_rate, fused=True if execution == "fast" else None)


def _convolution_inputs(
    model: nn.Module, shape: tuple[int, int, int]
) -> dict[str, tuple[nn.Conv2d, set[tuple[int, int]]]]:
    """Return each convolution by name with the heights and widths that it is given."""
    found: dict[str, tuple[nn.Conv2d, set[tuple[int, int]]]] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            sizes: set[tuple[int, int]] = set()
            found[name] = (module, sizes)

            def note(_: nn.Module, inputs: tuple[Tensor], sizes: set[tuple[int, int]] = sizes) -> None:
                sizes.add((inputs[0].shape[-2], inputs[0].shape[-1]))

            hooks.append(module.register_forward_pre_hook(note))
    was_training = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, *shape))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return found


def _reachable_taps(convolution: nn.Conv2d, size: int, axis: int) -> _Taps:
    kernel, stride, dilation = (
        convolution.kernel_size[axis],
        convolution.stride[axis],
        convolution.dilation[axis],
    )
    padding = int(convolution.padding[axis])
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    met = [
        tap
        for tap in range(kernel)
        if any(0 <= output * stride - padding + tap * dilation < size for output in range(outputs))
    ] or [*range(kernel)]
    first, last = met[0], met[-1]
    before = padding - first * dilation
    extent = dilation * (last - first) + 1
    return _Taps(
        first=first,
        last=last,
        before=before,
        after=(outputs - 1) * stride + extent - size - before,
        even=before >= 0 and (size + 2 * before - extent) // stride + 1 == outputs,
    )


def _crop(convolution: nn.Conv2d, rows: _Taps, columns: _Taps) -> nn.Module:
    even = rows.even and columns.even
    kernel = convolution.weight.detach()[:, :, rows.first : rows.last + 1, columns.first : columns.last + 1]
    cropped = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        (kernel.shape[2], kernel.shape[3]),
        stride=(convolution.stride[0], convolution.stride[1]),
        padding=(rows.before, columns.before) if even else 0,
        dilation=(convolution.dilation[0], convolution.dilation[1]),
        groups=convolution.groups,
        bias=convolution.bias is not None,
        device="meta",
    )
    cropped.weight = nn.Parameter(kernel.clone(memory_format=torch.contiguous_format))
    cropped.bias = convolution.bias
    if even:
        return cropped
    return nn.Sequential(nn.ZeroPad2d((columns.before, columns.after, rows.before, rows.after)), cropped)
