"""The arithmetic of a device: IEEE single, bfloat16 or tf32."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, get_args

import torch

from fashionbench.records.record import Execution, Precision

__all__ = ["EXECUTIONS", "PRECISIONS", "arithmetic"]

EXECUTIONS: Final[tuple[Execution, ...]] = get_args(Execution)

PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)


@contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute the block's forward pass in a precision; the backward pass follows it.

    On NVIDIA's devices fp32 is IEEE single in convolutions too, where PyTorch's own default is tf32.
    """
    if device.type == "cuda":
        single = "tf32" if precision == "tf32" else "ieee"
        torch.backends.cudnn.fp32_precision = single
        torch.backends.cuda.matmul.fp32_precision = single
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield
