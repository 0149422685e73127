"""Layers that compute what PyTorch's own do, with fewer copies and passes over memory."""

from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ChannelsLast", "Dropout", "Elementwise", "NormedConvolution", "Placeholder", "SizeCheck", "require_size"]


_MOST_CANCELLATION: Final = 1000
"""The sum of the magnitudes over the sum itself; rounding is magnified by as much."""


class ChannelsLast(nn.Conv2d):
    """A convolution whose weight is kept as (out, height, width, in), contiguous.

    The convolution sees it in channels-last order, and the optimizer as a plain array: Adam's fused kernel makes a copy
    of every gradient in another order, a tenth of a ResNet18 step at batch 20.
    """

    size: tuple[int, int] | None = None
    """Height and width of the only maps that it is right for, where taps were left out."""

    def forward(self, images: Tensor) -> Tensor:
        """Return what ``nn.Conv2d`` returns."""
        if self.size is not None:
            require_size(images, self.size)
        output: Tensor = self._conv_forward(images, self.weight.permute(0, 3, 1, 2), self.bias)
        return output


class Dropout(nn.Dropout):
    """``nn.Dropout`` that drops the same values of maps in channels-last order as in their own.

    PyTorch draws in the order of memory, so that the same seed would drop other values.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Return what ``nn.Dropout`` returns of maps in their own order, or of any other tensor."""
        reordered = input.dim() == 4 and input.is_contiguous(memory_format=torch.channels_last)  # noqa: PLR2004 - maps have four axes
        if not self.training or not reordered or input.is_contiguous() or not 0 < self.p < 1:
            return super().forward(input)
        noise = torch.empty(input.shape, dtype=input.dtype, device=input.device).bernoulli_(1 - self.p).div_(1 - self.p)
        return input.mul_(noise) if self.inplace else input * noise


class NormedConvolution(nn.Module):
    """A convolution and the batch norm after it, as one convolution where its images need no gradient.

    A channel's outputs have the mean w·m and the variance w·Cw, where w is the channel's kernel, and m and C are mean
    and covariance of the patches that it meets. So the kernel is scaled before it is used, and no pass over the map is
    left for the norm, neither forward nor backward. The sums end in double precision, while PyTorch's norm adds up in
    single precision where the order is channels-last. Where the sum of w·Cw cancels, as for a kernel that finds edges
    on smooth images, the norm's own pass is more precise, and is taken.

    Args:
        convolution: In one group, padded by zeros.
        norm: With weight, bias and running statistics of a fixed momentum.

    """

    def __init__(self, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.placeholder = Placeholder()
        self.convolution = convolution
        self.norm = norm

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, out, height, width) of images (N, in, H, W); in training, update the running statistics."""
        if self.training != self.placeholder.training:  # somebody has put the norm, by its place, into the other mode
            self.norm.train(self.placeholder.training)
        if not self.norm.training or not _suits_fusion(images, self.norm):
            normed: Tensor = self.norm(self.convolution(images))
            return normed
        mean, covariance, count = _moments(images, self.convolution)
        weight, bias = self.convolution.weight, self.convolution.bias
        ours = isinstance(self.convolution, ChannelsLast)
        rows = (weight if ours else weight.permute(0, 2, 3, 1)).flatten(1)  # (out, height * width * in)
        centre = rows @ mean if bias is None else rows @ mean + bias
        variance = ((rows @ covariance) * rows).sum(1).clamp(min=0)
        if _cancels(rows.detach(), covariance, variance.detach()):
            return cast("Tensor", self.norm(self.convolution(images)))
        scale = self.norm.weight * torch.rsqrt(variance + self.norm.eps)
        # the bias cancels but stays in the graph: its gradient is zero and not none
        shift = self.norm.bias + (-centre if bias is None else bias - centre) * scale
        with torch.no_grad():
            _update_statistics(self.norm, centre, variance * (count / (count - 1)))
        kernel = weight * scale[:, None, None, None]  # in the weight's own order, on which the convolution's depends
        kernel = kernel.permute(0, 3, 1, 2) if ours else kernel
        return functional.conv2d(
            images,
            kernel,
            shift,
            self.convolution.stride,
            self.convolution.padding,
            self.convolution.dilation,
        )


class Placeholder(nn.Module):
    """Replaces a layer that was fused into the one before: returns its input, and remembers the mode it is in."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the images as they are."""
        return images


