"""Layers replaced for speed, in place: the same function and gradients, to rounding, for images of one shape."""

from itertools import pairwise
from typing import Final, TypeGuard

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from fashionbench.execution.layers import ChannelsLast, NormedConvolution
from fashionbench.execution.onednn import Linear, Product
from fashionbench.models.taps import Taps, crop_convolutions, is_exactly

__all__ = [
    "fold_batch_norm",
    "norm_by_patches",
    "pool_before_relu",
    "rewrite_convolutions",
    "rewrite_linear",
]

_FEW_TAPS: Final = 32
"""Of a kernel, over all its channels: a 3 x 3 kernel over three colours has 27."""


def rewrite_convolutions(model: nn.Module, shape: tuple[int, int, int]) -> None:
    """Replace each convolution, in place, by one with only the kernel taps that meet data.

    A tap that only ever meets zero padding adds nothing to the output and has a zero gradient, so that Adam without
    weight decay leaves it at its initial value: leaving it out is the same function, for images of this shape only.
    What remains is a matrix product where every output pixel sees the whole window, and elsewhere a convolution in
    channels-last order.

    Args:
        model: The model, on the CPU.
        shape: Channels, height and width of its images.

    """
    for crop in crop_convolutions(model, shape):
        if crop.rows is None or crop.columns is None:
            crop.convolution.to(memory_format=torch.contiguous_format)  # in channels-last order oneDNN crashes on it
        else:
            _replace(model, crop.name, _rewrite(crop.convolution, crop.rows, crop.columns))


def rewrite_linear(model: nn.Module) -> None:
    """Let each linear layer multiply by oneDNN, in place, with its own weight and bias."""
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if is_exactly(layer, nn.Linear):
                ours = Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
                ours.weight, ours.bias = layer.weight, layer.bias
                setattr(parent, name, ours)


def norm_by_patches(model: nn.Module) -> None:
    """Where a sequence has a convolution of few taps and then its batch norm, let both be one convolution, in place.

    With so few, as a first one has, the covariance of its patches costs less than the norm's passes over the map.
    """
    for sequence in model.modules():
        if type(sequence) is nn.Sequential:
            for place, (convolution, norm) in enumerate(pairwise(sequence)):
                if _has_few_taps(convolution) and _is_usual(norm):
                    sequence[place] = NormedConvolution(convolution, norm)
                    sequence[place + 1] = nn.Identity()  # so that the layers after it keep their places


def _has_few_taps(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (
        (is_exactly(layer, nn.Conv2d) or is_exactly(layer, ChannelsLast))
        and layer.weight[0].numel() <= min(_FEW_TAPS, layer.out_channels)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


def _is_usual(layer: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    """Whether it is a batch norm that trains, with weight, bias and running statistics of a fixed momentum."""
    return (
        is_exactly(layer, nn.BatchNorm2d)
        and layer.affine
        and layer.bias is not None
        and layer.track_running_stats
        and layer.momentum is not None
        and layer.training
    )


def _is_maximum(layer: nn.Module | None) -> TypeGuard[nn.MaxPool2d]:
    return is_exactly(layer, nn.MaxPool2d) and not layer.return_indices


def pool_before_relu(model: nn.Module) -> None:
    """Where a sequence takes ReLU and then the maximum, take the maximum first, in place: ReLU then has less to do.

    And it writes over the maxima, which nothing else needs.
    """
    for sequence in model.modules():
        if type(sequence) is nn.Sequential:
            for place in range(len(sequence) - 1):
                first, second = sequence[place], sequence[place + 1]
                if is_exactly(first, nn.ReLU) and _is_maximum(second):
                    sequence[place], sequence[place + 1] = second, nn.ReLU(inplace=True)


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """Return a model in evaluation mode whose batch norms are folded into the convolutions before them.

    A model that torch.fx cannot trace, or that someone has hooked on to, keeps its norms: ``fuse`` overlooks hooks.
    """
    model.eval()
    if not all(is_exactly(layer, type(layer)) for layer in model.modules()):
        return model
    try:
        folded: nn.Module = fuse(model)
    except Exception:  # noqa: BLE001 - whatever a model's own code raises when it is traced with symbols
        return model
    return folded


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, layer)


def _rewrite(convolution: nn.Conv2d, rows: Taps, columns: Taps) -> nn.Module:
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
