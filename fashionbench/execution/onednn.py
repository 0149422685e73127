"""Layers that are matrix products, by oneDNN: on an AMD processor it takes half the time of PyTorch's usual MKL."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from fashionbench.execution.layers import ChannelsLast, require_size
from fashionbench.models.analysis.taps import Taps

__all__ = ["Linear", "Pixelwise", "Product", "multiply"]


class _Multiply(torch.autograd.Function):
    """``functional.linear`` on the CPU in fp32, forward and backward."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, weight)
        return _onednn(rows, weight, bias)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.NestedIOFunction, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        rows, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        wanted: tuple[bool, ...] = ctx.needs_input_grad
        for_rows, for_weight, for_bias = wanted
        return (  # products again, so that a gradient can be differentiated, too
            multiply(gradient, weight.t(), None) if for_rows else None,
            multiply(gradient.t(), rows.t(), None) if for_weight else None,
            gradient.sum(0) if for_bias else None,
        )


class _Unroll(torch.autograd.Function):
    """A kernel (out, height, width, in) as one block (out, window) for each output pixel."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, kernel: Tensor, blocks: Sequence[tuple[slice, slice]]
    ) -> Tensor:
        ctx.shape, ctx.blocks = kernel.shape, blocks  # type: ignore[attr-defined]  # as autograd's documentation has it
        return torch.stack([kernel[:, rows, columns] for rows, columns in blocks])

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.new_zeros(ctx.shape)  # type: ignore[attr-defined]  # set above
        for (rows, columns), block in zip(ctx.blocks, gradient, strict=True):  # type: ignore[attr-defined]  # the same
            total[:, rows, columns] += block
        return total, None


class Linear(nn.Linear):
    """``nn.Linear`` by oneDNN."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name, by which some call it
        """Return (N, out) of rows (N, in)."""
        return multiply(input, self.weight, self.bias)


class Product(nn.Module):
    """A convolution whose every output pixel sees every pixel of a window, as the matrix product that it is.

    Args:
        kernel: (out, in, height, width).
        bias: (out,), or None; kept as it is.
        size: Height and width of the maps that it is right for.
        rows: The kernel's rows that meet data, for each row of the output.
        columns: The same of columns.

    """

    def __init__(self, kernel: Tensor, bias: Tensor | None, size: tuple[int, int], rows: Taps, columns: Taps) -> None:
        super().__init__()
        self.size = size
        self.window = (rows.window, columns.window)
        taps = (rows.each, columns.each)
        self.output = (len(taps[0]), len(taps[1]))
        self.blocks = [(rows, columns) for rows in taps[0] for columns in taps[1]]
        self.weight = nn.Parameter(kernel.permute(0, 2, 3, 1).contiguous())
        self.bias = bias

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, out, height, width) of images (N, in, H, W), in channels-last order."""
        require_size(images, self.size)
        rows, columns = self.window
        seen = images[:, :, rows, columns].permute(0, 2, 3, 1).flatten(1)  # (N, window * in)
        if len(self.blocks) == 1:
            return multiply(seen, self.weight.flatten(1), self.bias)[:, :, None, None]
        matrix = _Unroll.apply(self.weight, self.blocks).flatten(0, 1).flatten(1)  # (pixels * out, window * in)
        bias = None if self.bias is None else self.bias.repeat(len(self.blocks))
        output = multiply(seen, matrix, bias)
        return output.view(len(output), *self.output, -1).permute(0, 3, 1, 2)


class Pixelwise(ChannelsLast):
    """A convolution of single pixels, with a kernel of 1 x 1, as the matrix product that it is."""

    def forward(self, images: Tensor) -> Tensor:
        """Return what ``nn.Conv2d`` returns, in channels-last order."""
        pixels = images.permute(0, 2, 3, 1)  # (N, H, W, in)
        output = multiply(pixels.flatten(0, 2), self.weight.flatten(1), self.bias)
        return output.view(*pixels.shape[:3], -1).permute(0, 3, 1, 2)


def multiply(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``functional.linear``: (N, out) of rows (N, in), weight (out, in) and bias (out,).

    By oneDNN where it can and pays: on the CPU, in fp32 outside autocast, with more than one row. By PyTorch's own
    product, the forward pass of a single image takes 0.83 of the time for FashionCNN, and 0.93 for ResNet18
    (docs/dev/execution.md).
    """
    single = rows.dtype == weight.dtype == torch.float32 and (bias is None or bias.dtype == torch.float32)
    matrix = rows.dim() == 2 and len(rows) > 1 and rows.numel() > 0  # noqa: PLR2004 - oneDNN takes no more axes, nor none
    suits = single and matrix and rows.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    if not suits or not torch.backends.mkldnn.is_available():
        return functional.linear(rows, weight, bias)
    if not (rows.is_contiguous() or rows.t().is_contiguous()):
        rows = rows.contiguous()  # oneDNN is slow, a hundredfold, on rows that lie apart
    if not torch.is_grad_enabled():
        return _onednn(rows, weight, bias)
    product: Tensor = _Multiply.apply(rows, weight, bias)
    return product


def _onednn(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Call the operator that torch.compile uses for linear layers on a CPU.

    With it a step takes 0.90 of the time without it for ResNet18 at batch 20, 0.84 at batch 100, and 0.87 for
    FashionCNN at batch 100 (docs/dev/execution.md).
    """
    product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")  # noqa: SLF001 - no public name
    return product