class SizeCheck(nn.Module):
    """Requires that maps have the one size that the layer after it was rewritten for."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Return the images as they are."""
        require_size(images, self.size)
        return images


class Elementwise(nn.Module):
    """A depthwise convolution of maps of one pixel: each channel times its one weight that meets data.

    Args:
        kernel: (channels, 1, 1, 1).
        bias: (channels,), or None; kept as it is.
        size: Height and width of the maps, which are one pixel.

    """

    def __init__(self, kernel: Tensor, bias: Tensor | None, size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(kernel.clone())
        self.bias = bias
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, channels, 1, 1) of images of that shape."""
        require_size(images, self.size)
        scaled = images * self.weight[:, 0]
        return scaled if self.bias is None else scaled + self.bias[:, None, None]


def require_size(images: Tensor, size: tuple[int, int]) -> None:
    """Require maps of the height and width that a layer was rewritten for.

    Raises:
        RuntimeError: They have others, for which weights that were left out would count.

    """
    if images.shape[-2] != size[0] or images.shape[-1] != size[1]:
        raise RuntimeError(
            f"a convolution that was rewritten for maps of {size[0]} x {size[1]} was given "
            f"{images.shape[-2]} x {images.shape[-1]}: run it with --execution plain"
        )


def _suits_fusion(images: Tensor, norm: nn.BatchNorm2d) -> bool:
    """Whether images are on the CPU, of the norm's own type, more than one, and need no gradient."""
    return (
        images.device.type == "cpu"
        and images.dtype == norm.get_buffer("running_mean").dtype
        and not torch.is_autocast_enabled("cpu")
        and not images.requires_grad
        and len(images) > 1
    )


def _cancels(rows: Tensor, covariance: Tensor, variance: Tensor) -> bool:
    """Whether rounding makes more of a variance w·Cw than of PyTorch's own (docs/dev/execution.md)."""
    magnitude = ((rows.abs() @ covariance.abs()) * rows.abs()).sum(1)
    return bool((magnitude > _MOST_CANCELLATION * variance).any())


def _moments(images: Tensor, convolution: nn.Conv2d) -> tuple[Tensor, Tensor, int]:
    """Return mean (taps,) and covariance (taps, taps) of the patches that a kernel meets, and how many these are."""
    patches = _patches(images, convolution)
    count = patches.shape[0] * patches.shape[2]
    mean = (patches.sum(2).sum(0, dtype=torch.double) / count).to(images.dtype)
    centred = patches - mean[:, None]  # before they are multiplied, so that nothing cancels
    covariance = torch.bmm(centred, centred.mT).sum(0, dtype=torch.double) / count
    return mean, covariance.to(images.dtype), count


def _patches(images: Tensor, convolution: nn.Conv2d) -> Tensor:
    """Return (N, height * width * in, outputs): what each tap of the kernel meets.

    ``functional.unfold`` gives the same, in another order of taps, and takes ten times as long at batch 100.
    """
    (height, width), (down, across) = convolution.kernel_size, convolution.dilation
    above, left = (int(side) for side in convolution.padding)
    padded = functional.pad(images, (left, left, above, above))
    windows = padded.unfold(2, down * (height - 1) + 1, convolution.stride[0])
    windows = windows.unfold(3, across * (width - 1) + 1, convolution.stride[1])[..., ::down, ::across]
    return windows.permute(0, 4, 5, 1, 2, 3).flatten(4).flatten(1, 3)


def _update_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    momentum = cast("float", norm.momentum)
    norm.get_buffer("num_batches_tracked").add_(1)
    norm.get_buffer("running_mean").lerp_(mean, momentum)
    norm.get_buffer("running_var").lerp_(variance, momentum)
