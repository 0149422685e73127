"""Which taps of a convolution's kernel meet data, and not only zero padding, at one size of images."""

import copy
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TypeGuard, TypeVar, cast

import torch
from torch import Tensor, nn

from fashionbench.models.analysis.modes import SCORING, TRAINING

__all__ = ["Crop", "Taps", "crop_convolutions", "is_exactly", "memory_of"]

_Layer = TypeVar("_Layer", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Taps:
    """The reachable part of a kernel along one axis, and the padding that keeps its output where it was."""

    first: int
    last: int
    before: int
    """Padding before the data; negative where the image itself is cropped."""
    after: int
    even: bool
    """Whether ``before`` on both sides gives the same output, as a convolution's own padding does."""
    window: slice
    """The inputs that the kernel sees."""
    each: list[slice]
    """For each output the taps that meet the window, where it sees all of it; else empty."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A convolution, by its name in the model, and the taps of its kernel that meet data."""

    name: str
    convolution: nn.Conv2d
    size: tuple[int, int]
    """Height and width of the maps that it meets."""
    rows: Taps | None
    """None where no tap meets data."""
    columns: Taps | None

    @property
    def left_out(self) -> int:
        """How many weights never meet data; 0 where none does, as such a convolution is left alone."""
        if self.rows is None or self.columns is None:
            return 0
        height, width = self.convolution.kernel_size
        kept = (self.rows.last - self.rows.first + 1) * (self.columns.last - self.columns.first + 1)
        return self.convolution.weight.numel() // (height * width) * (height * width - kept)


def crop_convolutions(model: nn.Module, shape: tuple[int, int, int]) -> list[Crop]:
    """Return the convolutions whose unused taps may be left out for images of a shape (channels, height, width).

    They pad with zeros, meet maps of one size in training and in evaluation, and share no weight with another layer.
    Nobody has hooked on to their weights.
    """
    crops, owners = [], _count_owners(model)
    for name, sizes in _sizes_met(model, shape).items():
        convolution = cast("nn.Conv2d", model.get_submodule(name))
        if (
            len(sizes) != 1
            or convolution.padding_mode != "zeros"
            or isinstance(convolution.padding, str)
            or any(owners[memory_of(each)] > 1 or _has_hooks(each) for each in convolution.parameters())
        ):
            continue
        ((height, width),) = sizes
        rows, columns = _reachable_taps(convolution, height, 0), _reachable_taps(convolution, width, 1)
        crops.append(Crop(name, convolution, (height, width), rows, columns))
    return crops


def _has_hooks(parameter: nn.Parameter) -> bool:
    """Whether somebody has hooked on to a parameter; torch offers no public way to ask."""
    return any(getattr(parameter, name, None) for name in ("_backward_hooks", "_post_accumulate_grad_hooks"))


def _reachable_taps(convolution: nn.Conv2d, size: int, axis: int) -> Taps | None:
    """Return the taps that meet data along an axis of ``size`` pixels; None where none does."""
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
    ]
    if not met:
        return None
    first, last = met[0], met[-1]
    before = padding - first * dilation
    extent = dilation * (last - first) + 1
    after = (outputs - 1) * stride + extent - size - before
    window = slice(max(-before, 0), min((outputs - 1) * stride + extent - before, size))
    starts = [window.start - output * stride + before for output in range(outputs)]
    each = [slice(start, start + window.stop - window.start) for start in starts]
    whole = dilation == 1 and all(taps.start >= 0 and taps.stop <= last - first + 1 for taps in each)
    return Taps(
        first=first,
        last=last,
        before=before,
        after=after,
        even=before >= 0 and (size + 2 * before - extent) // stride + 1 == outputs,
        window=window,
        each=each if whole else [],
    )


def is_exactly(layer: nn.Module | None, kind: type[_Layer]) -> TypeGuard[_Layer]:
    """Whether a layer computes what is known of its kind: it is that very class, as it was, and nobody hooked on."""
    return (
        type(layer) is kind
        and "forward" not in vars(layer)
        and not any(
            getattr(layer, f"_{hooks}hooks") for hooks in ("forward_", "forward_pre_", "backward_", "backward_pre_")
        )
    )


def _sizes_met(model: nn.Module, shape: tuple[int, int, int]) -> dict[str, set[tuple[int, int]]]:
    """Return for each convolution, by name, the heights and widths of the maps that it is given.

    A copy runs, in training and in evaluation: a model may change with what it sees. Empty for a model that cannot be
    copied (weight_norm) or that takes no random images of the shape.
    """
    met: dict[str, set[tuple[int, int]]] = {}
    try:
        probe = copy.deepcopy(model).to(memory_format=torch.contiguous_format)  # the order in which nothing crashes
        for name, layer in probe.named_modules():
            if is_exactly(layer, nn.Conv2d):
                layer.register_forward_pre_hook(partial(_note_size, met.setdefault(name, set())))
        dtype = next((each.dtype for each in probe.parameters() if each.is_floating_point()), torch.float32)
        for mode in (TRAINING, SCORING):
            with mode.entered(), torch.random.fork_rng(devices=[]):
                probe.train(mode.training)(torch.rand(2, *shape).to(dtype))
    except Exception:  # whatever a model's own code raises
        return {}
    return met


def _note_size(sizes: set[tuple[int, int]], _: nn.Module, given: tuple[Tensor, ...]) -> None:
    sizes.update((images.shape[-2], images.shape[-1]) for images in given)  # none where it comes by name


def _count_owners(model: nn.Module) -> Counter[int]:
    """Count the places where each parameter, by its memory, stands."""
    return Counter(memory_of(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))


def memory_of(tensor: Tensor) -> int:
    """Return where a tensor's memory begins, which other tensors may share."""
    return tensor.untyped_storage().data_ptr()
