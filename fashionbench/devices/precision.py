"""The precision of a device's arithmetic: IEEE single (fp32), bfloat16 or TensorFloat-32."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fashionbench.records.record import Precision

__all__ = ["arithmetic"]


@contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Run the forward pass in the block at a precision; PyTorch runs the backward pass at the same one.

    On NVIDIA devices ``fp32`` is IEEE single in convolutions too, where PyTorch's default is TensorFloat-32.
    """
    if device.type == "cuda":
        single = "tf32" if precision == "tf32" else "ieee"
        torch.backends.cudnn.fp32_precision = single
        torch.backends.cuda.matmul.fp32_precision = single
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield
