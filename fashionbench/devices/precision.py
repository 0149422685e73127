"""The precision of a device's arithmetic: IEEE single (fp32), bfloat16 or TensorFloat-32."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from fashionbench.records.record import Precision

__all__ = ["arithmetic", "single_precision"]


@contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Run the forward pass in the block at a precision; PyTorch runs the backward pass at the same one."""
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


@contextmanager
def single_precision(device: torch.device, precision: Precision) -> Iterator[None]:
    """Set what ``fp32`` means on NVIDIA devices, for the whole process, and restore it after the block.

    It is IEEE single, in convolutions too, where PyTorch's default is TensorFloat-32. cuDNN's setting for all does not
    reach its convolutions in part of 2.9 and later (pytorch issue 179445), so each is set. PyTorch refuses to compute
    where convolutions and recurrent layers differ.
    """
    if device.type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn  # its types leave its parts out
    settings: tuple[Any, ...] = (
        torch.backends.cuda.matmul,
        cudnn,
        cudnn.conv,
        cudnn.rnn,
    )  # cuDNN's own before its parts, which follow
    before = [each.fp32_precision for each in settings]
    try:
        for each in settings:
            each.fp32_precision = "tf32" if precision == "tf32" else "ieee"
        yield
    finally:
        for each, value in zip(settings, before, strict=True):
            each.fp32_precision = value
