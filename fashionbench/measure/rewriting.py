"""Layers written anew for speed, in place: the same function and gradients, to rounding, for images of one shape."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeGuard, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from fashionbench.measure.layers import ChannelsLast, Dropout, NormedConvolution
from fashionbench.measure.products import Linear, Product

__all__ = [
    "fold_batch_norm",
    "norm_by_patches",
    "pool_before_relu",
    "rewrite_convolutions",
    "rewrite_dropout",
    "rewrite_linear",
]

_Layer = TypeVar("_Layer", bound=nn.Module)

_FEW_TAPS: Final = 32
"""Of a kernel, over all its channels: a 3 x 3 kernel over three colours has 27."""


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
    window: slice
    """The inputs that the kernel sees."""
    each: list[slice]
    """For each output the taps that meet the window, where it sees all of it; else empty."""


def rewrite_convolutions(model: nn.Module, shape: tuple[int, int, int]) -> int:
    """Write each convolution anew, in place, with the kernel taps that meet data only; return the weights left out.

    A tap that only ever meets zero padding adds nothing to the output and has a zero gradient, so that Adam without
    weight decay leaves it at its initial value: leaving it out is the same function, for images of this shape only.
    What remains is a matrix product where every output pixel sees the whole window, and elsewhere a convolution in
    channels-last order.

    Args:
        model: The model, on the CPU.
        shape: Channels, height and width of its images.

    """
    left_out, owners = 0, _owners(model)
    for name, sizes in _sizes_met(model, shape).items():
        convolution = cast("nn.Conv2d", model.get_submodule(name))
        if (
            len(sizes) != 1
            or convolution.padding_mode != "zeros"
            or isinstance(convolution.padding, str)
            or any(owners[id(each)] > 1 or each._backward_hooks for each in convolution.parameters())  # noqa: SLF001 - no public name
        ):
            continue
        ((height, width),) = sizes
        rows, columns = _reachable_taps(convolution, height, 0), _reachable_taps(convolution, width, 1)
        if rows is None or columns is None:
            convolution.to(memory_format=torch.contiguous_format)  # in channels-last order oneDNN crashes on it
            continue
        rewritten = _rewrite(convolution, rows, columns)
        left_out += _count(convolution) - _count(rewritten)
        _replace(model, name, rewritten)
    return left_out


def rewrite_linear(model: nn.Module) -> None:
    """Let each linear layer multiply by oneDNN, in place, with its own weight and bias."""
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if _is(layer, nn.Linear):
                ours = Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
                ours.weight, ours.bias = layer.weight, layer.bias
                setattr(parent, name, ours)


def rewrite_dropout(model: nn.Module) -> None:
    """Let each dropout draw fewer numbers, in place."""
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if _is(layer, nn.Dropout) and not layer.inplace:
                setattr(parent, name, Dropout(layer.p).train(layer.training))


def norm_by_patches(model: nn.Module) -> None:
    """Where a sequence has a convolution of few taps and then its batch norm, let both be one convolution, in place.

    With so few, as a first one has, the covariance of its patches costs less than the norm's passes over the map. A
    maximum that comes next is taken in as well.
    """
    for sequence in model.modules():
        if type(sequence) is nn.Sequential:
            for place, (convolution, norm) in enumerate(pairwise(sequence)):
                if _has_few_taps(convolution) and _is_usual(norm):
                    after = sequence[place + 2] if place + 2 < len(sequence) else None
                    pool = after if _is_maximum(after) else None
                    sequence[place] = NormedConvolution(convolution, norm, pool)
                    for taken in range(place + 1, place + 2 + (pool is not None)):
                        sequence[taken] = nn.Identity()  # so that the layers after it keep their places


def _has_few_taps(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (
        (_is(layer, nn.Conv2d) or _is(layer, ChannelsLast))
        and layer.weight[0].numel() <= min(_FEW_TAPS, layer.out_channels)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


def _is_usual(layer: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    """Whether it is a batch norm that trains, with weight, bias and running statistics of a fixed momentum."""
    return (
        _is(layer, nn.BatchNorm2d)
        and layer.affine
        and layer.bias is not None
        and layer.track_running_stats
        and layer.momentum is not None
        and layer.training
    )


def _is_maximum(layer: nn.Module | None) -> TypeGuard[nn.MaxPool2d]:
    return _is(layer, nn.MaxPool2d) and not layer.return_indices


def _is(layer: nn.Module | None, kind: type[_Layer]) -> TypeGuard[_Layer]:
    """Whether a layer computes what is known of its kind: it is that very class, and nobody has hooked on to it."""
    return type(layer) is kind and not any(
        getattr(layer, f"_{hooks}hooks") for hooks in ("forward_", "forward_pre_", "backward_", "backward_pre_")
    )


def pool_before_relu(model: nn.Module) -> None:
    """Where a sequence takes ReLU and then the maximum, take the maximum first, in place: ReLU then has less to do.

    And it writes over the maxima, which nothing else needs.
    """
    for sequence in model.modules():
        if type(sequence) is nn.Sequential:
            for place in range(len(sequence) - 1):
                first, second = sequence[place], sequence[place + 1]
                if _is(first, nn.ReLU) and _is_maximum(second):
                    sequence[place], sequence[place + 1] = second, nn.ReLU(inplace=True)


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """Return a model in evaluation mode whose batch norms are folded into the convolutions before them.

    A model that torch.fx cannot trace, or that someone has hooked on to, keeps its norms: ``fuse`` overlooks hooks.
    """
    model.eval()
    if not all(_is(layer, type(layer)) for layer in model.modules()):
        return model
    try:
        folded: nn.Module = fuse(model)
    except Exception:  # noqa: BLE001 - whatever a model's own code raises when it is traced with symbols
        return model
    return folded


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, layer)


def _owners(model: nn.Module) -> Counter[int]:
    """Count the places where each parameter, by its id, stands."""
    return Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))


def _sizes_met(model: nn.Module, shape: tuple[int, int, int]) -> dict[str, set[tuple[int, int]]]:
    """Return for each convolution, by name, the heights and widths of the maps that it is given."""
    met: dict[str, set[tuple[int, int]]] = {}
    hooks = []
    for name, layer in model.named_modules():
        if _is(layer, nn.Conv2d):
            sizes = met[name] = set[tuple[int, int]]()

            def note(_: nn.Module, given: tuple[Tensor, ...], sizes: set[tuple[int, int]] = sizes) -> None:
                sizes.update((images.shape[-2], images.shape[-1]) for images in given)  # none where it comes by name

            hooks.append(layer.register_forward_pre_hook(note))
    if not hooks:
        return {}
    was_training = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, *shape))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return met


def _reachable_taps(convolution: nn.Conv2d, size: int, axis: int) -> _Taps | None:
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
    return _Taps(
        first=first,
        last=last,
        before=before,
        after=after,
        even=before >= 0 and (size + 2 * before - extent) // stride + 1 == outputs,
        window=window,
        each=each if whole else [],
    )


def _rewrite(convolution: nn.Conv2d, rows: _Taps, columns: _Taps) -> nn.Module:
    kernel = convolution.weight.detach()[:, :, rows.first : rows.last + 1, columns.first : columns.last + 1]
    if rows.each and columns.each and convolution.groups == 1:
        product = Product(kernel, convolution.bias, (rows.window, columns.window), (rows.each, columns.each))
        product.weight.requires_grad = convolution.weight.requires_grad
        return product
    even = rows.even and columns.even
    ours = kernel.shape[1] > 1  # with a single channel the two orders are one, and torch asks its strides which it is
    rewritten = (ChannelsLast if ours else nn.Conv2d)(
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
    rewritten.weight = nn.Parameter(
        kernel.permute(0, 2, 3, 1).contiguous() if ours else kernel.clone(memory_format=torch.channels_last),
        requires_grad=convolution.weight.requires_grad,
    )
    rewritten.bias = convolution.bias
    if even:
        return rewritten
    return nn.Sequential(nn.ZeroPad2d((columns.before, columns.after, rows.before, rows.after)), rewritten)
