"""The precision of a device's arithmetic: IEEE single (fp32), bfloat16 or TensorFloat-32."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch

from fashionbench.records.record import Precision

__all__ = ["arithmetic", "computes_bf16", "single_precision"]

CPU_BF16: Final = ("avx512_bf16", "amx_bf16", "bf16")
"""Instructions for bfloat16 of Intel's and AMD's, of Intel's newer, and of Arm's CPUs, as PyTorch names them."""


def computes_bf16(device: torch.device) -> bool:
    """Return whether PyTorch knows that a device has instructions for bfloat16: of Apple's GPU it does not say."""
    if device.type == "cpu":
        known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}  # older PyTorch lacks it
        return any(known.get(name, False) for name in CPU_BF16)
    if device.type not in {"cuda", "xpu"} or (device.index or 0) >= torch.get_device_module(device).device_count():
        return False
    if device.type == "xpu":
        return bool(torch.xpu.get_device_properties(device).has_bfloat16_conversions)
    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)  # since Ampere


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
