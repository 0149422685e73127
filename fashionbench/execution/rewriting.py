"""Layers replaced for speed, in place: the same function and gradients, to rounding, for images of one shape."""

from itertools import pairwise
from typing import Final, TypeGuard

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.nn.modules.batchnorm import _BatchNorm

from fashionbench.execution.layers import ChannelsLast, Dropout, Elementwise, NormedConvolution, SizeCheck
from fashionbench.execution.onednn import Linear, Pixelwise, Product
from fashionbench.models.analysis.dataflow import Dataflow
from fashionbench.models.analysis.modes import SCORING
from fashionbench.models.analysis.taps import Crop, Taps, crop_convolutions, is_exactly

__all__ = [
    "find_normed_places",
    "fold_batch_norm",
    "fuse_first_batch_norm",
    "pool_before_relu",
    "rewrite_convolutions",
    "rewrite_dropout",
    "rewrite_linear",
]

_FEW_PIXELS: Final = 4
"""Of a map: with so few, a convolution of single pixels takes longer than the product (docs/dev/execution.md)."""
_FEW_TAPS: Final = 9
"""Of a kernel, over all its channels: 27 taps, of a 3 x 3 kernel over three colours, gain nothing."""


def rewrite_convolutions(model: nn.Module, flow: Dataflow, shape: tuple[int, int, int]) -> None:
    """Replace convolutions, in place, by ones with only the kernel taps that meet data.

    A tap that only ever meets zero padding adds nothing to the output and has a zero gradient, so that Adam without
    weight decay leaves it at its initial value: leaving it out is the same function, for images of this shape only.
    What remains is a matrix product where every output pixel sees the whole window, and elsewhere a convolution in
    channels-last order. A convolution whose weight the model also reads by itself stays as it is.

    Args:
        model: The model, on the CPU.
        flow: How data flow through it.
        shape: Channels, height and width of its images.

    """
    for crop in crop_convolutions(model, shape):
        if crop.rows is None or crop.columns is None:
            crop.convolution.to(memory_format=torch.contiguous_format)  # in channels-last order oneDNN crashes on it
        elif flow.is_only_called(crop.convolution):
            _replace(model, crop.name, _rewrite(crop, crop.rows, crop.columns))


def rewrite_linear(model: nn.Module) -> None:
    """Let each linear layer multiply by oneDNN, in place.

    The layers change their class only, so that whoever refers to one still finds it, with whatever attributes it was
    given.
    """
    for layer in model.modules():
        if is_exactly(layer, nn.Linear):
            layer.__class__ = Linear


def rewrite_dropout(model: nn.Module) -> None:
    """Let dropout draw in the same order as before, in place, though maps are now in channels-last order."""
    for layer in model.modules():
        if is_exactly(layer, nn.Dropout):
            layer.__class__ = Dropout


def find_normed_places(model: nn.Module, flow: Dataflow) -> list[tuple[nn.Sequential, int]]:
    """Return sequences, and places in them, where a convolution of few taps feeds a batch norm and nothing else."""
    return [
        (sequence, place)
        for sequence in model.modules()
        if type(sequence) is nn.Sequential
        for place, (convolution, norm) in enumerate(pairwise([*sequence]))
        if _has_few_taps(convolution) and _is_trainable_batch_norm(norm) and flow.feeds_only(convolution, norm)
    ]


def fuse_first_batch_norm(places: list[tuple[nn.Sequential, int]]) -> None:
    """Let a convolution of few taps and its batch norm be one convolution, in place.

    With so few, as a first one has, the covariance of its patches costs less than the norm's passes over the map.
    """
    for sequence, place in places:
        convolution, norm = sequence[place], sequence[place + 1]
        if _has_few_taps(convolution) and _is_trainable_batch_norm(
            norm
        ):  # not so where it was rewritten as another kind
            normed = sequence[place] = NormedConvolution(convolution, norm)
            sequence[place + 1] = normed.placeholder  # keeps the places of the layers after it, and the norm's mode


def _has_few_taps(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (
        (is_exactly(layer, nn.Conv2d) or is_exactly(layer, ChannelsLast))
        and layer.weight[0].numel() <= min(_FEW_TAPS, layer.out_channels)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


def _is_trainable_batch_norm(layer: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    """Whether it is a batch norm that trains, with weight, bias and running statistics of a fixed momentum."""
    return (
        is_exactly(layer, nn.BatchNorm2d)
        and layer.affine
        and layer.bias is not None
        and layer.track_running_stats
        and layer.momentum is not None
        and layer.training
    )


def _is_max_pool(layer: nn.Module | None) -> TypeGuard[nn.MaxPool2d]:
    return is_exactly(layer, nn.MaxPool2d) and not layer.return_indices


def pool_before_relu(model: nn.Module, flow: Dataflow) -> None:
    """Where a ReLU feeds a maximum and nothing else, take the maximum first, in place: ReLU then has less to do.

    And it writes over the maxima, which nothing else needs.
    """
    for sequence in model.modules():
        if type(sequence) is nn.Sequential:
            for place, (first, second) in enumerate(pairwise([*sequence])):
                if is_exactly(first, nn.ReLU) and _is_max_pool(second) and flow.feeds_only(first, second):
                    sequence[place], sequence[place + 1] = second, nn.ReLU(inplace=True)


def fold_batch_norm(model: nn.Module, flow: Dataflow) -> nn.Module:
    """Return a model in evaluation mode whose batch norms are folded into the convolutions before them.

    A model that calls a convolution or a norm more than once, that someone has hooked on to, or that does otherwise in
    another mode of evaluation, keeps its norms: ``fuse`` overlooks all that.
    """
    model.eval()
    layers = [*model.modules()]
    foldable = [each for each in layers if isinstance(each, (nn.Conv1d, nn.Conv2d, nn.Conv3d, _BatchNorm))]
    exact = all(is_exactly(each, type(each)) for each in layers)
    if not exact or not flow.evaluates_alike or not all(map(flow.is_called_once, foldable)):
        return model
    try:
        with SCORING.entered():
            folded: nn.Module = fuse(model)
    except Exception:
        return model
    return folded


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, layer)


def _rewrite(crop: Crop, rows: Taps, columns: Taps) -> nn.Module:
    convolution, trained = crop.convolution, crop.convolution.weight.requires_grad
    kernel = convolution.weight.detach()[:, :, rows.first : rows.last + 1, columns.first : columns.last + 1]
    if rows.each and columns.each and convolution.groups == 1:
        product = Product(kernel, convolution.bias, crop.size, rows, columns)
        product.weight.requires_grad = trained
        return product
    if crop.size == (1, 1) == (len(rows.each), len(columns.each)) and kernel.shape[0] == convolution.groups:
        elementwise = Elementwise(kernel, convolution.bias, crop.size)
        elementwise.weight.requires_grad = trained
        return elementwise
    even = rows.even and columns.even
    ours = kernel.shape[1] > 1  # with a single channel the two orders are one, and torch asks its strides which it is
    rewritten = (_kind_for(crop, kernel) if ours else nn.Conv2d)(
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
        requires_grad=trained,
    )
    rewritten.bias = convolution.bias
    if not crop.left_out:
        return rewritten
    if even and isinstance(rewritten, ChannelsLast):
        rewritten.size = crop.size
        return rewritten
    pads = [] if even else [nn.ZeroPad2d((columns.before, columns.after, rows.before, rows.after))]
    return nn.Sequential(SizeCheck(crop.size), *pads, rewritten)


def _kind_for(crop: Crop, kernel: Tensor) -> type[ChannelsLast]:
    convolution = crop.convolution
    moves = kernel.shape[2:] != (1, 1) or convolution.stride != (1, 1) or convolution.padding != (0, 0)
    few = crop.size[0] * crop.size[1] <= _FEW_PIXELS
    return ChannelsLast if moves or convolution.groups > 1 or not few else Pixelwise
